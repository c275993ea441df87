//! Kinds that a project defines in `stages/`: a contract and a command.

use super::support::Project;

const HEAD: &str = "\
kind: lab.head
about: The first lines of a text.
in:
  text: { type: file, about: The text. }
  more: { type: file, many: true, optional: true }
out:
  text: { type: file, extension: txt, about: Its first lines. }
with:
  lines: { type: integer, default: 2, about: How many. }
  mark: { type: string, default: \"\", choices: [\"\", \"it's $HOME\"] }
reads: [stages/head.sh]
run: sh stages/head.sh ${with.lines} ${out.text} ${with.mark} ${in.text} ${in.more}
example: |
  top: { uses: lab.head, in: { text: { file: a.txt } } }
";
const SCRIPT: &str = "lines=$1 out=$2 mark=$3; shift 3\n{ cat \"$@\" | head -n \"$lines\"; printf '%s\\n' \"$mark\"; } > \"$out\"\n";
const WORKFLOW: &str = "\
name: own
stages:
  top:
    uses: lab.head
    in: { text: { file: a.txt } }
    with: { lines: 1 }
  both:
    uses: lab.head
    in: { text: top, more: [{ file: b.txt }, top] }
    with: { lines: 3, mark: \"it's $HOME\" }
";

fn project() -> Project {
    Project::with(&[
        ("stages/lab.head.yaml", HEAD),
        ("stages/head.sh", SCRIPT),
        ("sulcus.yaml", WORKFLOW),
        ("a.txt", "1\n2\n3\n"),
        ("b.txt", "x\ny\n"),
    ])
}

#[test]
fn an_own_kind_runs_and_is_kept() {
    let project = project();
    let ran = project.ok(&["run"]);
    assert!(ran.stderr.contains("2 executed"), "{}", ran.text());
    assert_eq!(project.read("results/own/top/text.txt"), "1\n\n");
    assert_eq!(project.read("results/own/both/text.txt"), "1\n\nx\nit's $HOME\n");
    let again = project.ok(&["run"]);
    assert!(again.stderr.contains("0 executed"), "{}", again.text());
}

#[test]
fn an_edit_of_the_definition_or_its_script_runs_it_again() {
    let project = project();
    project.ok(&["run"]);
    project.edit("stages/head.sh", "head -n", "tail -n");
    let ran = project.ok(&["run"]);
    assert!(ran.stderr.contains("2 executed"), "{}", ran.text());
    assert_eq!(project.read("results/own/top/text.txt"), "3\n\n");
    project.edit("stages/lab.head.yaml", "sh stages", "sh -e stages");
    let why = project.ok(&["why", "top"]);
    assert!(why.stdout.contains("with.run"), "{}", why.text());
    let ran = project.ok(&["run"]);
    assert!(ran.stderr.contains("2 executed"), "{}", ran.text());
    project.edit("stages/lab.head.yaml", "How many.", "How many lines.");
    let ran = project.ok(&["run"]);
    assert!(ran.stderr.contains("0 executed"), "{}", ran.text());
}

#[test]
fn own_kinds_are_listed_and_shown() {
    let project = project();
    let list = project.ok(&["kinds"]);
    assert!(list.stdout.contains("lab.head") && list.stdout.contains("The first lines"), "{}", list.text());
    let page = project.ok(&["kinds", "lab.head"]);
    for part in [
        "| `text` | file | The text. |",
        "file, several, may be left out",
        "| `lines` | whole number | `2` |",
    ] {
        assert!(page.stdout.contains(part), "{part}\n{}", page.text());
    }
}

#[test]
fn mistakes_are_placed() {
    let cases = [
        (
            "sulcus.yaml",
            "lines: 1",
            "lines: one",
            vec!["`lines` is a whole number, not \"one\"", "sulcus.yaml:6:20"],
        ),
        ("sulcus.yaml", "lines: 1", "line: 1", vec!["no parameter `line`", "did you mean `lines`?"]),
        ("sulcus.yaml", "mark: \"it's $HOME\"", "mark: b", vec!["`mark` is one of", "sulcus.yaml:10:29"]),
        ("sulcus.yaml", "in: { text: top,", "in: {", vec!["`text`"]),
        (
            "stages/lab.head.yaml",
            "${with.lines}",
            "${with.lnes}",
            vec!["`with` does not declare", "lab.head.yaml:12:6"],
        ),
        ("stages/lab.head.yaml", " ${out.text}", "", vec!["never names `${out.text}`", "lab.head.yaml:12:6"]),
        ("stages/lab.head.yaml", "${in.text}", "\"${in.text}\"", vec!["leave them out"]),
        (
            "stages/lab.head.yaml",
            "kind: lab.head",
            "kind: lab.tail",
            vec!["lab.head.yaml:1:7", "not `lab.tail`"],
        ),
        (
            "stages/lab.head.yaml",
            "type: integer",
            "type: int",
            vec!["unknown variant `int`", "lab.head.yaml:9:18"],
        ),
        ("stages/lab.head.yaml", "reads: [", "raeds: [", vec!["unknown field `raeds`"]),
        ("stages/lab.head.yaml", "reads: [stages/head.sh]", "reads: [../x]", vec!["leaves the project"]),
        ("stages/lab.head.yaml", "  lines:", "  run:", vec!["cannot be the name"]),
    ];
    for (file, from, to, expected) in cases {
        let project = project();
        project.edit(file, from, to);
        let ran = project.sulcus(&["run"]);
        assert_eq!(ran.code, 2, "{to}: {}", ran.text());
        for part in expected {
            assert!(ran.stderr.contains(part), "{to}: no `{part}` in\n{}", ran.text());
        }
        assert!(!project.has("results"), "{to}");
    }
}

/// The contract of a built-in kind of another version is no definition.
#[test]
fn a_contract_of_another_version_is_no_kind() {
    let contract = "kind: lab.new\nrevision: 1\nabout: x\nuses_runtime: false\nin: {}\nout: {}\nwith: {}\n";
    let workflow = "stages:\n  a: { uses: lab.new }\n";
    let project = Project::with(&[("stages/lab.new.yaml", contract), ("sulcus.yaml", workflow)]);
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("there is no kind `lab.new`"), "{}", ran.text());
    assert!(!project.ok(&["kinds"]).stdout.contains("lab.new"));
}

#[test]
fn a_command_that_writes_nothing_fails() {
    let project = project();
    project.write("stages/head.sh", "true\n");
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 1, "{}", ran.text());
    assert!(ran.stderr.contains("the command did not write `${out.text}`"), "{}", ran.text());
}

/// A table goes in and out as Parquet; the same values keep what follows from running again.
#[cfg(feature = "models")]
#[test]
fn tables_pass_through_an_own_kind() {
    let kind = "\
kind: lab.copy
about: A copy.
in: { table: { type: table } }
out: { table: { type: table } }
run: cp ${in.table} ${out.table} && true 1
";
    let workflow = "\
name: copy
stages:
  raw: { uses: ingest.table, with: { path: raw.csv } }
  copy: { uses: lab.copy, in: { table: raw } }
  sum: { uses: table.sql, in: { t: copy }, with: { query: SELECT SUM(a) AS s FROM t } }
";
    let project =
        Project::with(&[("stages/lab.copy.yaml", kind), ("sulcus.yaml", workflow), ("raw.csv", "a\n1\n2\n")]);
    project.ok(&["run"]);
    assert!(project.ok(&["show", "sum"]).stdout.contains('3'));
    project.edit("stages/lab.copy.yaml", "true 1", "true 2");
    let ran = project.ok(&["run"]);
    assert!(ran.stderr.contains("1 executed"), "{}", ran.text());
    project.edit(
        "stages/lab.copy.yaml",
        "cp ${in.table} ${out.table}",
        "echo no >${out.table}; true ${in.table}",
    );
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 1, "{}", ran.text());
    assert!(ran.stderr.contains("what the command wrote as `table`"), "{}", ran.text());
}
