//! Bootstrap over subjects and stimuli. The drawn indices are values to be kept: a result can be
//! computed again from them alone.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::linalg::Mat;
use crate::random::{below, shuffle};

use super::compare::{Measure, among, check_variances, compare_with_variances};
use super::{conditions, pairs, stats, tests};

/// What one sample is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Subjects, some of them several times.
    pub subjects: Vec<usize>,
    /// Stimuli, some of them several times, sorted.
    pub stimuli: Vec<usize>,
}

/// Which factor is drawn anew; the other keeps every member once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    /// Subjects and stimuli.
    Both,
    /// Subjects.
    Subjects,
    /// Stimuli.
    Stimuli,
}

/// `count` bootstrap samples.
pub fn draws(factor: Factor, subjects: usize, stimuli: usize, count: usize, seed: u64) -> Vec<Draw> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut sample = |size: usize, drawn: bool| -> Vec<usize> {
        let one = |i| if drawn { below(&mut random, size) } else { i };
        let mut all: Vec<usize> = (0..size).map(one).collect();
        all.sort_unstable();
        all
    };
    (0..count)
        .map(|_| Draw {
            subjects: sample(subjects, factor != Factor::Stimuli),
            stimuli: sample(stimuli, factor != Factor::Subjects),
        })
        .collect()
}

/// A random order of `count` things; `number` tells several of one seed apart.
pub fn permutation(count: usize, seed: u64, number: u64) -> Vec<usize> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    // One jump is 2¹²⁸ draws: the streams of different numbers never meet.
    (0..number).for_each(|_| random.jump());
    let mut order: Vec<usize> = (0..count).collect();
    shuffle(&mut order, &mut random);
    order
}

/// Mean similarity over subjects of every model in every draw (draws × models).
///
/// Pairs of a stimulus with its own copy are left out, but for Bures, whose
/// kernels are of points: a copy is a point at no distance. `None` stands for a draw in which the measure is
/// undefined, such as one with a single distinct stimulus.
///
/// # Errors
/// If RDMs differ in length or a draw names a subject or stimulus that is not there.
pub fn scores(
    measure: Measure,
    models: &[&[f64]],
    subjects: &[&[f64]],
    draws: &[Draw],
) -> Result<Vec<Option<Vec<f64>>>> {
    let whole = measure == Measure::Bures;
    each(models, subjects, draws, whole, |draw, models, subjects, kept| {
        among(measure, models, subjects, draw.stimuli.len(), (!whole).then_some(kept)).ok()
    })
}

/// The same for a whitened measure where every condition has a noise variance of its own
/// ([`compare_with_variances`]). Its kernels are of points too: a copy is a point at no distance.
///
/// # Errors
/// As [`scores`] and [`compare_with_variances`].
pub fn scores_with_variances(
    measure: Measure,
    models: &[&[f64]],
    subjects: &[&[f64]],
    variances: &[f64],
    draws: &[Draw],
) -> Result<Vec<Option<Vec<f64>>>> {
    check_variances(measure, conditions(subjects.first().map_or(0, |s| s.len()))?, variances)?;
    each(models, subjects, draws, true, |draw, models, subjects, _| {
        let own: Vec<f64> = draw.stimuli.iter().map(|s| variances[*s]).collect();
        compare_with_variances(measure, models, subjects, &own).ok()
    })
}

/// What `compare` says of the drawn models and subjects, over the pairs that the draw keeps: all if `whole`.
fn each(
    models: &[&[f64]],
    subjects: &[&[f64]],
    draws: &[Draw],
    whole: bool,
    compare: impl Fn(&Draw, &[Vec<f64>], &[Vec<f64>], &[(usize, usize)]) -> Option<Mat<f64>> + Sync,
) -> Result<Vec<Option<Vec<f64>>>> {
    let count = subjects.first().map_or(0, |s| s.len());
    let n = conditions(count)?;
    if let Some(odd) = models.iter().chain(subjects).find(|r| r.len() != count) {
        return Err(Error::new(format!("an RDM has {} pairs, another {count}", odd.len())));
    }
    for draw in draws {
        if draw.stimuli.iter().any(|s| *s >= n)
            || draw.subjects.is_empty()
            || draw.subjects.iter().any(|s| *s >= subjects.len())
        {
            return Err(Error::new(format!(
                "a draw does not fit {} subjects and {n} stimuli",
                subjects.len()
            )));
        }
    }
    let one = |draw: &Draw| {
        let copies = |(i, j): &(usize, usize)| draw.stimuli[*i] == draw.stimuli[*j];
        let kept: Vec<(usize, usize)> =
            pairs(draw.stimuli.len()).filter(|pair| whole || !copies(pair)).collect();
        let value = |r: &[f64], (i, j): &(usize, usize)| {
            let (a, b) = (draw.stimuli[*i], draw.stimuli[*j]);
            let (a, b) = (a.min(b), a.max(b));
            if a == b { 0.0 } else { r[a * n - a * (a + 1) / 2 + (b - a - 1)] }
        };
        let cut = |r: &[f64]| -> Vec<f64> { kept.iter().map(|pair| value(r, pair)).collect() };
        let models: Vec<Vec<f64>> = models.iter().map(|r| cut(r)).collect();
        // A subject that was drawn twice counts twice but is compared once.
        let mut times = vec![0.0; subjects.len()];
        draw.subjects.iter().for_each(|s| times[*s] += 1.0);
        let drawn: Vec<usize> = (0..subjects.len()).filter(|s| times[*s] > 0.0).collect();
        let own: Vec<Vec<f64>> = drawn.iter().map(|s| cut(subjects[*s])).collect();
        let similarity = compare(draw, &models, &own, &kept)?;
        let mean = |model: usize| {
            let sum: f64 = drawn.iter().enumerate().map(|(j, s)| similarity[(model, j)] * times[*s]).sum();
            sum / draw.subjects.len() as f64
        };
        let scores: Vec<f64> = (0..models.len()).map(mean).collect();
        scores.iter().all(|score| score.is_finite()).then_some(scores)
    };
    Ok(draws.par_iter().map(one).collect())
}

/// Percentile interval of `level` (such as 0.95) of draws.
///
/// # Errors
/// If there are no draws.
pub fn percentile_interval(values: &[f64], level: f64) -> Result<(f64, f64)> {
    let tail = (1.0 - level) / 2.0;
    Ok((stats::quantile(values, tail)?, stats::quantile(values, 1.0 - tail)?))
}

/// Interval of `level` around an estimate with this variance, by Student's t.
///
/// # Errors
/// If the degrees of freedom are not positive.
pub fn t_interval(estimate: f64, variance: f64, degrees: f64, level: f64) -> Result<(f64, f64)> {
    let reach = tests::t_quantile(0.5 + level / 2.0, degrees)? * variance.max(0.0).sqrt();
    Ok((estimate - reach, estimate + reach))
}
