//! Encoding models: linear maps from features (stimuli × features) to responses (stimuli × targets),
//! judged on stimuli that were held out.

pub mod banded;
pub mod curve;
pub mod folds;
pub mod nested;
pub mod pls;
pub mod project;
pub mod ridge;

use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef, Real};

/// Coefficient of determination of one target on held-out rows: 1 − Σ(y − ŷ)² ÷ Σ(y − ȳ)², ȳ the mean of
/// the *held-out* rows (`r2/test-mean`). `None` where the target is constant there.
pub fn r2(truth: &[f64], prediction: &[f64]) -> Option<f64> {
    let center = super::stats::mean(truth);
    let total: f64 = truth.iter().map(|y| (y - center).powi(2)).sum();
    let rest: f64 = truth.iter().zip(prediction).map(|(y, p)| (y - p).powi(2)).sum();
    super::stats::varies(total, center, truth.len()).then(|| 1.0 - rest / total)
}

/// Columns with their means taken off, and the means.
fn centered<T: Real>(x: MatRef<'_, T>) -> (Mat<T>, Vec<T>) {
    let means: Vec<T> =
        (0..x.ncols()).map(|j| x.col(j).iter().copied().sum::<T>() / T::of(x.nrows() as f64)).collect();
    (Mat::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] - means[j]), means)
}

/// The rows of X and Y belong together, and all values are finite.
fn check<T: Real>(x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<()> {
    if x.nrows() != y.nrows() {
        return Err(Error::new(format!("{} rows of features, {} of responses", x.nrows(), y.nrows())));
    }
    for (what, matrix) in [("feature", x), ("target", y)] {
        if matrix.ncols() == 0 || matrix.nrows() == 0 {
            return Err(Error::new(format!("there is no {what} or no row")));
        }
        let bad = (0..matrix.ncols()).find(|j| matrix.col(*j).iter().any(|v| !v.wide().is_finite()));
        if let Some(column) = bad {
            let row = matrix.col(column).iter().position(|v| !v.wide().is_finite()).unwrap_or_default();
            return Err(Error::new(format!("row {row} of {what} {column} is no finite number")));
        }
    }
    Ok(())
}
