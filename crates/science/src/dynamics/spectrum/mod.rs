//! Eigenpairs, density and trace of a symmetric matrix that is only known by its products with vectors, and the
//! covariance of gradients along its eigenvectors.

mod dense;
mod density;
mod krylov;
mod lanczos;
mod noise;

pub use dense::{Dense, dense};
pub use density::{Density, Probes, density};
pub use lanczos::{Found, Wanted, lanczos};
pub use noise::Noise;

/// A ↦ A v. Whoever gives it decides on the error; those of this module become one of them.
pub type Apply<'a, E> = &'a mut dyn FnMut(&[f64]) -> Result<Vec<f64>, E>;

/// An eigenvalue with its vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// ρ, with its sign.
    pub value: f64,
    /// |A q − ρ q| by a product made for this purpose.
    pub residual: f64,
    /// q, of length 1.
    pub vector: Vec<f64>,
}

/// v·w.
fn dot(v: &[f64], w: &[f64]) -> f64 {
    v.iter().zip(w).map(|(a, b)| a * b).sum()
}

/// v / |v|, and |v|.
fn normalised(v: &mut [f64]) -> f64 {
    let length = dot(v, v).sqrt();
    if length > 0.0 {
        v.iter_mut().for_each(|x| *x /= length);
    }
    length
}
