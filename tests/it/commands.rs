//! The commands, as a person sees them.

use super::support::{Project, chain, snapshot};

#[test]
fn run_twice_and_plan() {
    let project = chain();
    snapshot!(project.sulcus(&["run"]).text(), @"
    exit 0
    --- stderr
        Executed copy in [time]
        Executed count in [time]
        Finished 2 executed, 0 cached in [time]
         Results out/b.txt
    ");
    snapshot!(project.sulcus(&["run"]).text(), @"
    exit 0
    --- stderr
        Finished 0 executed, 2 cached in [time]
    ");
    project.write("in.txt", "three\n");
    snapshot!(project.sulcus(&["plan"]).text(), @"
    exit 0
    --- stdout
    copy   runs
    count  runs unless upstream's output is unchanged
    --- stderr
         Planned 2 steps: 0 cached, 1 run, 1 may run
    ");
}

#[test]
fn status_names_what_changed_and_quiet_answers_by_exit_code() {
    let project = chain();
    snapshot!(project.sulcus(&["status"]).text(), @"
    exit 0
    --- stdout
    copy   out of date: no earlier result of it is known
    count  out of date: `copy` runs first, for the first time
    --- stderr
          Status 2 of 2 steps are not up to date
    ");
    assert_eq!(project.sulcus(&["status", "-q"]).code, 1);
    project.ok(&["run"]);
    snapshot!(project.sulcus(&["status"]).text(), @"
    exit 0
    --- stdout
    copy   up to date
    count  up to date
    --- stderr
          Status all 2 steps are up to date
    ");
    assert_eq!(project.ok(&["status", "-q"]).stdout, "");
    std::fs::remove_file(project.path("out/a.txt")).unwrap();
    project.write("out/b.txt", "edited\n");
    snapshot!(project.sulcus(&["status"]).text(), @"
    exit 0
    --- stdout
    copy   to restore: out/a.txt is missing
    count  to restore: out/b.txt was changed
    --- stderr
          Status 2 of 2 steps are not up to date
    ");
    project.ok(&["run"]);
    project.write("sulcus.lock", "");
    project.write("in.txt", "three\n");
    snapshot!(project.sulcus(&["status"]).text(), @"
    exit 0
    --- stdout
    copy   out of date: file.reads.0: in.txt changed
    count  may be out of date: `copy` runs first and may change what it reads
    --- stderr
          Status 2 of 2 steps are not up to date
    ");
    let lines = project.sulcus(&["status", "--json"]).json_lines();
    assert_eq!(lines[0]["status"], "out of date");
    assert_eq!(lines[0]["reasons"][0], "file.reads.0: in.txt changed");
}

#[test]
fn why_says_what_differs_from_the_last_execution() {
    let project = chain();
    snapshot!(project.sulcus(&["why", "count"]).text(), @"
    exit 0
    --- stdout
    count: runs
      `copy` runs first, for the first time
    ");
    project.ok(&["run"]);
    snapshot!(project.sulcus(&["why", "count"]).text(), @"
    exit 0
    --- stdout
    count: cached, executed [when] ([ago]) in [time]
    ");
    project.edit("sulcus.yaml", "wc -l", "wc -c");
    snapshot!(project.sulcus(&["why"]).text(), @r#"
    exit 0
    --- stdout
    copy: cached, executed [when] ([ago]) in [time]
    count: runs
      with.run "wc -l < out/a.txt > out/b.txt" → "wc -c < out/a.txt > out/b.txt"
    "#);
    project.write("in.txt", "three\n");
    snapshot!(project.sulcus(&["why"]).text(), @r#"
    exit 0
    --- stdout
    copy: runs
      file.reads.0: in.txt changed
    count: runs
      with.run "wc -l < out/a.txt > out/b.txt" → "wc -c < out/a.txt > out/b.txt"
      `copy` runs first and may change more
    "#);
    let changed = project.sulcus(&["why", "count", "--json"]).json();
    assert_eq!(changed["changes"][0]["field"], "with.run");
    assert_eq!(changed["status"], "runs");
    std::fs::remove_dir_all(project.path(".sulcus/records")).unwrap();
    snapshot!(project.sulcus(&["why", "copy"]).text(), @"
    exit 0
    --- stdout
    copy: runs
      it changed, and the record to compare with is not in the store
    ");
    snapshot!(project.sulcus(&["why", "cuont"]).text(), @"
    exit 2
    --- stderr
    error: the workflow has no step `cuont`
      hint: did you mean `count`?
    ");
}

#[test]
fn why_counts_files_that_came_and_went() {
    let workflow =
        "stages:\n  all:\n    uses: command\n    with: { run: cat in/* > all, reads: in/*, writes: all }\n";
    let project = Project::with(&[("sulcus.yaml", workflow), ("in/a", "1"), ("in/b", "2"), ("in/c", "3")]);
    project.ok(&["run"]);
    project.write("in/b", "4");
    project.write("in/d", "5");
    std::fs::remove_file(project.path("in/a")).unwrap();
    snapshot!(project.ok(&["why"]).stdout, @"
    all: runs
      file.reads.0: in/b changed
      file.reads.0: in/d is new
      file.reads.0: in/a is gone
    ");
}

#[test]
fn a_step_without_a_cache_runs_every_time() {
    let project = Project::new(
        "stages:\n  now:\n    uses: command\n    cache: false\n    with: { run: date > now, writes: now }\n",
    );
    project.ok(&["run"]);
    snapshot!(project.ok(&["why"]).stdout, @"
    now: runs
      `cache: false`: it runs every time
    ");
}

#[test]
fn show_lists_outputs_and_describes_one() {
    let project = chain();
    snapshot!(project.sulcus(&["show", "copy"]).text(), @"
    exit 1
    --- stderr
    error: `copy` has no result here
      hint: `sulcus run` makes it
    ");
    project.ok(&["run"]);
    snapshot!(project.ok(&["show", "copy"]).stdout, @"
    copy.out/a.txt: file, [size]
      path    out/a.txt
      digest  [digest]
    ");
    snapshot!(project.ok(&["show", "copy", "count.out/b.txt", "in.txt"]).stdout, @"
    in.txt: file, [size]
      path    in.txt
      digest  [digest]
    copy.out/a.txt: file, [size]
      path    out/a.txt
      digest  [digest]
    count.out/b.txt: file, [size]
      path    out/b.txt
      digest  [digest]
    ");
    snapshot!(project.sulcus(&["show", "copy.b"]).text(), @"
    exit 2
    --- stderr
    error: the stage `copy` has no output `b`
      hint: it has out/a.txt
    ");
    snapshot!(project.sulcus(&["show"]).text(), @"
    exit 2
    --- stderr
    error: say what to show
      hint: a stage `train`, an output `train.model`, a cell `train[seed=0].model`, or a file
    ");
    assert_eq!(project.ok(&["show", "copy", "--json"]).json()["bytes"], 8);
}

#[test]
fn a_folder_is_shown_with_its_files() {
    let workflow = "stages:\n  two:\n    uses: command\n    with: { run: 'mkdir -p out/x; echo 1 > out/a; echo 22 > out/x/b', writes: out/ }\n";
    let project = Project::new(workflow);
    project.ok(&["run"]);
    snapshot!(project.ok(&["show", "two"]).stdout, @"
    two.out: dir, [size]
      path    out
      digest  [digest]
      a    [size]
      x/b  [size]
    ");
}

#[test]
fn diff_compares_with_a_committed_lock() {
    let project = chain();
    snapshot!(project.sulcus(&["diff"]).text(), @"
    exit 2
    --- stderr
    error: [project] is in no git repository
      hint: `sulcus diff` compares with a lock that was committed
    ");
    project.git(&["init", "-q"]);
    project.ok(&["run"]);
    project.git(&["add", "."]);
    project.git(&["commit", "-q", "-m", "one"]);
    snapshot!(project.sulcus(&["diff"]).text(), @"
    exit 0
    --- stderr
        Compared with HEAD: 2 steps, 0 added, 0 removed, 0 changed
    ");
    project.edit("sulcus.yaml", "  count:", "  number:");
    project.write("in.txt", "three\n");
    project.ok(&["run"]);
    snapshot!(project.sulcus(&["diff"]).text(), @"
    exit 0
    --- stdout
    ~ copy: out/a.txt changed
    - count
    + number
    --- stderr
        Compared with HEAD: 2 steps, 1 added, 1 removed, 1 changed
    ");
    snapshot!(project.sulcus(&["diff", "nowhere"]).text(), @"
    exit 2
    --- stderr
    error: git knows no revision `nowhere`
      hint: name a branch, a tag or a commit; `HEAD~1` is the one before
    ");
    assert_eq!(project.ok(&["diff", "--json"]).json_lines()[0]["change"], "changed");
}

/// A revision that looks like an option is a revision that does not exist.
#[test]
fn a_revision_is_never_an_option() {
    let project = chain();
    project.git(&["init", "-q"]);
    project.git(&["commit", "-q", "--allow-empty", "-m", "one"]);
    for revision in ["--output=stolen", "-h", "HEAD:sulcus.yaml", "--help"] {
        let ran = project.sulcus(&["diff", "--", revision]);
        assert_eq!(ran.code, 2, "{revision}: {}", ran.text());
    }
    assert!(!project.has("stolen"));
}

#[test]
fn log_keeps_what_steps_printed_also_those_that_failed() {
    let workflow = "\
stages:
  talk:
    uses: command
    with: { run: 'echo hello; cp in.txt out', reads: in.txt, writes: out }
  check:
    uses: command
    with: { run: 'echo looking; grep good out && touch ok', reads: out, writes: ok }
";
    let project = Project::with(&[("sulcus.yaml", workflow), ("in.txt", "bad\n")]);
    snapshot!(project.sulcus(&["log"]).text(), @"
    exit 0
    --- stderr
             Log nothing was executed here yet
    ");
    assert_eq!(project.sulcus(&["run"]).code, 1);
    snapshot!(project.ok(&["log", "talk", "check"]).stdout, @"
    talk: executed [when] ([ago]) in [time]
      | hello
    check: failed [when] ([ago]): the command ended with exit code 1
      | looking
    ");
    project.write("in.txt", "good\n");
    project.ok(&["run"]);
    snapshot!(project.ok(&["log", "check"]).stdout, @"
    check: executed [when] ([ago]) in [time]
      | looking
      | good
    ");
    project.ok(&["run"]);
    snapshot!(project.ok(&["log"]).stdout, @"
    [when]  sulcus.yaml  1 executed, 0 cached, 1 failed  [time]
    [when]  sulcus.yaml  2 executed, 0 cached            [time]
    ");
    assert_eq!(project.ok(&["log", "--json"]).json_lines()[0]["failed"], 1);
}

#[test]
fn check_finds_every_mistake_and_runs_nothing() {
    let project = chain();
    snapshot!(project.sulcus(&["check"]).text(), @"
    exit 0
    --- stdout
    sulcus.yaml: 2 stages, 2 steps: fine
    ");
    project.edit("sulcus.yaml", "reads: in.txt", "raeds: in.txt");
    project.edit(
        "sulcus.yaml",
        "    uses: command\n    with: { run: wc",
        "    uses: comand\n    with: { run: wc",
    );
    snapshot!(project.sulcus(&["check"]).text(), @"
    exit 2
    --- stderr
    error: `command` has no parameter `raeds`
      --> sulcus.yaml:5:39
       |
     5 |     with: { run: cp in.txt out/a.txt, raeds: in.txt, writes: out/a.txt }
       |                                       ^^^^^
      hint: did you mean `reads`?
    error: there is no kind `comand`
      --> sulcus.yaml:7:11
       |
     7 |     uses: comand
       |           ^^^^^^
      hint: did you mean `command`?
    2 mistakes found; nothing was run
    ");
    assert!(!project.has("out"));
}

#[test]
fn init_writes_a_workflow_that_runs_and_overwrites_nothing() {
    let project = Project::with(&[(".gitignore", "target/")]);
    snapshot!(project.sulcus(&["init"]).text(), @"
    exit 0
    --- stderr
           Wrote data/fruit.csv
           Wrote sulcus.yaml
           Wrote .gitignore
            Next `sulcus run`
    ");
    assert_eq!(project.read(".gitignore"), "target/\n.sulcus/\nresults/\n");
    project.ok(&["check"]);
    project.ok(&["run"]);
    assert_eq!(project.ok(&["run", "--json"]).json()["executed"], serde_json::json!([]));
    project.write("sulcus.yaml", "mine");
    snapshot!(project.sulcus(&["init"]).text(), @"
    exit 0
    --- stderr
            Kept data/fruit.csv, which is there already
            Kept sulcus.yaml, which is there already
            Next `sulcus run`
    ");
    assert_eq!(project.read("sulcus.yaml"), "mine");
    let schema = project.ok(&["init", "--schema"]).stdout;
    assert!(serde_json::from_str::<serde_json::Value>(&project.read(schema.trim())).is_ok());
    project.ok(&["init", "sub/folder"]);
    project.ok(&["-C", "sub/folder", "run"]);
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Project::new("").ok(&["completions", shell]).stdout;
        for command in ["run", "why", "verify", "doctor"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    assert_eq!(Project::new("").sulcus(&["completions", "abacus"]).code, 2);
}

#[test]
#[cfg(not(feature = "models"))]
fn setup_says_what_this_build_lacks() {
    snapshot!(Project::new("").sulcus(&["setup"]).text(), @"
    exit 2
    --- stderr
    error: this build runs no models, so there is no runtime to fetch
      hint: build with the default features: `cargo install --path .`
    ");
}

#[test]
fn a_command_ends_at_the_first_line_that_fails() {
    let stage = |shell: &str, run: &str| {
        Project::new(&format!(
            "stages:\n  a:\n    uses: command\n    with:\n      shell: {shell}\n      writes: a.txt\n      run: |\n        {run}\n        echo on > a.txt\n"
        ))
    };
    for (shell, run, code) in [
        ("sh", "false", 1),
        ("sh", "false || true", 0),
        ("sh", "false | cat", 0),
        ("bash", "false | cat", 1),
        ("bash", "echo $not_set", 1),
        ("bash", "true | cat", 0),
    ] {
        let project = stage(shell, run);
        let ran = project.sulcus(&["run"]);
        assert_eq!(ran.code, code, "{shell}: {run}: {}", ran.text());
        assert_eq!(project.has("a.txt"), code == 0, "{shell}: {run}");
    }
}
