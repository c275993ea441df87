//! What intervals of exponents and the choice of models are worth, on fewer simulated cases than `examples/fits.rs` takes.
//! Bounds follow from the binomial law: a share as promised falls out of them once in a thousand, and the test itself
//! shows that a share that breaks the promise nearly always does.

use rayon::prelude::*;

use crate::processes::{CLASSES, chosen, covered, filter};

/// P(at most `most` of `n`), each with probability `p`.
fn at_most(most: u64, n: u64, p: f64) -> f64 {
    // ln of the number of ways, for (1 − p)ⁿ alone may be below every number.
    let (mut ways, mut total) = (0.0_f64, 0.0);
    for k in 0..=most {
        total += (ways + k as f64 * p.ln() + (n - k) as f64 * (1.0 - p).ln()).exp();
        ways += ((n - k) as f64 / (k + 1) as f64).ln();
    }
    total
}

/// The counts of `n` that a share of `p` stays within, but for once in a thousand below and once above.
fn bounds(n: u64, p: f64) -> (u64, u64) {
    let low = (0..=n).find(|k| at_most(*k, n, p) > 1e-3).unwrap();
    let high = (0..=n).find(|k| at_most(*k, n, p) >= 1.0 - 1e-3).unwrap();
    (low, high)
}

/// How often the two intervals of an exponent hold it.
fn count(truth: f64, chains: usize, ensembles: u64) -> [u64; 2] {
    let filter = filter(truth);
    let all: Vec<_> =
        (0..ensembles).into_par_iter().map(|seed| covered(&filter, truth, chains, seed).unwrap()).collect();
    [0, 1].map(|k| all.iter().filter(|e| e[k].0).count() as u64)
}

#[test]
fn the_binomial_law_is_right() {
    // Of ten throws of a coin: 1, 10, 45, … of 1024 ways.
    assert!((at_most(2, 10, 0.5) - 56.0 / 1024.0).abs() < 1e-12);
    assert!((at_most(10, 10, 0.3) - 1.0).abs() < 1e-12);
}

#[test]
fn intervals_of_many_chains_hold_the_exponent_as_often_as_they_say() {
    const ENSEMBLES: u64 = 200;
    let (low, high) = bounds(ENSEMBLES, 0.95);
    // Coverage of 80 % would be found out.
    assert!(at_most(low - 1, ENSEMBLES, 0.80) > 0.999);
    for truth in [0.5, 1.0, 1.5] {
        let found = count(truth, 48, ENSEMBLES);
        println!("c {truth}: {found:?} of {ENSEMBLES} in the interval, {low} to {high} expected");
        assert!(found.iter().all(|k| (low..=high).contains(k)), "c {truth}: {found:?}, {low} to {high}");
    }
}

#[test]
fn intervals_of_eight_chains_hold_the_exponent_in_nine_of_ten() {
    const ENSEMBLES: u64 = 400;
    let (low, _) = bounds(ENSEMBLES, 0.90);
    assert!(at_most(low - 1, ENSEMBLES, 0.80) > 0.99);
    for truth in [0.5, 1.0, 1.5] {
        let found = count(truth, 8, ENSEMBLES);
        println!("c {truth}: {found:?} of {ENSEMBLES} in the interval, {low} or more expected");
        assert!(found.iter().all(|k| *k >= low), "c {truth}: {found:?}, at least {low}");
    }
}

#[test]
fn the_model_that_made_the_paths_is_chosen() {
    const CASES: u64 = 60;
    let (slow, fast) = (filter(0.6), filter(1.4));
    let (low, _) = bounds(CASES, 0.90);
    assert!(at_most(low - 1, CASES, 0.60) > 0.99);
    for class in CLASSES {
        let own = |seed: &u64| chosen([&slow, &fast], class, *seed).unwrap() == class;
        let found = (0..CASES).into_par_iter().filter(own).count() as u64;
        println!("{class}: chosen in {found} of {CASES}, {low} or more expected");
        assert!(found >= low, "{class}: {found} of {CASES}, at least {low}");
    }
}
