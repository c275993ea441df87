//! Linear maps and their scores.

use serde_json::json;

use super::*;
use crate::kinds::testing::{Input, Run, run_cancelled, run_tables};

fn value(i: i64) -> f64 {
    ((i * 37) % 23) as f64 / 23.0
}

fn features(rows: std::ops::Range<i64>) -> Frame {
    let mut frame = Frame::new();
    frame.push_i64s("id", rows.clone().collect()).unwrap();
    frame.push_f64s("a", rows.clone().map(value).collect()).unwrap();
    frame.push_f64s("b", rows.map(|i| value(i * i + 5)).collect()).unwrap();
    frame
}

fn responses(of: impl Fn(i64) -> f64) -> Frame {
    let mut frame = Frame::new();
    frame.push_i64s("id", (0..60).rev().collect()).unwrap();
    frame.push_f64s("voxel", (0..60).rev().map(of).collect()).unwrap();
    frame
}

fn run(with: &[(&str, serde_json::Value)], y: Frame, more: &[Input]) -> Result<Run, String> {
    let mut params = json!({"features": ["a", "b"], "targets": ["voxel"], "draws": 50});
    with.iter().for_each(|(name, value)| params[*name] = value.clone());
    let mut inputs = vec![("features", features(0..60), &[][..]), ("responses", y, &[][..])];
    inputs.extend(more.iter().cloned());
    run_tables(&Encode, params, &inputs)
}

fn linear(i: i64) -> f64 {
    2.0 * value(i) - value(i * i + 5)
}

#[test]
fn a_linear_response_is_predicted_by_every_method() {
    for with in [
        vec![],
        vec![("method", json!("pls")), ("components", json!(2))],
        vec![("reduce", json!({"pca": 2}))],
        vec![("choose", json!("leave_one_out"))],
        vec![("precision", json!("float32"))],
        vec![("method", json!("banded"))],
    ] {
        let run = run(&with, responses(linear), &[]).unwrap();
        assert!(run.table("summary").f64s("value").unwrap()[0] > 0.99, "{with:?}");
        for port in ["scores", "summary", "draws", "folds", "choices", "projection"] {
            assert_eq!(run.inferred(port).columns, run.table(port).facts().columns, "{port}");
        }
    }
}

/// Features projected by the stored entries are predicted from as well as by the kind itself.
#[test]
fn a_sparse_projection_is_stored() {
    let plain = run(&[], responses(linear), &[]).unwrap();
    assert_eq!(plain.table("projection").rows(), 0);
    let sparse =
        run(&[("reduce", json!({"sparse": 3})), ("seed", json!(5))], responses(linear), &[]).unwrap();
    let projection = sparse.table("projection");
    let (names, components) = (projection.strings("feature").unwrap(), projection.i64s("component").unwrap());
    let weights = projection.f64s("weight").unwrap();
    let mut projected = features(0..60);
    for component in 0..3 {
        let mut values = vec![0.0; 60];
        for at in (0..projection.rows()).filter(|at| components[*at] == component) {
            let own = projected.f64s(&names[at]).unwrap();
            values.iter_mut().zip(own).for_each(|(v, x)| *v += weights[at] * x);
        }
        projected.push_f64s(&format!("p{component}"), values).unwrap();
    }
    let with = json!({"features": ["p0", "p1", "p2"], "targets": ["voxel"], "draws": 50, "seed": 5});
    let inputs = [("features", projected, &[][..]), ("responses", responses(linear), &[][..])];
    let again = run_tables(&Encode, with, &inputs).unwrap();
    let scores = |run: &Run| run.table("scores").f64s("value").unwrap();
    let near = |(a, b): (f64, f64)| (a - b).abs() < 1e-9;
    assert!(scores(&sparse).into_iter().zip(scores(&again)).all(near));
}

#[test]
fn scores_are_normalised_by_the_reliability_where_there_is_one() {
    let ceiling = |value: f64| {
        let mut frame = Frame::new();
        frame.push_strings("target", &["voxel"]).unwrap();
        frame.push_strings("benchmark", &["key"]).unwrap();
        frame.push_strings("metric", &["sb:mean-of-splits"]).unwrap();
        frame.push_f64s("value", vec![value]).unwrap();
        frame
    };
    let scores = |value| {
        let run = run(&[], responses(linear), &[("ceiling", ceiling(value), &[])]).unwrap();
        run.table("scores").f64s("value").unwrap()
    };
    let summary = run(&[], responses(linear), &[("ceiling", ceiling(0.25), &[])]).unwrap().table("summary");
    let metrics = summary.strings("metric").unwrap();
    assert_eq!(metrics[1], "encode:norm:r/sqrt(sb:mean-of-splits):pooled:target-mean");
    for column in ["value", "low", "high"] {
        let cells = summary.f64s(column).unwrap();
        assert!((cells[1] - cells[0] / 0.5).abs() < 1e-12, "{column}: {cells:?}");
    }
    let keys = summary.strings("benchmark").unwrap();
    assert_ne!(keys[0], keys[1]);
    let found = scores(0.25);
    assert_eq!(found.len(), 15);
    assert!((0..5).all(|f| (found[10 + f] - found[f] / 0.5).abs() < 1e-12), "{found:?}");
    assert_eq!(scores(0.0).len(), 10);
}

#[test]
fn a_step_that_is_asked_to_stop_stops() {
    for with in [json!({}), json!({"method": "pls", "components": 2}), json!({"precision": "float32"})] {
        let mut params = json!({"features": ["a", "b"], "targets": ["voxel"]});
        params.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        let inputs = [("features", features(0..60), &[][..]), ("responses", responses(linear), &[][..])];
        assert_eq!(run_cancelled(&Encode, params, &inputs).err().unwrap(), "cancelled", "{with}");
    }
}

#[test]
fn rows_that_entered_training_are_named() {
    let leak = [("trained", features(57..70), &[][..])];
    let text = run(&[], responses(linear), &leak).err().unwrap();
    assert!(text.starts_with("3 rows entered training and cannot be scored: 59, 58, 57"), "{text}");
    assert!(run(&[], responses(linear), &[("trained", features(60..70), &[])]).is_ok());
}

#[test]
fn what_cannot_be_scored_is_named() {
    let text = run(&[], responses(|i| f64::from(u8::from(i < 12)).max(0.5)), &[]).err().unwrap();
    assert!(text.contains("constant"), "{text}");
    let text = run(&[("alphas", json!([1.0, 0.0]))], responses(linear), &[]).err().unwrap();
    assert!(text.starts_with("0 is not a positive number"), "{text}");
    let text = run(&[], responses(|i| if i == 3 { f64::NAN } else { 1.0 }), &[]).err().unwrap();
    assert!(text.starts_with("column `voxel`, row 56: NaN"), "{text}");
}

/// Responses are made by the first of two columns alone: its band gets the smaller penalty, and with ratios that are
/// all 1 banded ridge is ridge.
#[test]
fn bands_have_penalties_of_their_own() {
    let banded = |ratios: serde_json::Value| {
        run(
            &[("method", json!("banded")), ("ratios", ratios)],
            responses(|i| value(i) + 0.2 * value(i * 7 + 3)),
            &[],
        )
    };
    let found = banded(json!([[1, 100], [100, 1]])).unwrap();
    let choices = found.table("choices");
    assert_eq!(found.inferred("choices").columns, choices.facts().columns);
    assert_eq!(choices.strings("band").unwrap()[..2], ["a", "b"]);
    let alpha = choices.f64s("alpha").unwrap();
    assert!(alpha.chunks(2).all(|pair| (pair[1] / pair[0] - 100.0).abs() < 1e-9), "{alpha:?}");
    let plain =
        run(&[], responses(linear), &[]).unwrap().table("predictions").tensor_f32("prediction").unwrap();
    let equal =
        run(&[("method", json!("banded")), ("ratios", json!([[1, 1]]))], responses(linear), &[]).unwrap();
    let equal = equal.table("predictions").tensor_f32("prediction").unwrap();
    assert!(plain.values.iter().zip(&equal.values).all(|(a, b)| (a - b).abs() < 1e-5));
    assert!(banded(json!([[1, 2, 3]])).err().unwrap().contains("3 penalties for 2 bands"));
    assert!(banded(json!([[1, 0]])).err().unwrap().contains("not a positive number"));
    let text = |with: &[(&str, serde_json::Value)]| run(with, responses(linear), &[]).err().unwrap();
    assert!(text(&[("ratios", json!([[1, 1]]))]).starts_with("only `method: banded` has ratios"));
    let reduced = [("method", json!("banded")), ("reduce", json!({"pca": 2}))];
    assert!(text(&reduced).starts_with("bands are not reduced"));
    assert!(
        text(&[("method", json!("pls")), ("choose", json!("leave_one_out"))])
            .contains("only `method: ridge`")
    );
    assert!(
        text(&[("method", json!("pls")), ("precision", json!("float32"))]).contains("only `method: ridge`")
    );
}

#[test]
fn refits_give_wider_intervals_and_keep_their_parts() {
    let noisy = |i: i64| linear(i) + 0.8 * value(i * i * i + 11);
    let summary = |refits: u32| {
        let run = run(&[("refits", json!(refits))], responses(noisy), &[]).unwrap();
        assert_eq!(run.inferred("folds").columns, run.table("folds").facts().columns);
        let summary = run.table("summary");
        let cell = |column: &str| summary.f64s(column).unwrap()[0];
        let key = summary.strings("benchmark").unwrap()[0].clone();
        (cell("value"), cell("high") - cell("low"), key, run.table("folds"))
    };
    let (plain, refitted) = (summary(0), summary(20));
    assert_eq!(plain.0, refitted.0);
    assert!(refitted.1 > plain.1, "{} {}", refitted.1, plain.1);
    assert_ne!(plain.2, refitted.2);
    let mut sizes = [0; 20];
    refitted.3.i64s("part").unwrap().iter().for_each(|part| sizes[*part as usize] += 1);
    assert_eq!(sizes, [3; 20]);
    let text = |refits: u32| run(&[("refits", json!(refits))], responses(noisy), &[]).err().unwrap();
    assert!(text(4).contains("0 or at least 5"), "{}", text(4));
    let (_, _, _, folds) = summary(61);
    assert_eq!(
        folds.i64s("part").unwrap().iter().max(),
        Some(&59),
        "every stimulus is left out once at most"
    );
}

/// Rows that say the same thing several times say it once to both intervals.
#[test]
fn clusters_are_drawn_and_left_out_together() {
    let noisy = |i: i64| linear(i) + 0.8 * value(i * i * i + 11);
    let of = |with: &[(&str, serde_json::Value)]| {
        let mut y = responses(noisy);
        y.push_i64s("scene", (0..60).rev().map(|i| i / 6).collect()).unwrap();
        run(with, y, &[])
    };
    let refitted = of(&[("cluster", json!("scene"))]).unwrap().table("folds");
    let (ids, parts) = (refitted.strings("id").unwrap(), refitted.i64s("part").unwrap());
    let scene = |row: usize| ids[row].parse::<i64>().unwrap() / 6;
    for (a, b) in (0..60).flat_map(|a| (0..60).map(move |b| (a, b))) {
        assert_eq!(scene(a) == scene(b), parts[a] == parts[b], "{a} {b}");
    }
    let drawn = of(&[("cluster", json!("scene")), ("refits", json!(0))]).unwrap().table("draws");
    let (draws, rows) = (drawn.i64s("draw").unwrap(), drawn.i64s("row").unwrap());
    for draw in 0..50 {
        let mut times = [0; 10];
        (0..draws.len())
            .filter(|at| draws[*at] == draw)
            .for_each(|at| times[scene(rows[at] as usize) as usize] += 1);
        assert!(times.iter().all(|t| t % 6 == 0) && times.iter().sum::<i32>() == 60, "{times:?}");
    }
    let text = |column: &str| of(&[("cluster", json!(column))]).err().unwrap();
    assert!(text("run").contains("`run`"), "{}", text("run"));
    let mut y = responses(noisy);
    y.push_i64s("scene", (0..60).map(|i| i % 3).collect()).unwrap();
    for refits in [0, 20] {
        let few =
            run(&[("cluster", json!("scene")), ("refits", json!(refits))], y.clone(), &[]).err().unwrap();
        assert!(few.contains("3 clusters are too few"), "{few}");
    }
}
