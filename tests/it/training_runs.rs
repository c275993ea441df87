//! `model.head` and `model.train` as a user runs them.

use std::path::Path;

use super::support::Project;

/// Trains on ten digits, then replaces the head and learns whether a digit is odd.
const TUNED: &str = "
name: tuned
stages:
  digits:
    uses: ingest.arrays
    with: { arrays: { image: images.npy, label: labels.npy } }
  parity:
    uses: table.sql
    in: { digits: digits }
    with: { query: \"SELECT id, image, label % 2 AS label FROM digits\" }
  net: { uses: model.build, with: { architecture: lenet, input: [1, 8, 8], classes: 10, scale: 0.0625 } }
  first:
    uses: model.train
    in: { model: net, data: digits }
    with: { input: image, target: label, epochs: 4, learning_rate: 0.05, momentum: 0.9 }
  head: { uses: model.head, in: { model: first.model }, with: { outputs: 2, seed: 3 } }
  tune:
    uses: model.train
    in: { model: head, data: parity }
    with:
      { input: image, target: label, epochs: 3, learning_rate: 0.05, momentum: 0.9, freeze: [\"conv1.*\"], learning_rates: { \"conv*\": 0.1 } }
";

/// A project with the shipped digits.
pub fn digits(workflow: &str) -> Project {
    let project = Project::new(workflow);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits");
    for name in ["images.npy", "labels.npy"] {
        std::fs::copy(folder.join(name), project.path(name)).unwrap();
    }
    project
}

#[test]
fn a_new_head_learns_another_question() {
    let project = digits(TUNED);
    project.ok(&["run"]);
    let path = project.path("results/tuned/tune/history.parquet");
    let history = sulcus::table::read_path(&path, None).unwrap();
    let accuracy = history.f64s("accuracy").unwrap();
    // Even and odd digits are about half each.
    assert!(accuracy[0] > 0.8 && *accuracy.last().unwrap() > 0.95, "{accuracy:?}");
    // Labels are checked against the new number of outputs.
    project.edit("sulcus.yaml", "in: { model: head, data: parity }", "in: { model: head, data: digits }");
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("the model has the classes 0 to 1"), "{}", ran.stderr);
}
