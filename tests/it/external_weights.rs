//! Models whose weights lie in files beside them: those are read, so they count.

use std::os::unix::fs::FileExt;

use onnx_graph::build::Builder;
use onnx_graph::model::Model;
use onnx_graph::proto::{GraphProto, StringStringEntryProto, TensorProto};
use onnx_graph::shape::{Dim, Info};
use onnx_graph::tensor::{DataType, floats};
use sulcus::model::Session;
use sulcus::table::read_path;

use super::lrp::golden;
use super::models::runtime;
use super::support::Project;

const YAML: &str =
    "name: external\nstages:\n  net: { uses: ingest.model, with: { path: models/net.onnx } }\n";

/// A project with a model whose weights lie in `location`, a path below `models`.
fn project(location: &str) -> Project {
    let project = Project::new(YAML);
    let mut model = Model::read_file(golden("mlp_small.onnx").as_ref()).unwrap();
    let mut bytes = Vec::new();
    for tensor in &mut model.0.graph.as_mut().unwrap().initializer {
        let raw = tensor.raw_data.take().unwrap();
        let entry = |key: &str, value: String| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value),
        };
        tensor.external_data = vec![
            entry("location", location.to_owned()),
            entry("offset", bytes.len().to_string()),
            entry("length", raw.len().to_string()),
        ];
        tensor.data_location = Some(1);
        bytes.extend(raw);
    }
    let weights = project.path("models").join(location);
    std::fs::create_dir_all(weights.parent().unwrap()).unwrap();
    std::fs::write(weights, bytes).unwrap();
    std::fs::write(project.path("models/net.onnx"), model.to_bytes()).unwrap();
    project
}

#[test]
fn changed_weights_make_another_key() {
    for location in ["net.data", "./deep/net[1].data"] {
        let project = project(location);
        project.ok(&["run"]);
        assert!(project.sulcus(&["run"]).stderr.contains("0 executed"));
        project.ok(&["verify"]);
        let weights = project.path("models").join(location);
        let mut bytes = std::fs::read(&weights).unwrap();
        bytes[..4].copy_from_slice(&1.5_f32.to_le_bytes());
        std::fs::write(&weights, bytes).unwrap();
        let again = project.sulcus(&["run"]);
        assert!(again.stderr.contains("1 executed"), "{}", again.stderr);
    }
}

#[test]
fn weights_behind_a_link_are_refused_before_anything_runs() {
    let project = project("net.data");
    std::fs::rename(project.path("models/net.data"), project.path("other.data")).unwrap();
    std::os::unix::fs::symlink(project.path("other.data"), project.path("models/net.data")).unwrap();
    let ran = project.sulcus(&["check"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("symbolic link"), "{}", ran.stderr);
}

#[test]
fn weights_that_another_stage_writes_are_refused() {
    let project = project("net.data");
    std::fs::rename(project.path("models"), project.path("made")).unwrap();
    project.edit("sulcus.yaml", "stages:\n", "stages:\n  copy: { uses: command, with: { run: cp -r made models, reads: [made], writes: [models] } }\n");
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("were not known before this run"), "{}", ran.stderr);
}

/// Two layers of 16384 × 16384, of which the file holds a hole but for one value each: protobuf ends at 2^31 bytes,
/// so the runtime must get the weights beside the graph.
#[test]
#[ignore = "takes 5 GB of memory and 2 GB of disk"]
fn a_model_of_more_than_two_gigabytes_runs() {
    const WIDE: u64 = 16384;
    let project = Project::new(
        "stages:\n  net: { uses: ingest.model, with: { path: net.onnx } }\n  \
         rows: { uses: ingest.table, with: { path: rows.ndjson } }\n  \
         answers: { uses: model.infer, in: { model: net, data: rows }, with: { input: x } }\n",
    );
    let bytes = WIDE * WIDE * 4;
    let hole = std::fs::File::create(project.path("net.data")).unwrap();
    hole.set_len(2 * bytes).unwrap();
    // Channel 3 goes to channel 16383 twofold, and that to channel 7 threefold.
    let put = |layer: u64, from: u64, to: u64, value: f32| {
        hole.write_all_at(&value.to_le_bytes(), layer * bytes + 4 * (from * WIDE + to)).unwrap();
    };
    put(0, 3, WIDE - 1, 2.0);
    put(1, WIDE - 1, 7, 3.0);
    let wide = |layer: u64| {
        let entry = |key: &str, value: String| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value),
        };
        TensorProto {
            name: Some(format!("wide{layer}")),
            dims: vec![WIDE as i64; 2],
            data_type: Some(DataType::Float.code()),
            data_location: Some(1),
            external_data: vec![
                entry("location", "net.data".to_owned()),
                entry("offset", (layer * bytes).to_string()),
                entry("length", bytes.to_string()),
            ],
            ..TensorProto::default()
        }
    };
    let mut b = Builder::new("m_");
    for (i, (x, w)) in [("x", "first"), ("a", "wide0"), ("b", "wide1"), ("c", "last")].into_iter().enumerate()
    {
        b.named_node("MatMul", &[x, w], &[["a", "b", "c", "y"][i]], []);
    }
    let one = |name, at: &[usize], dims: [i64; 2]| {
        let mut values = vec![0.0; 2 * WIDE as usize];
        at.iter().for_each(|i| values[*i] = 1.0);
        floats(name, &dims, &values)
    };
    let info = |columns| Info::new(DataType::Float, vec![Dim::Name("N".to_owned()), Dim::Size(columns)]);
    let model = Model::new(GraphProto {
        node: b.nodes,
        // Both inputs enter channel 3, and channel 7 is the first output.
        initializer: vec![
            one("first", &[3, WIDE as usize + 3], [2, WIDE as i64]),
            wide(0),
            wide(1),
            one("last", &[14], [WIDE as i64, 2]),
        ],
        input: vec![info(2).value("x")],
        output: vec![info(2).value("y")],
        ..GraphProto::default()
    });
    std::fs::write(project.path("net.onnx"), model.to_bytes()).unwrap();
    project.write("rows.ndjson", "{\"id\": 0, \"x\": [1.0, 0.5]}\n{\"id\": 1, \"x\": [-2.0, 4.0]}\n");
    let began = std::time::Instant::now();
    project.ok(&["run"]);
    println!("executed in {:.1} s", began.elapsed().as_secs_f64());
    let table = read_path(&project.path("results/sulcus/answers/table.parquet"), None).unwrap();
    assert_eq!(table.tensor_f32("y").unwrap().values, [9.0, 0.0, 12.0, 0.0]);
}

/// Only float32 weights can lie beside the graph, and only on the processor. The zeros are never touched, so they take no
/// memory.
#[test]
fn what_protobuf_cannot_hold_is_refused_before_it_is_copied() {
    let zeros = |ty: DataType, count: usize, bytes: usize| TensorProto {
        name: Some("w".to_owned()),
        dims: vec![count as i64],
        data_type: Some(ty.code()),
        raw_data: Some(vec![0; count * bytes].into()),
        ..TensorProto::default()
    };
    let model = |tensor| {
        let mut b = Builder::new("m_");
        b.named_node("Identity", &["w"], &["y"], []);
        let output = vec![Info { ty: DataType::Float, dims: None }.value("y")];
        Model::new(GraphProto { node: b.nodes, initializer: vec![tensor], output, ..GraphProto::default() })
    };
    let cases =
        [(zeros(DataType::Int64, 275_000_000, 8), "cpu"), (zeros(DataType::Float, 550_000_000, 4), "webgpu")];
    for (tensor, provider) in cases {
        let refused =
            Session::ready(runtime(), model(tensor), &[provider.to_owned()], 1).err().expect("refused");
        assert!(refused.message.contains("the graph has 2.2 GB"), "{provider}: {}", refused.message);
        assert!(refused.hint.is_some_and(|h| h.contains("`provider: cpu`")), "{provider}");
    }
}
