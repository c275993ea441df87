//! Commands that look into tables.

use super::support::{Project, snapshot};

/// A port called `metrics` for each of two seeds, made from a file of numbers.
const SCORES: &str = "\
name: scores
stages:
  raw:
    uses: ingest.table
    matrix: { seed: [0, 1] }
    with: { path: \"scores${matrix.seed}.csv\" }
  score:
    uses: table.split
    matrix: raw
    in: { table: raw }
    with: { parts: { metrics: 1.0 } }
";

fn scores() -> Project {
    Project::with(&[
        ("sulcus.yaml", SCORES),
        ("scores0.csv", "metric,class,value\naccuracy,,0.9416666666\nrecall,3,0.5\n"),
        ("scores1.csv", "metric,class,value\naccuracy,,0.95\nrecall,3,1e-7\n"),
    ])
}

#[test]
fn metrics_of_all_cells_are_one_table() {
    let project = scores();
    snapshot!(project.sulcus(&["metrics"]).text(), @"
    exit 0
    --- stderr
         Missing `score[seed=0]` has no result yet; `sulcus run` makes it
         Missing `score[seed=1]` has no result yet; `sulcus run` makes it
    ");
    project.ok(&["run"]);
    snapshot!(project.ok(&["metrics"]).stdout, @"
    stage  seed  id  metric    class  value
    score  0     0   accuracy         0.941667
    score  0     1   recall    3      0.5
    score  1     0   accuracy         0.95
    score  1     1   recall    3      1e-7
    ");
    snapshot!(project.ok(&["metrics", "score[seed=1]", "--json"]).stdout, @r#"
    {"stage":"score","seed":1,"id":0,"metric":"accuracy","class":null,"value":0.95}
    {"stage":"score","seed":1,"id":1,"metric":"recall","class":3,"value":1e-7}
    "#);
    snapshot!(project.sulcus(&["metrics", "raw"]).text(), @"
    exit 0
    --- stderr
         Metrics no stage has a table at a port called `metrics`
    ");
}

#[test]
fn diff_puts_metrics_side_by_side() {
    let project = scores();
    project.git(&["init", "-q"]);
    project.ok(&["run"]);
    project.git(&["add", "sulcus.lock"]);
    project.git(&["commit", "-q", "-m", "one"]);
    project.edit("scores0.csv", "0.9416666666", "0.97");
    project.ok(&["run"]);
    snapshot!(project.sulcus(&["diff"]).text(), @"
    exit 0
    --- stdout
    ~ raw[seed=0]: table changed
    ~ score[seed=0]: metrics changed
        0 accuracy  0.941667  →  0.97
    --- stderr
        Compared with HEAD: 4 steps, 0 added, 0 removed, 2 changed
    ");
}

#[test]
fn show_describes_a_table_and_its_first_rows() {
    let project = scores();
    project.ok(&["run"]);
    snapshot!(project.ok(&["show", "score[seed=0].metrics", "-n", "1"]).stdout, @"
    score[seed=0].metrics: table, [size]
      path    results/scores/score/seed=0/metrics.parquet
      values  [digest]
      2 rows, 4 columns
      id      int64
      metric  string
      class   int64
      value   float64

      id  metric    class  value
      0   accuracy  null   0.941667
    ");
    snapshot!(project.ok(&["show", "raw"]).stdout, @"
    raw[seed=0].table  table  [size]  results/scores/raw/seed=0/table.parquet  2 rows, 4 columns
    raw[seed=1].table  table  [size]  results/scores/raw/seed=1/table.parquet  2 rows, 4 columns
    ");
    let file = "results/scores/raw/seed=1/table.parquet";
    assert_eq!(project.ok(&["show", file, "--json"]).json()["rows"][0][1], "accuracy");
    project.write("broken.parquet", "PAR1 and nothing else");
    let broken = project.sulcus(&["show", "broken.parquet"]);
    assert_eq!(broken.code, 1, "{}", broken.text());
}

#[test]
fn a_changed_column_is_named_with_its_origin() {
    let project = scores();
    project.ok(&["run"]);
    project.edit("scores1.csv", "0.95", "0.96");
    project.ok(&["run", "raw"]);
    snapshot!(project.ok(&["why", "score[seed=1]"]).stdout, @"
    score[seed=1]: runs
      in.table.column.value changed (from raw[seed=1])
    ");
    project.edit("sulcus.yaml", "metrics: 1.0", "metrics: 0.5");
    snapshot!(project.ok(&["why", "score[seed=0]"]).stdout, @r#"
    score[seed=0]: runs
      with.parts {"metrics":1.0} → {"metrics":0.5}
    "#);
}

#[test]
fn verify_executes_table_kinds_again() {
    let project = scores();
    project.ok(&["run"]);
    snapshot!(project.sulcus(&["verify"]).text(), @"
    exit 0
    --- stdout
    raw[seed=0]: equal
    raw[seed=1]: equal
    score[seed=0]: equal
    score[seed=1]: equal
    --- stderr
        Verified 4 equal, 0 different
    ");
}

/// Arrays of halves are read as single precision, and what reads the table finds them.
#[test]
fn halves_become_floats() {
    let header = "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 1, 2), }";
    let padded = format!("{header}{}\n", " ".repeat(64 - (10 + header.len() + 1) % 64));
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((padded.len() as u16).to_le_bytes());
    file.extend(padded.as_bytes());
    // 1, −0.5, 65504 (the largest) and the smallest above zero.
    file.extend([0x3c00u16, 0xb800, 0x7bff, 0x0001].iter().flat_map(|half| half.to_le_bytes()));
    let project = Project::new(
        "name: halves\nstages:\n  x: { uses: ingest.arrays, with: { arrays: { v: x.npy } } }\n  y: { uses: \
         table.sql, in: { t: x }, with: { query: SELECT v FROM t UNION ALL SELECT v FROM t } }\n",
    );
    std::fs::write(project.path("x.npy"), file).unwrap();
    project.ok(&["run"]);
    let table = sulcus::table::read_path(&project.path("results/halves/y/table.parquet"), None).unwrap();
    let values = table.tensor_f32("v").unwrap();
    assert_eq!(
        (values.row_shape, &values.values[..4]),
        (vec![1, 2], &[1.0, -0.5, 65504.0, 5.960_464_5e-8][..])
    );
}
