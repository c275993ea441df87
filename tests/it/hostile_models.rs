//! Models that no honest exporter writes, through `lrp.attribute`: a clear error or the right map.

use onnx_graph::build::{Attr, Builder};
use onnx_graph::model::Model;
use onnx_graph::proto::{GraphProto, StringStringEntryProto, TensorProto};
use onnx_graph::shape::{Dim, Info};
use onnx_graph::tensor::{DataType, floats, read_floats};

use super::npz::{difference, read};
use super::support::{Project, Ran};
use sulcus::table::read_path;

const WORKFLOW: &str = "
name: hostile
stages:
  model: { uses: ingest.model, with: { path: folder/net.onnx } }
  data: { uses: ingest.arrays, with: { path: vgg_small.npz, columns: [input, target] } }
  maps:
    uses: lrp.attribute
    in: { model: model, data: data }
    with: { composite: epsilon_plus_flat, input: input, target: { column: target } }
";

fn golden(name: &str) -> String {
    format!("{}/tests/golden/lrp/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Explains a changed `vgg_small`.
fn explained(change: impl FnOnce(&mut GraphProto)) -> (Project, Ran) {
    let mut model = Model::read(&std::fs::read(golden("vgg_small.onnx")).unwrap()).unwrap();
    change(model.0.graph.as_mut().unwrap());
    let project = Project::new(WORKFLOW);
    std::fs::create_dir(project.path("folder")).unwrap();
    std::fs::write(project.path("folder/net.onnx"), model.to_bytes()).unwrap();
    std::fs::write(project.path("secret.bin"), [0; 1 << 16]).unwrap();
    std::fs::copy(golden("vgg_small.npz"), project.path("vgg_small.npz")).unwrap();
    let ran = project.sulcus(&["run"]);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    (project, ran)
}

fn refused(why: &str, change: impl FnOnce(&mut GraphProto)) {
    let (project, ran) = explained(change);
    assert!(ran.code == 1 || ran.code == 2, "{}", ran.text());
    assert!(ran.stderr.contains(why), "not because of {why}: {}", ran.stderr);
    assert!(!project.has("results/hostile/maps/table.parquet"));
}

fn right(change: impl FnOnce(&mut GraphProto)) {
    let (project, ran) = explained(change);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let table = read_path(&project.path("results/hostile/maps/table.parquet"), None).unwrap();
    let wanted = &read("lrp/vgg_small.npz")["relevance_epsilon_plus_flat"];
    let error = difference(&table.tensor_f32("relevance").unwrap().values, wanted);
    assert!(error <= 1e-4, "{error:e} of the peak");
}

/// The weights of the first convolution.
fn weights(graph: &mut GraphProto) -> &mut TensorProto {
    let name = graph.node.iter().find(|n| n.op_type.as_deref() == Some("Conv")).unwrap().input[1].clone();
    graph.initializer.iter_mut().find(|t| t.name.as_deref() == Some(&name)).unwrap()
}

fn input_dims(graph: &mut GraphProto, dims: &[Dim]) {
    graph.input = vec![Info::new(DataType::Float, dims.to_vec()).value("input")];
}

#[test]
fn sizes_that_overflow() {
    refused("the constant", |g| weights(g).dims = vec![1 << 40, 1 << 40, 3, 3]);
    refused("the constant", |g| weights(g).dims = vec![i64::MAX, 2, 1, 1]);
    refused("the constant", |g| weights(g).dims[0] = -8);
    refused("shape", |g| {
        input_dims(g, &[Dim::Name("N".to_owned()), Dim::Size(i64::MAX), Dim::Size(4), Dim::Size(4)])
    });
}

#[test]
fn weights_that_are_no_numbers() {
    for value in [f32::NAN, f32::INFINITY] {
        refused("no numbers", |g| {
            let weights = weights(g);
            let (name, dims) = (weights.name.clone().unwrap(), weights.dims.clone());
            let mut values = read_floats(weights).unwrap();
            values[3] = value;
            *weights = floats(&name, &dims, &values);
        });
    }
}

#[test]
fn data_outside_the_models_folder() {
    for location in ["../secret.bin", "/etc/passwd", "missing.bin"] {
        refused("external data", |g| {
            let weights = weights(g);
            let entry = StringStringEntryProto { key: Some("location".into()), value: Some(location.into()) };
            (weights.raw_data, weights.data_location) = (None, Some(1));
            weights.external_data = vec![entry];
        });
    }
}

#[test]
fn graphs_that_are_none() {
    // The first node reads what the last one makes.
    refused("", |g| {
        let last = g.node.last().unwrap().output[0].clone();
        g.node[0].input[0] = last;
    });
    // A node that makes its own input.
    refused("", |g| g.node[0].input[0] = g.node[0].output[0].clone());
    // A tensor that nobody makes.
    refused("nobody", |g| g.node[1].input[0] = "nobody".to_owned());
    refused("Nonsense", |g| g.node[1].op_type = Some("Nonsense".to_owned()));
}

#[test]
fn tensors_without_axes() {
    // The logits times a number: activations of one input pass relevance on.
    right(|g| {
        let last = g.node.last_mut().unwrap();
        last.output[0] = "before".to_owned();
        let mut b = Builder::new("");
        b.named_node("Mul", &["before", "one"], &["logits"], []);
        g.node.extend(b.nodes);
        g.initializer.push(TensorProto { dims: Vec::new(), ..floats("one", &[1], &[1.0]) });
    });
    // The sum of all logits of all rows is nobody's answer.
    refused("total", |g| {
        let mut b = Builder::new("");
        b.named_node("ReduceSum", &["logits"], &["total"], [("keepdims", Attr::Int(0))]);
        g.node.extend(b.nodes);
        g.output = vec![Info::new(DataType::Float, Vec::new()).value("total")];
    });
}

#[test]
fn batches_of_any_and_of_one_size() {
    let size = |g: &GraphProto| match Info::of(&g.input[0]).dims.unwrap()[1..].to_vec() {
        dims if dims.len() == 3 => dims,
        other => panic!("{other:?}"),
    };
    right(|g| {
        let dims = [vec![Dim::Unknown], size(g)].concat();
        input_dims(g, &dims);
    });
    right(|g| input_dims(g, &[Dim::Unknown, Dim::Unknown, Dim::Unknown, Dim::Unknown]));
    right(|g| {
        let dims = [vec![Dim::Size(4)], size(g)].concat();
        input_dims(g, &dims);
    });
}
