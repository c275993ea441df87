//! How alike two sets of responses to the same stimuli are: X (stimuli × p) and Y (stimuli × q), each
//! with the mean of its columns taken off.

pub mod cca;
pub mod cka;
pub mod matching;
pub mod shape;
mod transport;

use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef, thin_svd};

/// Both sides with their column means taken off.
///
/// # Errors
/// If rows differ in number, a value is no number, or a side is constant.
fn sides(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Result<(Mat<f64>, Mat<f64>)> {
    if x.nrows() != y.nrows() {
        return Err(Error::new(format!("{} stimuli on one side, {} on the other", x.nrows(), y.nrows())));
    }
    Ok((side(x, "first")?, side(y, "second")?))
}

fn side(x: MatRef<'_, f64>, which: &str) -> Result<Mat<f64>> {
    if !x.is_all_finite() {
        return Err(Error::new(format!("the {which} side holds a value that is no number")));
    }
    if x.nrows() < 3 || x.ncols() == 0 {
        return Err(Error::new(format!(
            "the {which} side has {} stimuli and {} channels: similarity needs 3 and 1",
            x.nrows(),
            x.ncols()
        )));
    }
    let mean = |j: usize| x.col(j).iter().sum::<f64>() / x.nrows() as f64;
    let means: Vec<f64> = (0..x.ncols()).map(mean).collect();
    let centered = Mat::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] - means[j]);
    let largest = x.norm_max();
    if centered.norm_max() <= 4.0 * f64::EPSILON * largest {
        return Err(Error::new(format!("the {which} side is the same for all stimuli")));
    }
    Ok(centered)
}

/// Orthonormal basis of the columns, their singular values, and both in one: U diag(s). Directions
/// below the rounding of the largest are left out.
fn basis(x: &Mat<f64>) -> Result<(Mat<f64>, Vec<f64>)> {
    let (u, values, _) = thin_svd(x.as_ref())?;
    let least = values.first().copied().unwrap_or(0.0) * f64::EPSILON * x.nrows().max(x.ncols()) as f64;
    let rank = values.iter().take_while(|s| **s > least).count();
    Ok((u.subcols(0, rank).to_owned(), values.into_iter().take(rank).collect()))
}
