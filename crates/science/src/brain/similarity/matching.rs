//! Matching of single channels by their correlation over stimuli: the axes matter, unlike in CKA or
//! Procrustes. Invariant to permutation of channels, and to scaling and shifting each by a positive
//! factor.

use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef, product};

use super::sides;
use super::transport::transport;

/// Correlation of every channel of x (rows) with every one of y (columns).
///
/// # Errors
/// If the sides do not fit or a channel is constant (named).
pub fn correlations(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Result<Mat<f64>> {
    let (cx, cy) = sides(x, y)?;
    let unit = |original: MatRef<'_, f64>, mut m: Mat<f64>, which: &str| -> Result<Mat<f64>> {
        for j in 0..m.ncols() {
            let square = m.col(j).squared_norm_l2();
            let mean = original.col(j).iter().sum::<f64>() / m.nrows() as f64;
            if !crate::brain::stats::varies(square, mean, m.nrows()) {
                return Err(Error::new(format!(
                    "channel {j} of the {which} side is constant: it has no correlations"
                )));
            }
            m.col_as_slice_mut(j).iter_mut().for_each(|v| *v /= square.sqrt());
        }
        Ok(m)
    };
    let (cx, cy) = (unit(x, cx, "first")?, unit(y, cy, "second")?);
    Ok(product(cx.transpose(), cy.as_ref()))
}

/// `semi-match`: mean over channels of x of the correlation with their best channel of y. Not
/// symmetric.
pub fn semi_match(correlations: MatRef<'_, f64>) -> f64 {
    let best = |i: usize| correlations.row(i).iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (0..correlations.nrows()).map(best).sum::<f64>() / correlations.nrows() as f64
}

/// `hard-match`: the greatest sum of correlations over one-to-one pairs, as many as the smaller side has
/// channels; and the pairs.
pub fn hard_match(correlations: MatRef<'_, f64>) -> (f64, Vec<(usize, usize)>) {
    let turned = correlations.nrows() > correlations.ncols();
    let c = if turned { correlations.transpose() } else { correlations };
    let flow = transport(c, 1, 1);
    let pairs = flow.iter().map(|(i, j, _)| if turned { (*j, *i) } else { (*i, *j) }).collect();
    (flow.iter().map(|(i, j, _)| c[(*i, *j)]).sum(), pairs)
}

/// `soft-match`: the greatest Σ T·C over transport plans T with mass 1 ÷ p in every row and 1 ÷ q in
/// every column (Khosla and Williams 2024), solved exactly.
pub fn soft_match(correlations: MatRef<'_, f64>) -> f64 {
    let (p, q) = (correlations.nrows(), correlations.ncols());
    // Whole units: q leave every row, p arrive in every column.
    let flow = transport(correlations, q, p);
    flow.iter().map(|(i, j, units)| correlations[(*i, *j)] * *units as f64).sum::<f64>() / (p * q) as f64
}
