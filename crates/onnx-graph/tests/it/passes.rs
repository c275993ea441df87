//! The normal form computes what the model computes, and everything in it is known.

use std::path::PathBuf;

use onnx_graph::build::{Attr, Builder};
use onnx_graph::loss::Loss;
use onnx_graph::model::Model;
use onnx_graph::passes::normal;
use onnx_graph::proto::GraphProto;
use onnx_graph::reference::{Value, evaluate};
use onnx_graph::relevance::composite::Composite;
use onnx_graph::relevance::{Options, attribution};
use onnx_graph::sensitivity::{Seed, sensitivity};
use onnx_graph::shape::{Dim, Info, infer};
use onnx_graph::tensor::{DataType, flag, floats};
use onnx_graph::train::{Optimizer, Settings, Sgd, training};

use crate::numeric::close;
use crate::op_case::spaced;

/// Models as torch's two exporters wrote them, operator sets 17 and 18.
fn exported() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/lrp");
    let files = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut models: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "onnx")).collect();
    models.sort();
    models
}

#[test]
fn exported_models_keep_their_meaning() {
    assert!(exported().len() > 10);
    for path in exported() {
        let label = path.display().to_string();
        let model = Model::read_file(&path).unwrap_or_else(|e| panic!("{label}: {e}"));
        let made = normal(&model).unwrap_or_else(|e| panic!("{label}: {e}"));
        let (graph, normal) = (model.graph().unwrap(), made.graph().unwrap());
        infer(normal).unwrap_or_else(|e| panic!("{label}: {e}"));
        for gone in ["Constant", "Shape", "Dropout"] {
            assert!(
                !made.ops().iter().any(|(op, _)| op == gone),
                "{label} still has {gone}: {:?}",
                made.ops()
            );
        }
        let [(input, info)] = &model.inputs()[..] else { panic!("{label}: one input") };
        let dims = info.dims.as_ref().unwrap().iter();
        let dims: Vec<usize> = dims.map(|d| if let Dim::Size(s) = d { *s as usize } else { 2 }).collect();
        let x = spaced(&dims, 5);
        let before = evaluate(graph, &[(input, x.clone())]).unwrap_or_else(|e| panic!("{label}: {e}"));
        let after = evaluate(normal, &[(input, x)]).unwrap_or_else(|e| panic!("{label}: {e}"));
        let output = graph.output[0].name.as_deref().unwrap();
        for (a, b) in before[output].data.iter().zip(&after[output].data) {
            // Folded weights are rounded to float32.
            close(*a, *b, 1e-6, &label);
        }
    }
}

/// A model of operator set `version` with one input [N, 3, 4].
fn old(version: i64, emit: impl FnOnce(&mut Builder)) -> Model {
    let mut b = Builder::new("");
    emit(&mut b);
    let dims = vec![Dim::Name("N".to_owned()), Dim::Size(3), Dim::Size(4)];
    let mut model = Model::new(GraphProto {
        node: b.nodes,
        initializer: b.constants,
        input: vec![Info::new(DataType::Float, dims).value("x")],
        output: vec![Info { ty: DataType::Float, dims: None }.value("y")],
        ..GraphProto::default()
    });
    model.0.opset_import[0].version = Some(version);
    model
}

fn run(model: &Model) -> Value {
    evaluate(model.graph().unwrap(), &[("x", spaced(&[2, 3, 4], 1))]).unwrap().remove("y").unwrap()
}

#[test]
fn an_old_softmax_takes_all_later_axes_together() {
    let made = normal(&old(11, |b| b.named_node("Softmax", &["x"], &["y"], []))).unwrap();
    let y = run(&made);
    assert_eq!(y.dims, [2, 3, 4]);
    for image in y.data.chunks_exact(12) {
        close(image.iter().sum(), 1.0, 1e-12, "sum over both axes");
    }
}

#[test]
fn axes_given_as_an_attribute_become_an_input() {
    let made = normal(&old(13, |b| b.named_node("ReduceMean", &["x"], &["y"], [("axes", Attr::Ints(&[2]))])))
        .unwrap();
    let node = &made.graph().unwrap().node[0];
    assert!(node.attribute.is_empty() && node.input.len() == 2);
    assert_eq!(run(&made).dims, [2, 3, 1]);
}

#[test]
fn shapes_computed_in_the_graph_become_constants() {
    let made = normal(&old(17, |b| {
        let (zero, open, axes) = (b.ints(&[0]), b.ints(&[-1]), b.ints(&[0]));
        let shape = b.node("Shape", &["x"], []);
        let batch = b.node("Gather", &[&shape, &zero], []);
        let batch = b.node("Squeeze", &[&batch], []);
        let batch = b.node("Unsqueeze", &[&batch, &axes], []);
        let shape = b.node("Concat", &[&batch, &open], [("axis", Attr::Int(0))]);
        b.named_node("Reshape", &["x", &shape], &["y"], []);
    }))
    .unwrap();
    assert_eq!(made.ops(), [("Reshape".to_owned(), 1)]);
    assert_eq!(infer(made.graph().unwrap()).unwrap()["y"].dims.as_ref().unwrap()[1], Dim::Size(12));
    assert_eq!(run(&made).dims, [2, 12]);
}

/// From set 12 on `Dropout` says whether it trains; what does not train passes its input on.
#[test]
fn dropout_goes_where_it_does_not_train() {
    let with = |mode: bool| {
        old(13, |b| {
            b.constants.push(flag("mode", mode));
            let ratio = b.float(0.5);
            let y = b.node("Dropout", &["x", &ratio, "mode"], []);
            b.named_node("Relu", &[&y], &["y"], []);
        })
    };
    let made = normal(&with(false)).unwrap();
    assert!(made.ops().iter().all(|(op, _)| op != "Dropout"), "{:?}", made.ops());
    assert!(made.graph().unwrap().initializer.is_empty());
    let gradient = |mode| sensitivity(&with(mode), "y", &Seed::Channel(0), &["x"]);
    let graph = gradient(false).unwrap();
    let x = spaced(&[2, 3, 4], 1);
    let slopes = evaluate(graph.graph().unwrap(), &[("x", x.clone())]).unwrap();
    let wanted = |(i, v): (usize, &f64)| f64::from(u8::from(*v > 0.0 && i % 12 < 4));
    assert_eq!(slopes["gradient.x"].data, x.data.iter().enumerate().map(wanted).collect::<Vec<f64>>());
    let error = gradient(true).unwrap_err().0;
    assert!(error.contains("export the model in eval mode"), "{error}");
}

/// torch's newer exporter, not optimised, casts constants like the value that they meet.
#[test]
fn a_constant_cast_like_a_value_is_a_constant() {
    let made = normal(&old(18, |b| {
        let six = b.ints(&[6]);
        let like = b.node("CastLike", &[&six, "x"], []);
        b.named_node("Mul", &["x", &like], &["y"], []);
    }))
    .unwrap();
    assert_eq!(made.ops(), [("Mul".to_owned(), 1)]);
    let x = spaced(&[2, 3, 4], 1);
    assert_eq!(run(&made).data, x.data.iter().map(|v| v * 6.0).collect::<Vec<f64>>());
}

/// Sets 7 to 11: a ratio as attribute, and a mask, of the input's type until set 9.
#[test]
fn an_old_dropout_goes_with_its_mask() {
    for version in [7, 10] {
        let made = normal(&old(version, |b| {
            b.named_node("Dropout", &["x"], &["y", "mask"], [("ratio", Attr::Float(0.25))]);
        }))
        .unwrap();
        assert_eq!(made.ops(), [("Identity".to_owned(), 1)], "{version}");
        assert!(made.graph().unwrap().node[0].attribute.is_empty());
        let mut read = old(version, |b| {
            b.named_node("Dropout", &["x"], &["dropped", "mask"], [("ratio", Attr::Float(0.25))]);
            let mask = b.node("Cast", &["mask"], [("to", Attr::Int(1))]);
            b.named_node("Mul", &["dropped", &mask], &["y"], []);
        });
        read.0.ir_version = Some(6);
        assert_eq!(run(&normal(&read).unwrap()), spaced(&[2, 3, 4], 1));
    }
}

#[test]
fn an_unknown_operator_set_is_refused() {
    let error = normal(&old(6, |b| b.named_node("Relu", &["x"], &["y"], []))).unwrap_err();
    assert!(error.0.contains("operator set 6"), "{error}");
}

/// What a file states of an op that is not understood here it states of its own batch.
#[test]
fn stated_shapes_of_another_batch_are_not_trained_with() {
    let model = |rows: Dim| {
        let mut b = Builder::new("");
        b.constants.push(floats("w", &[3, 2], &[0.5, -1.0, 2.0, 0.25, -0.75, 1.5]));
        b.named_node("Einsum", &["x"], &["h"], [("equation", Attr::Text("ij->ij"))]);
        b.named_node("MatMul", &["h", "w"], &["y"], []);
        let of = |columns| Info::new(DataType::Float, vec![rows.clone(), Dim::Size(columns)]);
        Model::new(GraphProto {
            node: b.nodes,
            initializer: b.constants,
            input: vec![of(3).value("x")],
            value_info: vec![of(3).value("h")],
            output: vec![of(2).value("y")],
            ..GraphProto::default()
        })
    };
    let build = |rows: i64, batch: usize| {
        let model = normal(&model(Dim::Size(rows))).unwrap();
        training(&model, &Settings::new(Loss::CrossEntropy, Optimizer::Sgd(Sgd::default()), batch))
    };
    build(4, 4).unwrap();
    let refused = build(1, 4).err().unwrap().to_string();
    assert!(refused.contains("Einsum"), "{refused}");
}

#[test]
fn a_tensor_within_a_group_is_explained_if_asked_for() {
    let mut b = Builder::new("");
    for (name, value) in [("root", std::f32::consts::SQRT_2), ("one", 1.0), ("half", 0.5)] {
        b.constants.push(floats(name, &[], &[value]));
    }
    b.named_node("Div", &["x", "root"], &["scaled"], []);
    b.named_node("Erf", &["scaled"], &["erf"], []);
    b.named_node("Add", &["erf", "one"], &["raised"], []);
    b.named_node("Mul", &["x", "raised"], &["product"], []);
    b.named_node("Mul", &["product", "half"], &["y"], []);
    let of =
        |name: &str| Info::new(DataType::Float, vec![Dim::Name("N".to_owned()), Dim::Size(3)]).value(name);
    let model = Model::new(GraphProto {
        node: b.nodes,
        initializer: b.constants,
        input: vec![of("x")],
        output: vec![of("y")],
        ..GraphProto::default()
    });
    let made = |tensor: &str| {
        let options = Options { tensor: Some(tensor.to_owned()), ..Options::default() };
        let made = attribution(&model, &Composite::named("epsilon").unwrap(), &options).unwrap();
        let ops =
            made.model.graph().unwrap().node.iter().filter_map(|n| n.op_type.clone()).collect::<Vec<_>>();
        (made.explained, ops.contains(&"Gelu".to_owned()), ops.contains(&"Erf".to_owned()))
    };
    assert_eq!(made("y"), ("y".to_owned(), true, false));
    assert_eq!(made("erf"), ("erf".to_owned(), false, true));
}
