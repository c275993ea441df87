//! Partial least squares regression of several targets (PLS2): components of greatest covariance, each
//! from the deflated rest (Wold; Wegelin 2000).

use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef, product, solve_general};

use super::{centered, check};

/// A fit: ŷ = mean of y + (x − mean of x) · coefficients.
#[derive(Clone, Debug)]
pub struct Pls {
    means: Vec<f64>,
    coefficients: Mat<f64>,
    intercepts: Vec<f64>,
}

impl Pls {
    /// Fits `components` components. With `scale`, columns are divided by their standard deviation
    /// first (n − 1 in the denominator; a constant column is left as it is).
    ///
    /// # Errors
    /// If the rows do not fit, a value is no number, or the data have fewer components (their number is
    /// named).
    pub fn fit(x: MatRef<'_, f64>, y: MatRef<'_, f64>, components: usize, scale: bool) -> Result<Self> {
        check(x, y)?;
        let (mut x, means) = centered(x);
        let (mut y, intercepts) = centered(y);
        let spread = |m: &Mat<f64>| -> Vec<f64> {
            let one = |j: usize| (m.col(j).squared_norm_l2() / (m.nrows().max(2) - 1) as f64).sqrt();
            (0..m.ncols()).map(|j| if scale && one(j) > 0.0 { one(j) } else { 1.0 }).collect()
        };
        let (x_scale, y_scale) = (spread(&x), spread(&y));
        for (matrix, scales) in [(&mut x, &x_scale), (&mut y, &y_scale)] {
            for (j, by) in scales.iter().enumerate() {
                matrix.col_as_slice_mut(j).iter_mut().for_each(|v| *v /= by);
            }
        }
        let whole = product(x.transpose(), y.as_ref()).norm_l2();
        let mut weights = Mat::zeros(x.ncols(), components);
        let mut x_loadings = Mat::zeros(x.ncols(), components);
        let mut y_loadings = Mat::zeros(y.ncols(), components);
        for k in 0..components {
            let shared = product(x.transpose(), y.as_ref()).norm_l2();
            if shared <= 1e-12 * whole || whole == 0.0 {
                return Err(Error::new(format!("{components} components of data that have {k}")));
            }
            let weight = nipals(x.as_ref(), y.as_ref());
            let score = product(x.as_ref(), weight.as_ref());
            let square = score.squared_norm_l2();
            let x_loading = product(x.transpose(), score.as_ref()) * (1.0 / square);
            let y_loading = product(y.transpose(), score.as_ref()) * (1.0 / square);
            x -= product(score.as_ref(), x_loading.transpose());
            y -= product(score.as_ref(), y_loading.transpose());
            for (all, own) in
                [(&mut weights, &weight), (&mut x_loadings, &x_loading), (&mut y_loadings, &y_loading)]
            {
                all.col_as_slice_mut(k).copy_from_slice(own.col_as_slice(0));
            }
        }
        // x's rotation W (PᵀW)⁻¹ turns deflated weights into weights of x itself.
        let inner = product(x_loadings.transpose(), weights.as_ref());
        let right = solve_general(inner.as_ref(), y_loadings.transpose());
        let mut coefficients = product(weights.as_ref(), right.as_ref());
        for (j, by) in y_scale.iter().enumerate() {
            for (value, x_by) in coefficients.col_as_slice_mut(j).iter_mut().zip(&x_scale) {
                *value *= by / x_by;
            }
        }
        Ok(Pls { means, coefficients, intercepts })
    }

    /// Predictions (rows × targets).
    ///
    /// # Errors
    /// If the number of features differs.
    pub fn predict(&self, x: MatRef<'_, f64>) -> Result<Mat<f64>> {
        if x.ncols() != self.means.len() {
            return Err(Error::new(format!("{} features, the fit has {}", x.ncols(), self.means.len())));
        }
        let moved = Mat::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] - self.means[j]);
        let mut out = product(moved.as_ref(), self.coefficients.as_ref());
        for (j, mean) in self.intercepts.iter().enumerate() {
            out.col_as_slice_mut(j).iter_mut().for_each(|v| *v += mean);
        }
        Ok(out)
    }
}

/// The weights of x (one column) that covary most with y, by NIPALS: from the first column of y that is
/// not zero, back and forth until the weights move by less than 10⁻⁶ (squared: the tolerance 10⁻¹² of
/// scikit-learn).
fn nipals(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Mat<f64> {
    const TOLERANCE: f64 = 1e-12;
    const ROUNDS: usize = 10_000;
    let start = (0..y.ncols()).find(|j| y.col(*j).norm_max() > 10.0 * f64::EPSILON).unwrap_or(0);
    let mut y_score = y.subcols(start, 1).to_owned();
    let mut weight = Mat::zeros(x.ncols(), 1);
    for _ in 0..ROUNDS {
        let found = product(x.transpose(), y_score.as_ref());
        let found = &found * (1.0 / found.norm_l2());
        let moved = (&found - &weight).squared_norm_l2();
        weight = found;
        if moved < TOLERANCE || y.ncols() == 1 {
            break;
        }
        let score = product(x, weight.as_ref());
        let y_weight = product(y.transpose(), score.as_ref());
        // Scores matter up to their scale alone: the weights are normalised.
        y_score = product(y, y_weight.as_ref());
    }
    weight
}
