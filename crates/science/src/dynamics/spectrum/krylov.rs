//! An orthonormal basis that grows by products, and the matrix in it.

use super::{Apply, dot, normalised};
use crate::error::{Error, Result};
use crate::linalg::{Mat, eigh, product};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;

/// A remainder below this part of a product is rounding: the basis spans an invariant space.
const NOTHING: f64 = 1e-12;

/// V with A V = V T + β v eᵀ, where e picks the last column. Every vector is orthogonalised twice against all others
/// (Giraud et al. 2005), so that no eigenvalue appears twice.
pub(super) struct Krylov {
    basis: Mat<f64>,
    matrix: Mat<f64>,
    /// Columns of `matrix` that are known.
    known: usize,
    beta: f64,
    random: Xoshiro256PlusPlus,
}

impl Krylov {
    /// Begins at `start`, with room for `most` vectors.
    pub fn new(start: &[f64], most: usize, random: Xoshiro256PlusPlus) -> Self {
        let mut basis = Mat::zeros(start.len(), most + 1);
        let mut first = start.to_vec();
        normalised(&mut first);
        write(&mut basis, 0, &first);
        Krylov { basis, matrix: Mat::zeros(most, most), known: 0, beta: 0.0, random }
    }

    /// Number of vectors whose products are known.
    pub fn size(&self) -> usize {
        self.known
    }

    /// Can it grow by another vector?
    pub fn is_full(&self) -> bool {
        self.known == self.matrix.ncols() || self.known == self.basis.nrows()
    }

    /// One product more.
    pub fn grow<E: From<Error>>(&mut self, apply: Apply<'_, E>) -> std::result::Result<(), E> {
        let j = self.known;
        let mut w = apply(&read(&self.basis, j))?;
        if w.len() != self.basis.nrows() || w.iter().any(|v| !v.is_finite()) {
            return Err(Error::new("a product with the matrix has values that are no numbers").into());
        }
        let scale = dot(&w, &w).sqrt();
        let along = self.orthogonal(&mut w, j + 1);
        for (i, h) in along.iter().enumerate() {
            self.matrix[(i, j)] = *h;
            self.matrix[(j, i)] = *h;
        }
        self.beta = normalised(&mut w);
        self.known = j + 1;
        if self.beta <= NOTHING * scale && self.known < self.basis.nrows() {
            self.beta = 0.0;
            w.iter_mut().for_each(|v| *v = sign(&mut self.random));
            self.orthogonal(&mut w, self.known);
            normalised(&mut w);
        }
        write(&mut self.basis, self.known, &w);
        Ok(())
    }

    /// Takes out of `w` what lies in the first `count` vectors; returns it.
    fn orthogonal(&self, w: &mut [f64], count: usize) -> Vec<f64> {
        let basis = self.basis.as_ref().subcols(0, count);
        let mut along = vec![0.0; count];
        for _ in 0..2 {
            let column = Mat::from_fn(w.len(), 1, |i, _| w[i]);
            let part = product(basis.transpose(), column.as_ref());
            let inside = product(basis, part.as_ref());
            along.iter_mut().enumerate().for_each(|(i, a)| *a += part[(i, 0)]);
            w.iter_mut().enumerate().for_each(|(i, v)| *v -= inside[(i, 0)]);
        }
        along
    }

    /// Ritz values, falling; their vectors in the basis (columns); and how far each is from an eigenpair, |A u − θ u|.
    pub fn ritz(&self) -> Result<(Vec<f64>, Mat<f64>, Vec<f64>)> {
        let n = self.known;
        let (values, vectors) = eigh(self.matrix.as_ref().submatrix(0, 0, n, n))?;
        let off = (0..n).map(|k| (self.beta * vectors[(n - 1, k)]).abs()).collect();
        Ok((values, vectors, off))
    }

    /// The vector that these weights make of the basis.
    pub fn combined(&self, vectors: &Mat<f64>, column: usize) -> Vec<f64> {
        let weights = vectors.as_ref().subcols(column, 1);
        let u = product(self.basis.as_ref().subcols(0, self.known), weights);
        let mut u: Vec<f64> = read(&u, 0);
        normalised(&mut u);
        u
    }

    /// Goes on with the Ritz vectors `kept` alone (Wu and Simon 2000).
    pub fn restart(&mut self, values: &[f64], vectors: &Mat<f64>, kept: &[usize]) {
        let n = self.known;
        let chosen = Mat::from_fn(n, kept.len(), |i, k| vectors[(i, kept[k])]);
        let new = product(self.basis.as_ref().subcols(0, n), chosen.as_ref());
        let next = read(&self.basis, n);
        for k in 0..kept.len() {
            write(&mut self.basis, k, &read(&new, k));
        }
        write(&mut self.basis, kept.len(), &next);
        self.matrix = Mat::from_fn(self.matrix.nrows(), self.matrix.ncols(), |i, j| {
            if i == j && i < kept.len() { values[kept[i]] } else { 0.0 }
        });
        self.known = kept.len();
    }
}

/// ±1.
pub(super) fn sign(random: &mut Xoshiro256PlusPlus) -> f64 {
    if random.next_u64() & 1 == 0 { 1.0 } else { -1.0 }
}

fn read(matrix: &Mat<f64>, column: usize) -> Vec<f64> {
    matrix.as_ref().col(column).iter().copied().collect()
}

fn write(matrix: &mut Mat<f64>, column: usize, values: &[f64]) {
    matrix.as_mut().col_mut(column).iter_mut().zip(values).for_each(|(to, v)| *to = *v);
}
