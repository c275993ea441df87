//! Noise ceilings: the similarity to each subject that the best model could reach (Nili et al. 2014).

use crate::error::{Error, Result};
use crate::linalg::Mat;

use super::compare::{Measure, check_variances, compare, compare_with_variances, varying};
use super::{conditions, stats, whiten};

/// The RDM that is closest to all of `rdms` under a measure: the mean of them after what the measure
/// ignores is taken out.
///
/// # Errors
/// If there are none or the measure is undefined for one.
pub fn pool(measure: Measure, rdms: &[&[f64]]) -> Result<Vec<f64>> {
    mean_of(measure, rdms, |rdm, n| align(measure, rdm, n))
}

/// The mean of RDMs in the form that `align` gives them.
fn mean_of(
    measure: Measure,
    rdms: &[&[f64]],
    align: impl Fn(&[f64], usize) -> Option<Vec<f64>>,
) -> Result<Vec<f64>> {
    let pairs = rdms.first().ok_or_else(|| Error::new("there are no RDMs to pool"))?.len();
    let n = conditions(pairs)?;
    let mut sum = vec![0.0; pairs];
    for (index, rdm) in rdms.iter().enumerate() {
        let aligned = align(rdm, n).ok_or_else(|| {
            Error::new(format!("RDM {index} is constant: `{}` is undefined", measure.name()))
        })?;
        sum.iter_mut().zip(aligned).for_each(|(s, v)| *s += v);
    }
    // Divided last: sums of ranks are exact, and ties among them stay ties.
    Ok(sum.into_iter().map(|s| s / rdms.len() as f64).collect())
}

/// One RDM in the form in which the mean is optimal; `None` where the measure is undefined.
fn align(measure: Measure, rdm: &[f64], n: usize) -> Option<Vec<f64>> {
    let scaled = |values: Vec<f64>, square: f64| {
        (square > 0.0).then(|| values.iter().map(|v| v / square.sqrt()).collect())
    };
    let dot = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(a, b)| a * b).sum() };
    let centered = || -> Vec<f64> {
        let center = stats::mean(rdm);
        rdm.iter().map(|v| v - center).collect()
    };
    match measure {
        Measure::Cosine => scaled(rdm.to_vec(), dot(rdm, rdm)),
        Measure::Correlation => {
            let values = centered();
            let square = dot(&values, &values);
            stats::varies(square, stats::mean(rdm), rdm.len()).then(|| scaled(values, square))?
        }
        Measure::WhitenedCosine => scaled(rdm.to_vec(), dot(rdm, &whiten::solve(rdm, n))),
        Measure::WhitenedCorrelation => {
            let values = centered();
            let square = dot(&values, &whiten::solve(&values, n));
            stats::varies(square, stats::mean(rdm), rdm.len()).then(|| scaled(values, square))?
        }
        Measure::Spearman | Measure::RhoA | Measure::TauA | Measure::TauB => Some(stats::ranks(rdm)),
        Measure::Bures => Some(rdm.to_vec()),
    }
}

/// A noise ceiling of subjects.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceiling {
    /// Similarity of each subject with the pool of the others.
    pub lower: Vec<f64>,
    /// Similarity of each subject with the pool of all.
    pub upper: Vec<f64>,
}

impl Ceiling {
    /// The means over subjects: (lower, upper).
    pub fn means(&self) -> (f64, f64) {
        (stats::mean(&self.lower), stats::mean(&self.upper))
    }
}

/// The noise ceiling of RDMs of several subjects.
///
/// # Errors
/// If there are fewer than two subjects or the measure is undefined for one.
pub fn noise_ceiling(measure: Measure, subjects: &[&[f64]]) -> Result<Ceiling> {
    bounds(subjects, |rdms| pool(measure, rdms), |a, b| compare(measure, a, b))
}

/// The same for a whitened measure where every condition has a noise variance of its own
/// ([`compare_with_variances`]); the pool is the mean of RDMs of length 1 in that measure.
///
/// # Errors
/// As [`noise_ceiling`] and [`compare_with_variances`].
pub fn noise_ceiling_with_variances(
    measure: Measure,
    subjects: &[&[f64]],
    variances: &[f64],
) -> Result<Ceiling> {
    check_variances(measure, conditions(subjects.first().map_or(0, |s| s.len()))?, variances)?;
    let unit = |rdm: &[f64], n: usize| -> Option<Vec<f64>> {
        let moved = varying(measure, rdm).ok()?;
        let length = whiten::by_variance(&moved, n, variances).iter().map(|v| v * v).sum::<f64>().sqrt();
        (length > 0.0).then(|| moved.iter().map(|v| v / length).collect())
    };
    let compare = |a: &[&[f64]], b: &[&[f64]]| compare_with_variances(measure, a, b, variances);
    bounds(subjects, |rdms| mean_of(measure, rdms, unit), compare)
}

/// The similarity of each subject with what is pooled of the others, and of all.
fn bounds(
    subjects: &[&[f64]],
    pool: impl Fn(&[&[f64]]) -> Result<Vec<f64>>,
    compare: impl Fn(&[&[f64]], &[&[f64]]) -> Result<Mat<f64>>,
) -> Result<Ceiling> {
    if subjects.len() < 2 {
        return Err(Error::new(format!(
            "a noise ceiling needs at least two subjects, there are {}",
            subjects.len()
        )));
    }
    let all = pool(subjects)?;
    let upper = compare(&[all.as_slice()], subjects)?;
    let lower = (0..subjects.len()).map(|own| {
        let others: Vec<&[f64]> =
            subjects.iter().enumerate().filter(|(i, _)| *i != own).map(|(_, r)| *r).collect();
        let pooled = pool(&others)?;
        Ok(compare(&[pooled.as_slice()], &subjects[own..=own])?[(0, 0)])
    });
    Ok(Ceiling { lower: lower.collect::<Result<_>>()?, upper: upper.row(0).iter().copied().collect() })
}
