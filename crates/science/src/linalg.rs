//! Dense linear algebra: the only place that names the crate behind it.
//!
//! Everything here runs on one thread and gives the same bits each time; callers parallelise over
//! folds, targets or chains.

use faer::MatMut;
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::solvers::{Llt, Solve};
use faer::{Accum, Par, Side};
pub use faer::{Mat, MatRef};
use rayon::prelude::*;

use crate::error::{Error, Result};

/// Runs `work` with a pool of this many threads; what it computes does not depend on their number.
///
/// # Errors
/// If the system gives no threads.
pub fn with_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> Result<R> {
    single_threaded();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build();
    Ok(pool.map_err(|e| Error::new(format!("cannot start {threads} threads: {e}")))?.install(work))
}

/// Single or double precision.
pub trait Real: faer::traits::RealField + Copy + std::iter::Sum {
    /// The nearest number of this precision.
    fn of(value: f64) -> Self;
    /// The same number in double precision.
    fn wide(self) -> f64;
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }
    fn wide(self) -> f64 {
        self
    }
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

/// Rows or columns of one block of a product: the same for every number of threads, so that results
/// are too.
const BLOCK: usize = 256;

/// A B, the columns of B (or the rows of A where there are more) in blocks over the threads of the
/// current rayon pool.
pub fn product<T: Real>(a: MatRef<'_, T>, b: MatRef<'_, T>) -> Mat<T> {
    let mut c = Mat::zeros(a.nrows(), b.ncols());
    multiply(c.as_mut(), a, b);
    c
}

/// [`product`] into `c`, column after column: to do it again and again without new memory.
pub fn product_into<T: Real>(c: &mut [T], a: MatRef<'_, T>, b: MatRef<'_, T>) {
    multiply(MatMut::from_column_major_slice_mut(c, a.nrows(), b.ncols()), a, b);
}

fn multiply<T: Real>(c: MatMut<'_, T>, a: MatRef<'_, T>, b: MatRef<'_, T>) {
    let one = T::of(1.0);
    if b.ncols() >= a.nrows() {
        c.par_col_chunks_mut(BLOCK).enumerate().for_each(|(index, part)| {
            let from = b.subcols(index * BLOCK, part.ncols());
            matmul(part, Accum::Replace, a, from, one, Par::Seq);
        });
    } else {
        c.par_row_chunks_mut(BLOCK).enumerate().for_each(|(index, part)| {
            let from = a.subrows(index * BLOCK, part.nrows());
            matmul(part, Accum::Replace, from, b, one, Par::Seq);
        });
    }
}

/// X Xᵀ (rows × rows), in blocks over the threads of the current rayon pool; half of the work of
/// [`product`].
pub fn gram<T: Real>(x: MatRef<'_, T>) -> Mat<T> {
    let n = x.nrows();
    let mut c = Mat::zeros(n, n);
    c.par_col_chunks_mut(BLOCK).enumerate().for_each(|(index, part)| {
        let (start, width) = (index * BLOCK, part.ncols());
        let (_, lower) = part.split_at_row_mut(start);
        let (square, below) = lower.split_at_row_mut(width);
        let own = x.subrows(start, width);
        let (full, half) = (BlockStructure::Rectangular, BlockStructure::TriangularLower);
        let one = T::of(1.0);
        triangular::matmul(square, half, Accum::Replace, own, full, own.transpose(), full, one, Par::Seq);
        let rest = x.subrows(start + width, n - start - width);
        matmul(below, Accum::Replace, rest, own.transpose(), one, Par::Seq);
    });
    for column in 1..n {
        for row in 0..column {
            c[(row, column)] = c[(column, row)];
        }
    }
    c
}

/// Makes every later call of this process single-threaded inside; call it once before the first.
pub fn single_threaded() {
    faer::set_global_parallelism(Par::Seq);
}

/// Eigenvalues in descending order and eigenvectors in columns of a symmetric matrix (n × n); only its
/// lower triangle is read.
///
/// # Errors
/// If it is not square, holds a value that is no number, or the iteration does not converge.
pub fn eigh<T: Real>(matrix: MatRef<'_, T>) -> Result<(Vec<T>, Mat<T>)> {
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
    let values: Vec<T> = found.S().column_vector().iter().rev().copied().collect();
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

/// log det A of a symmetric positive definite A, by Cholesky.
///
/// # Errors
/// If A is not positive definite.
pub fn log_det_positive(a: MatRef<'_, f64>) -> Result<f64> {
    let factor = Llt::new(a, Side::Lower).map_err(|_| Error::new("the matrix is not positive definite"))?;
    Ok(factor.L().diagonal().column_vector().iter().map(|d| 2.0 * d.ln()).sum())
}

/// X of A X = B for a square, regular A, by LU with partial pivoting.
pub fn solve_general(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    a.partial_piv_lu().solve(b)
}

/// Thin singular value decomposition U diag(s) Vᵀ: (U, s, V), s in descending order.
///
/// # Errors
/// If the matrix holds a value that is no number or the iteration does not converge.
pub fn thin_svd(matrix: MatRef<'_, f64>) -> Result<(Mat<f64>, Vec<f64>, Mat<f64>)> {
    if !matrix.is_all_finite() {
        return Err(Error::new("a matrix with values that are no numbers has no singular values"));
    }
    let found = matrix.thin_svd().map_err(|_| Error::new("the singular values did not converge"))?;
    let values = found.S().column_vector().iter().copied().collect();
    Ok((found.U().to_owned(), values, found.V().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_products_are_products() {
        let a = Mat::from_fn(600, 7, |i, j| ((i * 31 + j * 17) % 23) as f64 - 11.0);
        let b = Mat::from_fn(7, 590, |i, j| ((i * 13 + j * 29) % 19) as f64 - 9.0);
        assert_eq!(product(a.as_ref(), b.as_ref()), &a * &b);
        assert_eq!(product(b.transpose(), a.transpose()), b.transpose() * a.transpose());
        assert_eq!(gram(a.as_ref()), &a * a.transpose());
    }

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
