//! Brains and models: the golden cases and the laws of the measures.

mod ceilings;
mod degenerate;
mod encodings;
mod images92;
mod planted;
mod rdms;
mod reliabilities;
mod similarities;

use std::collections::BTreeMap;

use science::linalg::{Mat, MatRef};

use crate::npz::{self, Array};

/// The golden cases of a kind: name and arrays.
pub(crate) fn cases(kind: &str) -> Vec<(String, BTreeMap<String, Array>)> {
    npz::cases("brain", kind).into_iter().map(|name| (name.clone(), npz::read(&name))).collect()
}

/// A matrix of a golden case.
pub(crate) fn matrix(array: &Array) -> Mat<f64> {
    MatRef::from_row_major_slice(&array.data, array.shape[0], array.shape[1]).to_owned()
}

/// The rows of a golden matrix.
fn rows(array: &Array) -> Vec<&[f64]> {
    (0..array.shape[0]).map(|i| array.row(i)).collect()
}

/// A matrix by rows.
fn flat(matrix: &Mat<f64>) -> Vec<f64> {
    (0..matrix.nrows()).flat_map(|i| (0..matrix.ncols()).map(move |j| matrix[(i, j)])).collect()
}

/// Compares values with a golden array and prints the largest error; NaN matches NaN only.
pub(crate) fn agree(case: &str, what: &str, found: &[f64], expected: &Array, tolerance: (f64, f64)) {
    assert_eq!(found.len(), expected.data.len(), "{case} {what}");
    let mut worst = 0.0_f64;
    for (at, (a, b)) in found.iter().zip(&expected.data).enumerate() {
        if a.is_nan() && b.is_nan() {
            continue;
        }
        let error = (a - b).abs();
        worst = worst.max(error);
        assert!(error <= tolerance.0 + tolerance.1 * b.abs(), "{case} {what}[{at}]: {a} is not {b}");
    }
    println!("{case} {what}: largest error {worst:.1e}");
}

/// The tolerance of the golden cases where none is stated.
pub(crate) const EXACT: (f64, f64) = (1e-9, 1e-8);
