//! Simulated processes whose exponent or model is known, for the tests of fits and `examples/fits.rs`.

use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use science::dynamics::fit::exponent::exponent;
use science::dynamics::fit::paths::{Paths, log_lags};
use science::dynamics::fit::select::{candidates, lags_for, longest_lag, select};
use science::error::Result;

const STEPS: usize = 512;

/// The processes that models are chosen for, by the name of their model.
pub const CLASSES: [&str; 4] = ["power", "saturation", "inertial", "power+drift"];

/// Innovations filter of fractional Gaussian noise (Durbin–Levinson): its rows and standard deviations.
pub type Filter = Vec<(Vec<f64>, f64)>;

/// The filter of this exponent of displacement.
pub fn filter(exponent: f64) -> Filter {
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

fn fractional(filter: &Filter, drift: f64, random: &mut Xoshiro256PlusPlus) -> Vec<f64> {
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

/// Of one simulated ensemble of fractional Brownian motion: is the exponent in its 95 % interval, and how wide is that?
/// By time averages up to a tenth of the path, and by the ensemble.
pub fn covered(filter: &Filter, truth: f64, chains: usize, seed: u64) -> Result<[(bool, f64); 2]> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let paths = ensemble(chains, || fractional(filter, 0.0, &mut random))?;
    let curves = [paths.time_averaged(&log_lags(STEPS / 10, 16))?, paths.from_start(&log_lags(STEPS, 16))];
    let [a, b] = curves.map(|c| exponent(&c).map(|e| e.slope));
    Ok([a?, b?].map(|e| ((e.low..=e.high).contains(&truth), e.high - e.low)))
}

/// The model that is chosen for one simulated ensemble of 48 chains of this class; fractional Brownian motion is slow or
/// fast by the parity of the seed.
pub fn chosen([slow, fast]: [&Filter; 2], class: &str, seed: u64) -> Result<String> {
    let random = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let paths = ensemble(48, || match class {
        "power" => fractional(if seed.is_multiple_of(2) { slow } else { fast }, 0.0, random),
        "saturation" => relaxing(10.0 + (seed % 5) as f64 * 8.0, false, random),
        "inertial" => relaxing(8.0 + (seed % 5) as f64 * 6.0, true, random),
        _ => fractional(slow, 0.1, random),
    })?;
    let curves = paths.time_averaged(&log_lags(longest_lag(STEPS), lags_for(48)))?;
    let ranked = select(&curves, &candidates(None))?;
    Ok(ranked.first().map_or_else(String::new, |r| r.fit.model.name()))
}
