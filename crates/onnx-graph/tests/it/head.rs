//! A new last layer: where it is found, what it changes, and what it leaves.

use onnx_graph::architectures::{ARCHITECTURES, build, with_head};
use onnx_graph::build::{Attr, Builder};
use onnx_graph::loss::Loss;
use onnx_graph::model::Model;
use onnx_graph::proto::GraphProto;
use onnx_graph::reference::evaluate;
use onnx_graph::shape::{Dim, Info};
use onnx_graph::tensor::{DataType, floats};
use onnx_graph::train::training;

use crate::architectures::{PLAIN, sgd, small};
use crate::op_case::spaced;

fn outputs(model: &Model, input: &str, dims: &[usize]) -> Vec<usize> {
    let x = spaced(&[&[2], dims].concat(), 3);
    let (name, _) = model.outputs().remove(0);
    evaluate(model.graph().unwrap(), &[(input, x)]).unwrap().remove(&name).unwrap().dims
}

#[test]
fn a_new_head_has_its_outputs_and_leaves_the_rest() {
    for architecture in ARCHITECTURES {
        let spec = small(architecture.name, "Tanh");
        let old = build(architecture.name, &spec, 1).unwrap();
        let (new, names) = with_head(&old, 7, 5).unwrap();
        assert_eq!(names.len(), 2, "{}", architecture.name);
        assert_eq!(outputs(&new, "input", &spec.input), [2, 7], "{}", architecture.name);
        for tensor in &old.graph().unwrap().initializer {
            let name = tensor.name.clone().unwrap_or_default();
            let same = new.graph().unwrap().initializer.contains(tensor);
            assert_eq!(same, !names.contains(&name), "{}: {name}", architecture.name);
        }
        assert_eq!(with_head(&old, 7, 5).unwrap().0.to_bytes(), new.to_bytes());
        assert_ne!(with_head(&old, 7, 6).unwrap().0.to_bytes(), new.to_bytes());
        training(&new, &sgd(Loss::CrossEntropy, PLAIN, 4)).unwrap();
    }
}

/// A model from x [N, 3] to y, with the constants w [3, 3] and b [3].
fn model(emit: impl FnOnce(&mut Builder)) -> Model {
    let mut b = Builder::new("");
    b.constants.push(floats("w", &[3, 3], &[0.5; 9]));
    b.constants.push(floats("b", &[3], &[0.1; 3]));
    emit(&mut b);
    let info = || Info::new(DataType::Float, vec![Dim::Name("N".to_owned()), Dim::Size(3)]);
    Model::new(GraphProto {
        node: b.nodes,
        initializer: b.constants,
        input: vec![info().value("x")],
        output: vec![info().value("y")],
        ..GraphProto::default()
    })
}

#[test]
fn a_head_of_product_and_bias_is_found_behind_a_softmax() {
    let old = model(|b| {
        b.named_node("MatMul", &["x", "w"], &["product"], []);
        b.named_node("Add", &["b", "product"], &["shifted"], []);
        b.named_node("Softmax", &["shifted"], &["y"], [("axis", Attr::Int(1))]);
    });
    let (new, names) = with_head(&old, 5, 0).unwrap();
    assert_eq!(names, ["w", "b"]);
    assert_eq!(outputs(&new, "x", &[3]), [2, 5]);
}

#[test]
fn what_is_no_head_is_refused_by_name() {
    let scaled = model(|b| b.named_node("Mul", &["x", "b"], &["y"], []));
    let error = with_head(&scaled, 5, 0).unwrap_err().to_string();
    assert!(error.contains("y_Mul") && error.contains("no head to replace"), "{error}");
    let tied = model(|b| {
        b.named_node("MatMul", &["x", "w"], &["hidden"], []);
        b.named_node("MatMul", &["hidden", "w"], &["y"], []);
    });
    let error = with_head(&tied, 5, 0).unwrap_err().to_string();
    assert!(error.contains("`w` is used elsewhere too"), "{error}");
}
