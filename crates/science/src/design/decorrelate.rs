//! Stimuli to which models have different geometries.

use rayon::prelude::*;

use super::search::Criterion;
use crate::brain::stats::{mean, pearson};
use crate::brain::{pairs, rdm};
use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef};

/// The mean Pearson correlation between the models' correlation-distance RDMs of the set, made small. Undefined
/// below three stimuli, and where a model's distances are all equal. Has the invariances of
/// [`rdm::correlation`] for every model.
pub struct Decorrelation(
    /// Each model's distances less their mean over the pool, which no correlation sees.
    Vec<Mat<f64>>,
);

impl Decorrelation {
    /// For the features (stimuli × p) of each model.
    ///
    /// # Errors
    /// If there is one model, models have other stimuli, or a stimulus has the same value in all features of a
    /// model.
    pub fn new(models: &[MatRef<'_, f64>]) -> Result<Self> {
        let (Some(first), true) = (models.first(), models.len() > 1) else {
            return Err(Error::new("geometries differ between two models or more"));
        };
        let n = first.nrows();
        if models.iter().any(|m| m.nrows() != n) {
            return Err(Error::new("the models have different numbers of stimuli"));
        }
        let square = |(number, features): (usize, &MatRef<'_, f64>)| {
            super::check_pool(*features)?;
            let vector =
                rdm::correlation(*features).map_err(|e| Error::new(format!("model {number}: {e}")))?;
            let center = mean(&vector);
            let mut full = Mat::zeros(n, n);
            for ((i, j), d) in pairs(n).zip(vector) {
                full[(i, j)] = d - center;
                full[(j, i)] = d - center;
            }
            Ok(full)
        };
        Ok(Decorrelation(models.iter().enumerate().map(square).collect::<Result<_>>()?))
    }
}

impl Criterion for Decorrelation {
    fn pool(&self) -> usize {
        self.0.first().map_or(0, Mat::nrows)
    }

    fn value(&self, chosen: &[usize]) -> f64 {
        let of = |full: &Mat<f64>| -> Vec<f64> {
            pairs(chosen.len()).map(|(i, j)| full[(chosen[i], chosen[j])]).collect()
        };
        let rdms: Vec<Vec<f64>> = self.0.iter().map(of).collect();
        let sum: Option<f64> = pairs(rdms.len()).map(|(a, b)| pearson(&rdms[a], &rdms[b])).sum();
        let count = (rdms.len() * (rdms.len() - 1) / 2) as f64;
        sum.filter(|_| chosen.len() >= 3).map_or(f64::NEG_INFINITY, |sum| -sum / count)
    }

    fn values_with(&self, chosen: &[usize]) -> Vec<f64> {
        // Sums over the pairs of the set; a stimulus more adds only its own pairs.
        let mut inside = Sums::new(self.0.len());
        for (i, j) in pairs(chosen.len()) {
            inside.add(&self.0, chosen[i], chosen[j]);
        }
        let with = |stimulus: usize| {
            let mut sums = inside.clone();
            chosen.iter().for_each(|other| sums.add(&self.0, stimulus, *other));
            if chosen.len() < 2 { f64::NEG_INFINITY } else { -sums.mean_correlation() }
        };
        (0..self.pool()).into_par_iter().map(with).collect()
    }
}

/// Sums of distances and of their products for all pairs of models.
#[derive(Clone)]
struct Sums {
    count: f64,
    single: Vec<f64>,
    /// Row by row, the upper triangle used.
    products: Vec<f64>,
}

impl Sums {
    fn new(models: usize) -> Self {
        Sums { count: 0.0, single: vec![0.0; models], products: vec![0.0; models * models] }
    }

    fn add(&mut self, distances: &[Mat<f64>], i: usize, j: usize) {
        let models = distances.len();
        self.count += 1.0;
        for (a, of_a) in distances.iter().enumerate() {
            let d = of_a[(i, j)];
            self.single[a] += d;
            for (b, of_b) in distances.iter().enumerate().skip(a) {
                self.products[a * models + b] += d * of_b[(i, j)];
            }
        }
    }

    /// The mean over pairs of models; +∞ where a model's distances are all equal.
    fn mean_correlation(&self) -> f64 {
        let models = self.single.len();
        let covariance =
            |a: usize, b: usize| self.products[a * models + b] - self.single[a] * self.single[b] / self.count;
        let spread: Vec<f64> = (0..models).map(|a| covariance(a, a)).collect();
        if (0..models).any(|a| spread[a] <= 1e-13 * self.products[a * models + a]) {
            return f64::INFINITY;
        }
        let sum: f64 = pairs(models).map(|(a, b)| covariance(a, b) / (spread[a] * spread[b]).sqrt()).sum();
        sum / (models * (models - 1) / 2) as f64
    }
}
