//! Dense linear algebra: the only place that names the crate behind it.
//!
//! Everything here runs on one thread and gives the same bits each time; callers parallelise over
//! folds, targets or chains.

use faer::linalg::solvers::{Llt, Solve};
pub use faer::{Mat, MatRef};
use faer::{Par, Side};

use crate::error::{Error, Result};

/// Makes every later call of this process single-threaded inside; call it once before the first.
pub fn single_threaded() {
    faer::set_global_parallelism(Par::Seq);
}

/// Eigenvalues in descending order and eigenvectors in columns of a symmetric matrix (n × n); only its
/// lower triangle is read.
///
/// # Errors
/// If it is not square, holds a value that is no number, or the iteration does not converge.
pub fn eigh(matrix: MatRef<'_, f64>) -> Result<(Vec<f64>, Mat<f64>)> {
    if matrix.nrows() != matrix.ncols() {
        return Err(Error::new(format!(
            "a matrix of {} × {} has no eigenvalues",
            matrix.nrows(),
            matrix.ncols()
        )));
    }
    if !matrix.is_all_finite() {
        return Err(Error::new("a matrix with values that are no numbers has no eigenvalues"));
    }
    let found =
        matrix.self_adjoint_eigen(Side::Lower).map_err(|_| Error::new("the eigenvalues did not converge"))?;
    let values: Vec<f64> = found.S().column_vector().iter().rev().copied().collect();
    Ok((values, found.U().reverse_cols().to_owned()))
}

/// X of A X = B for a symmetric positive definite A, by Cholesky.
///
/// # Errors
/// If A is not positive definite.
pub fn solve_positive(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Result<Mat<f64>> {
    let factor = Llt::new(a, Side::Lower).map_err(|_| Error::new("the matrix is not positive definite"))?;
    Ok(factor.solve(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvalues_fall_and_rebuild_the_matrix() {
        let a = Mat::from_fn(3, 3, |i, j| [[2.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 1.0]][i][j]);
        let (values, vectors) = eigh(a.as_ref()).unwrap();
        assert!(values[0] >= values[1] && values[1] >= values[2]);
        let scaled = Mat::from_fn(3, 3, |i, j| vectors[(i, j)] * values[j]);
        let rebuilt = &scaled * vectors.transpose();
        assert!((rebuilt - a).norm_max() < 1e-12);
    }

    #[test]
    fn an_indefinite_matrix_is_refused() {
        let a = Mat::from_fn(2, 2, |i, j| [[1.0, 2.0], [2.0, 1.0]][i][j]);
        assert!(solve_positive(a.as_ref(), a.as_ref()).is_err());
    }
}
