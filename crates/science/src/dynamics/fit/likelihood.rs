//! The exponent by likelihood: increments as fractional Gaussian noise.

use crate::error::{Error, Result};

/// Increments beyond this many of a series are left out: the cost grows with the square.
pub const MOST_INCREMENTS: usize = 512;

/// The most likely exponent and how sharply it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likelihood {
    /// c = 2 H of fractional Brownian motion.
    pub exponent: f64,
    /// Standard error by the curvature of the log likelihood; right only if the model is.
    pub error: f64,
    /// Mean square increment over one record.
    pub step: f64,
    /// Log likelihood at its maximum.
    pub log_likelihood: f64,
}

/// Maximum likelihood of independent series of increments of the same length, variance unknown (profiled out), mean
/// zero; exact, by the Durbin–Levinson recursion.
///
/// # Errors
/// If there are fewer than 4 increments, lengths differ, or all are 0.
pub fn fractional(increments: &[Vec<f64>]) -> Result<Likelihood> {
    let length = increments.first().map_or(0, Vec::len);
    if length < 4 || increments.iter().any(|s| s.len() != length) {
        return Err(Error::new(
            "the likelihood needs series of at least 4 increments and of the same length",
        ));
    }
    let used = length.min(MOST_INCREMENTS);
    let series: Vec<&[f64]> = increments.iter().map(|s| &s[..used]).collect();
    if series.iter().all(|s| s.iter().all(|v| *v == 0.0)) {
        return Err(Error::new("nothing moves: all increments are 0"));
    }
    let minus = |c: f64| -profile(&series, c).0;
    let exponent = golden(minus, 0.01, 1.99);
    let (log_likelihood, step) = profile(&series, exponent);
    let h = 1e-3_f64.min((2.0 - exponent) / 2.0).min(exponent / 2.0);
    let bend = (minus(exponent + h) - 2.0 * minus(exponent) + minus(exponent - h)) / (h * h);
    Ok(Likelihood { exponent, error: bend.sqrt().recip(), step, log_likelihood })
}

/// Log likelihood with the best variance, and that variance.
fn profile(series: &[&[f64]], exponent: f64) -> (f64, f64) {
    let length = series.first().map_or(0, |s| s.len());
    let raised = |k: f64| k.abs().powf(exponent);
    let covariance: Vec<f64> = (0..length)
        .map(|k| {
            let k = k as f64;
            (raised(k + 1.0) - 2.0 * raised(k) + raised(k - 1.0)) / 2.0
        })
        .collect();
    let mut filter: Vec<f64> = Vec::with_capacity(length);
    let mut variance = 1.0;
    let (mut squares, mut logs) = (0.0, 0.0);
    for n in 0..length {
        if n > 0 {
            let known: f64 = filter.iter().zip(covariance[1..n].iter().rev()).map(|(f, c)| f * c).sum();
            let partial = (covariance[n] - known) / variance;
            let old = filter.clone();
            filter.iter_mut().zip(old.iter().rev()).for_each(|(f, o)| *f -= partial * o);
            filter.push(partial);
            variance *= 1.0 - partial * partial;
        }
        logs += variance.ln();
        for s in series {
            // filter[i] weighs the value i + 1 records back.
            let expected: f64 = filter.iter().zip(s[..n].iter().rev()).map(|(f, v)| f * v).sum();
            squares += (s[n] - expected).powi(2) / variance;
        }
    }
    let total = (length * series.len()) as f64;
    let step = squares / total;
    let log_likelihood =
        -0.5 * (total * ((2.0 * std::f64::consts::PI * step).ln() + 1.0) + series.len() as f64 * logs);
    (log_likelihood, step)
}

/// The minimum of a function with one valley, by golden section.
fn golden(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut a, mut b) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut fa, mut fb) = (f(a), f(b));
    while high - low > 1e-6 {
        if fa < fb {
            (high, b, fb) = (b, a, fa);
            a = high - ratio * (high - low);
            fa = f(a);
        } else {
            (low, a, fa) = (a, b, fb);
            b = low + ratio * (high - low);
            fb = f(b);
        }
    }
    (low + high) / 2.0
}
