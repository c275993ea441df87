//! Killed runs, runs side by side, damaged stores, full and read-only disks: the next run completes, and
//! nothing else is lost.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::support::{Project, Ran};

/// Steps that write small files, a large one, a folder, and one that reads all; each writes its name
/// into `times` when it runs.
fn mixed(steps: usize) -> Project {
    let mut text = String::from("stages:\n");
    let command = |text: &mut String, name: &str, run: &str, reads: &str, writes: &str| {
        let _ = write!(
            text,
            "  {name}:\n    uses: command\n    with: {{ run: 'echo {name} >> times; {run}', reads: [{reads}], writes: [{writes}] }}\n"
        );
    };
    for i in 0..steps {
        command(
            &mut text,
            &format!("small{i}"),
            &format!("sleep 0.01; cat in.txt > o/{i}; echo {i} >> o/{i}"),
            "in.txt",
            &format!("o/{i}"),
        );
    }
    command(
        &mut text,
        "large",
        "seq 30000 > o/large; sleep 0.02; cat in.txt >> o/large",
        "in.txt",
        "o/large",
    );
    command(
        &mut text,
        "folder",
        "mkdir -p f/x; for i in 1 2 3 4 5 6; do cat in.txt > f/x/$i; done; seq 20000 > f/big",
        "in.txt",
        "f/",
    );
    let reads: String = (0..steps).map(|i| format!("o/{i}, ")).collect();
    command(&mut text, "all", "cat o/* f/big f/x/* > all.txt", &format!("{reads}o/large, f/"), "all.txt");
    Project::with(&[("sulcus.yaml", &text), ("in.txt", "one\n")])
}

/// Random moments that are the same in every test run.
struct Moments(u64);

impl Moments {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

fn executed(ran: &Ran) -> usize {
    ran.json()["executed"].as_array().map_or(0, Vec::len)
}

/// A fresh project's results, to compare with.
fn expected(steps: usize) -> String {
    let project = mixed(steps);
    project.ok(&["run"]);
    project.read("all.txt")
}

fn objects(project: &Project) -> Vec<PathBuf> {
    let all = walkdir::WalkDir::new(project.path(".sulcus/objects")).sort_by_file_name();
    all.into_iter().flatten().filter(|e| e.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

#[test]
fn a_run_killed_at_any_moment_is_completed_by_the_next() {
    let steps = 8;
    let whole = expected(steps);
    let mut moments = Moments(1);
    for round in 0..50 {
        let project = mixed(steps);
        let mut run = project.command(&["run", "-j4"]);
        let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(moments.next(250)));
        run.kill().unwrap();
        run.wait().unwrap();
        let ran = project.ok(&["run", "-j4", "--json"]);
        assert!(project.read("all.txt") == whole, "round {round}");
        project.ok(&["verify", "--objects"]);
        let times = project.read("times").lines().count();
        assert!(
            times <= steps + 3 + 4,
            "round {round}: {times} executions, {} in the second",
            executed(&ran)
        );
        assert_eq!(executed(&project.ok(&["run", "--json"])), 0, "round {round}");
    }
}

#[test]
fn what_a_killed_run_leaves_behind_writes_nothing_more() {
    let workflow = "stages:\n  slow:\n    uses: command\n    with: { run: 'echo $$ > begun; (sleep 1; echo late > a.txt) & sleep 1; echo $$ > a.txt', reads: in.txt, writes: a.txt }\n";
    let project = Project::with(&[("sulcus.yaml", workflow), ("in.txt", "1")]);
    let mut run = project.command(&["run"]).stderr(Stdio::null()).spawn().unwrap();
    while !project.has("begun") {
        sleep(Duration::from_millis(5));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    std::fs::remove_file(project.path("begun")).unwrap();
    project.edit("sulcus.yaml", "(sleep 1; echo late > a.txt) & sleep 1; echo $$", "echo good");
    project.ok(&["run"]);
    sleep(Duration::from_millis(1500));
    assert_eq!(project.read("a.txt"), "good\n");
}

#[test]
fn two_runs_at_once_execute_each_step_once() {
    for round in 0..20 {
        let project = mixed(4);
        let run = || {
            project.command(&["run", "-j2", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
        };
        let (one, two) = (run().unwrap(), run().unwrap());
        for child in [one, two] {
            let ran = Ran::new(child.wait_with_output().unwrap(), project.root());
            assert_eq!(ran.code, 0, "round {round}: {}", ran.text());
        }
        let times = project.read("times");
        assert_eq!(times.lines().count(), 7, "round {round}: {times}");
        project.ok(&["verify", "--objects"]);
    }
}

#[test]
fn two_runs_at_once_put_results_back() {
    let project = mixed(2);
    project.ok(&["run"]);
    let whole = project.read("all.txt");
    for round in 0..20 {
        std::fs::remove_dir_all(project.path("f")).unwrap();
        std::fs::remove_dir_all(project.path("o")).unwrap();
        std::fs::write(project.path("in.txt"), format!("{round}\n")).unwrap();
        std::fs::write(project.path("in.txt"), "one\n").unwrap();
        let run =
            || project.command(&["run", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let (one, two) = (run().unwrap(), run().unwrap());
        for child in [one, two] {
            let ran = Ran::new(child.wait_with_output().unwrap(), project.root());
            assert_eq!(ran.code, 0, "round {round}: {}", ran.text());
            assert_eq!(executed(&ran), 0, "round {round}: {}", ran.text());
        }
        assert_eq!(project.read("f/x/6"), "one\n");
    }
    assert!(project.read("all.txt") == whole);
}

#[test]
fn every_damaged_or_deleted_object_is_repaired() {
    let project = mixed(2);
    project.ok(&["run"]);
    let whole = project.read("all.txt");
    for (number, path) in objects(&project).iter().enumerate() {
        let damage = if number % 2 == 0 { "flipped" } else { "deleted" };
        if damage == "flipped" {
            let mut bytes = std::fs::read(path).unwrap();
            bytes[0] ^= 1;
            let mut permissions = std::fs::metadata(path).unwrap().permissions();
            #[expect(clippy::permissions_set_readonly_false, reason = "a file of this test")]
            permissions.set_readonly(false);
            std::fs::set_permissions(path, permissions).unwrap();
            std::fs::write(path, bytes).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
        let ran = project.sulcus(&["run", "--json"]);
        assert_eq!(ran.code, 0, "{damage} {}: {}", path.display(), ran.text());
        assert!(executed(&ran) >= 1, "{damage} {}: not noticed: {}", path.display(), ran.text());
        assert!(ran.stdout.contains(if number % 2 == 0 { "damaged" } else { "missing" }), "{}", ran.text());
        assert!(project.read("all.txt") == whole);
        project.ok(&["verify", "--objects"]);
    }
}

#[test]
fn records_that_are_cut_or_gone_cost_an_execution() {
    let project = mixed(2);
    project.ok(&["run"]);
    let whole = project.read("all.txt");
    for entry in walkdir::WalkDir::new(project.path(".sulcus/records")).into_iter().flatten() {
        if entry.file_type().is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            std::fs::remove_file(entry.path()).unwrap();
            std::fs::write(entry.path(), &bytes[..bytes.len() / 2]).unwrap();
        }
    }
    for name in ["memory", "index"] {
        let path = project.path(".sulcus").join(name);
        let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
    }
    std::fs::write(project.path(".sulcus/index"), "sulcus-index 1\nnot an entry\n\u{0}").unwrap();
    assert_eq!(executed(&project.ok(&["run", "--json"])), 5);
    assert!(project.read("all.txt") == whole);
}

/// Runs the program with the folder `within` on a file system of its own: in a namespace that goes with
/// the process. `None` where the system does not let its users make one.
fn mounted(project: &Project, mount: &str, args: &str) -> Option<Ran> {
    let can = Command::new("unshare").args(["-rm", "true"]).stderr(Stdio::null()).status();
    if !can.is_ok_and(|s| s.success()) {
        eprintln!("skipped: this system gives no namespaces to its users");
        return None;
    }
    let script = format!("{mount} && exec {} run --json {args}", env!("CARGO_BIN_EXE_sulcus"));
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script]).current_dir(project.root()).env("NO_COLOR", "1");
    Some(Ran::new(command.output().unwrap(), project.root()))
}

#[test]
fn a_full_disk_fails_the_step_and_loses_nothing() {
    let project = mixed(3);
    std::fs::create_dir(project.path("store")).unwrap();
    for size in ["16k", "40k", "100k", "200k", "300k"] {
        let Some(ran) =
            mounted(&project, &format!("mount -t tmpfs -o size={size} none store"), "--store store")
        else {
            return;
        };
        assert_eq!(ran.code, 1, "{size}: {}", ran.text());
        assert!(ran.stderr.contains("No space left"), "{size}: {}", ran.text());
    }
    let inodes = "mount -t tmpfs -o size=10m,nr_inodes=20 none store";
    let ran = mounted(&project, inodes, "--store store").unwrap();
    assert_eq!(ran.code, 1, "{}", ran.text());
    // The project itself full, the store not.
    std::fs::create_dir_all(project.path("o")).unwrap();
    let ran = mounted(&project, "mount -t tmpfs -o size=64k none o", "").unwrap();
    assert_eq!(ran.code, 1, "{}", ran.text());
    project.ok(&["run"]);
    project.ok(&["verify", "--objects"]);
    assert!(project.read("all.txt") == expected(3));
    assert!(!has_temporary(&project.root()), "temporary files are left in the project");
}

fn has_temporary(root: &Path) -> bool {
    let own = root.join(".sulcus");
    let files = walkdir::WalkDir::new(root).into_iter().filter_entry(|e| e.path() != own).flatten();
    files.into_iter().any(|e| e.file_name().to_string_lossy().ends_with(".tmp"))
}

#[test]
fn a_read_only_store_serves_what_it_has_and_says_what_it_cannot_keep() {
    let project = mixed(2);
    project.ok(&["run"]);
    let read_only = "mount --bind .sulcus .sulcus && mount -o remount,bind,ro .sulcus";
    let Some(ran) = mounted(&project, read_only, "") else { return };
    assert_eq!(ran.code, 0, "{}", ran.text());
    assert_eq!(executed(&ran), 0);
    std::fs::remove_file(project.path("o/1")).unwrap();
    let ran = mounted(&project, read_only, "").unwrap();
    assert_eq!(project.read("o/1"), "one\n1\n", "{}", ran.text());
    project.write("in.txt", "two\n");
    let ran = mounted(&project, read_only, "").unwrap();
    assert_eq!(ran.code, 1, "{}", ran.text());
    assert!(ran.stderr.contains("Read-only file system"), "{}", ran.text());
    project.ok(&["run"]);
    project.ok(&["verify", "--objects"]);
}
