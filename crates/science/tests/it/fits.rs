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

use crate::npz::{read, root};

fn json(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(format!("{}/dynamics/{name}", root())).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn golden() -> Vec<(String, Paths, Value)> {
    let reference = json("trajectories_reference.json");
    read("dynamics/trajectories.npz")
        .into_iter()
        .map(|(name, array)| {
            let times = (0..array.shape[1]).map(|t| t as f64).collect();
            let chains = (0..array.shape[0]).map(|r| array.row(r).to_vec()).collect();
            let facts = reference[&name].clone();
            (name, Paths::new(times, 1, chains).unwrap(), facts)
        })
        .collect()
}

fn alone(lags: Vec<f64>, values: Vec<f64>) -> Curves {
    Curves { lags, chains: vec![values] }
}

#[test]
fn slopes_are_those_of_the_reference() {
    for (name, paths, facts) in golden() {
        let close = |value: f64, key: &str| {
            let expected = facts[key].as_f64().unwrap();
            assert!((value - expected).abs() < 1e-6, "{name} {key}: {value} against {expected}");
        };
        close(exponent(&paths.from_start(&log_lags(512, 16))).unwrap().slope.value, "emsd_logspaced");
        let both = ergodicity(&paths).unwrap();
        close(both.ensemble, "emsd_same_lags");
        close(both.time_averaged, "eatamsd_lag_le_10pct");
    }
}

#[test]
fn exponents_are_found_and_broken_ergodicity_is_flagged() {
    for (name, paths, facts) in golden() {
        let both = ergodicity(&paths).unwrap();
        let broken = name.starts_with("sbm") || name.starts_with("ctrw");
        assert_eq!(both.holds(), !broken, "{name}: {both:?}");
        let Some(truth) = facts["true"].as_f64() else { continue };
        if name.starts_with("fbm") {
            let likely = fractional(&paths.increments()).unwrap();
            assert!((likely.exponent - truth).abs() < 0.06, "{name}: {likely:?}");
            assert!((likely.exponent - truth).abs() < 4.0 * likely.error, "{name}: {likely:?}");
            assert!((both.time_averaged - truth).abs() < 0.06, "{name}: {both:?}");
        } else if broken {
            let found = exponent(&paths.from_start(&log_lags(512, 16))).unwrap();
            assert!((found.slope.value - truth).abs() < 0.15, "{name}: {found:?}");
        }
    }
}

#[test]
fn a_stationary_process_saturates_and_has_no_single_exponent() {
    let (_, paths, _) = golden().into_iter().find(|(name, ..)| name == "ou_30").unwrap();
    let curves = paths.time_averaged(&log_lags(256, lags_for(48))).unwrap();
    let ranked = select(&curves, &candidates(None)).unwrap();
    assert_eq!(ranked[0].fit.model.name(), "saturation", "{ranked:#?}");
    assert!((ranked[0].fit.parameters[1] / 30.0 - 1.0).abs() < 0.2, "{:?}", ranked[0].fit);
    assert!(!exponent(&curves).unwrap().single());
}

#[test]
fn noise_free_curves_give_their_parameters_back() {
    let all = json("displacement_curves.json");
    let cases = [
        ("power_exact", "power", ["A", "c"]),
        ("ou_saturation", "saturation", ["var", "tau"]),
        ("ballistic_to_diffusive", "inertial", ["diff_coef", "tau"]),
    ];
    for (name, model, keys) in cases {
        let case = &all[name];
        let curves = alone(numbers(&case["t"]), numbers(&case["D"]));
        let ranked = select(&curves, &candidates(None)).unwrap();
        let own = ranked.iter().find(|r| r.fit.model.name() == model).unwrap();
        assert!(ranked[0].fit.model.name().starts_with(model), "{name}: {:?}", ranked[0]);
        for (found, key) in own.fit.parameters.iter().zip(keys) {
            let truth = case[key].as_f64().unwrap();
            assert!((found / truth - 1.0).abs() < 1e-6, "{name} {key}: {found} against {truth}");
        }
    }
    let noisy = &all["power_noisy_5pct"];
    let curves = alone(numbers(&noisy["t"]), numbers(&noisy["D"]));
    let ranked = select(&curves, &candidates(None)).unwrap();
    assert_eq!(ranked[0].fit.model.name(), "power", "{:?}", ranked[0]);
    assert!((ranked[0].fit.parameters[1] - 0.83).abs() < 0.01);
    assert!(exponent(&curves).unwrap().single());
}

#[test]
fn spectra_have_no_single_exponent_and_fit_their_own_curve() {
    let all = json("displacement_curves.json");
    for name in ["spectrum_alpha2.0", "spectrum_alpha1.5"] {
        let (t, d) = (numbers(&all[name]["t"]), numbers(&all[name]["D"]));
        for (found, expected) in local_slopes(&t, &d).iter().zip(numbers(&all[name]["local_exponent"])) {
            assert!((found - expected).abs() < 1e-9, "{name}: {found} against {expected}");
        }
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
