//! Degenerate input through every kind: an error that says what is wrong, or numbers that are none of NaN and ∞.

use serde_json::{Value, json};

use super::{ceiling, cka, effect, encode, leaderboard, rdm, regress, rsa, triplets};
use crate::kinds::testing::{Input, run_tables, undefined};
use crate::stage::Stage;
use crate::table::{Frame, Tensor};

/// Uneven numbers between 0 and 1.
fn uneven(i: usize, j: usize) -> f32 {
    ((i * 7919 + j * 104_729 + i * j * 31 + i * i * 13) % 1009) as f32 / 1009.0
}

/// Rows with an id, a repeat, a run, a group, features `x` and responses `y`.
fn table(rows: usize, width: usize, of: impl Fn(usize, usize) -> f32) -> Frame {
    let numbers = |of: &dyn Fn(usize) -> i64| (0..rows).map(of).collect::<Vec<i64>>();
    let groups: Vec<&str> = (0..rows).map(|i| if i % 2 == 0 { "a" } else { "b" }).collect();
    let mut frame = Frame::new();
    frame.push_i64s("id", numbers(&|i| i as i64)).unwrap();
    frame.push_i64s("stimulus", numbers(&|i| (i / 2) as i64)).unwrap();
    frame.push_i64s("repeat", numbers(&|i| (i % 2) as i64)).unwrap();
    frame.push_strings("group", &groups).unwrap();
    let values = (0..rows * width).map(|at| of(at / width, at % width)).collect();
    frame.push_tensor_f32("x", Tensor { row_shape: vec![width], values }).unwrap();
    let values = (0..rows * 2).map(|at| of(at / 2, at % 2) + 0.1 * uneven(at, 5)).collect();
    frame.push_tensor_f32("y", Tensor { row_shape: vec![2], values }).unwrap();
    frame
}

fn inputs() -> Vec<(&'static str, Frame)> {
    vec![
        ("sound", table(24, 4, uneven)),
        ("a constant feature", table(24, 4, |i, j| if j == 1 { 0.5 } else { uneven(i, j) })),
        ("constant rows", table(24, 4, |i, j| if i < 12 { 0.5 } else { uneven(i, j) })),
        ("all the same", table(24, 4, |_, _| 0.5)),
        ("zeros", table(24, 4, |_, _| 0.0)),
        ("NaN", table(24, 4, |i, j| if (i, j) == (7, 1) { f32::NAN } else { uneven(i, j) })),
        ("infinity", table(24, 4, |i, j| if (i, j) == (7, 1) { f32::INFINITY } else { uneven(i, j) })),
        ("no stimulus", table(0, 4, uneven)),
        ("one stimulus", table(1, 4, uneven)),
        ("two stimuli", table(2, 4, uneven)),
        ("three stimuli", table(3, 4, uneven)),
        ("one channel", table(24, 1, uneven)),
        ("fewer stimuli than features", table(8, 40, uneven)),
        ("duplicated rows", table(24, 4, |i, j| uneven(i / 2, j))),
        ("duplicated features", table(24, 4, |i, _| uneven(i, 0))),
        ("huge", table(24, 4, |i, j| 1e30 * uneven(i, j))),
        ("tiny", table(24, 4, |i, j| 1e-30 * uneven(i, j))),
        ("negative", table(24, 4, |i, j| -uneven(i, j))),
    ]
}

/// Runs a kind; what went wrong, if anything.
fn outcome(stage: &dyn Stage, with: &Value, tables: &[Input], ports: &[&str]) -> Result<(), String> {
    let tables: Vec<Input> = tables.iter().map(|(port, frame, axes)| (*port, frame.clone(), *axes)).collect();
    let run = run_tables(stage, with.clone(), &tables)?;
    for port in ports {
        let bad = undefined(&run.table(port));
        assert!(bad.is_empty(), "`{}` {with}: port `{port}`: {bad:?} hold what is no number", stage.name());
    }
    Ok(())
}

/// Words that say what is wrong with the data.
const WORDS: [&str; 30] = [
    "constant",
    "the same",
    "same in all",
    "NaN",
    "inf",
    "no finite",
    "no number",
    "folds of",
    "needs",
    "too few",
    "fewer",
    "no rows",
    "empty",
    "one ",
    "there are",
    "lacks",
    "negative",
    "alike",
    "components",
    "undefined",
    "zero",
    "condition",
    "stimuli",
    "not positive",
    "variance",
    "converge",
    "too large",
    "draw",
    "overflow",
    "is not",
];

fn check(kind: &str, what: &str, result: Result<(), String>) -> bool {
    match result {
        Ok(()) => true,
        Err(text) => {
            assert!(text.len() > 15 && WORDS.iter().any(|w| text.contains(w)), "{kind}, {what}: {text}");
            false
        }
    }
}

#[test]
fn every_kind_answers_or_says_what_is_wrong() {
    let mut defined = 0;
    for (what, frame) in inputs() {
        let one = |port| [(port, frame.clone(), &[][..])];
        let two = |a, b| [(a, frame.clone(), &[][..]), (b, frame.clone(), &[][..])];
        for measure in ["correlation", "euclidean", "poisson"] {
            let with = json!({"measure": measure, "columns": ["x"]});
            let found = outcome(&rdm::Rdm, &with, &one("table"), &["rdm"]);
            defined += usize::from(check(&format!("brain.rdm {measure}"), what, found));
        }
        for measure in ["crossnobis", "poisson_cv"] {
            let with =
                json!({"measure": measure, "columns": ["x"], "condition": "stimulus", "run": "repeat"});
            let found = outcome(&rdm::Rdm, &with, &one("table"), &["rdm"]);
            defined += usize::from(check(&format!("brain.rdm {measure}"), what, found));
        }
        for more in [
            json!({}),
            json!({"method": "pls", "components": 2}),
            json!({"method": "banded"}),
            json!({"choose": "leave_one_out"}),
            json!({"precision": "float32"}),
            json!({"reduce": {"pca": 2}}),
            json!({"reduce": {"sparse": 3}}),
        ] {
            let mut with = json!({"features": ["x"], "targets": ["y"], "folds": 3, "inner": 2, "draws": 20});
            with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let ports = ["scores", "summary", "predictions", "choices"];
            let found = outcome(&encode::Encode, &with, &two("features", "responses"), &ports);
            defined += usize::from(check(&format!("brain.encode {more}"), what, found));
        }
        for measure in [
            "cka",
            "cka-debiased",
            "cka-rbf",
            "cca",
            "svcca",
            "linear-regression",
            "procrustes-angular",
            "procrustes-squared",
            "procrustes-normalised-squared",
            "semi-match",
            "hard-match",
            "soft-match",
        ] {
            let with = json!({"columns": ["x"], "measures": [measure]});
            let found = outcome(&cka::Cka, &with, &two("tables", "tables"), &["similarity"]);
            defined += usize::from(check(&format!("brain.cka {measure}"), what, found));
        }
        let with = json!({"columns": ["x"], "id": "stimulus", "repeat": "repeat", "splits": 4});
        let found = outcome(&ceiling::Ceiling, &with, &one("table"), &["ceiling"]);
        defined += usize::from(check("brain.ceiling repeats", what, found));
        let with = json!({"columns": ["x"], "id": "stimulus", "subject": "repeat", "splits": 4});
        let found = outcome(&ceiling::Ceiling, &with, &one("table"), &["ceiling"]);
        defined += usize::from(check("brain.ceiling subjects", what, found));
        for size in ["cohens_d", "difference", "selectivity"] {
            let with =
                json!({"columns": ["x"], "group": "group", "order": ["a", "b"], "draws": 50, "size": size});
            let found = outcome(&effect::Effect, &with, &one("tables"), &["effects"]);
            defined += usize::from(check(&format!("brain.effect {size}"), what, found));
        }
    }
    assert!(defined > 150, "only {defined} are defined");
}

/// A precision of `width` channels with these numbers.
fn precision(width: usize, of: impl Fn(usize, usize) -> f64) -> Frame {
    let mut frame = Frame::new();
    for channel in 0..width {
        frame.push_f64s(&format!("p{channel}"), (0..width).map(|row| of(row, channel)).collect()).unwrap();
    }
    frame
}

#[test]
fn every_precision_answers_or_says_what_is_wrong() {
    type Entry = fn(usize, usize) -> f64;
    let identity: Entry = |i, j| f64::from(u8::from(i == j));
    let precisions: [(&str, Entry); 6] = [
        ("identity", identity),
        ("zero", |_, _| 0.0),
        ("singular", |_, _| 1.0),
        ("negative", |i, j| -f64::from(u8::from(i == j))),
        ("not symmetric", |i, j| f64::from(u8::from(i == j)) + if (i, j) == (0, 1) { 0.5 } else { 0.0 }),
        ("NaN", |i, j| if (i, j) == (0, 0) { f64::NAN } else { f64::from(u8::from(i == j)) }),
    ];
    let crossed = json!({"condition": "stimulus", "run": "repeat"});
    let mut defined = 0;
    for (measure, more) in [("mahalanobis", json!({})), ("crossnobis", crossed)] {
        let mut with = json!({"measure": measure, "columns": ["x"]});
        with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut try_one = |what: &str, frame: Frame, precision: Frame| {
            let tables = [("table", frame, &[][..]), ("precision", precision, &[][..])];
            let found = outcome(&rdm::Rdm, &with, &tables, &["rdm"]);
            defined += usize::from(check(&format!("brain.rdm {measure}"), what, found));
        };
        for (what, frame) in inputs() {
            let width = frame.facts().column("x").and_then(|c| c.shape.clone()).map_or(1, |s| s[0]);
            try_one(what, frame, precision(width, identity));
        }
        for (what, of) in precisions {
            try_one(what, table(24, 4, uneven), precision(4, of));
        }
        try_one("too small", table(24, 4, uneven), precision(3, identity));
    }
    assert!(defined > 15, "only {defined} are defined");
}

#[test]
fn every_choice_of_three_answers_or_says_what_is_wrong() {
    type Row = [&'static str; 4];
    let cases: [(&str, &[Row]); 6] = [
        ("sound", &[["a", "b", "c", "a"], ["a", "b", "c", "b"]]),
        ("no choice", &[]),
        ("a thing twice", &[["a", "a", "c", "c"]]),
        ("the odd one was not shown", &[["a", "b", "c", "d"]]),
        ("a pair that nobody saw", &[["a", "b", "c", "a"], ["a", "b", "d", "a"]]),
        ("names that are none", &[["", "b", "c", ""]]),
    ];
    let mut defined = 0;
    for (what, rows) in cases {
        let mut frame = Frame::new();
        for (at, name) in ["first", "second", "third", "odd"].into_iter().enumerate() {
            frame.push_strings(name, &rows.iter().map(|row| row[at]).collect::<Vec<_>>()).unwrap();
        }
        let found = outcome(&triplets::Triplets, &json!({}), &[("table", frame, &[])], &["rdm"]);
        let named =
            |text: &String| text.contains("shows") || text.contains("shown") || text.contains("there are no");
        defined += usize::from(match found {
            Err(text) if !named(&text) => panic!("{what}: {text}"),
            other => other.is_ok(),
        });
    }
    assert_eq!(defined, 2);
}

#[test]
fn a_list_of_scores_answers_or_says_what_is_wrong() {
    for (what, values, sound) in [
        ("sound", &[0.3, 0.5][..], true),
        ("equal", &[0.5, 0.5], true),
        ("nothing", &[], true),
        ("NaN", &[0.5, f64::NAN], false),
        ("infinity", &[f64::INFINITY, 0.1], false),
    ] {
        let mut frame = Frame::new();
        frame.push_strings("model", &(0..values.len()).map(|m| format!("m{m}")).collect::<Vec<_>>()).unwrap();
        for name in ["benchmark", "metric"] {
            frame.push_strings(name, &vec!["b"; values.len()]).unwrap();
        }
        frame.push_f64s("value", values.to_vec()).unwrap();
        let with = json!({"model": "model"});
        let found = outcome(&leaderboard::Leaderboard, &with, &[("scores", frame, &[])], &["board"]);
        assert_eq!(found.is_ok(), sound, "{what}: {found:?}");
        check("brain.leaderboard", what, found);
    }
}

/// RDMs of one model or subject over four conditions.
fn rdms(column: &str, names: &[&str], of: impl Fn(usize, usize) -> f64) -> Frame {
    let pairs: Vec<(usize, usize)> = (0..4).flat_map(|i| (i + 1..4).map(move |j| (i, j))).collect();
    let all = || {
        names.iter().enumerate().flat_map(|(n, name)| pairs.iter().enumerate().map(move |p| (n, *name, p)))
    };
    let mut frame = Frame::new();
    frame.push_strings(column, &all().map(|(_, name, _)| name).collect::<Vec<_>>()).unwrap();
    frame
        .push_strings("first", &all().map(|(_, _, (_, (i, _)))| format!("c{i}")).collect::<Vec<_>>())
        .unwrap();
    frame
        .push_strings("second", &all().map(|(_, _, (_, (_, j)))| format!("c{j}")).collect::<Vec<_>>())
        .unwrap();
    frame.push_f64s("dissimilarity", all().map(|(n, _, (at, _))| of(n, at)).collect()).unwrap();
    frame
}

#[test]
fn every_comparison_of_rdms_answers_or_says_what_is_wrong() {
    let sound = |n: usize, at: usize| f64::from(uneven(at + 3, n + 1));
    let subjects = || rdms("subject", &["s", "t", "u"], sound);
    type Dissimilarity = Box<dyn Fn(usize, usize) -> f64>;
    let cases: Vec<(&str, Dissimilarity)> = vec![
        ("sound", Box::new(sound)),
        ("constant", Box::new(|_, _| 1.0)),
        ("zero", Box::new(|_, _| 0.0)),
        ("NaN", Box::new(|_, at| if at == 2 { f64::NAN } else { 0.5 + at as f64 })),
        ("infinite", Box::new(|_, at| if at == 2 { f64::INFINITY } else { 0.5 + at as f64 })),
        ("negative eigenvalues", Box::new(|_, at| if at == 0 { 100.0 } else { 0.01 * at as f64 })),
        ("negative", Box::new(move |n, at| -sound(n, at))),
        ("alike", Box::new(move |_, at| sound(0, at))),
    ];
    for (what, of) in &cases {
        for measure in [
            "cosine",
            "correlation",
            "spearman",
            "tau-b",
            "tau-a",
            "rho-a",
            "whitened-cosine",
            "whitened-correlation",
            "bures",
        ] {
            let with = json!({"measures": [measure], "model": "model", "subject": "subject", "draws": 30});
            // The scores of `bures` have no ceiling.
            let ports: &[&str] =
                if measure == "bures" { &["pairs"] } else { &["scores", "pairs", "subjects"] };
            let models = rdms("model", &["m", "n"], of);
            let tables = [("models", models, &[][..]), ("subjects", subjects(), &[][..])];
            let found = outcome(&rsa::Rsa, &with, &tables, ports);
            check(&format!("brain.rsa {measure}, models"), what, found);
            let people = rdms("subject", &["s", "t", "u"], of);
            let tables = [("models", rdms("model", &["m"], sound), &[][..]), ("subjects", people, &[][..])];
            let found = outcome(&rsa::Rsa, &with, &tables, ports);
            check(&format!("brain.rsa {measure}, subjects"), what, found);
        }
    }
}

#[test]
fn a_child_is_compared_with_its_parent_or_the_reason_is_said() {
    let scores = |of: &dyn Fn(usize) -> f64, count: usize| {
        let mut frame = Frame::new();
        frame.push_strings("benchmark", &vec!["b"; count]).unwrap();
        frame.push_i64s("target", (0..count as i64).collect()).unwrap();
        frame.push_f64s("value", (0..count).map(of).collect()).unwrap();
        frame
    };
    let sound = |i: usize| f64::from(uneven(i, 2));
    type Score<'a> = &'a dyn Fn(usize) -> f64;
    let cases: [(&str, Score, usize); 5] = [
        ("the same", &sound, 6),
        ("constant", &|_| 0.5, 6),
        ("NaN", &|i| if i == 2 { f64::NAN } else { 0.5 }, 6),
        ("one unit", &|_| 0.4, 1),
        ("nothing", &|_| 0.4, 0),
    ];
    for (what, of, count) in cases {
        let tables = [("parent", scores(&sound, count), &[][..]), ("child", scores(of, count), &[][..])];
        let with = json!({"benchmark": ["benchmark"], "units": ["target"]});
        let found = outcome(&regress::Regress, &with, &tables, &["verdicts"]);
        check("brain.regress", what, found);
    }
}
