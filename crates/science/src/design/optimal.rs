//! Stimuli from which a linear model is learned best.
//!
//! Responses are y = F w + noise, with the prior w ~ N(0, τ² I) and noise variance σ²; λ = σ² ÷ τ². After the
//! stimuli S the posterior covariance of w is σ² M⁻¹ with M = λ I + F_Sᵀ F_S (Chaloner and Verdinelli 1995).

use super::check_pool;
use super::search::Criterion;
use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef, log_det_positive, product, solve_positive};

/// What is made small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// D-optimal: the volume of the posterior; the value is log det M.
    Determinant,
    /// A-optimal: the mean variance of the weights; the value is −tr M⁻¹.
    Trace,
    /// The expected information about w in bits, ½ log₂ (det M ÷ det M₀), where M₀ holds only what was
    /// measured before. Its best set is the D-optimal one.
    Information,
}

/// Learning a linear model, as a criterion. Kept as kernels of the pool, so that a step costs no power of the
/// number of features.
pub struct Learning {
    aim: Aim,
    /// F M₀⁻¹ Fᵀ.
    kernel: Mat<f64>,
    /// F M₀⁻² Fᵀ, for the trace.
    squared: Mat<f64>,
    log_det: f64,
    trace: f64,
}

impl Learning {
    /// For features (stimuli × p), with `measured` (rows × p) known already. Invariant to rotation of the
    /// features.
    ///
    /// # Errors
    /// If the features are no numbers, or λ is not positive.
    pub fn new(
        aim: Aim,
        features: MatRef<'_, f64>,
        measured: Option<MatRef<'_, f64>>,
        lambda: f64,
    ) -> Result<Self> {
        check_pool(features)?;
        if !(lambda > 0.0 && lambda.is_finite()) {
            return Err(Error::new(format!("the ridge penalty {lambda} is not positive")));
        }
        let p = features.ncols();
        let mut start = Mat::from_fn(p, p, |i, j| if i == j { lambda } else { 0.0 });
        if let Some(rows) = measured.filter(|r| r.nrows() > 0) {
            if rows.ncols() != p || !rows.is_all_finite() {
                return Err(Error::new("the measured stimuli have other features, or no numbers"));
            }
            start += product(rows.transpose(), rows);
        }
        let inverse = solve_positive(start.as_ref(), Mat::identity(p, p).as_ref())?;
        let half = product(features, inverse.as_ref());
        Ok(Learning {
            aim,
            kernel: product(half.as_ref(), features.transpose()),
            squared: product(half.as_ref(), half.transpose()),
            log_det: log_det_positive(start.as_ref())?,
            trace: (0..p).map(|i| inverse[(i, i)]).sum(),
        })
    }

    fn scale(&self, log_det: f64) -> f64 {
        match self.aim {
            Aim::Information => log_det / std::f64::consts::LN_2 / 2.0,
            _ => self.log_det + log_det,
        }
    }

    /// I + K of the set, its log det and inverse.
    fn inside(&self, chosen: &[usize]) -> Option<(f64, Mat<f64>)> {
        let k = chosen.len();
        let one = |i: usize, j: usize| f64::from(u8::from(i == j));
        let inner = Mat::from_fn(k, k, |i, j| one(i, j) + self.kernel[(chosen[i], chosen[j])]);
        let inverse = solve_positive(inner.as_ref(), Mat::identity(k, k).as_ref()).ok()?;
        Some((log_det_positive(inner.as_ref()).ok()?, inverse))
    }

    /// tr M⁻¹ by Woodbury: tr M₀⁻¹ − tr (I + K)⁻¹ G.
    fn trace_of(&self, chosen: &[usize], inverse: &Mat<f64>) -> f64 {
        let of = |i: usize, j: usize| inverse[(i, j)] * self.squared[(chosen[j], chosen[i])];
        let k = chosen.len();
        self.trace - (0..k).map(|i| (0..k).map(|j| of(i, j)).sum::<f64>()).sum::<f64>()
    }
}

impl Criterion for Learning {
    fn pool(&self) -> usize {
        self.kernel.nrows()
    }

    fn value(&self, chosen: &[usize]) -> f64 {
        match self.inside(chosen) {
            None => f64::NEG_INFINITY,
            Some((_, inverse)) if self.aim == Aim::Trace => -self.trace_of(chosen, &inverse),
            Some((log_det, _)) => self.scale(log_det),
        }
    }

    fn values_with(&self, chosen: &[usize]) -> Vec<f64> {
        let Some((log_det, inverse)) = self.inside(chosen) else {
            return vec![f64::NEG_INFINITY; self.pool()];
        };
        // One stimulus x more: det grows by 1 + xᵀM⁻¹x, tr falls by |M⁻¹x|² ÷ (1 + xᵀM⁻¹x).
        let cross = Mat::from_fn(chosen.len(), self.pool(), |i, x| self.kernel[(chosen[i], x)]);
        let solved = product(inverse.as_ref(), cross.as_ref());
        let dot = |a: &Mat<f64>, b: &Mat<f64>, x: usize| -> f64 {
            a.col(x).iter().zip(b.col(x).iter()).map(|(a, b)| a * b).sum()
        };
        let variance = |x: usize| (self.kernel[(x, x)] - dot(&cross, &solved, x)).max(0.0);
        if self.aim != Aim::Trace {
            return (0..self.pool()).map(|x| self.scale(log_det + variance(x).ln_1p())).collect();
        }
        let other = Mat::from_fn(chosen.len(), self.pool(), |i, x| self.squared[(chosen[i], x)]);
        let inner = Mat::from_fn(chosen.len(), chosen.len(), |i, j| self.squared[(chosen[i], chosen[j])]);
        let turned = product(inner.as_ref(), solved.as_ref());
        let trace = self.trace_of(chosen, &inverse);
        let fall = |x: usize| {
            let square = self.squared[(x, x)] - 2.0 * dot(&other, &solved, x) + dot(&turned, &solved, x);
            square.max(0.0) / (1.0 + variance(x))
        };
        (0..self.pool()).map(|x| fall(x) - trace).collect()
    }
}
