//! Banded ridge: groups of features (bands) with penalties of their own. Dividing a band's columns by
//! √penalty makes it plain ridge (Nunez-Elizalde et al. 2019).

use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef, Real};

use super::ridge::{Fit, Ridge, best, check_alphas};

/// Features with every band's columns divided by √ its penalty; `band` is the band of a column, from 0.
///
/// # Errors
/// If a band has no positive penalty.
pub fn scale<T: Real>(x: MatRef<'_, T>, band: &[usize], penalties: &[f64]) -> Result<Mat<T>> {
    check_alphas(penalties)?;
    if band.len() != x.ncols() || band.iter().any(|b| *b >= penalties.len()) {
        return Err(Error::new(format!(
            "{} columns, bands of {} and {} penalties do not fit",
            x.ncols(),
            band.len(),
            penalties.len()
        )));
    }
    Ok(Mat::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] / T::of(penalties[band[j]].sqrt())))
}

/// The fit with one penalty a band.
///
/// # Errors
/// As [`scale`] and [`Ridge::new`].
pub fn fit<T: Real>(x: MatRef<'_, T>, y: MatRef<'_, T>, band: &[usize], penalties: &[f64]) -> Result<Fit<T>> {
    let scaled = scale(x, band, penalties)?;
    let rows: Vec<usize> = (0..x.nrows()).collect();
    let mut fit = Ridge::new(scaled.as_ref(), y)?.fit(&rows, &vec![1.0; y.ncols()])?;
    for j in 0..y.ncols() {
        for (value, band) in fit.coefficients.col_as_slice_mut(j).iter_mut().zip(band) {
            *value /= T::of(penalties[*band].sqrt());
        }
    }
    Ok(fit)
}

/// What was chosen for one target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Index of the penalty ratio.
    pub ratio: usize,
    /// Index of the overall penalty.
    pub alpha: usize,
    /// Its mean `r2/test-mean` over folds.
    pub score: f64,
}

/// For every target, the ratio of band penalties and the overall penalty with the best score; the first
/// of equals.
///
/// # Errors
/// As [`scale`] and [`Ridge::cross_validate`].
pub fn cross_validate<T: Real>(
    x: MatRef<'_, T>,
    y: MatRef<'_, T>,
    band: &[usize],
    ratios: &[Vec<f64>],
    folds: &[Vec<usize>],
    alphas: &[f64],
) -> Result<Vec<Choice>> {
    let rows: Vec<usize> = (0..x.nrows()).collect();
    let mut chosen: Vec<Choice> = vec![Choice { ratio: 0, alpha: 0, score: f64::NEG_INFINITY }; y.ncols()];
    for (ratio, penalties) in ratios.iter().enumerate() {
        let scaled = scale(x, band, penalties)?;
        let scores = Ridge::new(scaled.as_ref(), y)?.cross_validate(&rows, folds, alphas)?;
        for (target, alpha) in best(scores.as_ref()).into_iter().enumerate() {
            let score = scores[(alpha, target)];
            if score > chosen[target].score {
                chosen[target] = Choice { ratio, alpha, score };
            }
        }
    }
    Ok(chosen)
}
