//! Options of stages and of a run as a user writes them: tries, times, amounts, tags, order, included files.

use std::time::{Duration, Instant};

use super::support::Project;

/// Two steps, each of which fails if the other runs at the same time.
const EXCLUSIVE: &str = "\
resources: { bench: 1 }
defaults: { resources: { bench: 1 } }
stages:
  a: { uses: command, with: { run: 'mkdir busy; sleep 0.4; rmdir busy; echo > a', writes: a } }
  b: { uses: command, with: { run: 'mkdir busy; sleep 0.4; rmdir busy; echo > b', writes: b } }
";

#[test]
fn steps_that_share_a_resource_take_turns() {
    let project = Project::new(EXCLUSIVE);
    project.ok(&["run", "-j2"]);
    let ran = project.sulcus(&["run", "-j2", "--force", "--resource", "bench=2"]);
    assert_eq!(ran.code, 1, "with two of it both run at once: {}", ran.text());
    assert!(ran.stderr.contains("busy"), "{}", ran.text());
}

#[test]
fn a_step_that_asks_for_more_than_there_is_runs_alone() {
    let project = Project::new(&EXCLUSIVE.replace("bench: 1 } }", "bench: 7 } }"));
    project.ok(&["run", "-j2"]);
}

#[test]
fn a_failed_step_is_tried_again_as_often_as_asked() {
    let workflow = "\
defaults: { retries: 2 }
stages:
  third:
    uses: command
    with: { run: 'echo try >> tries; test $(wc -l < tries) = 3; cp tries out', writes: out }
";
    let project = Project::new(workflow);
    let ran = project.ok(&["run"]);
    assert_eq!(project.read("out").lines().count(), 3);
    assert!(ran.stderr.contains("try 2") && ran.stderr.contains("try 3"), "{}", ran.text());

    let project = Project::new(&workflow.replace("retries: 2", "retries: 1"));
    assert_eq!(project.sulcus(&["run"]).code, 1);
    assert_eq!(project.read("tries").lines().count(), 2);
}

#[test]
fn a_step_is_stopped_after_its_timeout() {
    let project = Project::new(
        "stages:\n  slow: { uses: command, timeout: 0.3s, with: { run: 'sleep 60; echo > out', writes: out } }\n",
    );
    let begun = Instant::now();
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 1, "{}", ran.text());
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(ran.stderr.contains("stopped after its timeout of 0.3 s"), "{}", ran.text());
    assert!(!project.has("out"));
}

#[test]
fn a_tag_names_stages_and_what_they_need_runs_too() {
    let project = Project::new(
        "\
stages:
  source: { uses: command, with: { run: echo > s, writes: s } }
  wanted: { uses: command, tags: [paper], with: { run: cp s w, reads: s, writes: w } }
  other: { uses: command, tags: [draft], with: { run: cp s o, reads: s, writes: o } }
",
    );
    let ran = project.ok(&["run", "@paper", "--json"]).json();
    assert_eq!(ran["executed"], serde_json::json!(["source", "wanted"]));
    let ran = project.sulcus(&["run", "@talk"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("no stage has the tag `talk`"), "{}", ran.text());
}

#[test]
fn needs_orders_stages_that_share_no_file() {
    let project = Project::new(
        "\
stages:
  after: { uses: command, needs: [before], with: { run: cp undeclared out, writes: out } }
  before: { uses: command, with: { run: 'sleep 0.3; echo > undeclared; echo > b', writes: b } }
",
    );
    let ran = project.ok(&["run", "after", "-j2", "--json"]).json();
    assert_eq!(ran["executed"], serde_json::json!(["before", "after"]));
}

#[test]
fn included_stages_and_parameter_files_belong_to_the_workflow() {
    let project = Project::with(&[
        (
            "sulcus.yaml",
            "include: [parts/source.yaml]\nparams: { word: here }\nstages:\n  copy: { uses: command, with: { run: 'cat s > c; echo ${params.word} >> c', reads: s, writes: c } }\n",
        ),
        (
            "parts/source.yaml",
            "params: { first: included, word: there }\nstages:\n  source: { uses: command, with: { run: 'echo ${params.first} > s', writes: s } }\n",
        ),
        ("these.yaml", "word: from-file\n"),
    ]);
    project.ok(&["run"]);
    assert_eq!(project.read("c"), "included\nhere\n");
    let ran = project.ok(&["run", "--params", "these.yaml", "--json"]).json();
    assert_eq!(ran["executed"], serde_json::json!(["copy"]));
    assert_eq!(project.read("c"), "included\nfrom-file\n");
    project.ok(&["run", "--params", "these.yaml", "-p", "word=from-flag"]);
    assert_eq!(project.read("c"), "included\nfrom-flag\n", "a flag says more than a file");
    project.write("these.yaml", "wrod: x\n");
    let ran = project.sulcus(&["run", "--params", "these.yaml"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("`wrod`") && ran.stderr.contains("`word`"), "{}", ran.text());
}

#[test]
fn a_declared_variable_is_part_of_the_key_and_others_are_not() {
    let project = Project::new(
        "\
env: [LAB]
stages:
  say: { uses: command, with: { run: 'echo ${env.LAB} $OTHER > out', writes: out } }
",
    );
    let run = |lab: Option<&str>, other: &str| {
        let mut command = project.command(&["run", "--json"]);
        command.env_remove("LAB").env("OTHER", other);
        if let Some(lab) = lab {
            command.env("LAB", lab);
        }
        super::support::Ran::new(command.output().expect("the program starts"), project.root())
    };
    assert_eq!(run(Some("one"), "x").json()["executed"], serde_json::json!(["say"]));
    assert_eq!(project.read("out"), "one x\n");
    assert_eq!(run(Some("one"), "y").json()["executed"], serde_json::json!([]));
    assert_eq!(run(Some("two"), "y").json()["executed"], serde_json::json!(["say"]));
    let unset = run(None, "y");
    assert_eq!(unset.code, 2, "{}", unset.text());
    assert!(unset.stderr.contains("LAB"), "{}", unset.text());
}

#[test]
fn ctrl_c_stops_cleanly_and_what_finished_is_kept() {
    let project = Project::new(
        "\
stages:
  quick: { uses: command, with: { run: echo > q, writes: q } }
  slow: { uses: command, with: { run: 'cat q; touch begun; sleep 60; echo > s', reads: q, writes: s } }
",
    );
    let begun = Instant::now();
    let child = project
        .command(&["run"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    while !project.has("begun") {
        assert!(begun.elapsed() < Duration::from_secs(30), "the slow step never began");
        std::thread::sleep(Duration::from_millis(10));
    }
    // SAFETY: it sends a signal to our own child, which was not waited for yet.
    assert_eq!(unsafe { libc::kill(child.id().cast_signed(), libc::SIGINT) }, 0);
    let ran = super::support::Ran::new(child.wait_with_output().expect("it ends"), project.root());
    assert!(begun.elapsed() < Duration::from_secs(30), "the child of the step was stopped, too");
    assert_eq!(ran.code, 130, "{}", ran.text());
    project.edit("sulcus.yaml", "sleep 60", "sleep 0");
    assert_eq!(project.ok(&["run", "--json"]).json()["executed"], serde_json::json!(["slow"]));
}

#[test]
fn a_run_that_waits_for_another_names_it() {
    let project = Project::new(
        "stages:\n  slow: { uses: command, with: { run: 'echo >> times; touch begun; sleep 2; cp times out', writes: out } }\n",
    );
    let mut first = project
        .command(&["run"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program starts");
    while !project.has("begun") {
        std::thread::sleep(Duration::from_millis(10));
    }
    let second = project.ok(&["run"]);
    assert!(first.wait().expect("it ends").success());
    assert!(second.stderr.contains(&format!("process {}", first.id())), "{}", second.text());
    assert_eq!(project.read("out").lines().count(), 1, "it ran once");
}

/// The cases of the benchmark, on a fan of three: what a dry run says is what then happens.
#[test]
fn a_dry_run_tells_what_happens() {
    let mut workflow = "stages:\n  head: { uses: command, with: { run: head -c 8 source > head, reads: source, writes: head } }\n".to_owned();
    for i in 0..3 {
        workflow += &format!(
            "  leaf{i}: {{ uses: command, with: {{ run: cat head in{i} > out{i}, reads: [head, in{i}], writes: out{i} }} }}\n"
        );
    }
    workflow +=
        "  join: { uses: command, with: { run: cat out* > all, reads: [out0, out1, out2], writes: all } }\n";
    let project = Project::new(&workflow);
    project.write("source", "12345678 rest\n");
    (0..3).for_each(|i| project.write(&format!("in{i}"), &format!("{i}\n")));
    let check = |case: &str, wanted: &[&str]| {
        let planned = project.ok(&["run", "--dry-run", "--json"]).json_lines();
        let says = |name: &str| -> String {
            let line = planned.iter().find(|line| line["step"] == name);
            line.unwrap_or_else(|| panic!("{case}: no line for {name}: {planned:?}"))["status"].to_string()
        };
        // One at a time: names come in the order in which steps end.
        let ran = project.ok(&["run", "-j1", "--json"]).json();
        let executed: Vec<&str> =
            ran["executed"].as_array().unwrap().iter().filter_map(|n| n.as_str()).collect();
        assert_eq!(executed, wanted, "{case}");
        for name in ["head", "leaf0", "leaf1", "leaf2", "join"] {
            match says(name).trim_matches('"') {
                "runs" => assert!(executed.contains(&name), "{case}: {name} was to run"),
                "cached" => assert!(!executed.contains(&name), "{case}: {name} was to be cached"),
                // Only behind a step that runs may there be a doubt.
                other => assert!(!executed.is_empty(), "{case}: {name} {other}"),
            }
        }
    };
    check("first", &["head", "leaf0", "leaf1", "leaf2", "join"]);
    check("nothing to do", &[]);
    let later = std::time::SystemTime::now() + Duration::from_secs(5);
    std::fs::File::options().write(true).open(project.path("source")).unwrap().set_modified(later).unwrap();
    check("touched", &[]);
    project.write("in1", "edited\n");
    check("leaf edited", &["leaf1", "join"]);
    project.write("source", "12345678 another rest\n");
    check("equal output", &["head"]);
}
