//! Ops, networks and training against torch's float64 values (`tests/golden/make_training.py`).

use std::path::PathBuf;

use onnx_graph::architectures::{Spec, build};
use onnx_graph::build::{Attr, Builder};
use onnx_graph::grad::backward;
use onnx_graph::loss::Loss;
use onnx_graph::model::Model;
use onnx_graph::proto::GraphProto;
use onnx_graph::random::Random;
use onnx_graph::reference::{Value, evaluate};
use onnx_graph::shape::{Dim, Info};
use onnx_graph::tensor::{DataType, ints};
use onnx_graph::train::{Settings, training};
use serde_json::Value as Json;

use crate::architectures::{Feed, PLAIN, first, run, sgd};
use crate::case::optimizer;

/// The files `<kind>_*.json` with what they hold.
fn cases(kind: &str) -> Vec<(String, Json)> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let given = std::env::var_os("SULCUS_GOLDEN").map(PathBuf::from).filter(|d| d.join("training").is_dir());
    let folder = given.unwrap_or(own).join("training");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if name.starts_with(kind) && path.extension().is_some_and(|e| e == "json") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((
                name,
                serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display())),
            ));
        }
    }
    assert!(!found.is_empty(), "there is no {kind}_*.json in {}", folder.display());
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn numbers(json: &Json) -> Vec<f64> {
    json.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn sizes(json: &Json) -> Vec<usize> {
    json.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

fn tensor(json: &Json) -> Value {
    Value::floats(&sizes(&json["dims"]), numbers(&json["values"])).unwrap()
}

/// The largest difference, relative to the largest value.
fn error(found: &[f64], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let scale = wanted.iter().fold(1e-30, |m: f64, v| m.max(v.abs()));
    found.iter().zip(wanted).fold(0.0, |m: f64, (f, w)| m.max((f - w).abs())) / scale
}

/// One line per case; fails after the last if any was wrong.
struct Report {
    tolerance: f64,
    wrong: Vec<String>,
}

impl Report {
    fn case(&mut self, name: &str, error: f64) {
        println!("{name}: error {error:.1e}");
        if error.is_nan() || error > self.tolerance {
            self.wrong.push(format!("{name}: {error:.1e} is above {:.0e}", self.tolerance));
        }
    }

    fn end(self) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
    }
}

#[test]
fn golden_ops() {
    let mut report = Report { tolerance: 1e-10, wrong: Vec::new() };
    for (name, case) in cases("op") {
        report.case(&name, op(&case));
    }
    report.end();
}

fn op(case: &Json) -> f64 {
    let inputs: Vec<Value> = case["inputs"].as_array().unwrap().iter().map(tensor).collect();
    let names: Vec<String> = (0..inputs.len()).map(|i| format!("x{i}")).collect();
    let mut reads: Vec<&str> = names.iter().map(String::as_str).collect();
    let wrt = reads.clone();
    let constants: Vec<i64> =
        case["ints"].as_array().into_iter().flatten().map(|v| v.as_i64().unwrap()).collect();
    if !constants.is_empty() {
        reads.push("ints");
    }
    let mut b = Builder::new("f_");
    b.named_node(case["op"].as_str().unwrap(), &reads, &["y"], []);
    for (name, value) in case["attributes"].as_object().unwrap() {
        let mut one = Builder::new("");
        let list: Vec<i64> = value.as_array().into_iter().flatten().map(|v| v.as_i64().unwrap()).collect();
        let attribute = match value {
            Json::Array(_) => Attr::Ints(&list),
            Json::Number(n) if n.is_i64() => Attr::Int(n.as_i64().unwrap()),
            _ => Attr::Float(value.as_f64().unwrap() as f32),
        };
        one.named_node("", &[], &[""], [(name, attribute)]);
        b.nodes[0].attribute.append(&mut one.nodes[0].attribute);
    }
    let info = |(name, x): (&&str, &Value)| {
        Info::new(DataType::Float, x.dims.iter().map(|d| Dim::Size(*d as i64)).collect()).value(name)
    };
    let mut graph = GraphProto {
        node: b.nodes,
        initializer: vec![ints("ints", &[constants.len() as i64], &constants)],
        input: wrt.iter().zip(&inputs).map(info).collect(),
        ..GraphProto::default()
    };
    let back = backward(&graph, &[("y", "dy")], &wrt, Builder::new("g_")).unwrap();
    graph.node = back.forward;
    graph.node.extend(back.nodes);
    graph.initializer.extend(back.constants);
    let mut feed: Vec<(&str, Value)> = wrt.iter().copied().zip(inputs).collect();
    feed.push(("dy", tensor(&case["dy"])));
    let values = evaluate(&graph, &feed).unwrap();
    let found = std::iter::once("y").chain(back.gradients.iter().map(String::as_str));
    let wanted = std::iter::once(&case["output"]).chain(case["gradients"].as_array().unwrap());
    found.zip(wanted).fold(0.0, |worst: f64, (name, wanted)| {
        let wanted = tensor(wanted);
        assert_eq!(values[name].dims, wanted.dims);
        worst.max(error(&values[name].data, &wanted.data))
    })
}

fn spec(case: &Json) -> Spec {
    let spec = &case["spec"];
    Spec {
        input: sizes(&spec["input"]),
        classes: spec["classes"].as_u64().unwrap() as usize,
        hidden: sizes(&spec["hidden"]),
        activation: spec["activation"].as_str().unwrap().to_owned(),
        scale: 1.0,
        ..Spec::default()
    }
}

fn network(case: &Json) -> Model {
    build(case["architecture"].as_str().unwrap(), &spec(case), case["seed"].as_u64().unwrap()).unwrap()
}

/// Loss, data, targets and the batches of `steps` steps, from the seed that the case gives.
fn feed(case: &Json, steps: usize, batch: usize) -> (Loss, Feed) {
    let (spec, rows) = (spec(case), case["rows"].as_u64().unwrap() as usize);
    let mut random = Random::new(case["data_seed"].as_u64().unwrap());
    let symmetric = |n: usize, random: &mut Random| {
        (0..n).map(|_| f64::from((random.uniform() * 2.0 - 1.0) as f32)).collect::<Vec<f64>>()
    };
    let dims = [&[rows], &spec.input[..]].concat();
    let data = Value::floats(&dims, symmetric(dims.iter().product(), &mut random)).unwrap();
    let (loss, target) = match case["loss"].as_str().unwrap() {
        "cross_entropy" => {
            let labels: Vec<i64> = (0..rows).map(|_| random.below(spec.classes) as i64).collect();
            (Loss::CrossEntropy, Value::ints(&[rows], &labels).unwrap())
        }
        // These have no targets.
        "triplet" => (Loss::Triplet { margin: 0.015625 }, Value::ints(&[0], &[]).unwrap()),
        "odd_one_out" => (Loss::OddOneOut, Value::ints(&[0], &[]).unwrap()),
        _ => {
            let values = symmetric(rows * spec.classes, &mut random);
            (Loss::MeanSquaredError, Value::floats(&[rows, spec.classes], values).unwrap())
        }
    };
    let order: Vec<i64> = if batch == rows {
        (0..rows as i64).collect()
    } else {
        (0..steps * batch).map(|_| random.below(rows) as i64).collect()
    };
    let rate = case["learning_rate"].as_f64().unwrap_or(1.0);
    (
        loss,
        Feed {
            data,
            target,
            order: Value::ints(&[steps, batch], &order).unwrap(),
            rates: vec![rate; steps],
            optimizer: optimizer(&case["optimizer"]),
        },
    )
}

#[test]
fn golden_architectures() {
    let mut report = Report { tolerance: 1e-10, wrong: Vec::new() };
    for (name, case) in cases("architecture") {
        let model = network(&case);
        let rows = case["rows"].as_u64().unwrap() as usize;
        let (loss, feed) = feed(&case, 1, rows);
        let values = evaluate(model.graph().unwrap(), &[("input", feed.data.clone())]).unwrap();
        let mut worst = error(&values["logits"].data, &numbers(&case["output"]));
        // With a rate of 1, no momentum and no decay, a step is the gradient.
        let t = training(&model, &sgd(loss, PLAIN, rows)).unwrap();
        let states = first(&t.states);
        let (moved, losses) = run(&t, &states, &feed);
        worst = worst.max(error(&losses, &[case["loss_value"].as_f64().unwrap()]));
        assert_eq!(t.states.len(), case["parameters"].as_object().unwrap().len());
        for state in &t.states {
            let (old, new) = (&states[&state.value.0].data, &moved[&state.value.0].data);
            worst = worst.max(error(old, &numbers(&case["parameters"][&state.parameter])));
            let gradient: Vec<f64> = old.iter().zip(new).map(|(o, n)| o - n).collect();
            let wanted = numbers(&case["gradients"][&state.parameter]);
            // A bias behind all distances shifts every row alike: its gradient is rounding on both sides.
            let nothing = wanted.iter().chain(&gradient).all(|g| g.abs() < 1e-15);
            worst = worst.max(if nothing { 0.0 } else { error(&gradient, &wanted) });
        }
        report.case(&name, worst);
    }
    report.end();
}

#[test]
fn golden_training() {
    let mut report = Report { tolerance: 1e-8, wrong: Vec::new() };
    for (name, case) in cases("sgd") {
        let whole = |key: &str| case[key].as_u64().unwrap() as usize;
        let (loss, feed) = feed(&case, whole("steps"), whole("batch"));
        let t = training(&network(&case), &Settings::new(loss, feed.optimizer, whole("batch"))).unwrap();
        let (states, losses) = run(&t, &first(&t.states), &feed);
        let some: Vec<f64> = losses.iter().copied().step_by(whole("every")).collect();
        let mut worst = error(&some, &numbers(&case["losses"]));
        for state in &t.states {
            let wanted = numbers(&case["last"][&state.parameter]);
            worst = worst.max(error(&states[&state.value.0].data, &wanted));
        }
        report.case(&name, worst);
    }
    report.end();
}
