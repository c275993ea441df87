//! Kinds that stand for several stages (`stages:` in their file).

use super::support::{Project, snapshot};

const COUNT: &str = "\
kind: lab.count
about: The number of lines of a text that hold a word.
in:
  text: { type: file, about: The text. }
  more: { type: file, many: true, optional: true }
out:
  number: { type: file, from: count.text, about: The number. }
  lines: { type: file, from: pick, about: The lines. }
with:
  word: { type: string, about: The word. }
  times: { type: integer, default: 1 }
stages:
  pick:
    uses: lab.grep
    in: { text: in.text, more: in.more }
    with: { word: \"${with.word}\" }
  count:
    uses: lab.wc
    in: { text: pick }
    with: { times: \"${with.times}\" }
";
const GREP: &str = "\
kind: lab.grep
about: Lines that hold a word.
in: { text: { type: file }, more: { type: file, many: true, optional: true } }
out: { text: { type: file, extension: txt } }
with: { word: { type: string } }
run: cat ${in.text} ${in.more} | grep ${with.word} > ${out.text}
";
const WC: &str = "\
kind: lab.wc
about: The number of lines.
in: { text: { type: file } }
out: { text: { type: file, extension: txt } }
with: { times: { type: integer } }
run: echo $(( ${with.times} * $(wc -l < ${in.text}) )) > ${out.text}
";
const WORKFLOW: &str = "\
name: several
stages:
  fruit:
    uses: lab.count
    matrix: { word: [apple, plum] }
    in: { text: { file: a.txt } }
    with: { word: \"${matrix.word}\" }
  both:
    uses: lab.count
    in: { text: \"fruit[word=plum].lines\", more: \"fruit[*].number\" }
    with: { word: \"\", times: 10 }
";

fn project() -> Project {
    Project::with(&[
        ("stages/lab.count.yaml", COUNT),
        ("stages/lab.grep.yaml", GREP),
        ("stages/lab.wc.yaml", WC),
        ("sulcus.yaml", WORKFLOW),
        ("a.txt", "apple\nplum\nplum\npear\n"),
    ])
}

#[test]
fn each_inner_stage_is_a_step() {
    let project = project();
    snapshot!(project.ok(&["plan"]).stdout, @"
    fruit/pick[word=apple]   runs
    fruit/pick[word=plum]    runs
    fruit/count[word=apple]  runs
    fruit/count[word=plum]   runs
    both/pick                runs
    both/count               runs
    ");
    project.ok(&["run"]);
    assert_eq!(project.read("results/several/fruit/count/word=plum/text.txt"), "2\n");
    // Two lines of plums, and the numbers 1 and 2.
    assert_eq!(project.read("results/several/both/count/text.txt"), "40\n");
    assert_eq!(project.ok(&["run", "--json"]).json()["executed"], serde_json::json!([]));
    assert!(project.ok(&["show", "both/count"]).stdout.contains("both/count.text"));
}

#[test]
fn only_what_an_edit_changes_runs_again() {
    let project = project();
    project.ok(&["run"]);
    project.edit("sulcus.yaml", "times: 10", "times: 5");
    assert_eq!(project.ok(&["run", "--json"]).json()["executed"], serde_json::json!(["both/count"]));
    project.edit("stages/lab.count.yaml", "default: 1", "default: 3");
    let ran = project.ok(&["run", "-j1", "--json"]).json();
    assert_eq!(
        ran["executed"],
        serde_json::json!(["fruit/count[word=apple]", "fruit/count[word=plum]", "both/pick", "both/count"])
    );
    project.edit("a.txt", "pear", "apple");
    let ran = project.ok(&["run", "fruit", "--json"]).json();
    assert_eq!(ran["executed"].as_array().unwrap().len(), 3, "the plums are the same: {ran}");
}

#[test]
fn a_kind_of_stages_may_use_another() {
    let project = project();
    project.write(
        "stages/lab.twice.yaml",
        "kind: lab.twice\nabout: Counts what it counted.\nin: { text: { type: file } }\nout: { n: { type: file, from: second.number } }\nstages:\n  first: { uses: lab.count, in: { text: in.text }, with: { word: p } }\n  second: { uses: lab.count, in: { text: first.lines }, with: { word: plum }, needs: [first] }\n",
    );
    project.write(
        "sulcus.yaml",
        "stages:\n  deep: { uses: lab.twice, in: { text: { file: a.txt } } }\n  end: { uses: lab.wc, in: { text: deep }, with: { times: 7 } }\n",
    );
    let ran = project.ok(&["run", "--json"]).json();
    assert_eq!(ran["executed"].as_array().unwrap().len(), 5, "{ran}");
    assert_eq!(project.read("results/sulcus/deep/second/count/text.txt"), "2\n");
    assert_eq!(project.read("results/sulcus/end/text.txt"), "7\n");
}

#[test]
fn mistakes_have_their_place() {
    let wrong = |file: &str, from: &str, to: &str| {
        let project = project();
        project.edit(file, from, to);
        let ran = project.sulcus(&["check"]);
        assert_eq!(ran.code, 2, "{}", ran.text());
        ran.stderr
    };
    let said = wrong("sulcus.yaml", "lines\", more", "line\", more");
    assert!(said.contains("`fruit` has no output `line`") && said.contains("known: number, lines"), "{said}");
    let said = wrong("sulcus.yaml", "{ text: { file: a.txt } }", "{ txt: { file: a.txt } }");
    assert!(said.contains("no input port `txt`") && said.contains("text"), "{said}");
    let said = wrong("sulcus.yaml", "    in: { text: { file: a.txt } }\n", "");
    assert!(said.contains("`fruit` binds nothing to `text`"), "{said}");
    let said = wrong("sulcus.yaml", "times: 10", "times: ten");
    assert!(said.contains("sulcus.yaml:11:") && said.contains("whole number"), "{said}");
    let said = wrong("stages/lab.count.yaml", "in: { text: pick }", "in: { text: pik }");
    assert!(said.contains("stages/lab.count.yaml:19:"), "{said}");
    let said = wrong("stages/lab.count.yaml", "in.more }", "in.mor }");
    assert!(said.contains("declares no input `mor`"), "{said}");
    let said = wrong("stages/lab.count.yaml", "from: pick", "from: pack");
    assert!(said.contains("from `pack`") && said.contains("known: pick, count"), "{said}");
    let said = wrong("stages/lab.count.yaml", "${with.word}", "${with.wurd}");
    assert!(said.contains("unknown parameter `wurd`"), "{said}");
    let said = wrong(
        "stages/lab.count.yaml",
        "uses: lab.wc\n    in: { text: pick }",
        "uses: lab.count\n    in: { text: pick }",
    );
    assert!(said.contains("use it again") || said.contains("missing field"), "{said}");
    let said = wrong("stages/lab.count.yaml", "stages:\n", "run: cat\nstages:\n");
    assert!(said.contains("either a command"), "{said}");
}

#[test]
fn a_kind_that_uses_itself_is_refused() {
    let project = Project::with(&[
        (
            "stages/lab.self.yaml",
            "kind: lab.self\nabout: Endless.\nout: { x: { type: file, from: a } }\nstages:\n  a: { uses: lab.self }\n  b: { uses: lab.self }\n",
        ),
        ("sulcus.yaml", "stages:\n  s: { uses: lab.self }\n"),
    ]);
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 2, "{}", ran.text());
    assert!(ran.stderr.contains("`lab.self` stands for stages that use it again"), "{}", ran.text());
}
