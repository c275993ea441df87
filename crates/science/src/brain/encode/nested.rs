//! Nested cross-validation: the penalty is chosen on the training rows of each outer fold alone.

use crate::error::{Error, Result};
use crate::linalg::{Mat, Real, product};

use super::folds::{contiguous, without};
use super::ridge::{Ridge, best, shrink};

/// Predictions for every row from fits that never saw it.
#[derive(Clone, Debug)]
pub struct Nested<T> {
    /// Rows × targets; 0 in rows of no fold.
    pub predictions: Mat<T>,
    /// The chosen penalty of every outer fold (rows) and target (columns).
    pub alphas: Mat<f64>,
    /// The mean score over inner folds of the chosen penalty, as `alphas`.
    pub inner: Mat<f64>,
}

/// Cross-validation over `outer` folds; in each, penalties are chosen by contiguous folds of the
/// remaining rows in their order, `inner` of them.
///
/// # Errors
/// As [`Ridge::cross_validate`]; if a row is in two outer folds.
pub fn nested<T: Real>(
    ridge: &Ridge<'_, T>,
    outer: &[Vec<usize>],
    inner: usize,
    alphas: &[f64],
) -> Result<Nested<T>> {
    nested_while(ridge, outer, inner, alphas, &|| Ok(()))
}

/// [`nested`] that asks `go_on` before each outer fold.
///
/// # Errors
/// As [`nested`]; that of `go_on`.
pub fn nested_while<T: Real>(
    ridge: &Ridge<'_, T>,
    outer: &[Vec<usize>],
    inner: usize,
    alphas: &[f64],
    go_on: &dyn Fn() -> Result<()>,
) -> Result<Nested<T>> {
    let mut rows: Vec<usize> = outer.concat();
    rows.sort_unstable();
    if let Some(twice) = rows.windows(2).find(|w| w[0] == w[1]) {
        return Err(Error::new(format!("row {} is in two folds", twice[0])));
    }
    let (total, targets) = ridge.size();
    if let Some(beyond) = rows.last().filter(|r| **r >= total) {
        return Err(Error::new(format!("a fold holds row {beyond} of {total}")));
    }
    let mut out = Nested {
        predictions: Mat::zeros(total, targets),
        alphas: Mat::zeros(outer.len(), targets),
        inner: Mat::zeros(outer.len(), targets),
    };
    for (fold, held) in outer.iter().enumerate() {
        go_on()?;
        let context = |e: Error| Error::new(format!("outer fold {fold}: {e}"));
        let train = without(&rows, held);
        let scores = ridge.cross_validate(&train, &contiguous(&train, inner)?, alphas).map_err(context)?;
        let chosen = best(scores.as_ref());
        for (target, index) in chosen.iter().enumerate() {
            out.alphas[(fold, target)] = alphas[*index];
            out.inner[(fold, target)] = scores[(*index, target)];
        }
        let spectrum = ridge.spectrum(&train).map_err(context)?;
        let a = ridge.project(&spectrum, held);
        for (from, width) in ridge.blocks() {
            let (b, means) = ridge.rotate(&spectrum, from, width);
            let mut scaled = b.clone();
            shrink(&b, spectrum.values(), |j| alphas[chosen[from + j]], &mut scaled);
            let predicted = product(a.as_ref(), scaled.as_ref());
            for (j, mean) in means.iter().enumerate() {
                for (i, row) in held.iter().enumerate() {
                    out.predictions[(*row, from + j)] = predicted[(i, j)] + *mean;
                }
            }
        }
    }
    Ok(out)
}
