//! The shipped pipelines run on the shipped data, as a user would run them.

use std::path::Path;

use serde_json::Value;

use super::support::Project;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("the folder can be listed").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else if entry.path().extension().is_none_or(|e| e != "lock") {
            std::fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}

fn last_line(text: &str) -> Value {
    serde_json::from_str(text.lines().last().unwrap_or_default()).expect("the last line is JSON")
}

#[test]
fn every_pipeline_runs_and_then_has_nothing_to_do() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = Project::with(&[]);
    copy(&root.join("data"), &project.path("data"));
    copy(&root.join("pipelines"), &project.path("pipelines"));
    let mut names: Vec<String> = std::fs::read_dir(root.join("pipelines"))
        .expect("the folder can be listed")
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|n| n.ends_with(".yaml"))
        .collect();
    names.sort();
    assert!(!names.is_empty());
    for name in names {
        let file = format!("pipelines/{name}");
        let ran = project.ok(&["run", &file, "--json"]);
        assert!(last_line(&ran.stdout)["failed"].as_array().is_some_and(Vec::is_empty), "{name}");
        let again = last_line(&project.ok(&["run", &file, "--json"]).stdout);
        assert_eq!(again["executed"], serde_json::json!([]), "{name}");
    }
}

#[test]
fn the_digits_network_is_right_on_95_of_100_held_out_digits_for_every_seed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = Project::with(&[]);
    copy(&root.join("data"), &project.path("data"));
    copy(&root.join("pipelines"), &project.path("pipelines"));
    project.ok(&["run", "pipelines/digits.yaml", "-q"]);
    let printed = project.ok(&["metrics", "pipelines/digits.yaml", "--json"]).stdout;
    let rows: Vec<Value> = printed
        .lines()
        .flat_map(|line| match serde_json::from_str(line).expect("metrics are JSON") {
            Value::Array(rows) => rows,
            row => vec![row],
        })
        .collect();
    let accuracies: Vec<f64> =
        rows.iter().filter(|r| r["metric"] == "accuracy").filter_map(|r| r["value"].as_f64()).collect();
    assert_eq!(accuracies.len(), 3, "{printed}");
    assert!(accuracies.iter().all(|a| *a >= 0.95), "{accuracies:?}");
}

#[test]
fn a_provider_that_is_not_here_is_an_error_and_a_list_falls_back() {
    let workflow = "stages:\n  data:\n    uses: ingest.arrays\n    with: { arrays: { image: data/digits/images.npy } }\n  net:\n    uses: model.build\n    with: { architecture: linear, input: [1, 8, 8], classes: 10 }\n  answers:\n    uses: model.infer\n    provider: PROVIDER\n    in: { model: net, data: data }\n";
    let project = Project::with(&[("sulcus.yaml", &workflow.replace("PROVIDER", "cuda"))]);
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data"), &project.path("data"));
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("cuda") && ran.stderr.contains("hint: it needs"), "{}", ran.stderr);
    project.edit("sulcus.yaml", "provider: cuda", "provider: [cuda, cpu]");
    project.ok(&["run"]);
    let log = project.ok(&["log", "answers"]);
    assert!(log.stdout.contains("cpu"), "{}", log.stdout);
}
