//! Models against subjects, and what cannot be compared.

use serde_json::json;

use super::*;
use crate::kinds::testing::{Run, run_tables};

/// Numbers without a pattern between 0 and 1.
fn hash(a: usize, b: usize) -> f64 {
    ((a * 7919 + b * 104_729 + a * b * 31) % 1009) as f64 / 1009.0
}

/// RDMs over `n` conditions, one for each name: the truth with this share of noise.
fn rdms(column: &str, names: &[(&str, f64)], n: usize) -> Frame {
    let mut texts: [Vec<String>; 3] = Default::default();
    let mut values = Vec::new();
    for (index, (name, noise)) in names.iter().enumerate() {
        for (at, (i, j)) in pairs(n).enumerate() {
            texts[0].push((*name).to_owned());
            texts[1].push(format!("c{i}"));
            texts[2].push(format!("c{j}"));
            values.push((1.0 - noise) * hash(at, 3) + noise * hash(at, 11 + 5 * index));
        }
    }
    let mut frame = Frame::new();
    frame.push_strings(column, &texts[0]).unwrap();
    frame.push_strings("first", &texts[1]).unwrap();
    frame.push_strings("second", &texts[2]).unwrap();
    frame.push_f64s("dissimilarity", values).unwrap();
    frame
}

fn run(models: Frame, subjects: Frame, seed: u64) -> Result<Run, String> {
    let with = json!({"model": "model", "subject": "subject", "draws": 100, "seed": seed});
    run_tables(&Rsa, with, &[("models", models, &[]), ("subjects", subjects, &[])])
}

fn people(n: usize) -> Frame {
    rdms("subject", &[("s1", 0.4), ("s2", 0.4), ("s3", 0.4), ("s4", 0.4)], n)
}

#[test]
fn the_true_model_is_in_the_ceiling_and_beats_noise() {
    let models = || rdms("model", &[("true", 0.0), ("noise", 1.0)], 10);
    let done = run(models(), people(10), 1).unwrap();
    let scores = done.table("scores");
    let column = |name: &str| scores.f64s(name).unwrap();
    let names = scores.strings("model").unwrap();
    for (row, name) in names.iter().enumerate() {
        let (value, low, high) = (column("value")[row], column("low")[row], column("high")[row]);
        assert!(low < value && value < high);
        if name == "true" {
            assert_eq!(column("p_labels")[row], 1.0 / 1001.0);
            assert!(column("high")[row] > column("ceiling_low")[row] && column("q")[row] < 0.05);
        } else {
            assert!(low < 0.1 && column("p")[row] > 0.01, "{value}");
        }
    }
    let gaps = done.table("pairs").f64s("difference").unwrap();
    // Models come in the order of their names: noise less the truth.
    assert!(gaps.iter().all(|d| *d < -0.3), "{gaps:?}");
    let (drawn, left_out) = (3 * 100 * (4 + 10), 10 + 2 * 45);
    assert_eq!(done.table("draws").rows(), drawn + left_out);
    for port in ["scores", "pairs", "subjects", "draws"] {
        assert_eq!(done.inferred(port).columns, done.table(port).facts().columns, "{port}");
    }
    let keys = |run: &Run| run.table("scores").strings("benchmark").unwrap();
    assert_eq!(keys(&done), keys(&run(models(), people(10), 1).unwrap()));
    assert!(keys(&done).iter().zip(keys(&run(models(), people(10), 2).unwrap())).all(|(a, b)| *a != b));
}

#[test]
fn a_single_subject_has_an_interval_over_stimuli_and_no_ceiling() {
    let one = rdms("subject", &[("s1", 0.2)], 10);
    let scores = run(rdms("model", &[("true", 0.0)], 10), one, 1).unwrap().table("scores");
    assert!(scores.f64s("ceiling_low").unwrap().iter().all(|c| c.is_nan()));
    assert!(scores.f64s("low").unwrap().iter().all(|l| l.is_finite()));
}

/// Some draws of four conditions hold one alone: they have no score, and the others tell.
#[test]
fn draws_without_a_score_are_passed_over() {
    for (measure, conditions) in
        ["tau-a", "rho-a", "cosine"].into_iter().flat_map(|m| [(m, 3), (m, 4), (m, 5)])
    {
        let with = json!({"model": "model", "subject": "subject", "draws": 300, "measures": [measure]});
        let inputs = [
            ("models", rdms("model", &[("true", 0.0)], conditions), &[][..]),
            ("subjects", people(conditions), &[][..]),
        ];
        match run_tables(&Rsa, with, &inputs) {
            Ok(done) => {
                let scores = done.table("scores");
                let cell = |name: &str| scores.f64s(name).unwrap()[0];
                assert!(
                    cell("low") < cell("value") && cell("value") < cell("high"),
                    "{measure} {conditions}"
                );
            }
            Err(text) => assert!(conditions == 3 && text.contains("too few conditions"), "{measure} {text}"),
        }
    }
}

/// Squared Euclidean distances of six points in the plane, for each name stretched by its number.
fn points(column: &str, names: &[(&str, f64)]) -> Frame {
    let at = |i: usize| [hash(i, 1), hash(i * i * i, 2)];
    let mut texts: [Vec<String>; 3] = Default::default();
    let mut values = Vec::new();
    for (name, stretch) in names {
        for (i, j) in pairs(6) {
            texts[0].push((*name).to_owned());
            texts[1].push(format!("c{i}"));
            texts[2].push(format!("c{j}"));
            let (a, b) = (at(i), at(j));
            values.push((a[0] - b[0]).powi(2) + (stretch * (a[1] - b[1])).powi(2));
        }
    }
    let mut frame = Frame::new();
    for (name, text) in [column, "first", "second"].into_iter().zip(&texts) {
        frame.push_strings(name, text).unwrap();
    }
    frame.push_f64s("dissimilarity", values).unwrap();
    frame
}

fn variances(of: impl Fn(usize) -> f64) -> Frame {
    let mut frame = Frame::new();
    frame.push_strings("condition", &(0..6).map(|i| format!("c{i}")).collect::<Vec<_>>()).unwrap();
    frame.push_f64s("variance", (0..6).map(of).collect()).unwrap();
    frame
}

#[test]
fn bures_compares_points_and_refuses_what_is_none() {
    let with = json!({"measures": ["bures"], "model": "model", "subject": "subject", "draws": 50});
    let people = || points("subject", &[("s", 1.0), ("t", 1.1), ("u", 0.9)]);
    let run = |models, subjects| {
        let tables = [("models", models, &[][..]), ("subjects", subjects, &[][..])];
        run_tables(&Rsa, with.clone(), &tables)
    };
    let scores = run(points("model", &[("same", 1.0), ("flat", 0.0)]), people()).unwrap().table("scores");
    let values = scores.f64s("value").unwrap();
    // Models come in the order of their names.
    assert!(values[1] > 0.99 && values[1] <= 1.0 && values[0] < values[1] - 0.05, "{values:?}");
    assert!(scores.f64s("low").unwrap().iter().zip(&values).all(|(low, v)| low < v));
    assert!(scores.f64s("ceiling_low").unwrap().iter().all(|c| c.is_nan()));
    // One distance that is longer than two others together; the RDM that has it is named on either side.
    let bend = |frame: Frame| {
        let mut values = frame.f64s("dissimilarity").unwrap();
        values[15] *= 50.0;
        let names: Vec<&str> = frame.names().into_iter().filter(|n| *n != "dissimilarity").collect();
        let mut bent = frame.select(&names).unwrap();
        bent.push_f64s("dissimilarity", values).unwrap();
        bent
    };
    let same = || points("model", &[("same", 1.0), ("twin", 1.0)]);
    let text = run(bend(same()), people()).err().unwrap();
    assert!(text.starts_with("RDM `twin` is no set of squared Euclidean distances"), "{text}");
    let text = run(same(), bend(people())).err().unwrap();
    assert!(text.starts_with("RDM `t` is no set of squared Euclidean distances"), "{text}");
}

#[test]
fn whitened_measures_take_variances_of_the_conditions() {
    let names = ["whitened-cosine", "whitened-correlation", "spearman"];
    let run = |of: Option<fn(usize) -> f64>, measures: &[&str]| {
        let with = json!({"measures": measures, "model": "model", "subject": "subject", "draws": 50});
        let subjects = points("subject", &[("s", 1.0), ("t", 1.2), ("u", 0.9)]);
        let models = points("model", &[("flat", 0.0), ("same", 1.0)]);
        let mut tables = vec![("models", models, &[][..]), ("subjects", subjects, &[][..])];
        tables.extend(of.map(|of| ("variances", variances(of), &[][..])));
        run_tables(&Rsa, with, &tables)
    };
    let column = |run: &Run, name: &str| run.table("scores").f64s(name).unwrap();
    let (equal, uneven) =
        (run(Some(|_| 2.0), &names).unwrap(), run(Some(|i| 1.0 + i as f64), &names).unwrap());
    let metrics = equal.table("scores").strings("metric").unwrap();
    assert_eq!(metrics[0], "rsa:whitened-cosine-by-variances/subject-mean");
    assert_eq!(metrics[4], "rsa:spearman/subject-mean");
    // Equal variances are none: what is exact for them is the plain measure, but for its bootstrap.
    let plain = run(None, &names).unwrap();
    for (a, b) in column(&equal, "value").iter().zip(column(&plain, "value")) {
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }
    for (a, b) in column(&equal, "ceiling_high").iter().zip(column(&plain, "ceiling_high")) {
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }
    let (a, b) = (column(&equal, "value"), column(&uneven, "value"));
    assert!((a[0] - b[0]).abs() > 1e-3 && a[4] == b[4]);
    let keys = |run: &Run| run.table("scores").strings("benchmark").unwrap();
    assert!(keys(&equal)[0] != keys(&uneven)[0] && keys(&equal)[4] == keys(&plain)[4]);
    let text = run(Some(|i| i as f64), &names).err().unwrap();
    assert!(text.starts_with("the variance 0 of condition `c0` is not positive"), "{text}");
    assert!(run(Some(|_| 1.0), &["spearman"]).err().unwrap().starts_with("none of the measures is whitened"));
}

#[test]
fn what_does_not_fit_is_named() {
    let text = |models, subjects| run(models, subjects, 1).err().unwrap();
    let other = text(rdms("model", &[("m", 0.0)], 9), people(10));
    assert!(other.starts_with("model `m` has 36 pairs, 45 are compared"), "{other}");
    let few = text(rdms("model", &[("m", 0.0)], 4), people(4));
    assert!(few.contains("too few conditions"), "{few}");
    let flat = rdms("model", &[("m", 0.0)], 10);
    let mut constant = flat.select(&["model", "first", "second"]).unwrap();
    constant.push_f64s("dissimilarity", vec![1.0; 45]).unwrap();
    let text = text(constant, people(10));
    assert!(text.starts_with("RDM `m` is constant"), "{text}");
}
