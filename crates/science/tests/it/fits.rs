//! Fits of displacement against `tests/golden/dynamics` and simulated ensembles.

use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use science::dynamics::fit::exponent::{ergodicity, exponent, local_slopes};
use science::dynamics::fit::likelihood::fractional;
use science::dynamics::fit::models::{Model, Shape};
use science::dynamics::fit::paths::{Curves, Paths, log_lags};
use science::dynamics::fit::select::{candidates, lags_for, select};
use serde_json::Value;

use crate::npz::{files, read, root};

fn json(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(format!("{}/{name}", root())).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Every ensemble of every golden archive of trajectories, with the facts of the file beside it.
fn ensembles() -> Vec<(String, Paths, Value)> {
    let mut found = Vec::new();
    for file in files("dynamics", "trajectories", ".npz") {
        let reference = json(&file.replace(".npz", "_reference.json"));
        for (name, array) in read(&file) {
            let times = (0..array.shape[1]).map(|t| t as f64).collect();
            let chains = (0..array.shape[0]).map(|r| array.row(r).to_vec()).collect();
            let facts = reference[&name].clone();
            found.push((name, Paths::new(times, 1, chains).unwrap(), facts));
        }
    }
    assert!(!found.is_empty(), "no golden archive holds trajectories");
    found
}

/// Every golden curve, with its name.
fn curves() -> Vec<(String, Value)> {
    let all = files("dynamics", "displacement_curves", ".json").into_iter().map(|file| json(&file));
    let found: Vec<(String, Value)> = all.flat_map(|v| v.as_object().unwrap().clone()).collect();
    assert!(!found.is_empty(), "no golden file holds curves");
    found
}

fn alone(lags: Vec<f64>, values: Vec<f64>) -> Curves {
    Curves { lags, chains: vec![values] }
}

#[test]
fn golden_slopes_are_those_of_the_reference() {
    for (name, paths, facts) in ensembles() {
        let both = ergodicity(&paths).unwrap();
        let found = [
            (exponent(&paths.from_start(&log_lags(512, 16))).unwrap().slope.value, "emsd_logspaced"),
            (both.ensemble, "emsd_same_lags"),
            (both.time_averaged, "eatamsd_lag_le_10pct"),
        ];
        let errors = found.map(|(value, key)| (value - facts[key].as_f64().unwrap()).abs());
        let worst = errors.into_iter().fold(0.0, f64::max);
        println!("{name}: slopes off by {worst:.1e}");
        assert!(errors.iter().all(|e| *e < 1e-6), "{name}: {found:?}");
    }
}

#[test]
fn golden_exponents_are_found_and_broken_ergodicity_is_flagged() {
    for (name, paths, facts) in ensembles() {
        let kind = facts["kind"].as_str().unwrap();
        let both = ergodicity(&paths).unwrap();
        let broken = ["sbm", "ctrw"].contains(&kind);
        assert_eq!(both.holds(), !broken, "{name}: {both:?}");
        let Some(truth) = facts["true"].as_f64() else { continue };
        if kind == "fbm" {
            let likely = fractional(&paths.increments()).unwrap();
            let (by_likelihood, averaged) = (likely.exponent - truth, both.time_averaged - truth);
            println!("{name}: likelihood off by {by_likelihood:.3}, time averages by {averaged:.3}");
            assert!(by_likelihood.abs() < 0.06, "{name}: {likely:?}");
            assert!(by_likelihood.abs() < 4.0 * likely.error, "{name}: {likely:?}");
            assert!(averaged.abs() < 0.06, "{name}: {both:?}");
        } else if broken {
            let found = exponent(&paths.from_start(&log_lags(512, 16))).unwrap();
            println!("{name}: ensemble off by {:.3}", found.slope.value - truth);
            assert!((found.slope.value - truth).abs() < 0.15, "{name}: {found:?}");
        }
    }
}

#[test]
fn golden_stationary_processes_saturate_and_have_no_single_exponent() {
    let stationary: Vec<_> = ensembles().into_iter().filter(|(.., facts)| facts["kind"] == "ou").collect();
    assert!(!stationary.is_empty());
    for (name, paths, facts) in stationary {
        let curves = paths.time_averaged(&log_lags(256, lags_for(48))).unwrap();
        let ranked = select(&curves, &candidates(None)).unwrap();
        assert_eq!(ranked[0].fit.model.name(), "saturation", "{name}: {ranked:#?}");
        let off = ranked[0].fit.parameters[1] / facts["ou_tau"].as_f64().unwrap() - 1.0;
        println!("{name}: correlation time off by {:.1} %", 100.0 * off);
        assert!(off.abs() < 0.2, "{name}: {:?}", ranked[0].fit);
        assert!(!exponent(&curves).unwrap().single(), "{name}");
    }
}

/// Our name of a golden curve's model, and the keys of its parameters.
fn model(case: &Value) -> Option<(&'static str, [&'static str; 2])> {
    match case["model"].as_str().unwrap() {
        "power" => Some(("power", ["A", "c"])),
        "ou" => Some(("saturation", ["var", "tau"])),
        "inertial" => Some(("inertial", ["diff_coef", "tau"])),
        _ => None,
    }
}

#[test]
fn golden_curves_give_their_parameters_back() {
    let mut checked = 0;
    for (name, case) in curves() {
        let Some((model, keys)) = model(&case) else { continue };
        let curves = alone(numbers(&case["t"]), numbers(&case["D"]));
        let ranked = select(&curves, &candidates(None)).unwrap();
        let own = ranked.iter().find(|r| r.fit.model.name() == model).unwrap();
        assert!(ranked[0].fit.model.name().starts_with(model), "{name}: {:?}", ranked[0]);
        let truth = keys.map(|key| case[key].as_f64().unwrap());
        let off: Vec<f64> = own.fit.parameters.iter().zip(truth).map(|(p, t)| p / t - 1.0).collect();
        let worst = off.iter().fold(0.0_f64, |m, e| m.max(e.abs()));
        println!("{name}: {keys:?} off by {worst:.1e}");
        if case["rel_noise"].is_null() {
            assert!(off.iter().all(|e| e.abs() < 1e-6), "{name}: {:?}", own.fit);
        } else {
            assert_eq!(ranked[0].fit.model.name(), model, "{name}: {:?}", ranked[0]);
            assert!((own.fit.parameters[1] - truth[1]).abs() < 0.01, "{name}: {:?}", own.fit);
            assert!(exponent(&curves).unwrap().single(), "{name}");
        }
        checked += 1;
    }
    assert!(checked > 0);
}

#[test]
fn golden_spectra_have_no_single_exponent_and_fit_their_own_curve() {
    let spectra: Vec<_> = curves().into_iter().filter(|(_, case)| case["model"] == "sgd_spectrum").collect();
    assert!(!spectra.is_empty());
    for (name, case) in spectra {
        let (t, d) = (numbers(&case["t"]), numbers(&case["D"]));
        let mut worst = 0.0_f64;
        for (found, expected) in local_slopes(&t, &d).iter().zip(numbers(&case["local_exponent"])) {
            worst = worst.max((found - expected).abs());
        }
        println!("{name}: local exponent off by {worst:.1e}");
        assert!(worst < 1e-9, "{name}");
        let half: Vec<f64> = d.iter().map(|v| v / 2.0).collect();
        let curves = alone(t, d);
        assert!(!exponent(&curves).unwrap().single(), "{name}");
        let ranked = select(&curves, &candidates(Some(half))).unwrap();
        assert!(ranked[0].fit.model.name().starts_with("given"), "{name}: {:?}", ranked[0]);
        let own = ranked.iter().find(|r| r.fit.model.name() == "given").unwrap();
        assert!((own.fit.parameters[0] - 2.0).abs() < 1e-6, "{name}: {:?}", own.fit);
    }
}

#[test]
fn drift_and_spread_add_up() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
    let mut chain = || {
        let mut at = 0.0;
        (0..101)
            .map(|t| {
                let z: f64 = StandardNormal.sample(&mut random);
                at += if t == 0 { 0.0 } else { 0.2 + z };
                at
            })
            .collect::<Vec<f64>>()
    };
    let paths =
        Paths::new((0..101).map(f64::from).collect(), 1, (0..400).map(|_| chain()).collect()).unwrap();
    for split in paths.split(&[10, 100]) {
        // Truth: drift (0.2 t)², spread t; standard errors 2·0.2 t √(t/R) and t √(2/R).
        let (t, r) = (split.time, 400.0_f64);
        assert!(
            (split.drift - (0.2 * t).powi(2)).abs() < 4.0 * 0.4 * t * (t / r).sqrt() + 4.0 * t / r,
            "{split:?}"
        );
        assert!((split.spread - t).abs() < 4.0 * t * (2.0 / r).sqrt(), "{split:?}");
    }
    let whole = paths.from_start(&[100]).mean()[0];
    let split = paths.split(&[100])[0];
    // mean D = |mean|² + (R − 1)/R spread, and drift takes spread/R off.
    assert!((whole - (split.drift + split.spread)).abs() < 1e-9 * whole);
}

#[test]
fn unusable_curves_are_refused_by_name() {
    let text = |result: science::error::Result<_>| result.map(|_: ()| ()).unwrap_err().0;
    let still = Curves { lags: vec![1.0, 2.0, 3.0], chains: vec![vec![0.0; 3]] };
    assert_eq!(text(exponent(&still).map(|_| ())), "nothing has moved at time 1");
    let nan = Paths::new(vec![0.0, 1.0], 1, vec![vec![0.0, f64::NAN]]).map(|_| ());
    assert_eq!(text(nan), "chain 0 holds a position that is no number");
    assert!(text(fractional(&[vec![0.0; 8]]).map(|_| ())).starts_with("nothing moves"));
    let uneven = Paths::new(vec![0.0, 1.0, 3.0], 1, vec![vec![0.0, 1.0, 2.0]]).unwrap();
    assert_eq!(text(uneven.time_averaged(&[1]).map(|_| ())), "time averages need evenly spaced times");
}

#[test]
fn chains_that_are_all_alike_weigh_every_lag_the_same() {
    let lags: Vec<f64> = (0..8).map(|k| 1.7f64.powi(k)).collect();
    // The sum of six of these over six is not always the same number: rounding is no scatter.
    let chain: Vec<f64> = lags.iter().map(|t| 0.3 * t.powf(0.7) * (1.0 + 0.1 * t.sin())).collect();
    let alike = Curves { lags: lags.clone(), chains: vec![chain.clone(); 6] };
    assert_ne!(alike.mean(), chain);
    let alone = select(&alone(lags, chain), &candidates(None)).unwrap();
    for ranked in select(&alike, &candidates(None)).unwrap() {
        let single = alone.iter().find(|r| r.fit.model == ranked.fit.model).unwrap();
        let (a, b) = (ranked.fit.chi_squared, single.fit.chi_squared);
        assert!((a - b).abs() <= 1e-6 * b, "{}: {a} against {b}", ranked.fit.model.name());
    }
}

#[test]
fn one_chain_is_cut_into_blocks() {
    let chain: Vec<f64> = (0..=80).map(f64::from).collect();
    let paths = Paths::new(chain.clone(), 1, vec![chain]).unwrap();
    let blocks = paths.blocks(8).unwrap();
    assert_eq!((blocks.chains(), blocks.steps()), (8, 10));
    assert_eq!(blocks.from_start(&[10]).mean(), [100.0]);
    assert!(paths.blocks(50).is_err());
}

#[test]
fn a_chain_with_uneven_times_is_not_cut_into_blocks() {
    let times: Vec<f64> = (0..=80).map(|k| f64::from(k).powi(2)).collect();
    let paths = Paths::new(times.clone(), 1, vec![times]).unwrap();
    assert_eq!(paths.blocks(8).unwrap_err().0, "blocks of a chain need evenly spaced times");
}

#[test]
fn records_are_chosen_by_their_times_within_the_window() {
    // Two records an octave, up to 2²⁰.
    let spaced: Vec<f64> =
        std::iter::once(0.0).chain((0..=40).map(|k| 2f64.powf(f64::from(k) / 2.0))).collect();
    let paths = Paths::new(spaced.clone(), 1, vec![spaced.clone()]).unwrap();
    let chosen = paths.log_records(1024.0, f64::INFINITY, 11);
    let octaves: Vec<f64> = chosen.iter().map(|r| spaced[*r].log2().round()).collect();
    assert_eq!(octaves, (10..=20).map(f64::from).collect::<Vec<f64>>());
    assert_eq!(paths.log_records(1024.0, f64::INFINITY, 30).len(), 21);
    // Of even times it is what the lags say.
    let even: Vec<f64> = (0..=512).map(f64::from).collect();
    let paths = Paths::new(even.clone(), 1, vec![even]).unwrap();
    assert_eq!(paths.log_records(0.0, f64::INFINITY, 16), log_lags(512, 16));
    assert!(paths.log_records(600.0, 700.0, 16).is_empty());
}

#[test]
fn a_model_says_its_parameters() {
    let model = Model { shape: Shape::Inertial, drift: true };
    assert_eq!(
        (model.name().as_str(), model.parameters()),
        ("inertial+drift", vec!["diffusion", "time", "squared_drift"])
    );
}
