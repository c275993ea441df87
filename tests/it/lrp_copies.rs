//! Composites that average copies of an input: their conservation table is the mean of the copies' tables.

use super::lrp_methods::two_layers;
use super::masking::npy;
use super::support::Project;
use sulcus::table::{Frame, read_path};

const COLUMNS: [&str; 4] = ["relevance_out", "relevance_in", "absorbed_by_bias", "absorbed_by_stabiliser"];

/// Attributions of two layers with an exponential between them, one stage for each data set and parameters.
fn project(data: &[(&str, &str, &[f32])], stages: &[(&str, &str, &str)]) -> Project {
    let mut yaml =
        String::from("name: copies\nstages:\n  model: { uses: ingest.model, with: { path: net.onnx } }\n");
    for (name, ..) in data {
        yaml += &format!("  {name}: {{ uses: ingest.arrays, with: {{ arrays: {{ x: {name}.npy }} }} }}\n");
    }
    for (name, data, with) in stages {
        yaml += &format!(
            "  {name}: {{ uses: lrp.attribute, in: {{ model: model, data: {data} }}, with: {{ {with}, target: {{ class: 0 \
             }}, conservation: true }} }}\n"
        );
    }
    let project = Project::new(&yaml);
    std::fs::write(project.path("net.onnx"), two_layers("Exp").to_bytes()).unwrap();
    for (name, shape, values) in data {
        std::fs::write(project.path(&format!("{name}.npy")), npy(shape, values.iter().copied())).unwrap();
    }
    project
}

fn table(project: &Project, stage: &str) -> Frame {
    read_path(&project.path(&format!("results/copies/{stage}/conservation.parquet")), None).unwrap()
}

/// Three steps of a path are three rows of a table; the gradients of an exponential differ on each.
#[test]
fn the_conservation_table_of_a_path_is_the_mean_over_its_steps() {
    let rows = [0.8_f32, 0.4, -0.5, 1.5];
    let shares = [0.5_f32, 1.5, 2.5].map(|s| s / 3.0);
    let steps: Vec<f32> = shares.iter().flat_map(|share| rows.map(|v| v * share)).collect();
    let project = project(
        &[("data", "(2, 2)", &rows), ("steps", "(6, 2)", &steps)],
        &[
            ("path", "data", "composite: integrated_gradients, samples: 3"),
            ("each", "steps", "composite: gradient"),
            ("first", "data", "composite: gradient"),
            ("noisy", "data", "composite: smooth_grad, samples: 3, noise: 0.0"),
        ],
    );
    project.ok(&["run"]);
    for name in COLUMNS {
        let column = |stage: &str| table(&project, stage).f64s(name).unwrap();
        for (found, wanted) in [("path", "each"), ("noisy", "first")] {
            let (found, wanted) = (column(found), column(wanted));
            assert_eq!((found.len(), wanted.len()), (3, 3));
            for (a, b) in found.iter().zip(&wanted) {
                assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "{name}: {a} against {b}");
            }
        }
    }
    // The first step alone says something else.
    let out = |stage: &str| table(&project, stage).f64s("relevance_out").unwrap()[2];
    assert!((out("path") - out("first")).abs() > 1e-3);
}
