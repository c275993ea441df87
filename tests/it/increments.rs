//! What runs again after a change, and what does not.

use serde_json::Value;

use super::support::Project;

const WORKFLOW: &str = "stages:
  table:
    uses: ingest.table
    with: { path: d.csv }
  middle:
    uses: table.sql
    in: { t: table }
    with:
      query: SELECT id, x * 2 AS x, y FROM t
  total:
    uses: table.sql
    in: { t: middle }
    with:
      query: SELECT SUM(x) AS s FROM t
  last:
    uses: table.sql
    in: { t: total }
    with:
      query: SELECT s + 1 AS s FROM t
";

fn project() -> Project {
    let project = Project::with(&[("sulcus.yaml", WORKFLOW), ("d.csv", "id,x,y\n1,2,a\n2,3,b\n")]);
    assert_eq!(executed(&project), ["table", "middle", "total", "last"]);
    assert!(executed(&project).is_empty());
    project
}

/// The steps that a run executes. What the plan said before must agree.
fn executed(project: &Project) -> Vec<String> {
    let plan = project.ok(&["plan", "--json"]).stdout;
    let planned: Vec<Value> =
        plan.lines().map(|l| serde_json::from_str(l).expect("a plan line is JSON")).collect();
    let ran = project.ok(&["run", "--json"]).stdout;
    let end: Value = serde_json::from_str(ran.lines().last().unwrap_or_default()).expect("the end is JSON");
    let names = |key: &str| -> Vec<String> {
        end[key].as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    let (executed, cached) = (names("executed"), names("cached"));
    for line in planned {
        let step = line["step"].as_str().unwrap_or_default().to_owned();
        match line["status"].as_str().unwrap_or_default() {
            "cached" => assert!(cached.contains(&step), "{step} was planned as cached"),
            "runs" => assert!(executed.contains(&step), "{step} was planned to run"),
            other => assert!(other.starts_with("runs unless"), "{other}"),
        }
    }
    executed
}

#[test]
fn the_last_stage_alone() {
    let project = project();
    project.edit("sulcus.yaml", "s + 1", "s + 2");
    assert_eq!(executed(&project), ["last"]);
}

#[test]
fn a_middle_stage_and_what_depends_on_it() {
    let project = project();
    project.edit("sulcus.yaml", "x * 2 AS x", "x * 3 AS x");
    assert_eq!(executed(&project), ["middle", "total", "last"]);
}

#[test]
fn a_column_that_nobody_reads_stops_there() {
    let project = project();
    project.edit("sulcus.yaml", "AS x, y FROM", "AS x, y, 1 AS extra FROM");
    assert_eq!(executed(&project), ["middle"]);
}

#[test]
fn a_column_of_the_file_that_nobody_reads_stops_at_its_ingest() {
    let project = project();
    project.write("d.csv", "id,x,y,new\n1,2,a,7\n2,3,b,8\n");
    assert_eq!(executed(&project), ["table"]);
}

#[test]
fn other_quoting_stops_at_the_ingest() {
    let project = project();
    project.write("d.csv", "\"id\",\"x\",\"y\"\n1,2,\"a\"\n2,3,\"b\"\n");
    assert_eq!(executed(&project), ["table"]);
}

#[test]
fn a_renamed_stage_is_found_under_its_new_name() {
    let project = project();
    project.edit("sulcus.yaml", "total", "sum");
    assert!(executed(&project).is_empty());
}

#[test]
fn touched_and_moved_files_change_nothing() {
    let project = project();
    project.write("d.csv", "id,x,y\n1,2,a\n2,3,b\n");
    assert!(executed(&project).is_empty());
    std::fs::rename(project.path("d.csv"), project.path("e.csv")).expect("the file can be moved");
    project.edit("sulcus.yaml", "d.csv", "e.csv");
    assert!(executed(&project).is_empty());
}

#[test]
fn a_wrong_column_is_found_before_anything_runs() {
    let project = project();
    project.edit("sulcus.yaml", "s + 1 AS s", "ss + 1 AS s");
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 2, "{}", ran.text());
    assert!(ran.stderr.contains("`ss`") && ran.stderr.contains("sulcus.yaml:19"), "{}", ran.stderr);
}

#[test]
fn steps_with_one_key_run_once() {
    let rows: String = (0..60_000).map(|i| format!("{i},{},{}\n", i * 7, i % 13)).collect();
    let stage = |name: &str| format!("  {name}:\n    uses: ingest.table\n    with: {{ path: d.csv }}\n");
    let workflow = format!("stages:\n{}{}{}", stage("a"), stage("b"), stage("c"));
    let project = Project::with(&[("sulcus.yaml", &workflow), ("d.csv", &format!("id,x,y\n{rows}"))]);
    let end = project.ok(&["run", "-j3", "--json"]).json();
    assert_eq!(end["executed"].as_array().map(Vec::len), Some(1), "{end}");
    assert_eq!(end["cached"].as_array().map(Vec::len), Some(2), "{end}");
}
