//! Representational dissimilarity matrices from responses. All follow the conventions of rsatoolbox
//! (Schütt et al. 2023): squared distances, divided by the number of channels p.

use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef, gram, product};

use super::pairs;

/// Mean response of every condition (conditions × channels): `condition[row]` is the condition of a row
/// of `x`, from 0.
///
/// # Errors
/// If a condition below `count` has no row, or a response is no number.
pub fn condition_means(x: MatRef<'_, f64>, condition: &[usize], count: usize) -> Result<Mat<f64>> {
    check(x)?;
    let (sums, rows) = sums(x, condition, count, |_| true);
    if let Some(empty) = rows.iter().position(|n| *n == 0) {
        return Err(Error::new(format!("condition {empty} has no observation")));
    }
    Ok(Mat::from_fn(count, x.ncols(), |i, j| sums[(i, j)] / rows[i] as f64))
}

/// Squared Euclidean distance ÷ p. Invariant to rotation and translation of the channels.
///
/// # Errors
/// If a mean is no number or there are no channels.
pub fn euclidean(means: MatRef<'_, f64>) -> Result<Vec<f64>> {
    check(means)?;
    Ok(from_kernel(gram(centered(means).as_ref()).as_ref(), means.ncols()))
}

/// 1 − Pearson's correlation over channels. Invariant to adding a constant to all channels of a
/// condition and to scaling them.
///
/// # Errors
/// If a condition's response is the same in all channels.
pub fn correlation(means: MatRef<'_, f64>) -> Result<Vec<f64>> {
    check(means)?;
    let p = means.ncols();
    // Columns of `units` are conditions: contiguous for the products below.
    let mut units = means.transpose().to_owned();
    for i in 0..means.nrows() {
        let unit = units.col_as_slice_mut(i);
        let center = super::stats::mean(unit);
        unit.iter_mut().for_each(|v| *v -= center);
        let square: f64 = unit.iter().map(|v| v * v).sum();
        if !super::stats::varies(square, center, p) {
            return Err(Error::new(format!(
                "condition {i} responds the same in all {p} channels: it has no correlation distance"
            )));
        }
        let norm = square.sqrt();
        unit.iter_mut().for_each(|v| *v /= norm);
    }
    let similarity = gram(units.transpose());
    Ok(pairs(means.nrows()).map(|(i, j)| 1.0 - similarity[(j, i)]).collect())
}

/// Mahalanobis distance dᵀ P d ÷ p with the precision P of the noise (channels × channels, symmetric).
/// Invariant to any linear map of the channels that P follows.
///
/// # Errors
/// If P has the wrong size, is not symmetric, or gives a negative distance.
pub fn mahalanobis(means: MatRef<'_, f64>, precision: MatRef<'_, f64>) -> Result<Vec<f64>> {
    check(means)?;
    check_precision(precision, means.ncols())?;
    let x = centered(means);
    let weighted = product(x.as_ref(), precision);
    let kernel = product(weighted.as_ref(), x.transpose());
    let scale: f64 = (0..x.nrows()).map(|i| kernel[(i, i)].abs()).fold(0.0, f64::max);
    let distances = from_kernel(kernel.as_ref(), means.ncols());
    // Rounding may leave a little below zero; a precision that is not positive semidefinite far more.
    if distances.iter().any(|d| *d * (means.ncols() as f64) < -1e-10 * scale) {
        return Err(Error::new("the precision is not positive semidefinite: a squared distance is negative"));
    }
    Ok(distances)
}

/// Cross-validated Mahalanobis distance (crossnobis; Walther et al. 2016): for every run f, dᵀ(mean of
/// the other runs' observations) P d(run f) ÷ p, then the mean over runs. Unbiased, so it may be
/// negative. Without `precision`, P is the identity.
///
/// # Errors
/// If there is one run only, or a condition is missing in a run.
pub fn crossnobis(
    x: MatRef<'_, f64>,
    condition: &[usize],
    count: usize,
    run: &[usize],
    precision: Option<MatRef<'_, f64>>,
) -> Result<Vec<f64>> {
    check(x)?;
    if let Some(precision) = precision {
        check_precision(precision, x.ncols())?;
    }
    over_runs(x, condition, count, run, |train, test| {
        let test = centered(test.as_ref());
        let test = match precision {
            Some(precision) => product(test.as_ref(), precision),
            None => test,
        };
        product(centered(train.as_ref()).as_ref(), test.transpose())
    })
}

/// Symmetrised Kullback–Leibler divergence of Poisson rates ÷ p: Σ (mᵢ − mⱼ)(ln mᵢ − ln mⱼ) with
/// m = (mean count + 0.1) ÷ 1.1, a prior of one event with weight 0.1.
///
/// # Errors
/// If a mean count is negative or no number.
pub fn poisson(means: MatRef<'_, f64>) -> Result<Vec<f64>> {
    check(means)?;
    check_counts(means)?;
    let (rates, logs) = (rates(means), log_rates(means));
    Ok(from_kernel(product(rates.as_ref(), logs.transpose()).as_ref(), means.ncols()))
}

/// Cross-validated [`poisson`]: rates from the other runs, their logarithms from run f, the mean over
/// *all* runs.
///
/// # Errors
/// As [`poisson`] and [`crossnobis`].
pub fn poisson_cv(x: MatRef<'_, f64>, condition: &[usize], count: usize, run: &[usize]) -> Result<Vec<f64>> {
    check(x)?;
    check_counts(x)?;
    over_runs(x, condition, count, run, |train, test| {
        product(rates(train.as_ref()).as_ref(), log_rates(test.as_ref()).transpose())
    })
}

fn rates(means: MatRef<'_, f64>) -> Mat<f64> {
    Mat::from_fn(means.nrows(), means.ncols(), |i, j| (means[(i, j)] + 0.1) / 1.1)
}

fn log_rates(means: MatRef<'_, f64>) -> Mat<f64> {
    Mat::from_fn(means.nrows(), means.ncols(), |i, j| ((means[(i, j)] + 0.1) / 1.1).ln())
}

/// The mean over runs of the distances that `kernel(train, test)` gives.
fn over_runs(
    x: MatRef<'_, f64>,
    condition: &[usize],
    count: usize,
    run: &[usize],
    kernel: impl Fn(Mat<f64>, Mat<f64>) -> Mat<f64>,
) -> Result<Vec<f64>> {
    let runs = run.iter().max().map_or(0, |r| r + 1);
    if runs < 2 {
        return Err(Error::new("cross-validation needs at least two runs"));
    }
    let (total, total_rows) = sums(x, condition, count, |_| true);
    if let Some(empty) = total_rows.iter().position(|n| *n == 0) {
        return Err(Error::new(format!("condition {empty} has no observation")));
    }
    let mut mean = vec![0.0; count * count.saturating_sub(1) / 2];
    for fold in 0..runs {
        let (own, rows) = sums(x, condition, count, |row| run.get(row) == Some(&fold));
        // A condition that is in one run only is missing in the others.
        if let Some(missing) = rows.iter().position(|n| *n == 0) {
            return Err(Error::new(format!("condition {missing} is missing in run {fold}")));
        }
        let test = Mat::from_fn(count, x.ncols(), |i, j| own[(i, j)] / rows[i] as f64);
        let train = Mat::from_fn(count, x.ncols(), |i, j| {
            (total[(i, j)] - own[(i, j)]) / (total_rows[i] - rows[i]) as f64
        });
        let distances = from_kernel(kernel(train, test).as_ref(), x.ncols());
        mean.iter_mut().zip(distances).for_each(|(m, d)| *m += d / runs as f64);
    }
    Ok(mean)
}

/// Sum and number of the rows of every condition, of the rows that `keep` keeps.
fn sums(
    x: MatRef<'_, f64>,
    condition: &[usize],
    count: usize,
    keep: impl Fn(usize) -> bool,
) -> (Mat<f64>, Vec<usize>) {
    let mut sums = Mat::zeros(count, x.ncols());
    let mut rows = vec![0; count];
    for (row, condition) in condition.iter().enumerate().take(x.nrows()) {
        if *condition < count && keep(row) {
            rows[*condition] += 1;
            for j in 0..x.ncols() {
                sums[(*condition, j)] += x[(row, j)];
            }
        }
    }
    (sums, rows)
}

/// Distances of a kernel that need not be symmetric: (kᵢᵢ + kⱼⱼ − kᵢⱼ − kⱼᵢ) ÷ p.
fn from_kernel(kernel: MatRef<'_, f64>, p: usize) -> Vec<f64> {
    let distance = |(i, j): (usize, usize)| {
        (kernel[(i, i)] + kernel[(j, j)] - kernel[(i, j)] - kernel[(j, i)]) / p as f64
    };
    pairs(kernel.nrows()).map(distance).collect()
}

/// With the mean over conditions taken off, which changes no difference but keeps rounding small.
fn centered(means: MatRef<'_, f64>) -> Mat<f64> {
    let n = means.nrows() as f64;
    let center: Vec<f64> = (0..means.ncols()).map(|j| means.col(j).iter().sum::<f64>() / n).collect();
    Mat::from_fn(means.nrows(), means.ncols(), |i, j| means[(i, j)] - center[j])
}

fn check(x: MatRef<'_, f64>) -> Result<()> {
    if x.ncols() == 0 {
        return Err(Error::new("there are no channels"));
    }
    for j in 0..x.ncols() {
        if let Some(row) = (0..x.nrows()).find(|row| !x[(*row, j)].is_finite()) {
            return Err(Error::new(format!("row {row}, channel {j} holds {}", x[(row, j)])));
        }
    }
    Ok(())
}

fn check_counts(x: MatRef<'_, f64>) -> Result<()> {
    for j in 0..x.ncols() {
        if let Some(row) = (0..x.nrows()).find(|row| x[(*row, j)] < 0.0) {
            return Err(Error::new(format!(
                "row {row}, channel {j} holds the negative count {}",
                x[(row, j)]
            )));
        }
    }
    Ok(())
}

fn check_precision(precision: MatRef<'_, f64>, p: usize) -> Result<()> {
    if (precision.nrows(), precision.ncols()) != (p, p) {
        return Err(Error::new(format!(
            "the precision is {} × {}, there are {p} channels",
            precision.nrows(),
            precision.ncols()
        )));
    }
    check(precision)?;
    let gap = (precision - precision.transpose()).norm_max();
    if gap > 1e-8 * precision.norm_max() {
        return Err(Error::new(format!("the precision is not symmetric: two entries differ by {gap}")));
    }
    Ok(())
}
