//! Linear regression: L(θ) = 1/(2N) Σ (x_i·θ − y_i)² with weight decay λ/2 |θ|², the case that is solved exactly.

use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef, eigh, gram};

/// The data in the eigenbasis of its Hessian, where modes move apart from each other.
#[derive(Clone, Debug)]
pub struct Regression {
    /// x V [N, d].
    pub(crate) x: Mat<f64>,
    /// Targets [N].
    pub(crate) y: Vec<f64>,
    /// Eigenvectors of H in columns [d, d], by falling eigenvalue.
    vectors: Mat<f64>,
    /// Eigenvalues of H = XᵀX / N.
    eigenvalues: Vec<f64>,
    /// μ in the eigenbasis.
    pub(crate) minimum: Vec<f64>,
    /// x_i·μ − y_i.
    pub(crate) residuals: Vec<f64>,
    weight_decay: f64,
}

impl Regression {
    /// The problem of rows `x` [N, d] and targets `y` [N].
    ///
    /// # Errors
    /// If sizes do not fit, a value is no number, or without decay H is singular, so that there is no one minimum.
    pub fn new(x: MatRef<'_, f64>, y: &[f64], weight_decay: f64) -> Result<Self> {
        let (n, d) = (x.nrows(), x.ncols());
        if n == 0 || d == 0 || y.len() != n {
            return Err(Error::new(format!("{n} × {d} inputs do not fit {} targets", y.len())));
        }
        if !x.is_all_finite() || y.iter().any(|v| !v.is_finite()) {
            return Err(Error::new("the data holds values that are no numbers"));
        }
        let mut hessian = gram(x.transpose());
        hessian.col_iter_mut().for_each(|column| column.iter_mut().for_each(|v| *v /= n as f64));
        let (eigenvalues, vectors) = eigh(hessian.as_ref())?;
        let largest = eigenvalues.first().copied().unwrap_or(0.0);
        let smallest = eigenvalues.last().copied().unwrap_or(0.0) + weight_decay;
        if smallest <= 1e-13 * largest {
            return Err(Error::new(format!(
                "the Hessian is singular (smallest eigenvalue {smallest:e}): there is no one minimum; add weight decay \
                 or more rows"
            )));
        }
        let x = x * &vectors;
        let b: Vec<f64> = (0..d).map(|j| (0..n).map(|i| x[(i, j)] * y[i]).sum::<f64>() / n as f64).collect();
        let minimum: Vec<f64> = b.iter().zip(&eigenvalues).map(|(b, rho)| b / (rho + weight_decay)).collect();
        let dot = |i: usize| (0..d).map(|j| x[(i, j)] * minimum[j]).sum::<f64>();
        let residuals = (0..n).map(|i| dot(i) - y[i]).collect();
        Ok(Regression { x, y: y.to_vec(), vectors, eigenvalues, minimum, residuals, weight_decay })
    }

    /// N.
    pub fn rows(&self) -> usize {
        self.y.len()
    }

    /// d.
    pub fn features(&self) -> usize {
        self.minimum.len()
    }

    /// Eigenvalues ρ of H, falling.
    pub fn eigenvalues(&self) -> &[f64] {
        &self.eigenvalues
    }

    /// Eigenvectors of H in columns.
    pub fn eigenvectors(&self) -> MatRef<'_, f64> {
        self.vectors.as_ref()
    }

    /// λ.
    pub fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    /// μ, in the coordinates of the data.
    pub fn minimum(&self) -> Vec<f64> {
        self.from_modes(&self.minimum)
    }

    /// Mean squared residual at the minimum.
    pub fn residual_variance(&self) -> f64 {
        self.residuals.iter().map(|e| e * e).sum::<f64>() / self.rows() as f64
    }

    /// The covariance C₀ of one sample's gradient at the minimum, in the eigenbasis.
    pub fn noise_at_minimum(&self) -> Mat<f64> {
        let squares: Vec<f64> = self.residuals.iter().map(|e| e * e).collect();
        let mut c = self.weighted(&squares);
        // The mean gradient of the data at μ is −λ μ, the decay's is λ μ.
        for (i, j) in (0..self.features()).flat_map(|i| (0..self.features()).map(move |j| (i, j))) {
            c[(i, j)] -= self.weight_decay.powi(2) * self.minimum[i] * self.minimum[j];
        }
        c
    }

    /// Xᵀ diag(w) X / N in the eigenbasis.
    pub(crate) fn weighted(&self, weights: &[f64]) -> Mat<f64> {
        let n = self.rows() as f64;
        let mut scaled = Vec::with_capacity(self.rows() * self.features());
        for j in 0..self.features() {
            scaled.extend(self.x.col_as_slice(j).iter().zip(weights).map(|(x, weight)| x * weight / n));
        }
        let scaled = MatRef::from_column_major_slice(&scaled, self.rows(), self.features());
        crate::linalg::product(self.x.transpose(), scaled)
    }

    /// Coordinates of the data → modes: Vᵀ v.
    pub fn to_modes(&self, v: &[f64]) -> Vec<f64> {
        (0..self.features()).map(|j| (0..v.len()).map(|i| self.vectors[(i, j)] * v[i]).sum()).collect()
    }

    /// Modes → coordinates of the data: V v.
    pub fn from_modes(&self, v: &[f64]) -> Vec<f64> {
        (0..self.features()).map(|i| (0..v.len()).map(|j| self.vectors[(i, j)] * v[j]).sum()).collect()
    }

    /// A matrix of the eigenbasis in the coordinates of the data: V M Vᵀ.
    pub fn rotated(&self, m: MatRef<'_, f64>) -> Mat<f64> {
        &self.vectors * m * self.vectors.transpose()
    }
}
