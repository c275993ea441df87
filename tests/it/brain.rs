//! Brains and models, as a user compares them.

use std::path::Path;

use serde_json::Value;

use super::support::Project;

/// A project with the shipped pipeline and the data it reads.
fn project() -> Project {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = Project::with(&[]);
    for folder in ["grasshopper", "fmri-events"] {
        std::fs::create_dir_all(project.path(&format!("data/{folder}"))).expect("a folder can be made");
        for entry in std::fs::read_dir(root.join("data").join(folder)).expect("data").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            std::fs::copy(entry.path(), project.path(&format!("data/{folder}/{name}"))).expect("a copy");
        }
    }
    let text = std::fs::read_to_string(root.join("pipelines/brain-models.yaml")).expect("the pipeline");
    project.write("sulcus.yaml", &text);
    project
}

/// Names of the steps that a run executed.
fn executed(project: &Project) -> Vec<String> {
    let printed = project.ok(&["run", "--json"]).stdout;
    let last: Value = serde_json::from_str(printed.lines().last().unwrap_or_default()).expect("JSON");
    let names = last["executed"].as_array().expect("a list");
    names.iter().filter_map(|n| n.as_str().map(str::to_owned)).collect()
}

#[test]
fn a_model_more_computes_its_own_steps_and_the_lists_that_gather() {
    let project = project();
    let all = executed(&project);
    assert!(all.iter().any(|n| n == "encode[hidden=4]"), "{all:?}");
    project.edit("sulcus.yaml", "hidden: [4, 64]", "hidden: [4, 64, 16]");
    let more = executed(&project);
    let (own, gathered): (Vec<&String>, Vec<&String>) = more.iter().partition(|n| n.contains("[hidden=16]"));
    assert_eq!(own.len(), 4, "{more:?}");
    assert!(gathered.iter().all(|n| !n.contains('[')), "{more:?}");
}

#[test]
fn rows_that_entered_training_cannot_be_scored() {
    let project = project();
    project.edit(
        "sulcus.yaml",
        "model.infer\n    matrix: train\n    in: { model: train.model, data: split.test }",
        "model.infer\n    matrix: train\n    in: { model: train.model, data: split.train }",
    );
    let ran = project.sulcus(&["run", "encode"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("600 rows entered training and cannot be scored: "), "{}", ran.stderr);
}

/// Brain-Score vision 2472: a name that stays while the weights change must not find old activations;
/// 2503: nor must a change of what goes into the model (its scale, its size).
#[test]
fn changed_weights_or_preprocessing_find_no_old_activations() {
    let project = project();
    executed(&project);
    project.edit("sulcus.yaml", "momentum: 0.9, seed: 1", "momentum: 0.9, seed: 2");
    let weights = executed(&project);
    project.edit("sulcus.yaml", "input: [40], classes: 4", "input: [40], scale: 0.5, classes: 4");
    let scale = executed(&project);
    for (what, steps) in [("weights", weights), ("scale", scale)] {
        for step in ["activations[hidden=4]", "activations[hidden=64]", "encode[hidden=64]"] {
            assert!(steps.iter().any(|n| n == step), "{what}: {step} is not among {steps:?}");
        }
    }
}

#[test]
fn a_bids_event_table_is_a_table() {
    let workflow = "stages:\n  events:\n    uses: ingest.table\n    with: { path: sub-01_events.tsv, null_values: [n/a] }\n  reaction:\n    uses: table.sql\n    in: { events: events }\n    with: { query: 'SELECT AVG(response_time) AS mean, COUNT(*) AS trials FROM events' }\n";
    let events = "onset\tduration\ttrial_type\tresponse_time\n1.2\t0.6\tgo\t1.5\n5.6\t0.6\tstop\tn/a\n9\t0.6\tgo\t0.5\n";
    let project = Project::with(&[("sulcus.yaml", workflow), ("sub-01_events.tsv", events)]);
    project.ok(&["run"]);
    let shown = project.ok(&["show", "reaction", "--json"]).stdout;
    let value: Value = serde_json::from_str(&shown).expect("JSON");
    let cell = |at: usize| value["rows"][0][at].as_str().and_then(|c| c.parse::<f64>().ok());
    assert_eq!((cell(0), cell(1)), (Some(1.0), Some(3.0)), "{shown}");
}
