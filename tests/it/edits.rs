//! People edit files while a run is under way: no result is kept under a name that is not its own, and
//! no edit is overlooked by the next run.

use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::support::Project;

/// `first` copies its input at once, `last` takes its time.
const TWO: &str = "\
stages:
  first:
    uses: command
    with: { run: cat in.txt > a.txt, reads: in.txt, writes: a.txt }
  last:
    uses: command
    with: { run: sleep 0.7; cat a.txt > b.txt, reads: a.txt, writes: b.txt }
";

fn start(project: &Project) -> Child {
    let mut command = project.command(&["run"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

fn wait_for(path: &Path) {
    let begun = Instant::now();
    while std::fs::metadata(path).map_or(0, |m| m.len()) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} never came", path.display());
        sleep(Duration::from_millis(5));
    }
    // The step ends a moment after its file is there.
    sleep(Duration::from_millis(150));
}

#[test]
fn an_input_edited_after_its_step_ran_is_seen_by_the_next_run() {
    let project = Project::with(&[("sulcus.yaml", TWO), ("in.txt", "old\n")]);
    let mut run = start(&project);
    wait_for(&project.path("a.txt"));
    project.write("in.txt", "new\n");
    run.wait().unwrap();
    project.ok(&["run"]);
    assert_eq!(project.read("b.txt"), "new\n");
}

#[test]
fn an_input_edited_before_its_step_and_put_back_after_it_is_seen_by_the_next_run() {
    let workflow = "\
stages:
  first:
    uses: command
    with: { run: echo > a.txt; sleep 0.7, writes: a.txt }
  middle:
    uses: command
    with: { run: cat in.txt > b.txt, reads: [a.txt, in.txt], writes: b.txt }
  last:
    uses: command
    with: { run: sleep 0.7; cp b.txt c.txt, reads: b.txt, writes: c.txt }
";
    let project = Project::with(&[("sulcus.yaml", workflow), ("in.txt", "old\n")]);
    let mut run = start(&project);
    wait_for(&project.path("a.txt"));
    project.write("in.txt", "new\n");
    wait_for(&project.path("b.txt"));
    project.write("in.txt", "old\n");
    run.wait().unwrap();
    project.ok(&["run"]);
    assert_eq!(project.read("c.txt"), "old\n");
}

#[test]
fn a_workflow_edited_during_a_run_is_seen_by_the_next_run() {
    let project = Project::with(&[("sulcus.yaml", TWO), ("in.txt", "old\n")]);
    let mut run = start(&project);
    wait_for(&project.path("a.txt"));
    project.edit("sulcus.yaml", "cat in.txt", "echo edited");
    run.wait().unwrap();
    project.ok(&["run"]);
    assert_eq!(project.read("b.txt"), "edited\n");
}

#[test]
fn a_file_that_comes_during_a_run_is_seen_by_the_next_run() {
    let workflow = TWO.replace("cat in.txt", "cat in/*").replace("reads: in.txt", "reads: in/*");
    let project = Project::with(&[("sulcus.yaml", &workflow), ("in/1", "one\n")]);
    let mut run = start(&project);
    wait_for(&project.path("a.txt"));
    project.write("in/2", "two\n");
    run.wait().unwrap();
    project.ok(&["run"]);
    assert_eq!(project.read("b.txt"), "one\ntwo\n");
}

#[test]
fn an_output_edited_during_a_run_is_put_back_by_the_next_run() {
    let project =
        Project::with(&[("sulcus.yaml", &TWO.replace("cat a.txt", "echo done")), ("in.txt", "old\n")]);
    let mut run = start(&project);
    wait_for(&project.path("a.txt"));
    std::fs::remove_file(project.path("a.txt")).unwrap();
    project.write("a.txt", "scribble\n");
    run.wait().unwrap();
    project.ok(&["run"]);
    assert_eq!(project.read("a.txt"), "old\n");
}

#[test]
fn a_step_whose_input_changes_while_it_runs_keeps_no_result() {
    let workflow = "stages:\n  slow:\n    uses: command\n    with: { run: 'touch begun; sleep 0.5; cat in.txt > a.txt', reads: in.txt, writes: a.txt }\n";
    let project = Project::with(&[("sulcus.yaml", workflow), ("in.txt", "old\n")]);
    let command = || {
        let mut run = start(&project);
        let begun = Instant::now();
        while !project.has("begun") && begun.elapsed() < Duration::from_secs(60) {
            sleep(Duration::from_millis(5));
        }
        project.write("in.txt", "new\n");
        run.wait().unwrap()
    };
    assert_eq!(command().code(), Some(1), "what it read is unknown, so it has no result");
    project.write("in.txt", "old\n");
    project.ok(&["run"]);
    assert_eq!(project.read("a.txt"), "old\n", "the result of other bytes was kept under this key");
}

#[test]
fn a_step_that_reads_a_result_somebody_overwrote_keeps_no_result() {
    let project = Project::with(&[("sulcus.yaml", TWO), ("in.txt", "old\n")]);
    let mut run = start(&project);
    wait_for(&project.path("a.txt"));
    std::fs::remove_file(project.path("a.txt")).unwrap();
    project.write("a.txt", "scribble\n");
    assert_eq!(run.wait().unwrap().code(), Some(1));
    project.ok(&["run"]);
    assert_eq!((project.read("a.txt"), project.read("b.txt")), ("old\n".to_owned(), "old\n".to_owned()));
}

#[test]
fn no_step_writes_over_its_own_workflow() {
    for path in ["work/flow.yaml", "work/flow.lock", "work/", "work/part.yaml"] {
        let text = format!(
            "include: part.yaml\nstages:\n  own:\n    uses: command\n    with: {{ run: 'true', writes: {path} }}\n"
        );
        let project = Project::with(&[("work/flow.yaml", &text), ("work/part.yaml", "stages: {}\n")]);
        let ran = project.sulcus(&["run", "work/flow.yaml"]);
        assert_eq!(ran.code, 2, "{path}: {}", ran.text());
        assert!(ran.stderr.contains("belongs to this workflow"), "{path}: {}", ran.text());
        assert_eq!(project.read("work/flow.yaml"), text);
    }
}

#[test]
fn a_file_name_of_two_lines_is_refused() {
    let workflow = "stages:\n  two:\n    uses: command\n    with: { run: 'mkdir d; echo > \"d/$(printf \"a\\nb\")\"', writes: d/ }\n";
    let ran = Project::new(workflow).sulcus(&["run"]);
    assert_eq!(ran.code, 1, "{}", ran.text());
    assert!(ran.stderr.contains("not UTF-8 text of one line"), "{}", ran.text());
}

#[test]
fn an_amount_that_is_no_amount_is_refused() {
    let project = Project::with(&[("sulcus.yaml", TWO), ("in.txt", "old\n")]);
    for amount in ["nan", "inf", "-1", "x"] {
        assert_eq!(project.sulcus(&["run", "--resource", &format!("gpu={amount}")]).code, 2, "{amount}");
    }
}

#[test]
fn a_step_does_not_run_on_a_result_that_could_not_be_put_back() {
    let workflow = TWO.replace("sleep 0.7; ", "").replace("a.txt", "out/a.txt");
    let project = Project::with(&[("sulcus.yaml", &workflow), ("in.txt", "old\n")]);
    project.ok(&["run"]);
    // Outputs are never written through a link.
    std::fs::rename(project.path("out"), project.path("other")).unwrap();
    std::os::unix::fs::symlink("other", project.path("out")).unwrap();
    std::fs::remove_file(project.path("other/a.txt")).unwrap();
    project.write("other/a.txt", "scribble\n");
    project.edit("sulcus.yaml", "cat out/a.txt", "cat ./out/a.txt");
    let ran = project.sulcus(&["run", "-k", "--json"]);
    assert_eq!(ran.code, 1, "{}", ran.text());
    assert_eq!(ran.json()["executed"], serde_json::json!([]), "{}", ran.text());
    assert_eq!(ran.json()["failed"], serde_json::json!(["first"]));
}

#[test]
fn a_file_added_by_hand_to_a_folder_of_results_is_noticed() {
    let workflow =
        "stages:\n  many:\n    uses: command\n    with: { run: mkdir d; echo 1 > d/a, writes: d/ }\n";
    let project = Project::new(workflow);
    project.ok(&["run"]);
    project.ok(&["run"]);
    project.write("d/b", "by hand\n");
    assert_eq!(project.ok(&["status"]).stdout.lines().next(), Some("many  to restore: d was changed"));
    assert_eq!(project.ok(&["run", "--json"]).json()["executed"], serde_json::json!([]));
    assert!(project.has("d/a") && !project.has("d/b"), "the folder is what the step wrote");
}
