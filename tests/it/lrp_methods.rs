//! Methods of `lrp.attribute` through YAML: averaged gradients at inner tensors.

use super::lrp::golden;
use super::support::Project;
use sulcus::table::read_path;

/// A project with one `lrp.attribute` on `vgg_small` for each of the named parameters.
fn project(stages: &[(&str, &str)]) -> Project {
    let mut yaml = String::from(
        "name: methods\nstages:\n  model: { uses: ingest.model, with: { path: vgg_small.onnx } }\n  data: { uses: \
         ingest.arrays, with: { path: vgg_small.npz, columns: [input, target] } }\n",
    );
    for (name, with) in stages {
        yaml += &format!(
            "  {name}: {{ uses: lrp.attribute, in: {{ model: model, data: data }}, with: {{ input: input, {with} }} }}\n"
        );
    }
    let project = Project::new(&yaml);
    for name in ["vgg_small.onnx", "vgg_small.npz"] {
        std::fs::copy(golden(name), project.path(name)).unwrap();
    }
    project
}

/// Runs the stages; of each the shape of a map, and all maps.
fn maps(stages: &[(&str, &str)]) -> Vec<(Vec<usize>, Vec<f32>)> {
    let project = project(stages);
    project.ok(&["run"]);
    let read = |(name, _): &(&str, &str)| {
        let path = project.path(&format!("results/methods/{name}/table.parquet"));
        let maps = read_path(&path, None).unwrap().tensor_f32("relevance").unwrap();
        (maps.row_shape, maps.values)
    };
    stages.iter().map(read).collect()
}

/// The largest difference, as a share of the largest value.
fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let peak = b.iter().fold(0.0, |peak: f32, v| peak.max(v.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / peak
}

const INNER: &str = "at: /2/Conv_output_0";

#[test]
fn gradients_without_noise_average_to_the_gradient_at_an_inner_tensor() {
    let found = maps(&[
        ("once", &format!("composite: gradient, {INNER}")),
        ("mean", &format!("composite: smooth_grad, noise: 0.0, samples: 3, {INNER}")),
    ]);
    assert_eq!(found[0].0, [8, 32, 32]);
    assert!(apart(&found[1].1, &found[0].1) < 1e-6);
}

#[test]
fn integrated_gradients_belong_to_the_input() {
    let ran = project(&[("maps", &format!("composite: integrated_gradients, {INNER}"))]).sulcus(&["check"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("no map at an inner tensor"), "{}", ran.stderr);
}
