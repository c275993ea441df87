//! A small matrix column by column.

use super::{Apply, Pair};
use crate::error::Error;
use crate::linalg::{Mat, eigh, product};

/// The whole matrix and all its eigenpairs.
#[derive(Clone, Debug)]
pub struct Dense {
    /// Eigenvalues, falling.
    pub values: Vec<f64>,
    /// Eigenvectors in columns.
    pub vectors: Mat<f64>,
    /// |A q − ρ q| of each with the products as they came, before A was made symmetric.
    pub residuals: Vec<f64>,
    /// Σ A_ii.
    pub trace: f64,
    /// The largest |A_ij − A_ji| over the largest |A_ij|: how precise products are.
    pub asymmetry: f64,
}

/// All eigenpairs of an n × n matrix from n products with unit vectors.
///
/// # Errors
/// If a product holds what is no number or the eigenvalues do not converge.
pub fn dense<E: From<Error>>(n: usize, apply: Apply<'_, E>) -> Result<Dense, E> {
    let mut raw = Mat::zeros(n, n);
    let mut unit = vec![0.0; n];
    for j in 0..n {
        unit[j] = 1.0;
        let made = apply(&unit)?;
        unit[j] = 0.0;
        raw.as_mut().col_mut(j).iter_mut().zip(&made).for_each(|(to, v)| *to = *v);
    }
    let even = Mat::from_fn(n, n, |i, j| 0.5 * (raw[(i, j)] + raw[(j, i)]));
    let (values, vectors) = eigh(even.as_ref())?;
    let made = product(raw.as_ref(), vectors.as_ref());
    let off = |k: usize| {
        let at = |i: usize| made[(i, k)] - values[k] * vectors[(i, k)];
        (0..n).map(|i| at(i).powi(2)).sum::<f64>().sqrt()
    };
    let residuals = (0..n).map(off).collect();
    let (mut largest, mut apart) = (f64::MIN_POSITIVE, 0.0f64);
    for j in 0..n {
        for i in 0..n {
            largest = largest.max(raw[(i, j)].abs());
            apart = apart.max((raw[(i, j)] - raw[(j, i)]).abs());
        }
    }
    let trace = (0..n).map(|i| raw[(i, i)]).sum();
    Ok(Dense { values, vectors, residuals, trace, asymmetry: apart / largest })
}

impl Dense {
    /// Pair `k`, counted from the largest eigenvalue; `None` if there are fewer.
    pub fn pair(&self, k: usize) -> Option<Pair> {
        let value = *self.values.get(k)?;
        let vector = self.vectors.as_ref().col(k).iter().copied().collect();
        Some(Pair { value, residual: *self.residuals.get(k)?, vector })
    }
}
