//! Other execution providers than the processor, where there are any.

use std::path::PathBuf;

use super::lrp::{compared, golden_project, maps_of};
use super::support::{Project, Ran};
use sulcus::table::read_path;

/// The processor's suite on OpenVINO, which runs on any x86-64 processor: `SULCUS_OPENVINO` names a library
/// of ONNX Runtime that is compiled with it. Four gradients come out wrong by more than the largest value
/// (version 1.24.1, folded VGG nets): the comparison with the processor must have refused them.
#[test]
fn openvino_draws_the_golden_maps_or_is_refused() {
    let Some(library) = std::env::var_os("SULCUS_OPENVINO").map(PathBuf::from) else {
        println!("skipped: SULCUS_OPENVINO names no library (`.ci/run` fetches one)");
        return;
    };
    let library = library.to_str().expect("a path in UTF-8");
    let (project, nets) = golden_project();
    let ran = project.sulcus(&["run", "-k", "--onnxruntime", library, "--provider", "openvino"]);
    let failed: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("error:")).collect();
    for line in &failed {
        assert!(line.contains("`openvino` does not compute what the processor does"), "{line}");
        assert!(line.contains("gradient"), "{line}");
    }
    assert_eq!(compared(&project, &nets) + failed.len(), maps_of(&nets));
    assert!(failed.len() <= 4, "{}", failed.join("\n"));
}

/// Forward pass, relevance, Hessian and training of a perceptron on WebGPU, for a machine that has it:
/// `SULCUS_WEBGPU` names a Python environment with `onnxruntime-ep-webgpu`.
#[test]
fn webgpu_serves_a_perceptron() {
    let Some(environment) = std::env::var_os("SULCUS_WEBGPU") else {
        println!("skipped: SULCUS_WEBGPU names no environment (docs/providers.md)");
        return;
    };
    let project = Project::new(
        "\
stages:
  digits: { uses: ingest.arrays, with: { arrays: { image: images.npy, label: labels.npy } } }
  some: { uses: table.sql, in: { t: digits }, with: { query: SELECT * FROM t LIMIT 64 } }
  net: { uses: model.build, with: { architecture: mlp, input: [1, 8, 8], hidden: [32], classes: 10 } }
  answers: { uses: model.infer, in: { model: net, data: some }, with: { input: image } }
  maps: { uses: lrp.attribute, in: { model: net, data: some }, with: { input: image, composite: epsilon } }
  pairs: { uses: dynamics.hessian, in: { model: net, data: some }, with: { input: image, target: label } }
  train:
    uses: model.train
    in: { model: net, data: some }
    with: { input: image, target: label, epochs: 2, batch_size: 32, learning_rate: 0.1 }
",
    );
    for name in ["images.npy", "labels.npy"] {
        let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/digits").join(name);
        std::fs::copy(shipped, project.path(name)).unwrap();
    }
    let loss = |provider: &str| {
        let mut command = project.command(&["run", "--provider", provider]);
        let output = command.env("VIRTUAL_ENV", &environment).output().unwrap();
        let ran = Ran::new(output, project.root());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let history = read_path(&project.path("results/sulcus/train/history.parquet"), None).unwrap();
        *history.f64s("loss").unwrap().last().unwrap()
    };
    let (processor, device) = (loss("cpu"), loss("webgpu"));
    assert!((processor - device).abs() <= 1e-4 * processor, "{processor} {device}");
}
