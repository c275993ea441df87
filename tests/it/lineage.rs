//! Rows that a model of the same workflow learned from are not scored.

use super::support::Project;

/// What a network learned from is told from what it is scored on though nobody binds `trained`.
const LINEAGE: &str = "\
stages:
  rows: { uses: ingest.table, with: { path: rows.ndjson } }
  split: { uses: table.split, in: { table: rows }, with: { parts: { train: 6, test: 4 }, by: id, seed: 1 } }
  others: { uses: ingest.table, with: { path: others.ndjson } }
  net: { uses: model.build, with: { architecture: linear, input: [2], classes: 2, seed: 1 } }
  gathered: { uses: table.sql, in: { t: split.train }, with: { query: \"SELECT id, x, k FROM t\" } }
  train:
    uses: model.train
    in: { model: net, data: gathered }
    with: { input: x, target: k, steps: 2, batch_size: 4, learning_rate: 0.1 }
  shown: { uses: table.sql, in: { t: split.test }, with: { query: \"SELECT id, x FROM t\" } }
  answers: { uses: model.infer, in: { model: train.model, data: shown }, with: { input: x } }
  rdm:
    uses: brain.rdm
    in: { table: answers }
    with: { measure: euclidean, columns: [logits] }
";

fn lineage() -> Project {
    let project = Project::new(LINEAGE);
    let row = |i: u32| {
        format!("{{\"id\": {i}, \"x\": [{}.5, {}.25], \"k\": {}}}\n", (i * 7) % 11, (i * 5) % 13, i % 2)
    };
    let rows: String = (0..30).map(row).collect();
    project.write("others.ndjson", &rows);
    project.write("rows.ndjson", &rows);
    project
}

/// Scores these rows in place of the split's test part.
fn show(project: &Project, rows: &str) {
    let shown = |rows| format!("shown: {{ uses: table.sql, in: {{ t: {rows} }}");
    project.edit("sulcus.yaml", &shown("split.test"), &shown(rows));
}

/// Runs, and expects this exit code and a message that holds all of these.
fn refused(project: &Project, code: i32, texts: &[&str]) {
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, code, "{}", ran.stderr);
    texts.iter().for_each(|text| assert!(ran.stderr.contains(text), "{}", ran.stderr));
}

#[test]
fn rows_that_a_model_before_learned_from_are_refused_though_nobody_binds_them() {
    let project = lineage();
    assert!(project.executed().contains(&"rdm".to_owned()));
    // Bound by hand it is the same step; where nothing is asked it is another one.
    project.edit("sulcus.yaml", "in: { table: answers }", "in: { table: answers, trained: gathered }");
    assert_eq!(project.executed(), Vec::<String>::new());
    project.edit("sulcus.yaml", "trained: gathered", "trained: []");
    assert_eq!(project.executed(), ["rdm"]);
    project.edit("sulcus.yaml", ", trained: []", "");
    // Some of the rows that are shown now are among those learned from.
    show(&project, "rows");
    let named = "6 rows entered training and cannot be scored: 7, 9, 19, 21, 22, 25";
    refused(&project, 1, &[named, "`trained: []`"]);
    project.edit("sulcus.yaml", "in: { table: answers }", "in: { table: answers, trained: [] }");
    assert_eq!(project.executed(), ["rdm"]);
}

/// A lab's own kind that says of its rows that nothing is to be asked.
const OWN: &str = "\
kind: lab.geometry
about: Distances of answers.
in: { answers: { type: table } }
out: { rdm: { type: table, from: rdm, about: The RDM. } }
stages:
  rdm:
    uses: brain.rdm
    in: { table: in.answers, trained: [] }
    with: { measure: euclidean, columns: [logits] }
";

#[test]
fn an_empty_list_within_an_own_kind_says_that_nothing_is_asked() {
    let project = lineage();
    project.write("stages/lab.geometry.yaml", OWN);
    show(&project, "rows");
    let scoring = &LINEAGE[LINEAGE.find("  rdm:\n").expect("it scores")..];
    project.edit("sulcus.yaml", scoring, "  own: { uses: lab.geometry, in: { answers: answers } }\n");
    assert!(project.executed().contains(&"own/rdm".to_owned()));
    project.edit("stages/lab.geometry.yaml", ", trained: []", "");
    refused(&project, 1, &["entered training"]);
}

#[test]
fn ids_of_another_source_are_other_rows() {
    let project = lineage();
    show(&project, "others");
    assert!(project.executed().contains(&"rdm".to_owned()));
    // Two stages that read one file have one source.
    project.edit("sulcus.yaml", "others.ndjson", "rows.ndjson");
    refused(&project, 1, &["entered training"]);
    // What a model learned from and lost its ids cannot be told from what is scored.
    project.edit("sulcus.yaml", "SELECT id, x, k FROM t", "SELECT id AS row, x, k FROM t");
    refused(&project, 2, &["no column `id`, and rows that entered training are told by it", "`trained: []`"]);
}
