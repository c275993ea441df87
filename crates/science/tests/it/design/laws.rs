//! Searches against all sets, increments against their definitions.

use std::collections::BTreeMap;

use proptest::prelude::*;
use science::design::cover::{Coverage, Distance, central, k_center};
use science::design::decorrelate::Decorrelation;
use science::design::disagree::Separation;
use science::design::drive::Drive;
use science::design::optimal::{Aim, Learning};
use science::design::recover::{Order, Settings, simulate};
use science::design::sample::{random, stratified};
use science::design::search::{Criterion, best, combinations, exchange, exhaustive, greedy};
use science::linalg::{Mat, with_threads};

use super::{features, pattern, similar_models};

/// Every criterion on a pool of uneven stimuli.
fn criteria(stimuli: usize, seed: u64) -> Vec<(&'static str, Box<dyn Criterion>)> {
    let f = features(stimuli, 4, seed);
    let response: Vec<f64> = (0..stimuli).map(|i| pattern(i, seed ^ 5)).collect();
    let learning = |aim| Box::new(Learning::new(aim, f.as_ref(), None, 0.01).unwrap());
    let models = similar_models(3, stimuli, 4, seed);
    vec![
        ("determinant", learning(Aim::Determinant)),
        ("trace", learning(Aim::Trace)),
        ("information", learning(Aim::Information)),
        ("coverage", Box::new(Coverage::new(Distance::Mean, f.as_ref()).unwrap())),
        ("radius", Box::new(Coverage::new(Distance::Largest, f.as_ref()).unwrap())),
        ("separation", Box::new(Separation::new(&models, &[1.0 / 3.0; 3]).unwrap())),
        ("drive", Box::new(Drive::new(&response, Some(f.as_ref()), 0.7).unwrap())),
        ("drive alone", Box::new(Drive::new(&response, None, 0.0).unwrap())),
    ]
}

fn combined(stimuli: usize, p: usize, seed: u64) -> Decorrelation {
    let models: Vec<Mat<f64>> = (0..3).map(|m| features(stimuli, p, seed ^ (m << 9))).collect();
    Decorrelation::new(&models.iter().map(Mat::as_ref).collect::<Vec<_>>()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn added_stimuli_have_the_value_of_the_larger_set(seed in 0_u64..1000, size in 0_usize..5) {
        for (name, criterion) in criteria(9, seed) {
            let chosen: Vec<usize> = (0..size).map(|i| (i * 2 + seed as usize) % 9).collect();
            for (stimulus, value) in criterion.values_with(&chosen).into_iter().enumerate() {
                if chosen.contains(&stimulus) {
                    continue;
                }
                let mut larger = chosen.clone();
                larger.push(stimulus);
                let plain = criterion.value(&larger);
                prop_assert!((value - plain).abs() <= 1e-9 * plain.abs().max(1.0), "{name}: {value} is not {plain}");
            }
        }
        let geometry = combined(9, 6, seed);
        let chosen: Vec<usize> = (0..size).collect();
        for (stimulus, value) in geometry.values_with(&chosen).into_iter().enumerate().skip(size) {
            let larger: Vec<usize> = chosen.iter().copied().chain([stimulus]).collect();
            let plain = geometry.value(&larger);
            prop_assert!(value == plain || (value - plain).abs() <= 1e-9, "geometry: {value} is not {plain}");
        }
    }

    #[test]
    fn the_best_set_of_a_small_pool_is_that_of_exhaustive_search(seed in 0_u64..1000, n in 1_usize..5) {
        for (name, criterion) in criteria(9, seed) {
            let found = best(&*criterion, n, &[], &[]).unwrap();
            let all = exhaustive(&*criterion, n, &[]).unwrap();
            let mut sorted = found.clone();
            sorted.sort_unstable();
            prop_assert_eq!(&sorted, &all, "{}", name);
            // Nor does any single exchange improve it, and greedy choice is no better.
            let swapped = exchange(&*criterion, found.clone(), &[]);
            prop_assert!(criterion.value(&swapped) <= criterion.value(&found) + 1e-12);
            prop_assert!(criterion.value(&greedy(&*criterion, n, &[])) <= criterion.value(&found) + 1e-12);
        }
    }

    #[test]
    fn barred_stimuli_are_never_chosen(seed in 0_u64..1000, n in 1_usize..4) {
        let mut barred = vec![false; 40];
        (0..20).for_each(|i| barred[(i * 3 + seed as usize) % 40] = true);
        for (_, criterion) in criteria(40, seed) {
            let mut found = best(&*criterion, n, &barred, &[]).unwrap();
            prop_assert!(found.iter().all(|i| !barred[*i]));
            found.sort_unstable();
            found.dedup();
            prop_assert_eq!(found.len(), n);
        }
    }

    #[test]
    fn no_set_has_half_the_radius_of_k_center(seed in 0_u64..1000, n in 1_usize..4) {
        let f = features(9, 3, seed);
        let (chosen, radii) = k_center(f.as_ref(), n, central(f.as_ref()), &[]).unwrap();
        prop_assert!(radii.windows(2).all(|w| w[1] <= w[0]));
        let radius = Coverage::new(Distance::Largest, f.as_ref()).unwrap();
        prop_assert!((radius.value(&chosen) + radii[n - 1]).abs() < 1e-12);
        let least = -radius.value(&exhaustive(&radius, n, &[]).unwrap());
        prop_assert!(radii[n - 1] <= 2.0 * least + 1e-9);
    }

    #[test]
    fn strata_get_their_share(seed in 0_u64..1000, n in 1_usize..60) {
        let groups: Vec<String> = (0..60).map(|i| if i < 30 { "a" } else if i < 50 { "b" } else { "c" }.to_owned()).collect();
        let free: Vec<usize> = (0..60).collect();
        let found = stratified(&free, &groups, n, seed).unwrap();
        prop_assert_eq!(found.len(), n);
        for (name, size) in [("a", 30.0), ("b", 20.0), ("c", 10.0)] {
            let own = found.iter().filter(|(i, _)| groups[*i] == name).count() as f64;
            prop_assert!((own - size * n as f64 / 60.0).abs() < 1.0, "{name}: {own} of {n}");
        }
        let mut members: Vec<usize> = found.iter().map(|(i, _)| *i).collect();
        members.sort_unstable();
        members.dedup();
        prop_assert_eq!(members.len(), n);
    }
}

#[test]
fn what_is_measured_already_informs_less() {
    let f = features(30, 3, 1);
    let measured = f.subrows(0, 20);
    let fresh = Learning::new(Aim::Information, f.as_ref(), None, 0.1).unwrap();
    let later = Learning::new(Aim::Information, f.as_ref(), Some(measured), 0.1).unwrap();
    let (first, second) = (fresh.value(&[25, 26]), later.value(&[25, 26]));
    assert!(second < 0.5 * first && second > 0.0, "{first} {second}");
    // The information of both parts is that of the whole.
    let mut whole: Vec<usize> = (0..20).collect();
    let before = fresh.value(&whole);
    whole.extend([25, 26]);
    assert!((fresh.value(&whole) - before - second).abs() < 1e-9);
    // Without stimuli there is none.
    assert_eq!(fresh.value(&[]), 0.0);
}

#[test]
fn one_gaussian_weight_is_known_in_closed_form() {
    // y = f w + noise, one feature: ½ log₂ (1 + Σ f² ÷ λ).
    let f = Mat::from_fn(3, 1, |i, _| i as f64 + 1.0);
    let learning = Learning::new(Aim::Information, f.as_ref(), None, 2.0).unwrap();
    assert!((learning.value(&[0, 2]) - 0.5 * (1.0_f64 + 10.0 / 2.0).log2()).abs() < 1e-12);
    let trace = Learning::new(Aim::Trace, f.as_ref(), None, 2.0).unwrap();
    assert!((trace.value(&[0, 2]) + 1.0 / 12.0).abs() < 1e-12);
}

#[test]
fn sets_are_counted() {
    assert_eq!(combinations(12, 5), Some(792));
    assert_eq!(combinations(5, 5), Some(1));
    assert_eq!(combinations(5, 6), None);
    assert_eq!(combinations(1000, 500), None);
}

#[test]
fn threads_change_no_choice() {
    let run = |threads| {
        with_threads(threads, || {
            let free: Vec<usize> = (0..60).collect();
            let starts = [random(&free, 7, 1, 0).unwrap()];
            let sets = criteria(60, 4).into_iter().map(|(_, c)| best(&*c, 7, &[], &starts).unwrap());
            let geometry = best(&combined(60, 6, 4), 7, &[], &starts).unwrap();
            let settings = Settings { subjects: 9, trials: 20, level: 0.95, seed: 2 };
            let subjects = simulate(&similar_models(3, 60, 4, 4), &Order::Adaptive, &settings).unwrap();
            (sets.chain([geometry]).collect::<Vec<_>>(), subjects)
        })
    };
    assert_eq!(run(1).unwrap(), run(3).unwrap());
}

/// How often exchange ends at the best of all sets, on pools where all can be tried.
#[test]
fn exchange_from_several_starts_finds_the_best_set_nearly_always() {
    let free: Vec<usize> = (0..12).collect();
    let mut found = BTreeMap::<&str, u32>::new();
    for seed in 0..100 {
        let starts: Vec<Vec<usize>> = (0..8).map(|t| random(&free, 5, seed, t).unwrap()).collect();
        let mut criteria = criteria(12, seed);
        criteria.push(("geometry", Box::new(combined(12, 6, seed))));
        for (name, criterion) in criteria {
            let greedy = exchange(&*criterion, greedy(&*criterion, 5, &[]), &[]);
            let ends = starts.iter().map(|start| exchange(&*criterion, start.clone(), &[])).chain([greedy]);
            let most = ends.map(|set| criterion.value(&set)).fold(f64::NEG_INFINITY, f64::max);
            let all = criterion.value(&exhaustive(&*criterion, 5, &[]).unwrap());
            *found.entry(name).or_default() += u32::from(all - most <= 1e-9 * all.abs());
        }
    }
    println!("of 100 pools: {found:?}");
    assert!(found.values().all(|hits| *hits >= 90), "{found:?}");
}
