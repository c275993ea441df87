//! Fewer features: principal components, fitted on training rows alone, and sparse random projections,
//! which look at no data.

use rand_distr::{Distribution, Uniform};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef, product, thin_svd};

use super::centered;

/// Principal components of some rows.
#[derive(Clone, Debug)]
pub struct Pca {
    means: Vec<f64>,
    /// Features × components.
    directions: Mat<f64>,
}

impl Pca {
    /// The first `components` principal components of the rows of `x`; fewer where the rows span fewer.
    ///
    /// # Errors
    /// If a value is no number or nothing varies.
    pub fn fit(x: MatRef<'_, f64>, components: usize) -> Result<Self> {
        let (x, means) = centered(x);
        let (_, values, v) = thin_svd(x.as_ref())?;
        let least = values.first().copied().unwrap_or(0.0) * 1e-12;
        let kept = values.iter().take(components).take_while(|s| **s > least).count();
        if kept == 0 {
            return Err(Error::new("no feature varies over the rows: there are no principal components"));
        }
        Ok(Pca { means, directions: v.subcols(0, kept).to_owned() })
    }

    /// Rows in the components (rows × components).
    ///
    /// # Errors
    /// If the number of features differs.
    pub fn apply(&self, x: MatRef<'_, f64>) -> Result<Mat<f64>> {
        if x.ncols() != self.means.len() {
            return Err(Error::new(format!(
                "{} features, the components have {}",
                x.ncols(),
                self.means.len()
            )));
        }
        let moved = Mat::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] - self.means[j]);
        Ok(product(moved.as_ref(), self.directions.as_ref()))
    }
}

/// A sparse random projection (Li, Hastie and Church 2006): entries ±√(s ÷ k) with probability 1 ÷ 2s
/// each, s = √features, else 0. Distances are kept in expectation.
pub fn sparse(features: usize, components: usize, seed: u64) -> Result<Mat<f64>> {
    if features == 0 || components == 0 {
        return Err(Error::new(format!("a projection of {features} features to {components}")));
    }
    let unit = Uniform::new(0.0, 1.0).map_err(|e| Error::new(e.to_string()))?;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let density = 1.0 / (features as f64).sqrt();
    let size = (1.0 / (density * components as f64)).sqrt();
    Ok(Mat::from_fn(features, components, |_, _| match unit.sample(&mut random) {
        u if u < density / 2.0 => size,
        u if u < density => -size,
        _ => 0.0,
    }))
}
