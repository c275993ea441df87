//! Degenerate input through the kinds that choose: an error that says what is wrong, or numbers that are numbers.

use serde_json::{Value, json};

use super::select::tests::{METHODS, table};
use super::{r#loop, recover, select};
use crate::kinds::testing::{Input, run_tables, undefined};
use crate::stage::Stage;
use crate::table::Frame;

fn uneven(i: i64, j: usize) -> f32 {
    ((i * 7919 + j as i64 * 104_729 + i * j as i64 * 31 + i * i * 13) % 1009) as f32 / 1009.0
}

/// A pool (or the outputs of a model, told apart by `own`) for each kind of degenerate input.
fn inputs(name: &str, own: usize) -> Vec<(&'static str, Frame)> {
    let many: Vec<i64> = (0..20).collect();
    let of = |ids: &[i64], width: usize, value: &dyn Fn(i64, usize) -> f32| {
        let mut frame = table(ids, name, width, value);
        frame
            .push_strings("kind", &ids.iter().map(|i| if i % 2 == 0 { "a" } else { "b" }).collect::<Vec<_>>())
            .unwrap();
        frame
    };
    let sound = |i: i64, j: usize| uneven(i, 3 * own + j);
    vec![
        ("sound", of(&many, 3, &sound)),
        ("constant feature", of(&many, 3, &|i, j| if j == 1 { 0.5 } else { sound(i, j) })),
        ("all the same", of(&many, 3, &|_, _| 0.5)),
        ("alike models", of(&many, 3, &uneven)),
        ("NaN", of(&many, 3, &|i, j| if (i, j) == (7, 1) { f32::NAN } else { sound(i, j) })),
        ("infinity", of(&many, 3, &|i, j| if (i, j) == (7, 1) { f32::INFINITY } else { sound(i, j) })),
        ("no stimulus", of(&[], 3, &sound)),
        ("one stimulus", of(&[4], 3, &sound)),
        ("two stimuli", of(&[4, 5], 3, &sound)),
        ("fewer stimuli than features", of(&many[..6], 30, &sound)),
        ("duplicated rows", of(&many, 3, &|i, j| sound(i / 2, j))),
        ("huge", of(&many, 3, &|i, j| 1e30 * sound(i, j))),
        ("tiny", of(&many, 3, &|i, j| 1e-30 * sound(i, j))),
    ]
}

/// Whether the kind answers; its error must say more than that it failed.
fn answers(stage: &dyn Stage, with: &Value, what: &str, inputs: &[Input], ports: &[&str]) -> bool {
    let inputs: Vec<Input> = inputs.iter().map(|(port, frame, axes)| (*port, frame.clone(), *axes)).collect();
    match run_tables(stage, with.clone(), &inputs) {
        Ok(run) => {
            for port in ports {
                let table = run.table(port);
                let bad = undefined(&table);
                assert!(bad.is_empty(), "{} {with}, {what}: `{port}`: {bad:?}", stage.name());
            }
            true
        }
        Err(text) => {
            assert!(text.len() > 20 && !text.contains("internal"), "{} {with}, {what}: {text}", stage.name());
            false
        }
    }
}

#[test]
fn every_way_to_choose_answers_or_says_what_is_wrong() {
    let mut answered = 0;
    let models: Vec<Vec<(&str, Frame)>> = (0..3).map(|own| inputs("logits", own + 1)).collect();
    for (at, (what, pool)) in inputs("features", 0).into_iter().enumerate() {
        let with_models = |first: Option<(&'static str, Frame)>| -> Vec<Input> {
            let first = first.map(|(port, frame)| (port, frame, &[][..]));
            first
                .into_iter()
                .chain(models.iter().map(|m| ("predictions", m[at].1.clone(), &[][..])))
                .collect()
        };
        for method in METHODS {
            let with = json!({"method": method, "n": 2, "group": "kind", "outputs": "logits"});
            let inputs = with_models(Some(("pool", pool.clone())));
            answered += usize::from(answers(&select::Select, &with, what, &inputs, &["table", "summary"]));
        }
        for more in [json!({}), json!({"noise": 0.5})] {
            let with = |own: Value| {
                let mut with = own;
                with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                with
            };
            let recover = with(json!({"subjects": 6, "trials": 5}));
            let ports = ["trials", "curve", "summary"];
            answered += usize::from(answers(&recover::Recover, &recover, what, &with_models(None), &ports));
            let round = with(json!({"n": 1, "simulate": "model 1"}));
            let ports = ["stimuli", "beliefs", "responses"];
            answered += usize::from(answers(&r#loop::Loop, &round, what, &with_models(None), &ports));
        }
    }
    assert!(answered > 80, "only {answered} answered");
}
