//! How alike two RDMs are.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef, eigh, product, thin_svd};

use super::kendall::{self, Dense};
use super::{conditions, finite, stats, whiten};

/// A similarity of RDMs. Ranks see monotone, correlations linear, cosines scale relations only; the
/// rank measures differ in what ties are worth (Schütt et al. 2023).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// x·y ÷ (‖x‖ ‖y‖). Invariant to scaling.
    Cosine,
    /// Cosine after the mean is taken off. Invariant to scaling and shift.
    Correlation,
    /// Correlation of ranks, ties with their mean rank. Invariant to monotone maps; prefers models that
    /// predict ties.
    Spearman,
    /// (concordant − discordant) ÷ all pairs. Invariant to monotone maps; does not reward ties.
    TauA,
    /// Kendall's tau with ties taken out of the denominator.
    TauB,
    /// Mean of Spearman's rho over random tie breaks: 12 Σ centred ranks ÷ (m³ − m).
    RhoA,
    /// xᵀV⁻¹y ÷ √(xᵀV⁻¹x yᵀV⁻¹y), V the covariance of dissimilarities of independent conditions.
    WhitenedCosine,
    /// [`Measure::WhitenedCosine`] after each mean is taken off.
    WhitenedCorrelation,
    /// Σ singular values of √A√B ÷ √(tr A tr B), A and B the centred kernels. Only of RDMs that are
    /// squared Euclidean distances.
    Bures,
}

impl Measure {
    /// All of them with their names.
    pub const ALL: [(&'static str, Measure); 9] = [
        ("cosine", Measure::Cosine),
        ("correlation", Measure::Correlation),
        ("spearman", Measure::Spearman),
        ("tau-a", Measure::TauA),
        ("tau-b", Measure::TauB),
        ("rho-a", Measure::RhoA),
        ("whitened-cosine", Measure::WhitenedCosine),
        ("whitened-correlation", Measure::WhitenedCorrelation),
        ("bures", Measure::Bures),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, m)| *m == self).map_or("", |(name, _)| name)
    }
}

/// Similarity of every RDM of `a` (rows) with every one of `b` (columns).
///
/// # Errors
/// If RDMs differ in length, hold values that are no numbers, or the measure is undefined for one of
/// them (named): constant or zero RDMs, kernels with negative eigenvalues for Bures.
pub fn compare<R: AsRef<[f64]> + Sync>(measure: Measure, a: &[R], b: &[R]) -> Result<Mat<f64>> {
    let n = check(a, b)?;
    among(measure, a, b, n, None)
}

/// [`compare`] of vectors that hold the pairs `kept` of `n` conditions; `None` stands for all pairs.
pub(super) fn among<R: AsRef<[f64]> + Sync>(
    measure: Measure,
    a: &[R],
    b: &[R],
    n: usize,
    kept: Option<&[(usize, usize)]>,
) -> Result<Mat<f64>> {
    let ranked = |all: &[R]| -> Vec<Vec<f64>> { all.par_iter().map(|r| stats::ranks(r.as_ref())).collect() };
    match measure {
        Measure::Cosine => Inner::new(a, b, false).cosine(),
        Measure::Correlation => Inner::new(a, b, true).cosine(),
        Measure::Spearman => Inner::new(&ranked(a), &ranked(b), true).cosine(),
        Measure::RhoA => {
            let m = a.first().map_or(0, |r| r.as_ref().len()) as f64;
            Ok(Inner::new(&ranked(a), &ranked(b), true).dots * (12.0 / (m * m * m - m)))
        }
        Measure::TauA | Measure::TauB => kendall(measure, a, b),
        Measure::WhitenedCosine | Measure::WhitenedCorrelation => {
            let prepare = |all: &[R], first: usize| -> Result<Vec<[Vec<f64>; 2]>> {
                let one = |(i, x): (usize, &R)| white(x.as_ref(), n, kept, measure, first + i);
                all.iter().enumerate().map(one).collect()
            };
            let (a, b) = (prepare(a, 0)?, prepare(b, a.len())?);
            let left: Vec<&[f64]> = a.iter().map(|[solved, _]| solved.as_slice()).collect();
            let right: Vec<&[f64]> = b.iter().map(|[_, unit]| unit.as_slice()).collect();
            Ok(Inner::new(&left, &right, false).dots)
        }
        Measure::Bures if kept.is_some() => Err(Error::new("`bures` needs all pairs of its conditions")),
        Measure::Bures => {
            let roots = |all: &[R], first: usize| -> Result<Vec<Mat<f64>>> {
                all.iter().enumerate().map(|(i, x)| root(x.as_ref(), n, first + i)).collect()
            };
            let (a, b) = (roots(a, 0)?, roots(b, a.len())?);
            let mut out = Mat::zeros(a.len(), b.len());
            for (i, x) in a.iter().enumerate() {
                for (j, y) in b.iter().enumerate() {
                    let (_, values, _) = thin_svd(product(x.transpose(), y.as_ref()).as_ref())?;
                    out[(i, j)] = values.iter().sum::<f64>() / (x.norm_l2() * y.norm_l2());
                }
            }
            Ok(out)
        }
    }
}

/// Whitened cosine or correlation where every condition has a noise variance of its own (rsatoolbox's
/// form: the centred kernels ÷ √(sᵢ sⱼ), then the cosine).
///
/// # Errors
/// As [`compare`]; if `measure` is not a whitened one or a variance is not positive.
pub fn compare_with_variances<R: AsRef<[f64]> + Sync>(
    measure: Measure,
    a: &[R],
    b: &[R],
    variances: &[f64],
) -> Result<Mat<f64>> {
    let n = check(a, b)?;
    check_variances(measure, n, variances)?;
    let prepare = |all: &[R], first: usize| -> Result<Vec<Vec<f64>>> {
        let one = |(i, x): (usize, &R)| {
            let moved =
                varying(measure, x.as_ref()).map_err(|why| undefined(first + i, why, measure.name()))?;
            Ok(whiten::by_variance(&moved, n, variances))
        };
        all.iter().enumerate().map(one).collect()
    };
    Inner::new(&prepare(a, 0)?, &prepare(b, a.len())?, false).cosine()
}

/// A whitened measure of `n` conditions has as many noise variances.
///
/// # Errors
/// If `measure` is not a whitened one or a variance is missing or not positive.
pub(super) fn check_variances(measure: Measure, n: usize, variances: &[f64]) -> Result<()> {
    if !matches!(measure, Measure::WhitenedCosine | Measure::WhitenedCorrelation) {
        return Err(Error::new(format!("`{}` is not a whitened measure", measure.name())));
    }
    if variances.len() != n || variances.iter().any(|v| !(*v > 0.0 && v.is_finite())) {
        return Err(Error::new(format!("whitening needs {n} positive variances, one a condition")));
    }
    Ok(())
}

/// An RDM without what a whitened measure ignores, or why nothing is left of it.
pub(super) fn varying(measure: Measure, x: &[f64]) -> std::result::Result<Vec<f64>, &'static str> {
    let center = if measure == Measure::WhitenedCorrelation { stats::mean(x) } else { 0.0 };
    let moved: Vec<f64> = x.iter().map(|v| v - center).collect();
    match stats::varies(moved.iter().map(|v| v * v).sum(), center, x.len()) {
        true => Ok(moved),
        false if center == 0.0 => Err("is zero"),
        false => Err("is constant"),
    }
}

/// All RDMs have the same number of conditions, and only finite values.
fn check<R: AsRef<[f64]>>(a: &[R], b: &[R]) -> Result<usize> {
    let first = a.first().or(b.first()).map_or(0, |r| r.as_ref().len());
    let n = conditions(first)?;
    for (index, rdm) in a.iter().chain(b).enumerate() {
        let rdm = rdm.as_ref();
        if rdm.len() != first {
            return Err(Error::new(format!("RDM {index} has {} pairs, the first has {first}", rdm.len())));
        }
        finite(rdm, &format!("RDM {index}"))?;
    }
    Ok(n)
}

fn undefined(index: usize, why: &str, measure: &str) -> Error {
    Error::new(format!("RDM {index} {why}: `{measure}` is undefined for it"))
}

/// Inner products of RDMs, and of each with itself.
struct Inner {
    dots: Mat<f64>,
    squares: [Vec<f64>; 2],
    means: [Vec<f64>; 2],
    centered: bool,
    pairs: usize,
}

/// Pairs of one block: what the blocks of all RDMs take together stays in a core's cache.
const BLOCK: usize = 4096;

impl Inner {
    fn new<R: AsRef<[f64]> + Sync>(a: &[R], b: &[R], centered: bool) -> Self {
        let pairs = a.first().map_or(0, |r| r.as_ref().len());
        let means = |all: &[R]| -> Vec<f64> {
            all.par_iter().map(|r| if centered { stats::mean(r.as_ref()) } else { 0.0 }).collect()
        };
        let means = [means(a), means(b)];
        let starts: Vec<usize> = (0..pairs).step_by(BLOCK).collect();
        let block = |start: usize| {
            let rows = BLOCK.min(pairs - start);
            let cut = |all: &[R], means: &[f64]| {
                Mat::from_fn(rows, all.len(), |i, j| all[j].as_ref()[start + i] - means[j])
            };
            let (x, y) = (cut(a, &means[0]), cut(b, &means[1]));
            let own = |m: &Mat<f64>| -> Vec<f64> { m.col_iter().map(|c| c.squared_norm_l2()).collect() };
            (product(x.transpose(), y.as_ref()), [own(&x), own(&y)])
        };
        let parts: Vec<_> = starts.into_par_iter().map(block).collect();
        let mut dots = Mat::zeros(a.len(), b.len());
        let mut squares = [vec![0.0; a.len()], vec![0.0; b.len()]];
        for (part, own) in parts {
            dots += part;
            for (total, part) in squares.iter_mut().flatten().zip(own.iter().flatten()) {
                *total += part;
            }
        }
        Inner { dots, squares, means, centered, pairs }
    }

    fn cosine(self) -> Result<Mat<f64>> {
        let side = |which: usize, offset: usize| -> Result<Vec<f64>> {
            let one = |(index, square): (usize, &f64)| {
                if *square == 0.0 && !self.centered {
                    return Err(undefined(offset + index, "is zero", "cosine"));
                }
                if self.centered && !stats::varies(*square, self.means[which][index], self.pairs) {
                    return Err(undefined(offset + index, "is constant", "correlation"));
                }
                Ok(square.sqrt())
            };
            self.squares[which].iter().enumerate().map(one).collect()
        };
        let (a, b) = (side(0, 0)?, side(1, self.squares[0].len())?);
        Ok(Mat::from_fn(a.len(), b.len(), |i, j| self.dots[(i, j)] / (a[i] * b[j])))
    }
}

fn kendall<R: AsRef<[f64]> + Sync>(measure: Measure, a: &[R], b: &[R]) -> Result<Mat<f64>> {
    let dense = |all: &[R]| -> Vec<Dense> { all.par_iter().map(|r| Dense::new(r.as_ref())).collect() };
    let (x, y) = (dense(a), dense(b));
    if let Some(index) = x.iter().chain(&y).position(|d| measure == Measure::TauB && d.constant()) {
        return Err(undefined(index, "is constant", "tau-b"));
    }
    let tau = if measure == Measure::TauB { kendall::tau_b } else { kendall::tau_a };
    let both: Vec<(usize, usize)> = (0..x.len()).flat_map(|i| (0..y.len()).map(move |j| (i, j))).collect();
    let found: Vec<f64> = both.par_iter().map(|(i, j)| tau(&x[*i], &y[*j])).collect();
    Ok(Mat::from_fn(x.len(), y.len(), |i, j| found[i * y.len() + j]))
}

/// V⁻¹ x and x, both divided by √(xᵀV⁻¹x), so that their inner products are the similarity.
fn white(
    x: &[f64],
    n: usize,
    kept: Option<&[(usize, usize)]>,
    measure: Measure,
    index: usize,
) -> Result<[Vec<f64>; 2]> {
    let center = if measure == Measure::WhitenedCorrelation { stats::mean(x) } else { 0.0 };
    let mut unit: Vec<f64> = x.iter().map(|v| v - center).collect();
    let mut solved = match kept {
        None => whiten::solve(&unit, n),
        Some(kept) => whiten::solve_among(&unit, n, kept)?,
    };
    let square: f64 = unit.iter().zip(&solved).map(|(u, s)| u * s).sum();
    if !stats::varies(square, center, x.len()) {
        let why = if center == 0.0 { "is zero" } else { "is constant" };
        return Err(undefined(index, why, measure.name()));
    }
    let norm = square.sqrt();
    unit.iter_mut().chain(&mut solved).for_each(|v| *v /= norm);
    Ok([solved, unit])
}

/// L with L Lᵀ the centred kernel of an RDM.
fn root(x: &[f64], n: usize, index: usize) -> Result<Mat<f64>> {
    let full = whiten::kernel(x, n);
    let (values, vectors) = eigh(MatRef::from_row_major_slice(&full, n, n))?;
    let largest = values.first().copied().unwrap_or(0.0);
    let least = values.last().copied().unwrap_or(0.0);
    if largest <= 0.0 {
        return Err(undefined(index, "is zero", "bures"));
    }
    if least < -1e-9 * largest {
        let why = format!("is no set of squared Euclidean distances (eigenvalue {least:.3e})");
        return Err(undefined(index, &why, "bures"));
    }
    Ok(Mat::from_fn(n, n, |i, j| vectors[(i, j)] * values[j].max(0.0).sqrt()))
}
