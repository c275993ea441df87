//! What scales and shifts the channels of a linear layer is part of the layer.

use onnx_graph::build::{Attr, Builder};
use onnx_graph::model::Model;
use onnx_graph::passes::{canonize, normal};
use onnx_graph::proto::GraphProto;
use onnx_graph::reference::evaluate;
use onnx_graph::shape::{Dim, Info};
use onnx_graph::tensor::{DataType, floats};

use crate::numeric::close;
use crate::op_case::spaced;

/// A model on x [N, `row`…] that ends in `y`.
fn model(row: &[usize], emit: impl FnOnce(&mut Builder)) -> Model {
    let mut b = Builder::new("");
    emit(&mut b);
    let dims = row.iter().map(|d| Dim::Size(*d as i64));
    let dims = std::iter::once(Dim::Name("N".to_owned())).chain(dims).collect();
    let model = Model::new(GraphProto {
        node: b.nodes,
        initializer: b.constants,
        input: vec![Info::new(DataType::Float, dims).value("x")],
        output: vec![Info { ty: DataType::Float, dims: None }.value("y")],
        ..GraphProto::default()
    });
    normal(&model).unwrap()
}

fn constant(b: &mut Builder, dims: &[i64], values: &[f32]) -> String {
    let name = b.fresh("c");
    b.constants.push(floats(&name, dims, values));
    name
}

/// The ops that are left, after a check that the answer is the same.
fn left(model: &Model, row: &[usize]) -> Vec<String> {
    let made = canonize(model, &[]).unwrap();
    let dims: Vec<usize> = std::iter::once(2).chain(row.iter().copied()).collect();
    let run = |model: &Model| {
        evaluate(model.graph().unwrap(), &[("x", spaced(&dims, 1))]).unwrap().remove("y").unwrap().data
    };
    for (a, b) in run(&made).iter().zip(&run(model)) {
        close(*a, *b, 1e-6, "what the model computes");
    }
    made.graph().unwrap().node.iter().filter_map(|n| n.op_type.clone()).collect()
}

/// As TensorFlow's exporter writes batch normalisation, and the bias of a convolution.
#[test]
fn arithmetic_on_channels_is_merged_into_a_convolution() {
    let row = [2, 4, 4];
    let made = model(&row, |b| {
        let w = constant(b, &[3, 2, 1, 1], &[0.5, -1.0, 2.0, 0.25, -0.75, 1.5]);
        let parts = [
            constant(b, &[3, 1, 1], &[0.5, -0.25, 1.0]),
            constant(b, &[1, 3, 1, 1], &[2.0, -0.5, 1.5]),
            constant(b, &[], &[0.75]),
            constant(b, &[1, 3, 1, 1], &[4.0, 0.5, -2.0]),
            constant(b, &[1], &[0.125]),
        ];
        let mut y = b.node("Conv", &["x", &w], []);
        for (op, part) in ["Add", "Mul", "Sub", "Div"].into_iter().zip(&parts) {
            y = b.node(op, &[&y, part], []);
        }
        b.named_node("Sub", &[&parts[4], &y], &["y"], []);
    });
    assert_eq!(left(&made, &row), ["Conv"]);
}

#[test]
fn arithmetic_on_columns_is_merged_into_a_product() {
    let made = model(&[2], |b| {
        let w = constant(b, &[2, 3], &[0.5, -1.0, 2.0, 0.25, -0.75, 1.5]);
        let (scale, shift) = (constant(b, &[3], &[2.0, -0.5, 1.5]), constant(b, &[1, 3], &[0.5, 1.0, -1.0]));
        let y = b.node("MatMul", &["x", &w], []);
        let y = b.node("Mul", &[&scale, &y], []);
        b.named_node("Add", &[&y, &shift], &["y"], []);
    });
    assert_eq!(left(&made, &[2]), ["Gemm"]);
}

/// Batch normalisation behind an activation, in parts.
#[test]
fn scale_and_shift_that_stand_alone_are_one_normalisation() {
    for row in [vec![3], vec![3, 2, 2]] {
        let made = model(&row, |b| {
            let dims: Vec<i64> = [1, 3].into_iter().chain(row[1..].iter().map(|_| 1)).collect();
            let (scale, shift) =
                (constant(b, &dims, &[2.0, -0.5, 1.5]), constant(b, &dims, &[0.5, 1.0, -1.0]));
            let y = b.node("Relu", &["x"], []);
            let y = b.node("Mul", &[&y, &scale], []);
            b.named_node("Add", &[&y, &shift], &["y"], []);
        });
        assert_eq!(left(&made, &row), ["Relu", "BatchNormalization"]);
    }
    // Numbers scale an image of one channel as they do one of three: as a whole.
    for channels in [1, 3] {
        let row = [channels, 2, 2];
        let made = model(&row, |b| {
            let (scale, shift) = (constant(b, &[], &[2.0]), constant(b, &[1], &[-1.0]));
            let y = b.node("Mul", &["x", &scale], []);
            b.named_node("Add", &[&y, &shift], &["y"], []);
        });
        assert_eq!(left(&made, &row), ["Mul", "Add"]);
    }
}

#[test]
fn a_tensor_that_is_asked_for_stays() {
    let made = model(&[2, 4, 4], |b| {
        let w = constant(b, &[3, 2, 1, 1], &[0.5, -1.0, 2.0, 0.25, -0.75, 1.5]);
        let c = constant(b, &[3, 1, 1], &[2.0, -0.5, 1.5]);
        b.named_node("Conv", &["x", &w], &["inner"], [("kernel_shape", Attr::Ints(&[1, 1]))]);
        b.named_node("Mul", &["inner", &c], &["y"], []);
    });
    let ops = |keep: &[&str]| canonize(&made, keep).unwrap().graph().unwrap().node.len();
    assert_eq!([ops(&[]), ops(&["inner"]), ops(&["none such"])], [1, 2, 1]);
    assert_eq!(canonize(&made, &["inner"]).unwrap().graph().unwrap().output.len(), 1);
}

/// What differs between places, divides, is read twice or stands behind an activation is no part of the layer.
#[test]
fn other_arithmetic_stays() {
    let row = [2, 1, 3];
    let with = |emit: &dyn Fn(&mut Builder, &str)| {
        let made = model(&row, |b| {
            let w = constant(b, &[3, 2, 1, 1], &[0.5, -1.0, 2.0, 0.25, -0.75, 1.5]);
            let bias = constant(b, &[3], &[9.0, 8.0, 7.0]);
            let y = b.node("Conv", &["x", &w, &bias], [("kernel_shape", Attr::Ints(&[1, 1]))]);
            emit(b, &y);
        });
        left(&made, &row).len()
    };
    // Three places in a row, not three channels.
    let places = |b: &mut Builder, y: &str| {
        let c = constant(b, &[3], &[2.0, -0.5, 1.5]);
        b.named_node("Mul", &[y, &c], &["y"], []);
    };
    let divides = |b: &mut Builder, y: &str| {
        let c = constant(b, &[3, 1, 1], &[2.0, -0.5, 1.5]);
        b.named_node("Div", &[&c, y], &["y"], []);
    };
    let twice = |b: &mut Builder, y: &str| {
        let c = constant(b, &[3, 1, 1], &[2.0, -0.5, 1.5]);
        let scaled = b.node("Mul", &[y, &c], []);
        b.named_node("Concat", &[&scaled, y], &["y"], [("axis", Attr::Int(1))]);
    };
    let behind = |b: &mut Builder, y: &str| {
        let c = constant(b, &[3, 1, 1], &[2.0, -0.5, 1.5]);
        let y = b.node("Relu", &[y], []);
        b.named_node("Mul", &[&y, &c], &["y"], []);
    };
    assert_eq!([with(&places), with(&divides), with(&twice), with(&behind)], [2, 2, 3, 3]);
}

/// A constant may also give a value more channels, or more axes.
#[test]
fn arithmetic_that_widens_stays() {
    let ops = |dims: &[i64], of: &dyn Fn(&mut Builder) -> String, row: &[usize]| {
        let made = model(row, |b| {
            let (scale, shift) = (constant(b, dims, &[2.0, -0.5, 1.5]), constant(b, dims, &[0.5, 1.0, -1.0]));
            let y = of(b);
            let y = b.node("Mul", &[&y, &scale], []);
            b.named_node("Add", &[&y, &shift], &["y"], []);
        });
        left(&made, row)
    };
    let relu = |b: &mut Builder| b.node("Relu", &["x"], []);
    let product = |b: &mut Builder| {
        let w = constant(b, &[2, 3], &[0.5, -1.0, 2.0, 0.25, -0.75, 1.5]);
        b.node("Gemm", &["x", &w], [])
    };
    assert_eq!(ops(&[1, 3, 1, 1], &relu, &[1, 2, 2]), ["Relu", "Mul", "Add"]);
    assert_eq!(ops(&[1, 3, 1, 1], &product, &[2]), ["Gemm", "Mul", "Add"]);
}
