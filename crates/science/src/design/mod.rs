//! The next experiment: which stimuli to show, when models are to be told apart, parameters estimated or
//! units driven, and how fast each way gets there.
//!
//! A pool has rows (stimuli); what is chosen are row numbers. Everything random takes a seed, and nothing
//! depends on the number of threads.

pub mod answers;
pub mod ascent;
pub mod cover;
pub mod decorrelate;
pub mod disagree;
pub mod drive;
pub mod image;
pub mod optimal;
pub mod recover;
pub mod respond;
pub mod sample;
pub mod search;

use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef, gram};

/// Distances and kernels of a pool are kept whole up to this many stimuli (800 MB each).
pub const MOST_STIMULI: usize = 10_000;

/// Refuses to choose nothing, or more than there is.
///
/// # Errors
/// If `n` is 0 or above `pool`.
pub fn check_size(n: usize, pool: usize) -> Result<()> {
    match n {
        0 => Err(Error::new("no stimulus is asked for")),
        _ if n > pool => Err(Error::new(format!("{n} stimuli of a pool of {pool}"))),
        _ => Ok(()),
    }
}

/// Refuses features that are no numbers, and pools too large to keep all pairs.
fn check_pool(features: MatRef<'_, f64>) -> Result<()> {
    if features.nrows() > MOST_STIMULI {
        return Err(Error::new(format!(
            "a pool of {} stimuli has too many pairs: {MOST_STIMULI} stimuli can be compared",
            features.nrows()
        )));
    }
    if !features.is_all_finite() {
        return Err(Error::new("the features hold a value that is no number"));
    }
    Ok(())
}

/// Euclidean distances of all pairs of rows.
fn distances(features: MatRef<'_, f64>) -> Result<Mat<f64>> {
    check_pool(features)?;
    // Distances do not change when the mean is taken off, their rounding does.
    let n = features.nrows();
    let mean = |j: usize| features.col(j).iter().sum::<f64>() / n as f64;
    let means: Vec<f64> = (0..features.ncols()).map(mean).collect();
    let centered = Mat::from_fn(n, features.ncols(), |i, j| features[(i, j)] - means[j]);
    let kernel = gram(centered.as_ref());
    let squared = |i: usize, j: usize| kernel[(i, i)] + kernel[(j, j)] - 2.0 * kernel[(i, j)];
    // What rounding leaves of the distance of equal rows is none.
    let equal = |i: usize, j: usize| {
        squared(i, j) <= 1e-12 * (kernel[(i, i)] + kernel[(j, j)]) && features.row(i) == features.row(j)
    };
    Ok(Mat::from_fn(n, n, |i, j| if i == j || equal(i, j) { 0.0 } else { squared(i, j).max(0.0).sqrt() }))
}

/// The place of the largest value, the first of equals; `None` if there is none that is a number.
fn largest(values: impl IntoIterator<Item = f64>) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (place, value) in values.into_iter().enumerate() {
        if !value.is_nan() && best.is_none_or(|(_, b)| value > b) {
            best = Some((place, value));
        }
    }
    best.map(|(place, _)| place)
}
