//! Comparing brains and models: representational geometry, encoding, similarity, reliability.
//!
//! Rows are stimuli (or observations), columns are channels: voxels, neurons, units. A representational
//! dissimilarity matrix (RDM) of n conditions is the vector of its upper triangle, row by row: pairs
//! (0, 1), (0, 2), …, (n−2, n−1).

pub mod bootstrap;
pub mod ceiling;
pub mod compare;
pub mod encode;
pub mod jackknife;
mod kendall;
pub mod permute;
pub mod rdm;
pub mod reliability;
pub mod similarity;
pub mod spread;
pub mod stats;
pub mod tests;
pub mod triplets;
mod whiten;

use crate::error::{Error, Result};

/// Number of conditions of an RDM of `pairs` pairs.
///
/// # Errors
/// If no number of conditions has so many pairs, or there is no pair.
pub fn conditions(pairs: usize) -> Result<usize> {
    // n (n − 1) ÷ 2 = pairs lies next to √(2 pairs).
    let near = (2.0 * pairs as f64).sqrt() as usize;
    match (near..=near + 2).find(|n| n * n.saturating_sub(1) / 2 == pairs) {
        Some(n) if n >= 2 => Ok(n),
        _ => {
            Err(Error::new(format!("{pairs} dissimilarities are not the pairs of any number of conditions")))
        }
    }
}

/// The pairs of `n` conditions in the order of an RDM.
pub fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |i| (i + 1..n).map(move |j| (i, j)))
}

/// Refuses values that are no numbers; `what` names the quantity.
pub(crate) fn finite(values: &[f64], what: &str) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(at) => Err(Error::new(format!("{what} holds {} at position {at}", values[at]))),
        None => Ok(()),
    }
}
