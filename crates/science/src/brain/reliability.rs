//! Reliability of responses over repeats and subjects: the ceiling of encoding scores, one per voxel.

use crate::error::{Error, Result};

use super::stats;

/// Responses of one voxel: stimuli × repeats, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Repeats<'a> {
    /// All values, a stimulus after the other.
    pub values: &'a [f64],
    /// Repeats of every stimulus.
    pub repeats: usize,
}

impl Repeats<'_> {
    fn check(&self) -> Result<usize> {
        super::finite(self.values, "a response")?;
        if self.repeats < 2 || !self.values.len().is_multiple_of(self.repeats) {
            return Err(Error::new(format!(
                "{} responses of {} repeats: reliability needs at least two repeats of every stimulus",
                self.values.len(),
                self.repeats
            )));
        }
        match self.values.len() / self.repeats {
            stimuli @ ..2 => Err(Error::new(format!("reliability needs two stimuli, there are {stimuli}"))),
            stimuli => Ok(stimuli),
        }
    }

    /// The mean over all repeats of every stimulus.
    pub fn means(&self) -> Vec<f64> {
        self.values.chunks(self.repeats.max(1)).map(stats::mean).collect()
    }
}

/// Split-half reliability.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitHalf {
    /// Correlation of the halves in every split.
    pub r: Vec<f64>,
    /// Spearman–Brown 2 r ÷ (1 + r) of every split.
    pub sb: Vec<f64>,
    /// `sb:mean-of-splits`: the mean of `sb`.
    pub mean_of_sb: f64,
    /// `sb:of-mean-r`: Spearman–Brown of the mean of `r`. Not the same number.
    pub sb_of_mean_r: f64,
}

/// Split-half reliability over `splits`, permutations of the repeats: half A is the first ⌊n ÷ 2⌋ of
/// one, half B the next ⌊n ÷ 2⌋.
///
/// # Errors
/// If there are too few repeats, stimuli or splits, a split is no permutation, or a half is the same for
/// all stimuli.
pub fn split_half(data: Repeats<'_>, splits: &[Vec<usize>]) -> Result<SplitHalf> {
    data.check()?;
    let half = data.repeats / 2;
    let correlate = |split: &Vec<usize>| {
        let mut seen = split.clone();
        seen.sort_unstable();
        if !seen.iter().copied().eq(0..data.repeats) {
            return Err(Error::new(format!("{split:?} is no permutation of {} repeats", data.repeats)));
        }
        let mean = |part: &[usize]| -> Vec<f64> {
            let of = |row: &[f64]| part.iter().map(|r| row[*r]).sum::<f64>() / half as f64;
            data.values.chunks(data.repeats).map(of).collect()
        };
        let (a, b) = (mean(&split[..half]), mean(&split[half..2 * half]));
        stats::pearson(&a, &b).ok_or_else(|| {
            Error::new("half of the repeats is the same for all stimuli: it has no reliability")
        })
    };
    let r = splits.iter().map(correlate).collect::<Result<Vec<f64>>>()?;
    if r.is_empty() {
        return Err(Error::new("there are no splits"));
    }
    let sb: Vec<f64> = r.iter().map(|r| spearman_brown(*r)).collect();
    let (mean_of_sb, sb_of_mean_r) = (stats::mean(&sb), spearman_brown(stats::mean(&r)));
    Ok(SplitHalf { r, sb, mean_of_sb, sb_of_mean_r })
}

/// Reliability of twice as many repeats: 2 r ÷ (1 + r).
pub fn spearman_brown(r: f64) -> f64 {
    2.0 * r / (1.0 + r)
}

/// Variances of signal and noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignalNoise {
    /// Variance of the stimuli's true means, at least 0.
    pub signal: f64,
    /// Variance of single responses around them.
    pub noise: f64,
    /// `nc:signal/(signal+noise/repeats)`: the share of the variance of mean responses that a model can
    /// explain. 0 where nothing varies.
    pub ceiling: f64,
}

/// Signal and noise variance: noise is the mean over stimuli of the variance over repeats, signal the
/// variance of the repeat means less noise ÷ repeats.
///
/// # Errors
/// If there are too few repeats or stimuli.
pub fn signal_noise(data: Repeats<'_>) -> Result<SignalNoise> {
    data.check()?;
    let within: Vec<f64> = data.values.chunks(data.repeats).map(stats::variance).collect();
    let noise = stats::mean(&within);
    let signal = (stats::variance(&data.means()) - noise / data.repeats as f64).max(0.0);
    let total = signal + noise / data.repeats as f64;
    Ok(SignalNoise { signal, noise, ceiling: if total > 0.0 { signal / total } else { 0.0 } })
}

/// Correlation of every subject with the mean of the others (lower) and of all (upper).
///
/// # Errors
/// If there are fewer than two subjects, they differ in length, or one is constant.
pub fn leave_one_subject_out(subjects: &[&[f64]]) -> Result<Vec<(f64, f64)>> {
    let count = subjects.len();
    let first = subjects.first().map_or(0, |s| s.len());
    if count < 2 || first < 2 || subjects.iter().any(|s| s.len() != first) {
        return Err(Error::new("it takes at least two subjects with the same two or more stimuli"));
    }
    let mut total = vec![0.0; first];
    for subject in subjects {
        super::finite(subject, "a response")?;
        total.iter_mut().zip(*subject).for_each(|(t, v)| *t += v);
    }
    let one = |(index, own): (usize, &&[f64])| {
        let others: Vec<f64> = total.iter().zip(*own).map(|(t, v)| t - v).collect();
        let undefined = || Error::new(format!("subject {index} or the mean of the others is constant"));
        let lower = stats::pearson(own, &others).ok_or_else(undefined)?;
        Ok((lower, stats::pearson(own, &total).ok_or_else(undefined)?))
    };
    subjects.iter().enumerate().map(one).collect()
}

/// A correlation and its square on the scale of what can be reached: `norm:r/sqrt(reliability)` and
/// `norm:r2/reliability`. `None` where the reliability is not positive.
pub fn normalize(r: f64, reliability: f64) -> Option<(f64, f64)> {
    (reliability > 0.0).then(|| (r / reliability.sqrt(), r * r / reliability))
}
