//! Files from strangers: refused with a reason, never a panic, never more memory than the file has bytes.

use std::fs;
use std::path::Path;

use onnx_graph::architectures::{Spec, build};
use onnx_graph::build::{Attr, Builder};
use onnx_graph::grad::backward;
use onnx_graph::hessian::{Curvature, products};
use onnx_graph::loss::Loss;
use onnx_graph::model::Model;
use onnx_graph::passes::normal;
use onnx_graph::proto::{FunctionProto, GraphProto, NodeProto, StringStringEntryProto, TensorProto};
use onnx_graph::reference::{Value, evaluate};
use onnx_graph::shape::{Dim, Info, infer};
use onnx_graph::tensor::{DataType, floats, ints};
use onnx_graph::train::{Optimizer, Settings, Sgd, training};
use proptest::prelude::*;

/// A model of one `Identity` with these constants.
fn holding(initializer: Vec<TensorProto>) -> Model {
    let mut b = Builder::new("");
    b.named_node("Identity", &["x"], &["y"], []);
    let info = Info::new(DataType::Float, vec![Dim::Size(2)]);
    Model::new(GraphProto {
        node: b.nodes,
        initializer,
        input: vec![info.value("x")],
        output: vec![info.value("y")],
        ..GraphProto::default()
    })
}

fn refused(model: &Model, why: &str) {
    let error = Model::read(&model.to_bytes()).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

fn lenet() -> Model {
    let spec = Spec {
        input: vec![1, 8, 8],
        classes: 3,
        hidden: vec![5, 4],
        activation: "Relu".into(),
        scale: 0.5,
        ..Spec::default()
    };
    build("lenet", &spec, 1).unwrap()
}

fn settings(sgd: Sgd) -> Settings {
    Settings::new(Loss::CrossEntropy, Optimizer::Sgd(sgd), 4)
}

#[test]
fn what_is_written_is_read_again() {
    let model = lenet();
    assert_eq!(Model::read(&model.to_bytes()).unwrap(), model);
    let sgd = settings(Sgd { momentum: 0.9, weight_decay: 0.0, ..Sgd::default() });
    let t = training(&model, &sgd).unwrap().model;
    assert_eq!(Model::read(&t.to_bytes()).unwrap(), t);
}

#[test]
fn data_that_does_not_fit_its_shape_is_refused() {
    let short = TensorProto { dims: vec![1 << 20, 1 << 10], ..floats("w", &[2], &[1.0, 2.0]) };
    refused(&holding(vec![short]), "`w`");
    let beyond = TensorProto { dims: vec![i64::MAX, i64::MAX], ..floats("w", &[2], &[1.0, 2.0]) };
    refused(&holding(vec![beyond]), "`w`");
    let negative = TensorProto { dims: vec![-2, -1], ..floats("w", &[2], &[1.0, 2.0]) };
    refused(&holding(vec![negative]), "`w`");
    let odd = TensorProto { raw_data: Some(vec![0; 7].into()), ..floats("w", &[2], &[1.0, 2.0]) };
    refused(&holding(vec![odd]), "`w`");
    let absent = TensorProto { raw_data: None, ..floats("w", &[1 << 40], &[]) };
    refused(&holding(vec![absent]), "`w`");
}

#[test]
fn a_few_bytes_cannot_ask_for_gigabytes() {
    for (op, dims) in [
        ("ConstantOfShape", vec![1 << 40]),
        ("ConstantOfShape", vec![1 << 40, 1 << 40]),
        ("Expand", vec![1 << 31, 1 << 31, 1 << 31]),
        ("Tile", vec![1 << 30]),
        ("Range", vec![0, 1 << 40, 1]),
    ] {
        let shape = ints("shape", &[dims.len() as i64], &dims);
        for constant_node in [false, true] {
            let mut model = holding(vec![floats("v", &[1], &[1.0])]);
            let graph = model.0.graph.as_mut().unwrap();
            let mut b = Builder::new("");
            if constant_node {
                let mut value = Builder::new("");
                value.named_node("Constant", &[], &["shape"], [("value_ints", Attr::Ints(&dims))]);
                b.nodes.append(&mut value.nodes);
            } else {
                graph.initializer.push(shape.clone());
            }
            let inputs: &[&str] = match op {
                "ConstantOfShape" => &["shape"],
                "Range" => &["i0", "i1", "i2"],
                _ => &["v", "shape"],
            };
            let graph_ints = |(i, v): (usize, &i64)| ints(&format!("i{i}"), &[], &[*v]);
            graph.initializer.extend(dims.iter().enumerate().map(graph_ints));
            b.named_node(op, inputs, &["huge"], []);
            graph.node.extend(b.nodes);
            refused(&model, op);
        }
    }
}

#[test]
fn subgraphs_nested_without_end_are_refused() {
    let mut graph = holding(vec![]).0.graph.unwrap();
    for _ in 0..2_000 {
        let mut b = Builder::new("");
        b.named_node("If", &["c"], &["y"], [("then_branch", Attr::Graph(Box::new(graph)))]);
        graph = GraphProto { node: b.nodes, ..GraphProto::default() };
    }
    // Dropping the deep value itself would need a deep stack; a file needs only its bytes.
    let bytes = std::thread::Builder::new()
        .stack_size(1 << 28)
        .spawn(move || {
            let model = Model::new(graph);
            model.to_bytes()
        })
        .unwrap()
        .join()
        .unwrap();
    let error = Model::read(&bytes).unwrap_err().to_string();
    assert!(error.contains("no ONNX model"), "{error}");
}

#[test]
fn subgraphs_are_checked_too() {
    let inner = holding(vec![TensorProto { dims: vec![1 << 40], ..floats("deep", &[1], &[1.0]) }]);
    let mut model = holding(vec![]);
    let mut b = Builder::new("");
    b.named_node("If", &["c"], &["z"], [("then_branch", Attr::Graph(Box::new(inner.0.graph.unwrap())))]);
    model.0.graph.as_mut().unwrap().node.extend(b.nodes.clone());
    refused(&model, "`deep`");

    let mut model = holding(vec![]);
    model.0.functions = vec![FunctionProto { node: b.nodes, ..FunctionProto::default() }];
    refused(&model, "`deep`");
}

#[test]
fn a_shape_from_outside_a_subgraph_is_seen() {
    let mut inner = Builder::new("");
    inner.named_node("ConstantOfShape", &["shape"], &["huge"], []);
    let inner = GraphProto { node: inner.nodes, ..GraphProto::default() };
    let mut model = holding(vec![ints("shape", &[1], &[1 << 40])]);
    let mut b = Builder::new("");
    b.named_node("If", &["c"], &["z"], [("then_branch", Attr::Graph(Box::new(inner)))]);
    model.0.graph.as_mut().unwrap().node.extend(b.nodes);
    refused(&model, "ConstantOfShape");
}

/// Writes a model whose constant `w` (two floats) lies at `location`, and reads it.
fn with_external(folder: &Path, location: &str, more: &[(&str, &str)]) -> onnx_graph::error::Result<Model> {
    let mut tensor = TensorProto { raw_data: None, data_location: Some(1), ..floats("w", &[2], &[]) };
    for (key, value) in [("location", location)].iter().chain(more) {
        let (key, value) = (Some((*key).to_owned()), Some((*value).to_owned()));
        tensor.external_data.push(StringStringEntryProto { key, value });
    }
    let path = folder.join("model.onnx");
    fs::write(&path, holding(vec![tensor]).to_bytes()).unwrap();
    Model::read_file(&path)
}

#[test]
fn external_data_stays_in_the_models_folder() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("model");
    fs::create_dir_all(folder.join("sub")).unwrap();
    let bytes: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    for path in ["secret.bin", "model/weights.bin", "model/sub/weights.bin", "model/linked.bin"] {
        fs::write(root.path().join(path), &bytes).unwrap();
    }
    fs::hard_link(folder.join("linked.bin"), root.path().join("other.bin")).unwrap();
    std::os::unix::fs::symlink(root.path().join("secret.bin"), folder.join("link.bin")).unwrap();
    std::os::unix::fs::symlink(root.path(), folder.join("up")).unwrap();

    for location in ["weights.bin", "./weights.bin", "sub/weights.bin"] {
        let model = with_external(&folder, location, &[]).unwrap();
        assert_eq!(model.graph().unwrap().initializer[0], floats("w", &[2], &[1.5, -2.0]));
    }
    let absolute = root.path().join("secret.bin");
    for location in [
        "../secret.bin",
        "sub/../../secret.bin",
        absolute.to_str().unwrap(),
        "link.bin",
        "up/secret.bin",
        "linked.bin",
        "..\\secret.bin",
        "absent.bin",
        "sub",
        ".",
        "",
        "weights.bin\0",
    ] {
        let error = with_external(&folder, location, &[]).unwrap_err().to_string();
        assert!(error.contains("`w`"), "{location}: {error}");
    }
    for (offset, length) in [("4", "8"), ("0", "9"), ("18446744073709551615", "2"), ("-1", "8"), ("0", "4")] {
        let found = with_external(&folder, "weights.bin", &[("offset", offset), ("length", length)]);
        assert!(found.is_err(), "{offset}+{length}");
    }
    assert!(Model::read(&fs::read(folder.join("model.onnx")).unwrap()).is_err());
}

#[test]
fn ops_that_are_not_known_are_named() {
    let mut model = lenet();
    model.0.graph.as_mut().unwrap().node[2].op_type = Some("Warp".to_owned());
    let sgd = settings(Sgd::default());
    let error = training(&model, &sgd).unwrap_err().to_string();
    assert!(error.contains("Warp") && error.contains("Conv, "), "{error}");
}

#[test]
fn a_model_of_an_old_operator_set_is_not_trained() {
    let mut model = lenet();
    model.0.opset_import[0].version = Some(11);
    let sgd = settings(Sgd::default());
    let error = training(&model, &sgd).unwrap_err().to_string();
    assert!(error.contains("operator set 11"), "{error}");
}

/// Reads the bytes and, if they are a model, works on it: errors are fine, panics are not.
fn work_on(bytes: &[u8]) {
    let Ok(model) = Model::read(bytes) else { return };
    let _ = (model.inputs(), model.outputs(), model.parameters(), model.ops());
    let sgd = settings(Sgd { momentum: 0.9, weight_decay: 0.1, nesterov: true, ..Sgd::default() });
    let _ = training(&model, &sgd);
    let _ = normal(&model);
    if let Ok(graph) = model.graph() {
        let _ = infer(graph);
        let image = Value::floats(&[1, 1, 8, 8], vec![0.5; 64]).unwrap();
        let _ = evaluate(graph, &[("input", image)]);
        let _ = backward(graph, &[("logits", "dy")], &["input"], Builder::new("g_"));
        let names: Vec<String> = graph.initializer.iter().filter_map(|t| t.name.clone()).take(3).collect();
        let _ = products(&model, Loss::CrossEntropy, &names, Curvature::GaussNewton, true);
    }
}

/// Numbers where arithmetic breaks.
fn odd() -> impl Strategy<Value = i64> {
    prop::sample::select(vec![i64::MIN, i64::MIN + 1, -2, -1, 0, 1, 2, 3, 1 << 32, i64::MAX - 1, i64::MAX])
}

fn change(node: &mut NodeProto, which: usize, value: i64) {
    // Every op stands where it may not expect to.
    let ops: Vec<&str> = onnx_graph::ops::OPS.iter().map(|op| op.name()).collect();
    let n = node.attribute.len();
    match which % 6 {
        0 => node.op_type = Some(ops[(which / 6 + value.rem_euclid(7) as usize) % ops.len()].to_owned()),
        1 => node.input.truncate(value.rem_euclid(3) as usize),
        2 => node.output.clear(),
        3 => node.input.reverse(),
        _ if n == 0 => {
            let name = ["axis", "keepdims", "transA"][which % 3];
            let mut b = Builder::new("");
            b.named_node("", &[], &[""], [(name, Attr::Int(value))]);
            node.attribute.append(&mut b.nodes[0].attribute);
        }
        _ => {
            let attribute = &mut node.attribute[which % n];
            attribute.i = Some(value);
            if let Some(first) = attribute.ints.first_mut() {
                *first = value;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn bytes_at_random(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        work_on(&bytes);
    }

    #[test]
    fn a_model_with_bytes_changed(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut: Option<prop::sample::Index>) {
        let mut bytes = lenet().to_bytes();
        // Most of the file are weights, whose bytes may be anything: change the ends.
        let ends = 1200;
        for (at, byte) in changes {
            let at = at.index(ends);
            let at = if at < ends / 2 { at } else { bytes.len() - ends + at };
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        work_on(&bytes);
    }

    #[test]
    fn a_model_with_impossible_numbers(nodes in prop::collection::vec((0usize..11, any::<usize>(), odd()), 0..4),
        dims in prop::collection::vec((0usize..12, 0usize..4, odd()), 0..3)) {
        let mut model = lenet();
        let graph = model.0.graph.as_mut().unwrap();
        for (at, which, value) in nodes {
            let at = at % graph.node.len();
            change(&mut graph.node[at], which, value);
        }
        for (tensor, axis, value) in dims {
            let n = graph.initializer.len();
            match graph.initializer.get_mut(tensor) {
                Some(tensor) => {
                    let rank = tensor.dims.len().max(1);
                    if let Some(d) = tensor.dims.get_mut(axis % rank) { *d = value; }
                    // The data fit where they can, so that the shape gets past the first check.
                    if value == 0 { tensor.raw_data = Some(Vec::new().into()); }
                }
                None => {
                    let mut input = Info::of(&graph.input[0]);
                    if let Some(d) = input.dims.as_mut().and_then(|d| d.get_mut((tensor + axis) % n % 4)) {
                        *d = Dim::Size(value);
                    }
                    graph.input[0] = input.value("input");
                }
            }
        }
        work_on(&model.to_bytes());
        // Past the reader too: a graph may also be made in memory.
        let _ = infer(model.graph().unwrap());
    }
}
