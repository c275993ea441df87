//! Simulated ensembles with known truth: how often intervals of the exponent hold it, and how often the generating
//! model is chosen. `fits coverage CHAINS ENSEMBLES` or `fits selection CASES`.

use std::collections::BTreeMap;

use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use rayon::prelude::*;
use science::dynamics::fit::exponent::exponent;
use science::dynamics::fit::paths::{Paths, log_lags};
use science::dynamics::fit::select::{candidates, lags_for, longest_lag, select};
use science::error::{Error, Result};

const STEPS: usize = 512;

/// Innovations filter of fractional Gaussian noise (Durbin–Levinson): its rows and standard deviations.
fn filter(exponent: f64) -> Vec<(Vec<f64>, f64)> {
    let raised = |k: f64| k.abs().powf(exponent);
    let covariance: Vec<f64> = (0..STEPS)
        .map(|k| (raised(k as f64 + 1.0) - 2.0 * raised(k as f64) + raised(k as f64 - 1.0)) / 2.0)
        .collect();
    let mut rows = vec![(Vec::new(), 1.0_f64)];
    let (mut row, mut variance): (Vec<f64>, f64) = (Vec::new(), 1.0);
    for n in 1..STEPS {
        let known: f64 = row.iter().zip(covariance[1..n].iter().rev()).map(|(f, c)| f * c).sum();
        let partial = (covariance[n] - known) / variance;
        let old = row.clone();
        row.iter_mut().zip(old.iter().rev()).for_each(|(f, o)| *f -= partial * o);
        row.push(partial);
        variance *= 1.0 - partial * partial;
        rows.push((row.clone(), variance.sqrt()));
    }
    rows
}

fn normal(random: &mut Xoshiro256PlusPlus) -> f64 {
    StandardNormal.sample(random)
}

fn fractional(filter: &[(Vec<f64>, f64)], drift: f64, random: &mut Xoshiro256PlusPlus) -> Vec<f64> {
    let (mut noise, mut path): (Vec<f64>, Vec<f64>) = (Vec::new(), vec![0.0]);
    for (row, sd) in filter {
        let expected: f64 = row.iter().zip(noise.iter().rev()).map(|(f, v)| f * v).sum();
        noise.push(expected + sd * normal(random));
        path.push(path[path.len() - 1] + noise[noise.len() - 1] + drift);
    }
    path
}

/// A stationary process of unit variance and this correlation time; summed up if `inertial`.
fn relaxing(time: f64, inertial: bool, random: &mut Xoshiro256PlusPlus) -> Vec<f64> {
    // Inertial motion is summed over fine steps, so that it is smooth at the first lag.
    let fine = if inertial { 20 } else { 1 };
    let keep = (-1.0 / (time * f64::from(fine))).exp();
    let (mut value, mut at) = (normal(random), 0.0);
    let mut path = vec![if inertial { 0.0 } else { value }];
    for _ in 0..STEPS {
        for _ in 0..fine {
            let next = keep * value + (1.0 - keep * keep).sqrt() * normal(random);
            at += (value + next) / f64::from(2 * fine);
            value = next;
        }
        path.push(if inertial { at } else { value });
    }
    path
}

fn ensemble(chains: usize, mut one: impl FnMut() -> Vec<f64>) -> Result<Paths> {
    Paths::new((0..=STEPS).map(|t| t as f64).collect(), 1, (0..chains).map(|_| one()).collect())
}

fn coverage(chains: usize, ensembles: u64) -> Result<()> {
    for truth in [0.5, 1.0, 1.5] {
        let filter = filter(truth);
        let inside = |seed: u64| -> Result<[(bool, f64); 2]> {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            let paths = ensemble(chains, || fractional(&filter, 0.0, &mut random))?;
            let curves =
                [paths.time_averaged(&log_lags(STEPS / 10, 16))?, paths.from_start(&log_lags(STEPS, 16))];
            let [a, b] = curves.map(|c| exponent(&c).map(|e| e.slope));
            Ok([a?, b?].map(|e| ((e.low..=e.high).contains(&truth), e.high - e.low)))
        };
        let all: Vec<_> = (0..ensembles).into_par_iter().map(inside).collect::<Result<_>>()?;
        for (k, name) in ["time-averaged", "ensemble"].into_iter().enumerate() {
            let share = all.iter().filter(|e| e[k].0).count() as f64 / all.len() as f64;
            let width = all.iter().map(|e| e[k].1).sum::<f64>() / all.len() as f64;
            println!("c {truth} {chains} chains {name}: coverage {share:.3}, mean width {width:.3}");
        }
    }
    Ok(())
}

fn selection(cases: u64) -> Result<()> {
    let (slow, fast) = (filter(0.6), filter(1.4));
    for class in ["power", "saturation", "inertial", "power+drift"] {
        let chosen = |seed: u64| -> Result<String> {
            let random = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
            let paths = ensemble(48, || match class {
                "power" => fractional(if seed.is_multiple_of(2) { &slow } else { &fast }, 0.0, random),
                "saturation" => relaxing(10.0 + (seed % 5) as f64 * 8.0, false, random),
                "inertial" => relaxing(8.0 + (seed % 5) as f64 * 6.0, true, random),
                _ => fractional(&slow, 0.1, random),
            })?;
            let curves = paths.time_averaged(&log_lags(longest_lag(STEPS), lags_for(48)))?;
            let ranked = select(&curves, &candidates(None))?;
            Ok(ranked.first().map_or_else(String::new, |r| r.fit.model.name()))
        };
        let all: Vec<String> = (0..cases).into_par_iter().map(chosen).collect::<Result<_>>()?;
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        all.iter().for_each(|name| *counts.entry(name).or_default() += 1);
        println!("{class}: {counts:?} of {cases}");
    }
    Ok(())
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |k: usize| words.get(k).and_then(|w| w.parse::<u64>().ok());
    match (words.first().map(String::as_str), number(1), number(2)) {
        (Some("coverage"), Some(chains), Some(ensembles)) => coverage(chains as usize, ensembles),
        (Some("selection"), Some(cases), _) => selection(cases),
        _ => Err(Error::new("fits coverage CHAINS ENSEMBLES | fits selection CASES")),
    }
}
