//! Ridge regression of many targets with many penalties: min ‖Y − X B‖² + α ‖B‖², the intercept free.
//!
//! One Gram matrix serves every fold: of the rows where there are no more rows than features, else of
//! the features. A fold centres its part of it and takes its eigenvalues once; each penalty then costs
//! one product a block of targets, and no array over penalties × rows × targets is ever kept.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef, Real, eigh, gram, product};

use super::folds::without;
use super::{centered, check};

/// Targets that are predicted together.
const TARGETS: usize = 128;

/// Features and responses, ready for fits on any of their rows.
pub struct Ridge<'a, T: Real> {
    /// Features less their mean over all rows, which no prediction depends on.
    x: Mat<T>,
    means: Vec<T>,
    y: MatRef<'a, T>,
    /// Gram matrix of the rows (`dual`) or of the features.
    gram: Mat<T>,
    dual: bool,
}

/// The eigenvectors of the centred Gram matrix of some rows.
pub(super) struct Spectrum<T> {
    rows: Vec<usize>,
    values: Vec<T>,
    vectors: Mat<T>,
    /// Dual: mean of the kernel's rows, and the mean of these. Primal: mean of the features, and nothing.
    center: Vec<T>,
    grand: T,
}

impl<T> Spectrum<T> {
    /// Eigenvalues in descending order, none below 0.
    pub(super) fn values(&self) -> &[T] {
        &self.values
    }
}

/// A fit of every target: ŷ = intercept + x · coefficients.
#[derive(Clone, Debug)]
pub struct Fit<T> {
    /// Features × targets.
    pub coefficients: Mat<T>,
    /// One a target.
    pub intercepts: Vec<T>,
}

impl<T: Real> Fit<T> {
    /// Predictions (rows × targets).
    pub fn predict(&self, x: MatRef<'_, T>) -> Mat<T> {
        let mut out = product(x, self.coefficients.as_ref());
        for (j, intercept) in self.intercepts.iter().enumerate() {
            out.col_as_slice_mut(j).iter_mut().for_each(|v| *v += *intercept);
        }
        out
    }
}

impl<'a, T: Real> Ridge<'a, T> {
    /// Makes the Gram matrix of features (rows × features) for responses (rows × targets).
    ///
    /// # Errors
    /// If the rows do not fit or a value is no number.
    pub fn new(x: MatRef<'_, T>, y: MatRef<'a, T>) -> Result<Self> {
        check(x, y)?;
        let (x, means) = centered(x);
        let dual = x.nrows() <= x.ncols();
        let gram = if dual { gram(x.as_ref()) } else { gram(x.transpose()) };
        Ok(Ridge { x, means, y, gram, dual })
    }

    /// Number of rows and of targets.
    pub fn size(&self) -> (usize, usize) {
        (self.y.nrows(), self.y.ncols())
    }

    /// The eigenvalues of the fit on `rows`.
    pub(super) fn spectrum(&self, rows: &[usize]) -> Result<Spectrum<T>> {
        if rows.len() < 2 {
            return Err(Error::new(format!("a fit needs two rows, a fold leaves {}", rows.len())));
        }
        let count = T::of(rows.len() as f64);
        let (inner, center, grand) = if self.dual {
            let mean = |i: usize| rows.iter().map(|j| self.gram[(*j, i)]).sum::<T>() / count;
            let center: Vec<T> = rows.iter().map(|i| mean(*i)).collect();
            let grand = center.iter().copied().sum::<T>() / count;
            let inner = Mat::from_fn(rows.len(), rows.len(), |i, j| {
                self.gram[(rows[i], rows[j])] - center[i] - center[j] + grand
            });
            (inner, center, grand)
        } else {
            let all: Vec<usize> = (0..self.x.nrows()).collect();
            let out = self.take(&without(&all, rows));
            let center: Vec<T> = (0..self.x.ncols())
                .map(|j| rows.iter().map(|i| self.x[(*i, j)]).sum::<T>() / count)
                .collect();
            let left = gram(out.transpose());
            let inner = Mat::from_fn(center.len(), center.len(), |i, j| {
                self.gram[(i, j)] - left[(i, j)] - count * center[i] * center[j]
            });
            (inner, center, T::of(0.0))
        };
        let (values, vectors) = eigh(inner.as_ref())?;
        let values = values.into_iter().map(|v| if v > T::of(0.0) { v } else { T::of(0.0) }).collect();
        Ok(Spectrum { rows: rows.to_vec(), values, vectors, center, grand })
    }

    fn take(&self, rows: &[usize]) -> Mat<T> {
        Mat::from_fn(rows.len(), self.x.ncols(), |i, j| self.x[(rows[i], j)])
    }

    /// Rows in the directions of the spectrum: A with ŷ = ȳ + A diag(1 ÷ (λ + α)) B.
    pub(super) fn project(&self, spectrum: &Spectrum<T>, rows: &[usize]) -> Mat<T> {
        let (center, grand) = (&spectrum.center, spectrum.grand);
        let moved = if self.dual {
            let train = &spectrum.rows;
            let mut kernel = Mat::from_fn(rows.len(), train.len(), |i, j| self.gram[(rows[i], train[j])]);
            for i in 0..rows.len() {
                let mean = kernel.row(i).iter().copied().sum::<T>() / T::of(train.len() as f64);
                (0..train.len()).for_each(|j| kernel[(i, j)] += grand - mean - center[j]);
            }
            kernel
        } else {
            Mat::from_fn(rows.len(), center.len(), |i, j| self.x[(rows[i], j)] - center[j])
        };
        product(moved.as_ref(), spectrum.vectors.as_ref())
    }

    /// B of `project`, and ȳ, for the targets `from..from + width`.
    pub(super) fn rotate(&self, spectrum: &Spectrum<T>, from: usize, width: usize) -> (Mat<T>, Vec<T>) {
        let rows = &spectrum.rows;
        let y = Mat::from_fn(rows.len(), width, |i, j| self.y[(rows[i], from + j)]);
        let (y, means) = centered(y.as_ref());
        if self.dual {
            return (product(spectrum.vectors.transpose(), y.as_ref()), means);
        }
        let x = self.take(rows);
        (product(spectrum.vectors.transpose(), product(x.transpose(), y.as_ref()).as_ref()), means)
    }

    /// Blocks of targets: first and number.
    pub(super) fn blocks(&self) -> Vec<(usize, usize)> {
        let targets = self.y.ncols();
        (0..targets).step_by(TARGETS).map(|from| (from, TARGETS.min(targets - from))).collect()
    }

    /// `r2/test-mean` of every penalty (rows) and target (columns), the mean over folds, fitted and
    /// judged on `rows` alone.
    ///
    /// # Errors
    /// If a penalty is not positive, a fold leaves too few rows, or a target is constant on the held-out
    /// rows of a fold (both named).
    pub fn cross_validate(&self, rows: &[usize], folds: &[Vec<usize>], alphas: &[f64]) -> Result<Mat<f64>> {
        check_alphas(alphas)?;
        if folds.is_empty() {
            return Err(Error::new("there are no folds"));
        }
        let numbered: Vec<(usize, &Vec<usize>)> = folds.iter().enumerate().collect();
        let scores = numbered
            .into_par_iter()
            .map(|(fold, held)| {
                self.score_fold(rows, held, alphas).map_err(|e| Error::new(format!("fold {fold}: {e}")))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut mean = Mat::zeros(alphas.len(), self.y.ncols());
        for score in scores {
            mean += score;
        }
        Ok(mean * (1.0 / folds.len() as f64))
    }

    fn score_fold(&self, rows: &[usize], held: &[usize], alphas: &[f64]) -> Result<Mat<f64>> {
        let spectrum = self.spectrum(&without(rows, held))?;
        let a = self.project(&spectrum, held);
        let score = |(from, width): (usize, usize)| -> Result<Mat<f64>> {
            let (b, means) = self.rotate(&spectrum, from, width);
            let mut totals = Vec::with_capacity(width);
            for j in 0..width {
                let truth: Vec<f64> = held.iter().map(|i| self.y[(*i, from + j)].wide()).collect();
                let center = crate::brain::stats::mean(&truth);
                let total: f64 = truth.iter().map(|y| (y - center).powi(2)).sum();
                if !crate::brain::stats::varies(total, center, truth.len()) {
                    let target = from + j;
                    return Err(Error::new(format!(
                        "target {target} is constant on the {} held-out rows: it has no r2",
                        held.len()
                    )));
                }
                totals.push(total);
            }
            let mut out = Mat::zeros(alphas.len(), width);
            let mut scaled = b.clone();
            for (index, alpha) in alphas.iter().enumerate() {
                shrink(&b, &spectrum.values, |_| *alpha, &mut scaled);
                let predicted = product(a.as_ref(), scaled.as_ref());
                for j in 0..width {
                    let rest: T = held
                        .iter()
                        .zip(predicted.col_as_slice(j))
                        .map(|(i, p)| self.y[(*i, from + j)] - means[j] - *p)
                        .map(|gap| gap * gap)
                        .sum();
                    out[(index, j)] = 1.0 - rest.wide() / totals[j];
                }
            }
            Ok(out)
        };
        let blocks = self.blocks().into_par_iter().map(score).collect::<Result<Vec<_>>>()?;
        Ok(beside(&blocks, alphas.len()))
    }

    /// The fit on `rows` with one penalty a target.
    ///
    /// # Errors
    /// If a penalty is not positive or there are too few rows.
    pub fn fit(&self, rows: &[usize], alphas: &[f64]) -> Result<Fit<T>> {
        check_alphas(alphas)?;
        if alphas.len() != self.y.ncols() {
            return Err(Error::new(format!("{} penalties of {} targets", alphas.len(), self.y.ncols())));
        }
        let spectrum = self.spectrum(rows)?;
        // Directions of the spectrum in feature space.
        let directions = if self.dual {
            let (x, _) = centered(self.take(rows).as_ref());
            product(x.transpose(), spectrum.vectors.as_ref())
        } else {
            spectrum.vectors.clone()
        };
        let feature_means: Vec<T> =
            if self.dual { centered(self.take(rows).as_ref()).1 } else { spectrum.center.clone() };
        let part = |(from, width): (usize, usize)| {
            let (b, means) = self.rotate(&spectrum, from, width);
            let mut scaled = b.clone();
            shrink(&b, &spectrum.values, |j| alphas[from + j], &mut scaled);
            (product(directions.as_ref(), scaled.as_ref()), means)
        };
        let parts: Vec<_> = self.blocks().into_par_iter().map(part).collect();
        let mut coefficients = Mat::zeros(self.x.ncols(), self.y.ncols());
        let mut intercepts = Vec::with_capacity(self.y.ncols());
        for (block, means) in parts {
            for (j, mean) in means.into_iter().enumerate() {
                let target = intercepts.len();
                coefficients.col_as_slice_mut(target).copy_from_slice(block.col_as_slice(j));
                let shift: T =
                    (0..self.means.len()).map(|f| block[(f, j)] * (feature_means[f] + self.means[f])).sum();
                intercepts.push(mean - shift);
            }
        }
        Ok(Fit { coefficients, intercepts })
    }

    /// Mean squared leave-one-out error on `rows` of every penalty (rows) and target (columns), exactly,
    /// from one fit: residual ÷ (1 − leverage).
    ///
    /// # Errors
    /// If a penalty is not positive or there are too few rows.
    pub fn leave_one_out(&self, rows: &[usize], alphas: &[f64]) -> Result<Mat<f64>> {
        check_alphas(alphas)?;
        let spectrum = self.spectrum(rows)?;
        let a = self.project(&spectrum, rows);
        let count = rows.len();
        let leverage = |alpha: f64| -> Vec<f64> {
            let one = |i: usize| -> f64 {
                let share = |j: usize| {
                    let lambda = spectrum.values[j].wide();
                    // In the dual, A = U λ and the hat matrix is U λ ÷ (λ + α) Uᵀ.
                    let direction = if self.dual { spectrum.vectors[(i, j)] } else { a[(i, j)] }.wide();
                    direction * direction * if self.dual { lambda } else { 1.0 } / (lambda + alpha)
                };
                1.0 / count as f64 + (0..spectrum.values.len()).map(share).sum::<f64>()
            };
            (0..count).map(one).collect()
        };
        let leverages: Vec<Vec<f64>> = alphas.iter().map(|alpha| leverage(*alpha)).collect();
        let part = |(from, width): (usize, usize)| {
            let (b, means) = self.rotate(&spectrum, from, width);
            let mut out = Mat::zeros(alphas.len(), width);
            let mut scaled = b.clone();
            for (index, alpha) in alphas.iter().enumerate() {
                shrink(&b, &spectrum.values, |_| *alpha, &mut scaled);
                let fitted = product(a.as_ref(), scaled.as_ref());
                for j in 0..width {
                    let square = |i: usize| {
                        let gap = (self.y[(rows[i], from + j)] - means[j] - fitted[(i, j)]).wide();
                        (gap / (1.0 - leverages[index][i])).powi(2)
                    };
                    out[(index, j)] = (0..count).map(square).sum::<f64>() / count as f64;
                }
            }
            out
        };
        let parts: Vec<Mat<f64>> = self.blocks().into_par_iter().map(part).collect();
        Ok(beside(&parts, alphas.len()))
    }
}

/// The penalty of every target with the highest score (penalties × targets), the first of equals.
pub fn best(scores: MatRef<'_, f64>) -> Vec<usize> {
    let of = |column: usize| {
        (0..scores.nrows())
            .fold(0, |best, i| if scores[(i, column)] > scores[(best, column)] { i } else { best })
    };
    (0..scores.ncols()).map(of).collect()
}

pub(super) fn check_alphas(alphas: &[f64]) -> Result<()> {
    match alphas.iter().find(|a| !(**a > 0.0 && a.is_finite())) {
        Some(bad) => Err(Error::new(format!("the penalty {bad} is not a positive number"))),
        None if alphas.is_empty() => Err(Error::new("there are no penalties")),
        None => Ok(()),
    }
}

/// B with row j divided by λⱼ + α, α one a target.
pub(super) fn shrink<T: Real>(b: &Mat<T>, values: &[T], alpha: impl Fn(usize) -> f64, out: &mut Mat<T>) {
    for column in 0..b.ncols() {
        let alpha = T::of(alpha(column));
        let from = b.col_as_slice(column);
        for ((to, from), value) in out.col_as_slice_mut(column).iter_mut().zip(from).zip(values) {
            *to = *from / (*value + alpha);
        }
    }
}

/// Blocks of columns side by side.
fn beside(blocks: &[Mat<f64>], rows: usize) -> Mat<f64> {
    let mut out = Mat::zeros(rows, blocks.iter().map(Mat::ncols).sum());
    let mut at = 0;
    for block in blocks {
        for j in 0..block.ncols() {
            out.col_as_slice_mut(at).copy_from_slice(block.col_as_slice(j));
            at += 1;
        }
    }
    out
}
