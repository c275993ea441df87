//! What `show`, `verify` and `--json` say of models, tables and mistakes.

use onnx_graph::architectures::{Spec, build};
use sulcus::table::{Frame, write};

use super::support::Project;

/// A project whose kind `lab.pick` copies `b` while a file that it does not declare is there, else `a`.
fn picky(ty: &str, extension: &str) -> Project {
    let project = Project::with(&[
        (
            "stages/lab.pick.yaml",
            &format!(
                "kind: lab.pick\nabout: One of two.\nout: {{ it: {{ type: {ty}, about: One of two. }} }}\nreads: [a.{extension}, b.{extension}]\nrun: |\n  if [ -e flag ]; then cp b.{extension} ${{out.it}}; else cp a.{extension} ${{out.it}}; fi\n"
            ),
        ),
        ("sulcus.yaml", "name: picky\nstages:\n  one: { uses: lab.pick }\n"),
        ("flag", ""),
    ]);
    match ty {
        "model" => {
            let spec = Spec { input: vec![3], classes: 2, scale: 1.0, ..Spec::default() };
            for (name, seed) in [("a", 0), ("b", 1)] {
                let model = build("linear", &spec, seed).unwrap();
                std::fs::write(project.path(&format!("{name}.onnx")), model.to_bytes()).unwrap();
            }
        }
        _ => {
            for (name, value) in [("a", 1.0), ("b", 1.25)] {
                let mut frame = Frame::new();
                frame.push_f64s("same", vec![0.5, 2.0]).unwrap();
                frame.push_f64s("x", vec![value, 2.0]).unwrap();
                write(&mut frame, &project.path(&format!("{name}.parquet"))).unwrap();
            }
        }
    }
    project.ok(&["run"]);
    project
}

#[test]
fn verify_says_how_far_the_values_of_a_table_lie_apart() {
    let ran = picky("table", "parquet").sulcus(&["verify"]);
    assert_eq!(ran.code, 1, "{}", ran.text());
    let wanted = "it: column `x`: 1 of 2 rows differ, by at most 2.500e-1 (relative 2.000e-1)";
    assert!(ran.stdout.contains(wanted) && !ran.stdout.contains("`same`"), "{}", ran.text());
}

#[test]
fn verify_says_how_far_the_weights_of_a_model_lie_apart() {
    let ran = picky("model", "onnx").sulcus(&["verify"]);
    assert_eq!(ran.code, 1, "{}", ran.text());
    assert!(ran.stdout.contains("6 of 6 values differ, by at most "), "{}", ran.text());
    assert!(!ran.stdout.contains("nodes"), "{}", ran.text());
}

#[test]
fn show_tells_inputs_outputs_and_ops_of_a_model() {
    let project = picky("model", "onnx");
    let shown = project.ok(&["show", "one"]).stdout;
    for part in ["float32 [N, 3]", "float32 [N, 2]", "8 parameters", "ops: "] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let json = project.ok(&["show", "one", "--json"]).json();
    assert_eq!(json["parameters"], 8);
    assert!(json["ops"].as_object().is_some_and(|ops| !ops.is_empty()), "{json}");
}

#[test]
fn mistakes_are_data_for_programs_that_ask() {
    let project = Project::new("stages:\n  a: { uses: comand, with: { run: x } }\n");
    let ran = project.sulcus(&["check", "--json"]);
    assert_eq!(ran.code, 2);
    let line = ran.json();
    assert_eq!(
        (&line["event"], &line["file"], &line["line"], &line["column"]),
        (&"error".into(), &"sulcus.yaml".into(), &2.into(), &14.into()),
        "{line}"
    );
    assert!(line["message"].as_str().unwrap().contains("comand"), "{line}");
    assert!(line["hint"].as_str().unwrap().contains("command"), "{line}");
    let ran = project.sulcus(&["run", "nowhere.yaml", "--json"]);
    assert_eq!((ran.code, &ran.json()["file"]), (2, &serde_json::Value::Null));
    let wrote = Project::with(&[]).ok(&["init", "--json"]).json();
    assert_eq!(wrote["wrote"][1], "data/fruit.csv");
}

#[test]
fn rows_that_do_not_fit_the_model_are_a_mistake_before_anything_runs() {
    let project = Project::new(
        "\
stages:
  net: { uses: model.build, with: { architecture: linear, input: [1, 8, 8], classes: 2 } }
  rows: { uses: ingest.arrays, with: { arrays: { x: x.npy } } }
  out: { uses: model.infer, in: { model: net, data: rows } }
",
    );
    std::fs::write(project.path("x.npy"), super::masking::npy("(2, 9)", (0..18).map(|v| v as f32))).unwrap();
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 2, "{}", ran.text());
    assert!(ran.stderr.contains("sulcus.yaml:4:") && ran.stderr.contains("[9]"), "{}", ran.text());
}

#[test]
fn a_port_that_is_not_bound_is_named_with_its_place() {
    let project = Project::new(
        "stages:\n  net: { uses: model.build, with: { architecture: linear, input: [3], classes: 2 } }\n  out:\n    uses: model.infer\n    in: { model: net }\n",
    );
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 2, "{}", ran.text());
    assert!(ran.stderr.contains("`data`") && ran.stderr.contains("sulcus.yaml:"), "{}", ran.text());
    assert!(ran.stderr.contains("hint: "), "{}", ran.text());
}

#[test]
fn editors_know_the_kinds_of_the_project() {
    let project = picky("table", "parquet");
    project.ok(&["init", "--schema"]);
    let schema: serde_json::Value = serde_json::from_str(&project.read(".sulcus/schema.json")).unwrap();
    let names = schema["$defs"]["stage"]["properties"]["uses"]["oneOf"].as_array().unwrap();
    assert!(names.iter().any(|n| n["const"] == "lab.pick"), "{names:?}");
}
