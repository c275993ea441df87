//! Shape: what is left of a difference after the best rotation (Williams et al. 2021), and the share of
//! one side that the other explains linearly.

use crate::error::Result;
use crate::linalg::{Mat, MatRef, product, thin_svd};

use super::{basis, sides};

/// Procrustes distances; invariant to rotation and reflection of the channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Procrustes {
    /// ‖x‖² + ‖y‖² − 2 ‖xᵀy‖∗.
    pub squared: f64,
    /// `procrustes:angular`: arccos(‖xᵀy‖∗ ÷ ‖x‖ ‖y‖). A metric; invariant to scaling too.
    pub angular: f64,
    /// 2 − 2 cos of that angle.
    pub normalized_squared: f64,
}

/// Procrustes distances of two sides, the one with fewer channels filled up with zeros.
///
/// # Errors
/// If the sides do not fit or one is constant.
pub fn procrustes(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Result<Procrustes> {
    let (x, y) = sides(x, y)?;
    let (x, y) = (reduced(x)?, reduced(y)?);
    let (_, values, _) = thin_svd(product(x.transpose(), y.as_ref()).as_ref())?;
    let nuclear: f64 = values.iter().sum();
    let (a, b) = (x.norm_l2(), y.norm_l2());
    let cosine = (nuclear / (a * b)).min(1.0);
    Ok(Procrustes {
        squared: (a * a + b * b - 2.0 * nuclear).max(0.0),
        angular: cosine.acos(),
        normalized_squared: 2.0 - 2.0 * cosine,
    })
}

/// With no more channels than stimuli: a rotation, so that nothing here changes.
fn reduced(x: Mat<f64>) -> Result<Mat<f64>> {
    if x.ncols() <= x.nrows() {
        return Ok(x);
    }
    let (u, values) = basis(&x)?;
    Ok(Mat::from_fn(u.nrows(), u.ncols(), |i, j| u[(i, j)] * values[j]))
}

/// `linreg:r2`: the share ‖Qᵀx‖² ÷ ‖x‖² of x in the span of y (Q its orthonormal basis), without
/// cross-validation: 1 wherever y has as many dimensions as stimuli allow.
///
/// # Errors
/// As [`procrustes`].
pub fn explained(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Result<f64> {
    let (x, y) = sides(x, y)?;
    let (q, _) = basis(&y)?;
    Ok(product(q.transpose(), x.as_ref()).squared_norm_l2() / x.squared_norm_l2())
}
