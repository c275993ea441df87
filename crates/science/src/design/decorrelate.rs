//! Stimuli to which models have different geometries.

use super::search::Criterion;
use crate::brain::stats::pearson;
use crate::brain::{pairs, rdm};
use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef};

/// The mean Pearson correlation between the models' correlation-distance RDMs of the set, made small. Undefined
/// below three stimuli, and where a model's distances are all equal. Has the invariances of
/// [`rdm::correlation`] for every model.
pub struct Decorrelation(Vec<Mat<f64>>);

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
            let mut full = Mat::zeros(n, n);
            for ((i, j), d) in pairs(n).zip(vector) {
                full[(i, j)] = d;
                full[(j, i)] = d;
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
}
