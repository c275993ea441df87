//! Canonical correlations: the correlations of the best matched directions. Invariant to any invertible
//! linear map of the channels.

use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef, product, thin_svd};

use super::{basis, sides};

/// Canonical correlations in descending order, as many as the smaller side has dimensions.
///
/// # Errors
/// If the sides do not fit, or one has as many dimensions as stimuli allow: then every correlation is 1
/// whatever the data.
pub fn cca(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Result<Vec<f64>> {
    let (x, y) = sides(x, y)?;
    let ((x, _), (y, _)) = (basis(&x)?, basis(&y)?);
    correlations(&x, &y)
}

/// `cca:mean`: the mean canonical correlation.
///
/// # Errors
/// As [`cca`].
pub fn cca_mean(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Result<f64> {
    Ok(super::super::stats::mean(&cca(x, y)?))
}

/// Singular-vector canonical correlation (Raghu et al. 2017).
#[derive(Clone, Debug, PartialEq)]
pub struct Svcca {
    /// Dimensions kept of either side.
    pub kept: (usize, usize),
    /// `svcca:mean`: the mean canonical correlation of what is kept.
    pub mean: f64,
}

/// [`cca`] of the leading singular directions of either side, the fewest that hold `share` (such as
/// 0.99) of the squared singular values.
///
/// # Errors
/// As [`cca`]; if the share is not between 0 and 1.
pub fn svcca(x: MatRef<'_, f64>, y: MatRef<'_, f64>, share: f64) -> Result<Svcca> {
    if !(share > 0.0 && share <= 1.0) {
        return Err(Error::new(format!("the share {share} of the variance is not between 0 and 1")));
    }
    let (x, y) = sides(x, y)?;
    let lead = |m: &Mat<f64>| -> Result<Mat<f64>> {
        let (u, values) = basis(m)?;
        let total: f64 = values.iter().map(|s| s * s).sum();
        let mut sum = 0.0;
        let short = values.iter().take_while(|s| {
            sum += **s * **s;
            sum < share * total
        });
        let kept = (short.count() + 1).min(values.len());
        Ok(u.subcols(0, kept).to_owned())
    };
    let (x, y) = (lead(&x)?, lead(&y)?);
    let mean = super::super::stats::mean(&correlations(&x, &y)?);
    Ok(Svcca { kept: (x.ncols(), y.ncols()), mean })
}

fn correlations(x: &Mat<f64>, y: &Mat<f64>) -> Result<Vec<f64>> {
    for side in [x, y] {
        if side.ncols() + 1 >= side.nrows() {
            return Err(Error::new(format!(
                "{} dimensions of {} stimuli: every canonical correlation would be 1; reduce them first (SVCCA, PCA)",
                side.ncols(),
                side.nrows()
            )));
        }
    }
    let (_, values, _) = thin_svd(product(x.transpose(), y.as_ref()).as_ref())?;
    Ok(values.into_iter().map(|v| v.min(1.0)).collect())
}
