//! Models whose weights lie in files beside them: those are read, so they count.

use onnx_graph::model::Model;
use onnx_graph::proto::StringStringEntryProto;

use super::lrp::golden;
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
