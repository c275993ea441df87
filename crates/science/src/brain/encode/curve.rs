//! Learning curves: how well responses are predicted, over the numbers of stimuli and repeats that were measured.
//!
//! Samples are nested: those of one draw are the first members of one order, so that a larger one holds the smaller
//! and the curve of a draw changes by what is added alone.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef};

use super::folds::contiguous;
use super::nested::nested;
use super::ridge::Ridge;
use crate::brain::{bootstrap, stats};

/// Responses of stimuli (outermost rows) to repeats, by targets (columns).
#[derive(Clone, Copy, Debug)]
pub struct Repeated<'a> {
    /// (stimuli · repeats) × targets.
    pub values: MatRef<'a, f64>,
    /// Repeats of each stimulus.
    pub repeats: usize,
}

/// How a sample is scored: ridge regression by nested cross-validation over contiguous folds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Outer folds.
    pub folds: usize,
    /// Inner folds, which choose the penalty.
    pub inner: usize,
    /// Penalties to choose from.
    pub alphas: Vec<f64>,
}

/// The orders of one draw, of which samples are the first members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// All stimuli.
    pub stimuli: Vec<usize>,
    /// All repeats.
    pub repeats: Vec<usize>,
}

/// A point of the curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Mean over draws of the score: Pearson's correlation of all held-out predictions with the mean responses, the
    /// mean over targets (`encode:r:pooled:target-mean`).
    pub score: f64,
    /// Its standard error: standard deviation over draws ÷ √draws.
    pub error: f64,
}

/// `draws` pairs of random orders of `stimuli` and `repeats`.
pub fn orders(stimuli: usize, repeats: usize, draws: u64, seed: u64) -> Vec<Order> {
    let order = |draw: u64| Order {
        stimuli: bootstrap::permutation(stimuli, seed, 2 * draw),
        repeats: bootstrap::permutation(repeats, seed, 2 * draw + 1),
    };
    (0..draws).into_par_iter().map(order).collect()
}

/// The point at `stimuli` × `repeats`: features `x` (stimuli × features) predict the mean of the sampled repeats.
///
/// # Errors
/// If there are fewer stimuli or repeats than asked for, fewer than two draws, a target that is constant in a sample,
/// or as [`nested`].
pub fn point(
    x: MatRef<'_, f64>,
    y: Repeated<'_>,
    (stimuli, repeats): (usize, usize),
    orders: &[Order],
    settings: &Settings,
) -> Result<Point> {
    if x.nrows() * y.repeats != y.values.nrows() {
        let (rows, all) = (y.values.nrows(), x.nrows());
        return Err(Error::new(format!("{rows} responses to {all} stimuli of {} repeats", y.repeats)));
    }
    if stimuli > x.nrows() || !(1..=y.repeats).contains(&repeats) {
        let text = format!("{stimuli} stimuli × {repeats} repeats of {} × {}", x.nrows(), y.repeats);
        return Err(Error::new(text));
    }
    if orders.len() < 2 {
        return Err(Error::new("a standard error needs two draws"));
    }
    let one = |order: &Order| {
        // Sorted, so that samples of the same members give the same sums.
        let (mut rows, mut taken) = (order.stimuli[..stimuli].to_vec(), order.repeats[..repeats].to_vec());
        rows.sort_unstable();
        taken.sort_unstable();
        let mean = |i: usize, j: usize| -> f64 {
            taken.iter().map(|r| y.values[(rows[i] * y.repeats + r, j)]).sum::<f64>() / repeats as f64
        };
        let own = Mat::from_fn(stimuli, x.ncols(), |i, j| x[(rows[i], j)]);
        score(&own, &Mat::from_fn(stimuli, y.values.ncols(), mean), settings)
    };
    let scores = orders.par_iter().map(one).collect::<Result<Vec<f64>>>()?;
    // From the first, so that the error of equal scores is 0 and not what rounding leaves.
    let spread: Vec<f64> = scores.iter().map(|s| s - scores[0]).collect();
    let error = (stats::variance(&spread) / scores.len() as f64).sqrt();
    Ok(Point { score: stats::mean(&scores), error })
}

fn score(x: &Mat<f64>, y: &Mat<f64>, settings: &Settings) -> Result<f64> {
    if let Some(j) = (0..y.ncols()).find(|j| !stats::variance(y.col_as_slice(*j)).is_normal()) {
        return Err(Error::new(format!("target {j} is constant in a sample of {} stimuli", x.nrows())));
    }
    let all: Vec<usize> = (0..x.nrows()).collect();
    let ridge = Ridge::new(x.as_ref(), y.as_ref())?;
    let found = nested(&ridge, &contiguous(&all, settings.folds)?, settings.inner, &settings.alphas)?;
    // A prediction that is the same for all stimuli explains none of their order.
    let one = |j| stats::pearson(y.col_as_slice(j), found.predictions.col_as_slice(j)).unwrap_or(0.0);
    Ok(stats::mean(&(0..y.ncols()).map(one).collect::<Vec<f64>>()))
}
