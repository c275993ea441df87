//! Which model made a displacement curve.

use super::models::{Fit, Model, Shape, fit};
use super::paths::Curves;
use crate::error::{Error, Result};
use crate::linalg::{Mat, solve_positive};

/// Relative rounding of displacements and their logarithms: below it no fit is better than another.
const ROUNDING: f64 = 8.0 * f64::EPSILON;

/// A fitted model among its rivals.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The fit.
    pub fit: Fit,
    /// Akaike's criterion, corrected for few points.
    pub aicc: f64,
    /// Less the best of all: 0 for the best.
    pub delta: f64,
    /// Akaike weight: relative likelihood among the candidates; they sum to 1.
    pub weight: f64,
}

/// Power law, saturation and inertial crossover, with and without drift, and the same for a `given` curve.
pub fn candidates(given: Option<Vec<f64>>) -> Vec<Model> {
    let shapes =
        [Shape::Power, Shape::Saturation, Shape::Inertial].into_iter().chain(given.map(Shape::Given));
    shapes.flat_map(|shape| [false, true].map(|drift| Model { shape: shape.clone(), drift })).collect()
}

/// How many lags the selection takes from this many chains: the covariance of K points needs more than K chains.
pub fn lags_for(chains: usize) -> usize {
    if chains == 1 { usize::MAX } else { (chains / 4).clamp(6, 10) }
}

/// The longest lag, in records, of time averages over `steps` from which a model is chosen: a quarter of the path, where
/// saturation and crossovers show. Exponents are taken from a tenth, where averages are sharp.
pub fn longest_lag(steps: usize) -> usize {
    steps / 4
}

/// Fits all `models` and ranks them, the best first.
///
/// With more chains than lags + 2 the residuals are weighted with the inverse of their covariance over chains, and
/// −2 log L = R ln(1 + χ²/(R − 1)), which allows for that covariance being an estimate (Sellentin and Heavens 2016).
/// With fewer, variances alone weigh. With one curve all points weigh the same and the scatter is unknown:
/// −2 log L = K ln(χ²/K), its variance counts as a parameter.
///
/// # Errors
/// If the curves are unusable ([`Curves::check`]) or there are too few lags for any model.
pub fn select(curves: &Curves, models: &[Model]) -> Result<Vec<Ranked>> {
    curves.check()?;
    let mean = curves.mean();
    let (count, chains) = (mean.len() as f64, curves.chains.len() as f64);
    let weights = weights(curves, &mean)?;
    let mut ranked = Vec::new();
    for model in models {
        let parameters = model.parameters().len() as f64 + if chains > 1.0 { 0.0 } else { 1.0 };
        if count - parameters - 1.0 < 1.0 {
            continue;
        }
        let fit = fit(model, &curves.lags, &mean, &weights)?;
        let floor = count * ROUNDING.powi(2);
        let misfit = if chains > 1.0 {
            chains * (fit.chi_squared / (chains - 1.0)).ln_1p()
        } else {
            count * (fit.chi_squared.max(floor) / count).ln()
        };
        let aicc =
            misfit + 2.0 * parameters + 2.0 * parameters * (parameters + 1.0) / (count - parameters - 1.0);
        ranked.push(Ranked { fit, aicc, delta: 0.0, weight: 0.0 });
    }
    ranked.sort_by(|a, b| a.aicc.total_cmp(&b.aicc));
    let best = ranked.first().map(|r| r.aicc);
    let best = best.ok_or_else(|| Error::new(format!("{count} lags are too few to choose a model")))?;
    ranked.iter_mut().for_each(|r| r.delta = r.aicc - best);
    let total: f64 = ranked.iter().map(|r| (-r.delta / 2.0).exp()).sum();
    ranked.iter_mut().for_each(|r| r.weight = (-r.delta / 2.0).exp() / total);
    Ok(ranked)
}

/// Inverse covariance of log mean displacement.
fn weights(curves: &Curves, mean: &[f64]) -> Result<Mat<f64>> {
    let (lags, chains) = (mean.len(), curves.chains.len());
    if chains == 1 {
        return Ok(Mat::identity(lags, lags));
    }
    let relative = |r: usize, k: usize| curves.chains[r][k] / mean[k] - 1.0;
    let scale = 1.0 / (chains * (chains - 1)) as f64;
    let full = chains > lags + 2;
    let covariance = Mat::from_fn(lags, lags, |i, j| {
        if i != j && !full {
            return 0.0;
        }
        (0..chains).map(|r| relative(r, i) * relative(r, j)).sum::<f64>() * scale
    });
    let largest = (0..lags).map(|k| covariance[(k, k)]).fold(0.0, f64::max);
    // Chains that are all alike differ by rounding at most, which weighs nothing.
    if largest <= ROUNDING.powi(2) {
        return Ok(Mat::identity(lags, lags));
    }
    // Curves that agree to rounding at some lag must not get all the weight.
    let floored =
        Mat::from_fn(lags, lags, |i, j| covariance[(i, j)] + if i == j { 1e-10 * largest } else { 0.0 });
    solve_positive(floored.as_ref(), Mat::identity(lags, lags).as_ref())
}
