//! Commands that look after the store: verify, gc, doctor.

use super::support::{CHAIN, Project, chain, snapshot};

#[test]
fn verify_executes_beside_the_project_and_compares() {
    let workflow = "\
stages:
  same:
    uses: command
    with: { run: cp in.txt same, reads: in.txt, writes: same }
  folder:
    uses: command
    with: { run: 'mkdir -p d/e; cp same d/e/f', reads: same, writes: d/ }
  time:
    uses: command
    with: { run: 'cat d/e/f > time; date +%N >> time', reads: d, writes: time }
  hidden:
    uses: command
    with: { run: cat in.txt > hidden, writes: hidden }
";
    let project = Project::with(&[("sulcus.yaml", workflow), ("in.txt", "x\n")]);
    snapshot!(project.sulcus(&["verify"]).text(), @"
    exit 2
    --- stdout
    same: not up to date
    folder: not up to date
    time: not up to date
    hidden: not up to date
    --- stderr
    error: there is nothing to compare with: these steps are not up to date
      hint: `sulcus run` first, then `sulcus verify`
    ");
    project.ok(&["run"]);
    let before = project.read("time");
    snapshot!(project.sulcus(&["verify"]).text(), @"
    exit 1
    --- stdout
    same: equal
    folder: equal
    time: differs
      time: the same size ([size]), other bytes
    hidden: differs
      executed again it failed: the command ended with exit code 1
      | cat: in.txt: No such file or directory
      it ran beside the project with what it declares under `reads` only
    --- stderr
        Verified 2 equal, 2 different
    ");
    assert_eq!(project.read("time"), before, "the project stays as it was");
    project.ok(&["status", "-q"]);
    snapshot!(project.sulcus(&["verify", "same", "folder"]).text(), @"
    exit 0
    --- stdout
    same: equal
    folder: equal
    --- stderr
        Verified 2 equal, 0 different
    ");
    assert_eq!(project.sulcus(&["verify", "time", "--json"]).json()["result"], "differs");
    assert_eq!(std::fs::read_dir(project.path(".sulcus/tmp")).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn verify_objects_names_what_is_damaged_and_repair_makes_it_run_again() {
    let project = chain();
    project.ok(&["run"]);
    snapshot!(project.sulcus(&["verify", "--objects"]).text(), @"
    exit 0
    --- stderr
        Verified 2 objects ([size]), 2 records: all sound
    ");
    let objects = files(&project, ".sulcus/objects");
    let mut permissions = std::fs::metadata(&objects[0]).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    std::fs::set_permissions(&objects[0], permissions).unwrap();
    std::fs::write(&objects[0], "flipped").unwrap();
    std::fs::remove_file(&objects[1]).unwrap();
    let records = files(&project, ".sulcus/records");
    std::fs::remove_file(&records[0]).unwrap();
    std::fs::write(&records[0], "cut").unwrap();
    let ran = project.sulcus(&["verify", "--objects"]);
    assert_eq!(ran.code, 1, "{}", ran.text());
    assert!(ran.stdout.contains("its bytes are not those of its name"), "{}", ran.text());
    assert!(ran.stdout.contains("it is not whole"), "{}", ran.text());
    assert_eq!(project.sulcus(&["verify", "--objects", "--repair"]).code, 1);
    project.ok(&["verify", "--objects"]);
    project.ok(&["run"]);
    project.ok(&["verify", "--objects"]);
    assert_eq!(project.read("out/b.txt").trim(), "2");
}

/// Every file below a folder of the project, sorted.
fn files(project: &Project, below: &str) -> Vec<std::path::PathBuf> {
    let walk = walkdir::WalkDir::new(project.path(below)).sort_by_file_name().into_iter().flatten();
    walk.filter(|e| e.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

#[test]
fn gc_lists_first_and_keeps_what_workflows_branches_and_the_grace_protect() {
    let project = chain();
    project.git(&["init", "-q"]);
    project.ok(&["run"]);
    project.git(&["add", "sulcus.yaml", "sulcus.lock", "in.txt"]);
    project.git(&["commit", "-q", "-m", "kept by its branch"]);
    project.write("in.txt", "a passing thought\n");
    project.ok(&["run"]);
    project.write("in.txt", "what is there now\n");
    project.ok(&["run"]);
    project.write(".sulcus/tmp/step-0123456789abcdef-x/half", "written");
    snapshot!(project.sulcus(&["gc"]).text(), @"
    exit 0
    --- stderr
            Kept 4 results that workflows of this project name
           Clean nothing to remove
    ");
    let before = files(&project, ".sulcus/objects").len();
    // The change time of files cannot be set back: a second has to pass.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let listed = project.ok(&["gc", "--grace", "0s"]);
    let records = listed.stdout.lines().filter(|l| l.starts_with("record")).count();
    assert_eq!(records, 2, "those of the run between: {}", listed.text());
    assert_eq!(files(&project, ".sulcus/objects").len(), before, "a list removes nothing");
    project.ok(&["gc", "--grace", "0s", "--yes"]);
    assert!(files(&project, ".sulcus/objects").len() < before);
    project.ok(&["verify", "--objects"]);
    project.ok(&["status", "-q"]);
    project.git(&["checkout", "-q", "-f", "main"]);
    let back = project.ok(&["run", "--json"]).json();
    assert_eq!(back["executed"], serde_json::json!([]), "the branch's results were kept");
    assert!(project.has(".sulcus/tmp/step-0123456789abcdef-x"), "leftovers are kept for an hour");
}

#[test]
fn gc_does_not_judge_a_store_that_others_may_use() {
    let project = chain();
    project.ok(&["--store", "elsewhere", "run"]);
    snapshot!(project.sulcus(&["--store", "elsewhere", "gc"]).text(), @"
    exit 2
    --- stderr
    error: other projects may use the store [project]/elsewhere
      hint: name those that do: `sulcus gc --also DIR`; `--also .` if there are none
    ");
    project.ok(&["--store", "elsewhere", "gc", "--also", "."]);
    snapshot!(project.sulcus(&["gc", "--grace", "1 week"]).text(), @"
    exit 2
    --- stderr
    error: invalid value '1 week' for '--grace <TIME>': `1 week` is no time; write 90s, 15m, 12h or 7d

    For more information, try '--help'.
    ");
}

#[test]
fn doctor_tries_what_a_run_needs() {
    let ran = Project::new(CHAIN).sulcus(&["doctor"]);
    for what in ["version", "features", "project", "store", "disk", "links", "locks", "git", "runtime"] {
        assert!(ran.stdout.contains(&format!(" {what} ")), "{what}: {}", ran.text());
    }
    #[cfg(not(feature = "models"))]
    assert_eq!(ran.code, 0, "{}", ran.text());
    let broken = Project::with(&[("file", "")]).sulcus(&["--store", "file/store", "doctor"]);
    assert_eq!(broken.code, 1, "{}", broken.text());
}

#[test]
fn a_lock_that_could_not_be_written_is_written_by_the_next_run() {
    let project =
        Project::new("stages:\n  s: { uses: command, with: { run: echo a > a, reads: [], writes: a } }\n");
    std::fs::create_dir_all(project.path("sulcus.lock/in the way")).unwrap();
    assert_ne!(project.sulcus(&["run"]).code, 0);
    std::fs::remove_dir_all(project.path("sulcus.lock")).unwrap();
    project.ok(&["run"]);
    assert!(project.path("sulcus.lock").is_file());
}
