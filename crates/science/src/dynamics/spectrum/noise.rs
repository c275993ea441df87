//! The covariance C of one-sample gradients, by its trace and along directions.

use crate::linalg::{Mat, MatRef, product};

/// Sums over samples; C is normalised by their number.
#[derive(Clone, Debug)]
pub struct Noise {
    rows: usize,
    mean: Vec<f64>,
    squares: f64,
    along: Vec<(f64, f64)>,
}

impl Noise {
    /// Of gradients with `parameters` values, along so many directions.
    pub fn new(parameters: usize, directions: usize) -> Self {
        Noise { rows: 0, mean: vec![0.0; parameters], squares: 0.0, along: vec![(0.0, 0.0); directions] }
    }

    /// Takes gradients of further samples (columns), and their products with the directions (columns).
    pub fn add(&mut self, directions: MatRef<'_, f64>, gradients: MatRef<'_, f64>) {
        if gradients.ncols() == 0 {
            return;
        }
        let shares: Mat<f64> = product(directions.transpose(), gradients);
        for j in 0..gradients.ncols() {
            self.rows += 1;
            for (sum, g) in self.mean.iter_mut().zip(gradients.col(j).iter()) {
                *sum += g;
                self.squares += g * g;
            }
            for (sums, p) in self.along.iter_mut().zip(shares.as_ref().col(j).iter()) {
                sums.0 += p;
                sums.1 += p * p;
            }
        }
    }

    /// tr C.
    pub fn trace(&self) -> f64 {
        let n = self.rows as f64;
        self.squares / n - self.mean.iter().map(|s| (s / n).powi(2)).sum::<f64>()
    }

    /// c = qᵀ C q of each direction.
    pub fn along(&self) -> Vec<f64> {
        let n = self.rows as f64;
        self.along.iter().map(|(sum, squares)| squares / n - (sum / n).powi(2)).collect()
    }

    /// The mean gradient.
    pub fn gradient(&self) -> Vec<f64> {
        self.mean.iter().map(|s| s / self.rows as f64).collect()
    }
}
