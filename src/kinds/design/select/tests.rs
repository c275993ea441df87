//! Tests of `design.select`, and the pool and models that its neighbours test with.

use serde_json::{Value, json};

use super::*;
use crate::kinds::testing::{Input, Run, run_cancelled, run_tables};
use crate::table::Tensor;

pub(crate) fn table(ids: &[i64], name: &str, width: usize, value: impl Fn(i64, usize) -> f32) -> Frame {
    let mut frame = Frame::new();
    frame.push_i64s("id", ids.to_vec()).unwrap();
    let values = ids.iter().flat_map(|id| (0..width).map(|j| value(*id, j)).collect::<Vec<_>>()).collect();
    frame.push_tensor_f32(name, Tensor { row_shape: vec![width], values }).unwrap();
    frame
}

fn pool() -> Frame {
    let ids: Vec<i64> = (100..130).collect();
    let mut pool = table(&ids, "features", 3, |id, j| ((id * (7 + j as i64 * 5)) % 23) as f32 / 23.0);
    let kinds: Vec<&str> = ids.iter().map(|id| if id % 3 == 0 { "face" } else { "house" }).collect();
    pool.push_strings("kind", &kinds).unwrap();
    pool
}

/// Three models that differ on stimulus 117 most; rows in another order than the pool's.
pub(crate) fn answers(model: i64) -> Frame {
    let ids: Vec<i64> = (100..130).rev().collect();
    table(&ids, "logits", 4, move |id, class| {
        let common = ((id * 3 + class as i64 * 7) % 11) as f32 / 4.0;
        let own = ((id * 5 + class as i64 * model * 3) % 13) as f32 / 13.0;
        if id == 117 { if class as i64 == model { 9.0 } else { 0.0 } } else { common + own }
    })
}

fn run(with: Value, models: i64) -> Result<Run, String> {
    let mut inputs: Vec<Input> = vec![("pool", pool(), &[])];
    inputs.extend((0..models).map(|m| ("predictions", answers(m), &[][..])));
    run_tables(&Select, with, &inputs)
}

pub(crate) const METHODS: [&str; 11] = [
    "random",
    "stratified",
    "k_center",
    "coverage",
    "d_optimal",
    "a_optimal",
    "information",
    "controversial",
    "rdm_decorrelated",
    "drive",
    "suppress",
];

#[test]
fn a_step_that_is_asked_to_stop_stops() {
    for method in ["k_center", "d_optimal", "rdm_decorrelated"] {
        let with = json!({"method": method, "n": 6});
        let mut inputs: Vec<Input> = vec![("pool", pool(), &[])];
        inputs.extend((0..2).map(|m| ("predictions", answers(m), &[][..])));
        assert_eq!(run_cancelled(&Select, with, &inputs).err().unwrap(), "cancelled", "{method}");
    }
}

#[test]
fn every_method_chooses_different_stimuli_of_the_pool_and_again_the_same() {
    for method in METHODS {
        let with = json!({"method": method, "n": 6, "group": "kind", "seed": 3});
        let first = run(with.clone(), 3).unwrap();
        let mut ids = first.table("table").i64s("id").unwrap();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 6, "{method}");
        assert!(ids.iter().all(|id| (100..130).contains(id)), "{method}");
        assert_eq!(first.table("table").i64s("rank").unwrap(), [1, 2, 3, 4, 5, 6]);
        assert!(first.table("table").f64s("score").unwrap().iter().all(|s| s.is_finite()), "{method}");
        assert_eq!(run(with, 3).unwrap().bytes("table"), first.bytes("table"), "{method}");
        for port in ["table", "summary"] {
            assert_eq!(first.inferred(port).columns, first.table(port).facts().columns, "{method}");
        }
    }
}

#[test]
fn chosen_sets_are_better_than_random_ones() {
    for method in METHODS.into_iter().filter(|m| !matches!(*m, "random" | "stratified")) {
        for measure in ["error_bound", "jensen_shannon", "controversiality"] {
            let with = json!({"method": method, "n": 6, "measure": measure, "diversity": 0.3});
            let summary = run(with, 3).unwrap().table("summary");
            let cell = |name: &str| summary.f64s(name).unwrap()[0];
            let lower = matches!(
                summary.strings("criterion").unwrap()[0].as_str(),
                "radius"
                    | "mean-distance-of-pool"
                    | "trace-of-inverse"
                    | "error-bound"
                    | "mean-correlation-of-rdms"
            );
            let sign = if lower { -1.0 } else { 1.0 };
            // Farthest-first is within a factor of 2 of the best; random sets come near it in a small pool.
            let slack = if method == "k_center" { 1.2 } else { 1.0 };
            assert!(sign * cell("value") >= sign * cell("random_best") * slack, "{method} {measure}");
            assert!(sign * cell("value") > sign * cell("random_mean"), "{method} {measure}");
        }
    }
}

#[test]
fn the_most_disputed_stimulus_comes_first_and_what_was_shown_does_not_come() {
    let first = |measure: &str| {
        let with = json!({"method": "controversial", "n": 1, "measure": measure});
        run(with, 3).unwrap().table("table").i64s("id").unwrap()
    };
    assert_eq!([first("error_bound"), first("jensen_shannon")], [[117], [117]]);
    let shown = table(&[117, 101], "unused", 1, |_, _| 0.0);
    let inputs: Vec<Input> =
        vec![("predictions", answers(0), &[]), ("predictions", answers(1), &[]), ("measured", shown, &[])];
    let run = run_tables(&Select, json!({"method": "controversial", "n": 28}), &inputs).unwrap();
    let ids = run.table("table").i64s("id").unwrap();
    assert!(ids.len() == 28 && !ids.contains(&117) && !ids.contains(&101));
}

#[test]
fn strata_keep_their_shares() {
    let chosen = run(json!({"method": "stratified", "n": 15, "group": "kind"}), 0).unwrap().table("table");
    let faces = chosen.i64s("id").unwrap().iter().filter(|id| *id % 3 == 0).count();
    assert_eq!(faces, 5);
    assert!(chosen.f64s("score").unwrap().iter().all(|s| (s - 0.5).abs() < 1e-12));
}

#[test]
fn what_a_method_lacks_is_found_before_a_run() {
    let text = |with, models| run(with, models).err().unwrap();
    let models = text(json!({"method": "controversial", "n": 3}), 1);
    assert!(models.starts_with("`controversial` compares models: 2 or more tables"), "{models}");
    assert!(
        text(json!({"method": "drive", "n": 3}), 0).starts_with("`drive` goes by a prediction: 1 or more")
    );
    assert!(text(json!({"method": "stratified", "n": 3}), 0).contains("needs the column with the groups"));
    assert!(text(json!({"method": "random", "n": 31}), 0).starts_with("31 stimuli of a pool of 30"));
    assert!(text(json!({"method": "random", "n": 0}), 0).starts_with("no stimulus is asked for"));
    assert!(
        text(json!({"method": "coverage", "n": 3, "features": ["colour"]}), 0).contains("no column `colour`")
    );
    assert!(text(json!({"method": "a_optimal", "n": 3, "ridge": 0.0}), 0).contains("not positive"));
    assert!(text(json!({"method": "drive", "n": 3, "unit": 4}), 1).contains("have 4 outputs"));
    assert!(
        text(json!({"method": "k_center", "n": 3, "start": "7"}), 0).contains("no stimulus 7 in the pool")
    );
    assert!(text(json!({"method": "rdm_decorrelated", "n": 2}), 2).contains("no set of 2 stimuli"));
    let alone =
        run_tables(&Select, json!({"method": "coverage", "n": 3}), &[("predictions", answers(0), &[])]);
    assert!(alone.err().unwrap().starts_with("`coverage` looks at features: bind `pool`"));
    let none = run_tables(&Select, json!({"method": "random", "n": 3}), &[]);
    assert!(none.err().unwrap().starts_with("`random` chooses from a pool"));
}

#[test]
fn models_that_agree_and_values_that_are_no_numbers_are_named() {
    let two = |second: Frame| {
        let inputs: Vec<Input> = vec![("predictions", answers(1), &[]), ("predictions", second, &[])];
        run_tables(&Select, json!({"method": "controversial", "n": 3}), &inputs).err().unwrap()
    };
    let same = two(answers(1));
    assert!(same.contains("nothing tells them apart") && same.contains("1 is `model 2`"), "{same}");
    let ids: Vec<i64> = (100..130).collect();
    let bad = two(table(&ids, "logits", 4, |id, _| if id == 105 { f32::NAN } else { 0.0 }));
    assert!(bad.starts_with("`model 2`: the output NaN for stimulus 105"), "{bad}");
    let few = two(table(&ids[..20], "logits", 4, |_, _| 0.0));
    assert!(few.starts_with("`model 2`: 10 stimuli have no prediction: 129, 128"), "{few}");
    let wide = two(table(&ids, "logits", 5, |_, _| 0.0));
    assert!(wide.starts_with("`model 2`: 5 outputs, and 4 of the first model"), "{wide}");
}

#[test]
fn predicted_responses_are_parted_by_their_distance_in_noise() {
    let ids: Vec<i64> = (0..40).collect();
    let voxels =
        |own: f32| table(&ids, "voxels", 2, move |id, j| (id + j as i64) as f32 + own * (id % 7) as f32);
    let run = |with: Value| {
        let inputs: Vec<Input> = vec![("predictions", voxels(0.0), &[]), ("predictions", voxels(0.5), &[])];
        run_tables(&Select, with, &inputs)
    };
    let chosen = run(json!({"method": "controversial", "n": 5, "noise": 1.0})).unwrap();
    assert!(chosen.table("table").i64s("id").unwrap().iter().all(|id| id % 7 == 6));
    let noisy = run(json!({"method": "controversial", "n": 5, "noise": 3.0})).unwrap();
    let bound = |run: &Run| run.table("summary").f64s("value").unwrap()[0];
    assert!(bound(&noisy) > bound(&chosen));
    // Σ over stimuli and voxels of (3.0)² ÷ 8, and √(½ · ½).
    assert!((bound(&chosen) - 0.5 * (-5.0 * 2.0 * 9.0 / 8.0_f64).exp()).abs() < 1e-12);
    let text = |with| run(with).err().unwrap();
    assert!(text(json!({"method": "controversial", "n": 5, "noise": 0.0})).contains("more than 0"));
    let other = json!({"method": "controversial", "n": 5, "noise": 1.0, "measure": "jensen_shannon"});
    assert!(text(other).contains("only `measure: error_bound`"));
}
