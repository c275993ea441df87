//! A measure of `brain.rsa`, with or without noise variances of the conditions.

use science::brain::bootstrap::{self, Draw};
use science::brain::ceiling::{noise_ceiling, noise_ceiling_with_variances};
use science::brain::compare::{Measure, compare, compare_with_variances};
use science::linalg::Mat;

use crate::kinds::columns;
use crate::stage::{Failure, Io};
use crate::table;

/// One measure, with the noise variances of the conditions where it is whitened by them.
#[derive(Clone, Copy)]
pub(super) struct Compared<'a> {
    measure: Measure,
    pub(super) variances: Option<&'a [f64]>,
}

impl<'a> Compared<'a> {
    /// Only whitened measures go by variances.
    pub(super) fn new(measure: Measure, variances: Option<&'a [f64]>) -> Self {
        let whitened = matches!(measure, Measure::WhitenedCosine | Measure::WhitenedCorrelation);
        Compared { measure, variances: variances.filter(|_| whitened) }
    }

    /// Its name in the metric.
    pub(super) fn name(self) -> String {
        let more = if self.variances.is_some() { "-by-variances" } else { "" };
        format!("{}{more}", self.measure.name())
    }

    /// Similarity of every model (rows) with every subject (columns).
    pub(super) fn compare(self, models: &[&[f64]], subjects: &[&[f64]]) -> science::error::Result<Mat<f64>> {
        match self.variances {
            Some(variances) => compare_with_variances(self.measure, models, subjects, variances),
            None => compare(self.measure, models, subjects),
        }
    }

    /// Mean similarity over subjects of every model in every draw.
    pub(super) fn drawn(
        self,
        models: &[&[f64]],
        subjects: &[&[f64]],
        draws: &[Draw],
    ) -> science::error::Result<Vec<Option<Vec<f64>>>> {
        match self.variances {
            Some(own) => bootstrap::scores_with_variances(self.measure, models, subjects, own, draws),
            None => bootstrap::scores(self.measure, models, subjects, draws),
        }
    }

    /// Lower and upper bound; NaN for a single subject, and for Bures, for which no mean of RDMs is the best.
    pub(super) fn ceiling(self, subjects: &[&[f64]]) -> science::error::Result<(f64, f64)> {
        if subjects.len() == 1 || self.measure == Measure::Bures {
            return Ok((f64::NAN, f64::NAN));
        }
        let found = match self.variances {
            Some(variances) => noise_ceiling_with_variances(self.measure, subjects, variances),
            None => noise_ceiling(self.measure, subjects),
        };
        Ok(found?.means())
    }
}

/// The noise variances at the port `variances`, in the order of the conditions.
pub(super) fn variances(io: &Io, conditions: &[String]) -> Result<Option<Vec<f64>>, Failure> {
    let Some(bound) = io.optional("variances") else { return Ok(None) };
    let frame = table::read(bound, Some(&["condition", "variance"]))?;
    let (_, places) = columns::by_id(&frame, "condition")?;
    let values = frame.f64s("variance")?;
    let one = |name: &String| {
        let value = places.get(name).map(|row| values[*row]);
        match value {
            Some(v) if v > 0.0 && v.is_finite() => Ok(v),
            Some(v) => Err(Failure::new(format!("the variance {v} of condition `{name}` is not positive"))),
            None => Err(Failure::new(format!("`variances` has no condition `{name}`"))),
        }
    };
    conditions.iter().map(one).collect::<Result<_, _>>().map(Some)
}
