//! Rounds of an experiment.

use serde_json::{Value, json};

use super::*;
use crate::kinds::design::select::tests::{answers, table};
use crate::kinds::testing::{Input, Run, run_cancelled, run_tables};

#[test]
fn a_round_that_is_asked_to_stop_stops() {
    let inputs: Vec<Input> = (0..2).map(|m| ("predictions", answers(m), &[][..])).collect();
    assert_eq!(run_cancelled(&Loop, json!({"n": 3}), &inputs).err().unwrap(), "cancelled");
}

fn round(with: Value, responses: &[Frame]) -> Result<Run, String> {
    let cells: Vec<[(&str, Value); 1]> = ["a", "b", "c"].map(|n| [("net", json!(n))]).to_vec();
    let mut inputs: Vec<Input> =
        cells.iter().zip(0..).map(|(cell, m)| ("predictions", answers(m), &cell[..])).collect();
    inputs.extend(responses.iter().map(|r| ("responses", r.clone(), &[][..])));
    run_tables(&Loop, with, &inputs)
}

#[test]
fn rounds_lead_to_the_model_that_answers() {
    let with = json!({"n": 4, "simulate": "b", "seed": 1});
    let mut responses: Vec<Frame> = Vec::new();
    let mut shown: Vec<i64> = Vec::new();
    let mut belief = Vec::new();
    for number in 1..=4 {
        let made = round(with.clone(), &responses).unwrap();
        for port in ["stimuli", "beliefs", "responses"] {
            assert_eq!(made.inferred(port).columns, made.table(port).facts().columns);
        }
        assert_eq!(made.table("stimuli").i64s("round").unwrap(), [number; 4]);
        shown.extend(made.table("stimuli").i64s("id").unwrap());
        assert_eq!(made.table("beliefs").strings("model").unwrap(), ["a", "b", "c"]);
        belief.push(made.table("beliefs").f64s("probability").unwrap()[1]);
        let again = round(with.clone(), &responses).unwrap();
        assert_eq!(again.bytes("responses"), made.bytes("responses"));
        responses.push(made.table("responses"));
    }
    assert!((belief[0] - 1.0 / 3.0).abs() < 1e-12 && belief[3] > 0.95, "{belief:?}");
    assert_eq!(shown[0], 117);
    let mut different = shown.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 16, "no stimulus is shown twice: {shown:?}");
}

#[test]
fn graded_responses_lead_to_the_model_that_gives_them() {
    let with = json!({"n": 3, "simulate": "c", "noise": 1.5, "seed": 4});
    let mut responses: Vec<Frame> = Vec::new();
    let mut belief = 0.0;
    for _ in 0..5 {
        let made = round(with.clone(), &responses).unwrap();
        for port in ["stimuli", "beliefs", "responses"] {
            assert_eq!(made.inferred(port).columns, made.table(port).facts().columns);
        }
        let bits = made.table("stimuli").f64s("information").unwrap();
        assert!(bits.iter().all(|b| (0.0..=3.0_f64.log2()).contains(b)), "{bits:?}");
        belief = made.table("beliefs").f64s("probability").unwrap()[2];
        responses.push(made.table("responses"));
    }
    assert!(belief > 0.95, "{belief}");
    let text = |responses: &[Frame]| round(json!({"n": 2, "noise": 1.5}), responses).err().unwrap();
    let mut classes = table(&[117], "unused", 1, |_, _| 0.0);
    classes.push_i64s("response", vec![1]).unwrap();
    assert!(text(&[classes]).starts_with("responses of round 1: a response has 1 numbers, and a prediction"));
    let broken = table(&[117], "response", 4, |_, c| if c == 2 { f32::NAN } else { 0.0 });
    assert!(text(&[broken]).contains("the response to stimulus 117 is no finite number"));
}

#[test]
fn people_may_answer_in_any_order_and_mistakes_are_named() {
    let given = |ids: &[i64], classes: &[i64]| {
        let mut frame = table(ids, "unused", 1, |_, _| 0.0);
        frame.push_i64s("response", classes.to_vec()).unwrap();
        frame
    };
    let beliefs = |first: Frame| {
        round(json!({"n": 2}), &[first]).unwrap().table("beliefs").f64s("probability").unwrap()
    };
    let (one, other) = (beliefs(given(&[117, 104], &[2, 0])), beliefs(given(&[104, 117], &[0, 2])));
    assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-12));
    assert!(one[2] > 0.9, "{one:?}");
    let text = |with: Value, responses: &[Frame]| round(with, responses).err().unwrap();
    let class = text(json!({"n": 2}), &[given(&[117], &[1]), given(&[104], &[4])]);
    assert!(class.starts_with("responses of round 2: the response to stimulus 104 is none of"), "{class}");
    assert!(text(json!({"n": 2}), &[given(&[7], &[1])]).contains("no model has a prediction for stimulus 7"));
    assert!(text(json!({"n": 31}), &[]).starts_with("31 stimuli for a round, and 30 of 30 are left"));
    assert!(
        text(json!({"n": 1, "simulate": "d"}), &[]).starts_with("no model is called `d` (they are a, b, c")
    );
    assert!(text(json!({"n": 0}), &[]).starts_with("no stimulus"));
    let bare = table(&[117], "unused", 1, |_, _| 0.0);
    assert!(text(json!({"n": 1}), &[bare]).contains("no column `response`"));
    assert!(
        text(json!({"n": 1}), &[given(&[], &[])]).starts_with("responses of round 1: there are none yet")
    );
}
