//! The exponent c of D(t) = A tᶜ, with an interval from chains.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::paths::{Curves, Paths, log_lags};
use crate::error::{Error, Result};

/// The greatest change of the local slope over the window at which a single exponent still describes the curve.
pub const STRAIGHT: f64 = 0.2;
/// Ensemble and time-averaged exponents further apart than this, on the same lags, are not ergodic.
pub const ERGODIC: f64 = 0.2;

/// A number with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Jackknife standard error; NaN with one chain.
    pub error: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What a line in log-log says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exponent {
    /// The slope over the whole window.
    pub slope: Estimate,
    /// How much the local slope changes from the first to the last lag, by a parabola in log-log.
    pub change: Estimate,
    /// First and last lag.
    pub window: (f64, f64),
}

impl Exponent {
    /// Does one exponent describe the curve? Not if the local slope changes by more than [`STRAIGHT`] and chance
    /// (the 95 % interval of the change) does not explain it.
    pub fn single(&self) -> bool {
        let chance = self.change.low <= 0.0 && self.change.high >= 0.0;
        self.change.value.abs() <= STRAIGHT || chance
    }
}

/// The exponent of curves: unweighted least squares of log mean displacement on log lag, intervals by leaving out
/// one chain at a time (jackknife, Student's t with R − 1 degrees of freedom).
///
/// # Errors
/// If the curves are unusable ([`Curves::check`]).
pub fn exponent(curves: &Curves) -> Result<Exponent> {
    curves.check()?;
    let x: Vec<f64> = curves.lags.iter().map(|l| l.ln()).collect();
    let (first, last) = (curves.lags[0], curves.lags[x.len() - 1]);
    let measure = |left_out: Option<usize>| {
        let y: Vec<f64> = curves.mean_without(left_out).iter().map(|v| v.ln()).collect();
        [slope(&x, &y), 2.0 * curvature(&x, &y) * (last / first).ln()]
    };
    let whole = measure(None);
    let parts: Vec<[f64; 2]> = match curves.chains.len() {
        1 => Vec::new(),
        count => (0..count).map(|r| measure(Some(r))).collect(),
    };
    let estimate = |k: usize| jackknife(whole[k], &parts.iter().map(|p| p[k]).collect::<Vec<f64>>());
    Ok(Exponent { slope: estimate(0)?, change: estimate(1)?, window: (first, last) })
}

/// d log D / d log t at each lag: second-order differences on uneven spacing, one-sided at the ends.
pub fn local_slopes(lags: &[f64], values: &[f64]) -> Vec<f64> {
    let points: Vec<(f64, f64)> = lags.iter().zip(values).map(|(t, d)| (t.ln(), d.ln())).collect();
    let rise = |a: (f64, f64), b: (f64, f64)| (b.1 - a.1) / (b.0 - a.0);
    let at = |k: usize| {
        let before = k.checked_sub(1).and_then(|i| points.get(i));
        match (before, points.get(k), points.get(k + 1)) {
            (Some(a), Some(b), Some(c)) => {
                let (left, right) = (b.0 - a.0, c.0 - b.0);
                (rise(*a, *b) * right + rise(*b, *c) * left) / (left + right)
            }
            (Some(a), Some(b), None) | (None, Some(a), Some(b)) => rise(*a, *b),
            _ => f64::NAN,
        }
    };
    (0..points.len()).map(at).collect()
}

/// Exponents of the ensemble and of time averages on the same lags (up to a tenth of the path), about 16 in number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ergodicity {
    /// By displacement from the first record.
    pub ensemble: f64,
    /// By time averages.
    pub time_averaged: f64,
}

impl Ergodicity {
    /// Do the two agree within [`ERGODIC`]? If not, time averages say nothing about the ensemble.
    pub fn holds(&self) -> bool {
        (self.ensemble - self.time_averaged).abs() <= ERGODIC
    }
}

/// Compares ensemble and time averages.
///
/// # Errors
/// If times are uneven, the paths have fewer than 30 steps, or nothing moves.
pub fn ergodicity(paths: &Paths) -> Result<Ergodicity> {
    let lags = log_lags(paths.steps() / 10, 16);
    let of = |curves: Curves| exponent(&curves).map(|e| e.slope.value);
    Ok(Ergodicity { ensemble: of(paths.from_start(&lags))?, time_averaged: of(paths.time_averaged(&lags)?)? })
}

/// The interval of an estimate from its values without one chain each.
fn jackknife(value: f64, parts: &[f64]) -> Result<Estimate> {
    if parts.len() < 2 {
        return Ok(Estimate { value, error: f64::NAN, low: f64::NAN, high: f64::NAN });
    }
    let count = parts.len() as f64;
    let mean = parts.iter().sum::<f64>() / count;
    let error = (parts.iter().map(|p| (p - mean).powi(2)).sum::<f64>() * (count - 1.0) / count).sqrt();
    let student = StudentsT::new(0.0, 1.0, count - 1.0).map_err(|e| Error::new(e.to_string()))?;
    let half = student.inverse_cdf(0.975) * error;
    Ok(Estimate { value, error, low: value - half, high: value + half })
}

/// The least squares slope.
fn slope(x: &[f64], y: &[f64]) -> f64 {
    let count = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / count, y.iter().sum::<f64>() / count);
    let (xy, xx) = x.iter().zip(y).fold((0.0, 0.0), |(xy, xx), (a, b)| {
        let a = a - mx;
        (xy + a * (b - my), xx + a * a)
    });
    xy / xx
}

/// The quadratic coefficient of the least squares parabola: regression on what is left of x² after its own line.
fn curvature(x: &[f64], y: &[f64]) -> f64 {
    let count = x.len() as f64;
    let mean = x.iter().sum::<f64>() / count;
    let centred: Vec<f64> = x.iter().map(|v| v - mean).collect();
    let squares: Vec<f64> = centred.iter().map(|v| v * v).collect();
    let tilt = slope(&centred, &squares);
    let bend: Vec<f64> = centred.iter().zip(&squares).map(|(c, s)| s - tilt * c).collect();
    slope(&bend, y)
}
