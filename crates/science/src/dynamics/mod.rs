//! The limiting dynamics of stochastic gradient descent (Kunin et al., arXiv 2107.09133).
//!
//! Update, as torch's SGD (dampening 0, no Nesterov): buf ← β buf + g_S(θ) + λ θ; θ ← θ − η buf. A phase point is
//! z = (a, u) with position a = θ − μ from the minimum μ of the decayed loss, and velocity
//! u = −buf = (θ_k − θ_(k−1)) / η. Time k counts steps, τ = η k. One-sample gradients have the covariance C; that of
//! a batch is f C, with f given by the [`sampler::Sampler`].

pub mod additive;
mod chain;
pub mod continuous;
pub mod discrete;
pub mod fit;
pub mod modes;
pub mod phase;
pub mod plane;
pub mod regression;
pub mod sampler;
pub mod simulate;
pub mod skip;
pub mod spectrum;
pub mod stationary;

use crate::error::{Error, Result};

/// The settings of stochastic gradient descent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// η > 0.
    pub learning_rate: f64,
    /// β, 0 to below 1.
    pub momentum: f64,
    /// λ ≥ 0.
    pub weight_decay: f64,
    /// S ≥ 1, rows of a batch.
    pub batch_size: usize,
}

impl Sgd {
    /// Checks the settings against `rows` of data.
    ///
    /// # Errors
    /// The first that is impossible.
    pub fn check(&self, rows: usize) -> Result<()> {
        let wrong = |what: String| Err(Error::new(what));
        if !self.learning_rate.is_finite() || self.learning_rate <= 0.0 {
            return wrong(format!("the learning rate {} must be above 0", self.learning_rate));
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return wrong(format!("the momentum {} must be at least 0 and below 1", self.momentum));
        }
        if !self.weight_decay.is_finite() || self.weight_decay < 0.0 {
            return wrong(format!("the weight decay {} must be 0 or more", self.weight_decay));
        }
        if self.batch_size == 0 || self.batch_size > rows {
            return wrong(format!("a batch of {} does not fit {rows} rows", self.batch_size));
        }
        Ok(())
    }
}

/// A 2 × 2 matrix [[a, b], [c, d]], row by row: how one mode moves.
pub(crate) type Two = [[f64; 2]; 2];

/// A B.
pub(crate) fn times(a: &Two, b: &Two) -> Two {
    let cell = |i: usize, j: usize| a[i][0] * b[0][j] + a[i][1] * b[1][j];
    [[cell(0, 0), cell(0, 1)], [cell(1, 0), cell(1, 1)]]
}

/// Aᵀ.
pub(crate) fn turned(a: &Two) -> Two {
    [[a[0][0], a[1][0]], [a[0][1], a[1][1]]]
}

/// Aᵗ by repeated squaring.
pub(crate) fn power(a: &Two, mut exponent: u64) -> Two {
    let (mut result, mut base) = ([[1.0, 0.0], [0.0, 1.0]], *a);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = times(&result, &base);
        }
        base = times(&base, &base);
        exponent >>= 1;
    }
    result
}

/// x of A x = b for four unknowns, by elimination with pivots; `None` if A is singular.
pub(crate) fn solve4(mut a: [[f64; 4]; 4], mut b: [f64; 4]) -> Option<[f64; 4]> {
    for column in 0..4 {
        let pivot = (column..4).max_by(|i, j| a[*i][column].abs().total_cmp(&a[*j][column].abs()))?;
        if a[pivot][column].abs() < f64::MIN_POSITIVE {
            return None;
        }
        a.swap(column, pivot);
        b.swap(column, pivot);
        for row in column + 1..4 {
            let factor = a[row][column] / a[column][column];
            let (above, below) = a.split_at_mut(row);
            below[0].iter_mut().zip(&above[column]).skip(column).for_each(|(x, y)| *x -= factor * y);
            b[row] -= factor * b[column];
        }
    }
    let mut x = [0.0; 4];
    for row in (0..4).rev() {
        let known: f64 = (row + 1..4).map(|k| a[row][k] * x[k]).sum();
        x[row] = (b[row] - known) / a[row][row];
    }
    x.iter().all(|v| v.is_finite()).then_some(x)
}
