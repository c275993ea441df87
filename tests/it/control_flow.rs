//! Models with `If` and `Loop` whose bodies read values of the graph around them, in ONNX Runtime: every rewriting
//! keeps what the bodies read, under the name by which they read it.

use std::collections::BTreeMap;

use onnx_graph::build::{Attr, Builder};
use onnx_graph::grad::backward;
use onnx_graph::hessian::{Curvature, products};
use onnx_graph::loss::Loss;
use onnx_graph::model::Model;
use onnx_graph::passes::normal;
use onnx_graph::proto::{AttributeProto, GraphProto, NodeProto};
use onnx_graph::relevance::composite::Composite;
use onnx_graph::relevance::{Options, Start, attribution};
use onnx_graph::shape::{Dim, Info, infer};
use onnx_graph::tensor::{DataType, flag, floats, ints};
use onnx_graph::train::{Optimizer, Quantity, Record, Settings, Sgd, State, training, with_inputs};
use sulcus::model::{Array, Session, Values};

use super::models::{first, floats as f32s, runtime};

const ROWS: usize = 6;

fn info(dims: &[i64]) -> Info {
    let dim = |d: &i64| if *d < 0 { Dim::Name("N".to_owned()) } else { Dim::Size(*d) };
    Info::new(DataType::Float, dims.iter().map(dim).collect())
}

/// A body of these nodes, with what it makes.
fn body(name: &str, inputs: Vec<(&str, Info)>, outputs: &[(&str, Info)], b: Builder) -> Attr<'static> {
    Attr::Graph(Box::new(GraphProto {
        name: Some(name.to_owned()),
        node: b.nodes,
        initializer: b.constants,
        input: inputs.iter().map(|(name, info)| info.value(name)).collect(),
        output: outputs.iter().map(|(name, info)| info.value(name)).collect(),
        ..GraphProto::default()
    }))
}

/// Rows are scaled by an `If`, moved by a `Loop`, and pass through two layers. Bodies read `data` (made outside, and
/// a name that training takes), `double` (computed from constants) and `shift` (a constant).
fn model() -> Model {
    let mut b = Builder::new("m_");
    b.named_node("Identity", &["x"], &["data"], []);
    b.named_node("Add", &["one", "one"], &["double"], []);
    b.named_node("ReduceSum", &["x"], &["total"], [("keepdims", Attr::Int(0))]);
    b.named_node("Greater", &["total", "bound"], &["many"], []);
    let mut yes = Builder::new("yes_");
    yes.named_node("Mul", &["data", "double"], &["yes"], []);
    let mut no = Builder::new("no_");
    no.named_node("Sub", &["data", "double"], &["no"], []);
    let open = || Info { ty: DataType::Float, dims: None };
    let branches = [
        ("then_branch", body("then", vec![], &[("yes", open())], yes)),
        ("else_branch", body("else", vec![], &[("no", open())], no)),
    ];
    b.named_node("If", &["many"], &["scaled"], branches);
    let mut step = Builder::new("step_");
    step.named_node("Identity", &["go"], &["on"], []);
    step.named_node("Add", &["before", "shift"], &["after"], []);
    let scalar = |ty| Info::new(ty, Vec::new());
    let given =
        vec![("i", scalar(DataType::Int64)), ("go", scalar(DataType::Bool)), ("before", info(&[-1, 3]))];
    let made = [("on", scalar(DataType::Bool)), ("after", info(&[-1, 3]))];
    b.named_node("Loop", &["three", "", "scaled"], &["moved"], [("body", body("step", given, &made, step))]);
    let turned = || [("transB", Attr::Int(1))];
    b.named_node("Gemm", &["moved", "w1", "b1"], &["h"], turned());
    b.named_node("Relu", &["h"], &["r"], []);
    b.named_node("Gemm", &["r", "w2"], &["logits"], turned());
    let values = |n: usize| (0..n).map(|i| ((i * 7 % 11) as f32 - 5.0) / 6.0).collect::<Vec<f32>>();
    Model::new(GraphProto {
        node: b.nodes,
        initializer: vec![
            floats("one", &[1], &[1.0]),
            floats("bound", &[], &[1.0]),
            floats("shift", &[3], &[0.5, -0.25, 0.125]),
            ints("three", &[], &[3]),
            floats("w1", &[5, 3], &values(15)),
            floats("b1", &[5], &values(5)),
            floats("w2", &[2, 5], &values(10)),
        ],
        input: vec![info(&[-1, 3]).value("x")],
        output: vec![info(&[-1, 2]).value("logits")],
        ..GraphProto::default()
    })
}

/// The same without control flow, for rows whose sum is above the bound.
fn plain() -> Model {
    let mut model = model();
    let graph = model.0.graph.as_mut().unwrap();
    let mut b = Builder::new("m_");
    b.named_node("Add", &["x", "x"], &["scaled"], []);
    b.named_node("Add", &["scaled", "shift"], &["once"], []);
    b.named_node("Add", &["once", "shift"], &["twice"], []);
    b.named_node("Add", &["twice", "shift"], &["moved"], []);
    let layers = graph.node.split_off(6);
    graph.node = b.nodes;
    graph.node.extend(layers);
    model
}

fn rows(sign: f32) -> Vec<f32> {
    (0..ROWS * 3).map(|i| sign * (0.25 + (i * 5 % 7) as f32 / 8.0)).collect()
}

fn ran(model: &Model, inputs: Vec<(String, Array)>) -> BTreeMap<String, Array> {
    let mut session = Session::new(runtime(), &model.to_bytes(), &["cpu".to_owned()], 1).expect("a session");
    session.run(inputs).expect("the graph runs")
}

fn answer(model: &Model, sign: f32) -> BTreeMap<String, Array> {
    ran(model, vec![("x".to_owned(), (vec![ROWS as i64, 3], Values::F32(rows(sign))))])
}

#[test]
fn the_normal_form_computes_what_the_model_does() {
    let model = model();
    let made = normal(&model).expect("a normal form");
    for sign in [1.0, -1.0] {
        assert_eq!(answer(&model, sign), answer(&made, sign));
    }
    assert_eq!(answer(&model, 1.0), answer(&plain(), 1.0));
    assert_ne!(answer(&model, -1.0), answer(&plain(), -1.0));
}

#[test]
fn shapes_go_through_bodies() {
    let mut model = model();
    let graph = model.0.graph.as_mut().unwrap();
    assert_eq!(infer(graph).unwrap()["logits"], info(&[-1, 2]));
    assert_eq!(infer(graph).unwrap()["moved"], info(&[-1, 3]));
    // Branches of several shapes agree on what they share.
    let branch = graph.node[4].attribute[0].g.as_mut().unwrap();
    branch.node[0] =
        NodeProto { input: vec!["shift".to_owned(), "wide".to_owned()], ..branch.node[0].clone() };
    branch.initializer.push(floats("wide", &[7, 3], &[1.0; 21]));
    let found = infer(graph).unwrap()["scaled"].clone();
    assert_eq!(found, Info::new(DataType::Float, vec![Dim::Unknown, Dim::Size(3)]));
}

/// Bodies of an older operator set are written in the set of the graph around them.
#[test]
fn bodies_are_raised_with_the_model() {
    let mut model = model();
    model.0.opset_import[0].version = Some(11);
    let graph = model.0.graph.as_mut().unwrap();
    let mut b = Builder::new("yes_");
    b.named_node("Unsqueeze", &["data"], &["wide"], [("axes", Attr::Ints(&[0]))]);
    b.named_node("Softmax", &["wide"], &["shares"], [("axis", Attr::Int(1))]);
    b.named_node("Squeeze", &["shares"], &["narrow"], [("axes", Attr::Ints(&[0]))]);
    b.named_node("Mul", &["narrow", "double"], &["yes"], []);
    graph.node[4].attribute[0].g.as_mut().unwrap().node = b.nodes;
    let made = normal(&model).expect("a normal form");
    for sign in [1.0, -1.0] {
        assert_eq!(answer(&model, sign), answer(&made, sign));
    }
}

fn trained(model: &Model, settings: &Settings) -> Vec<Vec<f32>> {
    let made = training(&normal(model).unwrap(), settings).expect("a training graph");
    let list = |v: f32| (vec![4], Values::F32(vec![v; 4]));
    let mut inputs = first(&made);
    inputs.push(("data".to_owned(), (vec![ROWS as i64, 3], Values::F32(rows(1.0)))));
    inputs.push(("target".to_owned(), (vec![ROWS as i64], Values::I64(vec![0, 1, 0, 1, 1, 0]))));
    inputs.push(("order".to_owned(), (vec![4, 3], Values::I64(vec![0, 1, 2, 3, 4, 5, 5, 1, 3, 2, 0, 4]))));
    inputs.push(("learning_rate".to_owned(), list(0.1)));
    if let Some(record) = &settings.record {
        inputs.push(("segments".to_owned(), (vec![2], Values::I64(vec![1, 1]))));
        assert!(record.spaced);
        let start =
            made.states.iter().take(made.trained).flat_map(|s| s.values.clone()).collect::<Vec<f32>>();
        inputs.push(("start".to_owned(), (vec![start.len() as i64], Values::F32(start))));
    }
    let outputs = ran(&made.model, inputs);
    let value = |s: &State| f32s(&outputs[&s.value.1].1).to_vec();
    made.states.iter().map(value).collect()
}

#[test]
fn layers_behind_control_flow_are_trained() {
    let mut settings = Settings::new(Loss::CrossEntropy, Optimizer::Sgd(Sgd::default()), 3);
    assert_eq!(trained(&model(), &settings), trained(&plain(), &settings));
    // The step stands twice in the graph, under two sets of names.
    settings.record =
        Some(Record { quantities: vec![Quantity::Displacement], spaced: true, ..Record::default() });
    assert_eq!(trained(&model(), &settings), trained(&plain(), &settings));
}

#[test]
fn weights_are_fed_to_bodies_too() {
    let model = normal(&model()).unwrap();
    let state = |name: &str, dims: &[i64], values: &[f32]| State {
        parameter: name.to_owned(),
        dims: dims.to_vec(),
        values: values.to_vec(),
        value: (format!("in.{name}"), format!("out.{name}")),
        slots: Vec::new(),
    };
    let states = [state("shift", &[3], &[0.5, -0.25, 0.125])];
    let fed = with_inputs(&model, &states).unwrap();
    let mut inputs = vec![("x".to_owned(), (vec![ROWS as i64, 3], Values::F32(rows(1.0))))];
    inputs.push(("in.shift".to_owned(), (vec![3], Values::F32(states[0].values.clone()))));
    assert_eq!(ran(&fed, inputs), answer(&model, 1.0));
}

#[test]
fn curvature_behind_control_flow() {
    let names = ["w1".to_owned(), "w2".to_owned()];
    let products = |model: &Model| {
        let made = products(model, Loss::CrossEntropy, &names, Curvature::Hessian, true).expect("products");
        let mut inputs = vec![("data".to_owned(), (vec![ROWS as i64, 3], Values::F32(rows(1.0))))];
        inputs.push(("target".to_owned(), (vec![ROWS as i64], Values::I64(vec![0, 1, 0, 1, 1, 0]))));
        for (name, dims) in &made.parameters {
            let count = dims.iter().product::<i64>() as usize;
            let values = (0..count).map(|i| ((i * 3 % 13) as f32 - 6.0) / 9.0).collect::<Vec<f32>>();
            inputs.push((format!("vector.{name}"), (dims.clone(), Values::F32(values.clone()))));
            inputs.push((format!("parameter.{name}"), (dims.clone(), Values::F32(values))));
        }
        ran(&made.model, inputs)
    };
    assert_eq!(products(&model()), products(&plain()));
}

#[test]
fn maps_at_a_tensor_behind_control_flow() {
    let composite = Composite::named("epsilon").unwrap();
    let options = Options { at: Some("moved".to_owned()), start: Start::Predicted, ..Options::default() };
    let map = |model: &Model| {
        let made = attribution(model, &composite, &options).expect("a map").model;
        answer(&made, 1.0)
    };
    assert_eq!(map(&model()), map(&plain()));
}

#[test]
fn no_gradient_and_no_map_goes_through_a_body() {
    let model = normal(&model()).unwrap();
    let graph = model.graph().unwrap();
    // `x` reaches the `If` by what its branches read alone.
    let mut graph = graph.clone();
    graph.initializer.push(flag("always", true));
    for node in &mut graph.node {
        if node.op_type.as_deref() == Some("If") {
            node.input[0] = "always".to_owned();
        }
    }
    for (wrt, wanted) in [("scaled", "(Loop)"), ("x", "(Loop)"), ("shift", "(Loop)")] {
        let error =
            backward(&graph, &[("logits", "dy")], &[wrt], Builder::new("g_")).unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains("not supported"), "{wrt}: {error}");
    }
    let error = backward(&graph, &[("scaled", "dy")], &["x"], Builder::new("g_")).unwrap_err().to_string();
    assert!(error.contains("(If)") && error.contains("not supported"), "{error}");
    let composite = Composite::named("epsilon").unwrap();
    let options = Options { start: Start::Predicted, ..Options::default() };
    let error = attribution(&Model::new(graph), &composite, &options).unwrap_err().to_string();
    assert!(error.contains("(Loop)"), "{error}");
}

/// A layer whose output a body reads does not become one with what follows it.
#[test]
fn layers_that_bodies_read_are_not_merged() {
    let mut model = model();
    let graph = model.0.graph.as_mut().unwrap();
    let mut b = Builder::new("late_");
    b.named_node("MatMul", &["moved", "w3"], &["product"], []);
    b.named_node("Add", &["product", "b3"], &["sum"], []);
    let mut yes = Builder::new("late_yes_");
    yes.named_node("Identity", &["product"], &["late_yes"], []);
    let mut no = Builder::new("late_no_");
    no.named_node("Identity", &["sum"], &["late_no"], []);
    let branches: [(&str, Attr); 2] = [
        ("then_branch", body("late_then", vec![], &[("late_yes", info(&[-1, 2]))], yes)),
        ("else_branch", body("late_else", vec![], &[("late_no", info(&[-1, 2]))], no)),
    ];
    b.named_node("If", &["many"], &["late"], branches);
    b.named_node("Add", &["late", "sum"], &["both"], []);
    graph.node.truncate(6);
    graph.node.extend(b.nodes);
    graph.initializer.push(floats("w3", &[3, 2], &[1.0, 2.0, 3.0, -1.0, 0.5, 2.0]));
    graph.initializer.push(floats("b3", &[2], &[0.5, -0.5]));
    graph.output[0] = info(&[-1, 2]).value("both");
    let made = onnx_graph::passes::canonize(&normal(&model).unwrap(), &[]).unwrap();
    for sign in [1.0, -1.0] {
        assert_eq!(answer(&model, sign), answer(&made, sign));
    }
    let outputs: Vec<&AttributeProto> =
        made.graph().unwrap().node.iter().flat_map(|n| &n.attribute).collect();
    assert!(outputs.iter().any(|a| a.g.is_some()));
}
