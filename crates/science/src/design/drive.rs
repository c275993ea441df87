//! Stimuli that drive a response up or down, and differ among themselves.

use super::distances;
use super::search::Criterion;
use crate::brain::stats::{mean, variance, varies};
use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef};

/// Mean z-scored predicted response of the set + `diversity` × mean distance of its members from their nearest
/// other ÷ mean distance in the pool. With no diversity the best set are the largest responses.
pub struct Drive {
    scores: Vec<f64>,
    /// Distances ÷ their mean, times the diversity.
    apart: Option<Mat<f64>>,
}

impl Drive {
    /// For predicted responses; `features` (stimuli × p) are needed where the diversity is not 0.
    ///
    /// # Errors
    /// If responses are constant or no numbers, the diversity is negative, or features are missing or equal.
    pub fn new(responses: &[f64], features: Option<MatRef<'_, f64>>, diversity: f64) -> Result<Self> {
        crate::brain::finite(responses, "the predicted response")?;
        let (center, spread) = (mean(responses), variance(responses));
        let squares = spread * (responses.len() as f64 - 1.0);
        if !varies(squares, center, responses.len()) {
            return Err(Error::new("the predicted response is the same for all stimuli"));
        }
        if !(diversity >= 0.0 && diversity.is_finite()) {
            return Err(Error::new(format!("the diversity {diversity} is not 0 or more")));
        }
        let scores: Vec<f64> = responses.iter().map(|r| (r - center) / spread.sqrt()).collect();
        if diversity == 0.0 {
            return Ok(Drive { scores, apart: None });
        }
        let features = features.ok_or_else(|| Error::new("diversity needs features of the stimuli"))?;
        if features.nrows() != responses.len() {
            return Err(Error::new(format!(
                "{} stimuli have features, {} responses",
                features.nrows(),
                responses.len()
            )));
        }
        let mut apart = distances(features)?;
        let n = responses.len() as f64;
        let average =
            (0..responses.len()).map(|j| apart.col(j).iter().sum::<f64>()).sum::<f64>() / (n * (n - 1.0));
        if average <= 0.0 {
            return Err(Error::new("all stimuli have the same features: none differs from another"));
        }
        for j in 0..responses.len() {
            apart.col_mut(j).iter_mut().for_each(|d| *d *= diversity / average);
        }
        Ok(Drive { scores, apart: Some(apart) })
    }
}

impl Criterion for Drive {
    fn pool(&self) -> usize {
        self.scores.len()
    }

    fn value(&self, chosen: &[usize]) -> f64 {
        let near = |apart: &Mat<f64>, i: usize| {
            let others = chosen.iter().filter(|j| **j != i).map(|j| apart[(i, *j)]);
            others.reduce(f64::min).unwrap_or(0.0)
        };
        let of = |i: &usize| self.scores[*i] + self.apart.as_ref().map_or(0.0, |a| near(a, *i));
        chosen.iter().map(of).sum::<f64>() / chosen.len().max(1) as f64
    }
}
