//! The stationary state of dz = −A z dt + √(2 D) dW [n]: a Gaussian density, and the current that turns in it.
//!
//! With A Σ + Σ Aᵀ = 2 D the density is p ∝ exp(−½ zᵀ Σ⁻¹ z). Q = A Σ − D is antisymmetric, so that A = (D + Q) Σ⁻¹,
//! and the current J = −A z p − D ∇p is −Q Σ⁻¹ z p: probability that flows along the levels of the density and never
//! settles (arXiv 2107.09133, sections 5 and 6).

use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef, log_det_positive, solve_positive};

/// A Gaussian stationary state with its current.
pub struct Stationary {
    covariance: Mat<f64>,
    /// Σ⁻¹.
    precision: Mat<f64>,
    /// Q.
    circulation: Mat<f64>,
    /// ln of the normalisation of p.
    log_volume: f64,
}

impl Stationary {
    /// Of drift A, diffusion D and covariance Σ, all [n, n].
    ///
    /// # Errors
    /// If Σ is not that of A and D (A Σ + Σ Aᵀ = 2 D to 1e-8), or is not positive definite.
    pub fn new(drift: MatRef<'_, f64>, diffusion: MatRef<'_, f64>, covariance: Mat<f64>) -> Result<Self> {
        let n = covariance.nrows();
        let circulation = drift * &covariance - diffusion;
        let off = (&circulation + circulation.transpose()).norm_max();
        let size = diffusion.norm_max();
        if off.is_nan() || off > 1e-8 * size {
            return Err(Error::new("the covariance is not the stationary one of this drift and diffusion"));
        }
        // A change of units keeps Cholesky from meeting velocities that are a million times as wide as positions.
        let wide: Vec<f64> = (0..n).map(|i| covariance[(i, i)].max(f64::MIN_POSITIVE).sqrt()).collect();
        let unit = Mat::from_fn(n, n, |i, j| covariance[(i, j)] / (wide[i] * wide[j]));
        let inverse = solve_positive(unit.as_ref(), Mat::identity(n, n).as_ref()).map_err(|_| {
            Error::new("the stationary covariance is not positive definite: a direction has no noise")
        })?;
        let precision = Mat::from_fn(n, n, |i, j| inverse[(i, j)] / (wide[i] * wide[j]));
        let log_det = log_det_positive(unit.as_ref())? + 2.0 * wide.iter().map(|w| w.ln()).sum::<f64>();
        let log_volume = 0.5 * (n as f64 * std::f64::consts::TAU.ln() + log_det);
        Ok(Stationary { covariance, precision, circulation, log_volume })
    }

    /// Of the overdamped dθ = −H θ dτ + √(2 D) dW in the eigenbasis of H: Σ_lk = 2 D_lk / (h_l + h_k), so that
    /// Q_lk = D_lk (h_l − h_k) / (h_l + h_k). Noise that does not commute with H makes θ turn.
    ///
    /// # Errors
    /// If an eigenvalue is not above 0, or Σ is not positive definite.
    pub fn overdamped(eigenvalues: &[f64], diffusion: MatRef<'_, f64>) -> Result<Self> {
        if let Some(h) = eigenvalues.iter().find(|h| !h.is_finite() || **h <= 0.0) {
            return Err(Error::new(format!("a mode of curvature {h} has no stationary state")));
        }
        let (n, h) = (eigenvalues.len(), eigenvalues);
        let drift = Mat::from_fn(n, n, |i, j| if i == j { h[i] } else { 0.0 });
        let covariance = Mat::from_fn(n, n, |i, j| 2.0 * diffusion[(i, j)] / (h[i] + h[j]));
        Stationary::new(drift.as_ref(), diffusion, covariance)
    }

    /// Σ.
    pub fn covariance(&self) -> MatRef<'_, f64> {
        self.covariance.as_ref()
    }

    /// Q, antisymmetric.
    pub fn circulation(&self) -> MatRef<'_, f64> {
        self.circulation.as_ref()
    }

    /// Σ⁻¹ z.
    fn pull(&self, z: &[f64]) -> Vec<f64> {
        moved(&self.precision, z)
    }

    /// ½ zᵀ Σ⁻¹ z: the loss that the density is Gibbs' at temperature 1, up to a constant.
    pub fn potential(&self, z: &[f64]) -> f64 {
        0.5 * self.pull(z).iter().zip(z).map(|(p, z)| p * z).sum::<f64>()
    }

    /// p(z), with integral 1.
    pub fn density(&self, z: &[f64]) -> f64 {
        (-self.potential(z) - self.log_volume).exp()
    }

    /// J / p = −Q Σ⁻¹ z: the mean velocity of what passes z.
    pub fn flow(&self, z: &[f64]) -> Vec<f64> {
        moved(&self.circulation, &self.pull(z)).into_iter().map(|v| -v).collect()
    }

    /// J(z), per unit of time.
    pub fn current(&self, z: &[f64]) -> Vec<f64> {
        let p = self.density(z);
        self.flow(z).into_iter().map(|v| v * p).collect()
    }
}

/// M v.
fn moved(m: &Mat<f64>, v: &[f64]) -> Vec<f64> {
    (0..m.nrows()).map(|i| v.iter().enumerate().map(|(j, v)| m[(i, j)] * v).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURVATURE: [f64; 2] = [2.0, 0.5];

    fn cartoon() -> (Mat<f64>, Stationary) {
        let diffusion = Mat::from_fn(2, 2, |i, j| [[0.3, 0.2], [0.2, 0.4]][i][j]);
        let made = Stationary::overdamped(&CURVATURE, diffusion.as_ref()).unwrap();
        (diffusion, made)
    }

    #[test]
    fn the_density_has_the_integral_one_and_the_covariance() {
        let (_, state) = cartoon();
        let grid = |k: i32| f64::from(k) * 0.05;
        let (mut total, mut second) = (0.0, [0.0; 3]);
        for (a, b) in (-120..=120).flat_map(|i| (-120..=120).map(move |j| (grid(i), grid(j)))) {
            let p = state.density(&[a, b]) * 0.05 * 0.05;
            total += p;
            second.iter_mut().zip([a * a, a * b, b * b]).for_each(|(s, v)| *s += p * v);
        }
        let sigma = state.covariance();
        assert!((total - 1.0).abs() < 1e-9, "{total}");
        for (found, at) in second.iter().zip([(0, 0), (0, 1), (1, 1)]) {
            assert!((found - sigma[at]).abs() < 1e-9, "{found} {}", sigma[at]);
        }
    }

    #[test]
    fn the_current_is_that_of_fokker_and_planck_and_has_no_divergence() {
        let (diffusion, state) = cartoon();
        let q = (CURVATURE[0] - CURVATURE[1]) / (CURVATURE[0] + CURVATURE[1]) * diffusion[(0, 1)];
        assert!((state.circulation()[(0, 1)] - q).abs() < 1e-15);
        assert_eq!(state.circulation()[(0, 0)], 0.0);
        let step = 1e-4;
        for z in [[0.3, -0.4], [-1.0, 0.2], [0.0, 0.7]] {
            let nudged = |k: usize, by: f64| {
                let mut z = z;
                z[k] += by;
                z
            };
            // Of the density alone: J = −A z p − D ∇p.
            let slope: Vec<f64> = (0..2)
                .map(|k| (state.density(&nudged(k, step)) - state.density(&nudged(k, -step))) / (2.0 * step))
                .collect();
            let (p, current) = (state.density(&z), state.current(&z));
            for k in 0..2 {
                let own =
                    -CURVATURE[k] * z[k] * p - diffusion[(k, 0)] * slope[0] - diffusion[(k, 1)] * slope[1];
                assert!((own - current[k]).abs() < 1e-7, "{own} {}", current[k]);
            }
            assert!(current.iter().any(|j| j.abs() > 1e-3));
            let change = |k: usize| {
                (state.current(&nudged(k, step))[k] - state.current(&nudged(k, -step))[k]) / (2.0 * step)
            };
            assert!((change(0) + change(1)).abs() < 1e-7 && change(0).abs() > 1e-4, "{z:?}");
        }
    }

    #[test]
    fn noise_that_commutes_with_the_curvature_makes_nothing_turn() {
        let diffusion = Mat::from_fn(2, 2, |i, j| if i == j { 0.5 } else { 0.0 });
        let state = Stationary::overdamped(&CURVATURE, diffusion.as_ref()).unwrap();
        assert_eq!(state.current(&[0.4, 0.9]), [0.0, 0.0]);
        // The potential is the loss ½ θᵀ H θ over the temperature.
        assert!((state.potential(&[1.0, 1.0]) - 0.5 * (2.0 + 0.5) / 0.5).abs() < 1e-12);
    }

    #[test]
    fn what_has_no_stationary_state_is_refused() {
        let said = |r: Result<Stationary>| r.err().unwrap().0;
        let diffusion = Mat::from_fn(2, 2, |i, j| if i == j && i == 0 { 0.5 } else { 0.0 });
        assert!(
            said(Stationary::overdamped(&CURVATURE, diffusion.as_ref())).contains("a direction has no noise")
        );
        assert!(said(Stationary::overdamped(&[1.0, 0.0], diffusion.as_ref())).contains("curvature 0"));
        let drift = Mat::<f64>::identity(2, 2);
        let wrong = Stationary::new(drift.as_ref(), diffusion.as_ref(), Mat::identity(2, 2));
        assert!(said(wrong).contains("not the stationary one"));
    }
}
