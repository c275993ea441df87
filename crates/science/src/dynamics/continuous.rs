//! The paper's underdamped Langevin model: dz = −A z dτ + √(2 D) dW with τ = η k, in the eigenbasis of the Hessian.
//!
//! A = [[0, −I], [2 Ĥ / (η (1 + β)), 2 (1 − β) / (η (1 + β)) I]], D = diag(0, 2 f C / (η (1 + β)²)). Its stationary
//! density is p ∝ exp(−½ zᵀ Σ⁻¹ z), and the current J = −Q Σ⁻¹ z p with Q = A Σ − D ([`Stationary`]).

use super::modes::Mode;
use super::stationary::Stationary;
use super::{Sgd, Two, solve4, times, turned};
use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef};

/// The continuous model of some modes.
pub struct Langevin {
    modes: Vec<Mode>,
    sgd: Sgd,
    factor: f64,
}

impl Langevin {
    /// The model of these modes; `factor` is the sampler's f.
    pub fn new(modes: &[Mode], sgd: &Sgd, factor: f64) -> Self {
        Langevin { modes: modes.to_vec(), sgd: *sgd, factor }
    }

    fn inertia(&self) -> f64 {
        self.sgd.learning_rate * (1.0 + self.sgd.momentum)
    }

    /// A [2d, 2d] of the eigenbasis.
    pub fn drift(&self) -> Mat<f64> {
        let d = self.modes.len();
        Mat::from_fn(2 * d, 2 * d, |i, j| match (i < d, j < d) {
            (true, false) if i == j - d => -1.0,
            (false, true) if i - d == j => 2.0 * self.modes[j].curvature / self.inertia(),
            (false, false) if i == j => 2.0 * (1.0 - self.sgd.momentum) / self.inertia(),
            _ => 0.0,
        })
    }

    /// D [2d, 2d] for a noise C of one sample [d, d].
    pub fn diffusion(&self, noise: MatRef<'_, f64>) -> Mat<f64> {
        let d = self.modes.len();
        let scale = 2.0 * self.factor / (self.sgd.learning_rate * (1.0 + self.sgd.momentum).powi(2));
        Mat::from_fn(2 * d, 2 * d, |i, j| if i >= d && j >= d { scale * noise[(i - d, j - d)] } else { 0.0 })
    }

    /// Σ [2d, 2d] of A Σ + Σ Aᵀ = 2 D for a noise C of one sample [d, d], mode pair by mode pair.
    ///
    /// # Errors
    /// If a pair of modes has no stationary covariance.
    pub fn stationary(&self, noise: MatRef<'_, f64>) -> Result<Mat<f64>> {
        let d = self.modes.len();
        let diffusion = self.diffusion(noise);
        let mut sigma = Mat::zeros(2 * d, 2 * d);
        for (l, k) in (0..d).flat_map(|l| (0..d).map(move |k| (l, k))) {
            let block = pair(&self.block(l), &self.block(k), 2.0 * diffusion[(d + l, d + k)])
                .ok_or_else(|| Error::new("two modes have no stationary covariance"))?;
            for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                sigma[(i * d + l, j * d + k)] = block[i][j];
            }
        }
        Ok(sigma)
    }

    /// A of one mode.
    fn block(&self, l: usize) -> Two {
        [
            [0.0, -1.0],
            [
                2.0 * self.modes[l].curvature / self.inertia(),
                2.0 * (1.0 - self.sgd.momentum) / self.inertia(),
            ],
        ]
    }

    /// Q = A Σ − D [2d, 2d], antisymmetric: what turns in the stationary state.
    ///
    /// # Errors
    /// If a pair of modes has no stationary covariance.
    pub fn circulation(&self, noise: MatRef<'_, f64>) -> Result<Mat<f64>> {
        Ok(&self.drift() * &self.stationary(noise)? - self.diffusion(noise))
    }

    /// Σ for C = σ² H: the paper's closed form. `eigenvalues` are ρ without decay.
    pub fn stationary_proportional(&self, eigenvalues: &[f64], variance: f64) -> Vec<(f64, f64)> {
        let each = self.modes.iter().zip(eigenvalues);
        each.map(|(mode, rho)| {
            let noise = self.factor * variance * rho;
            (mode.position_variance_continuous(noise), mode.velocity_variance_continuous(noise))
        })
        .collect()
    }

    /// E|θ_(k+t) − θ_k|² in the stationary state for variances (of a, of u) of each mode.
    pub fn displacement(&self, variances: &[(f64, f64)], steps: f64) -> f64 {
        let tau = self.sgd.learning_rate * steps;
        let each = self.modes.iter().zip(variances);
        each.map(|(mode, (va, _))| 2.0 * va * (1.0 - mode.flow(tau)[0][0])).sum()
    }

    /// E|θ_t − θ₀|² from rest at position `start` of each mode.
    pub fn displacement_from_rest(&self, variances: &[(f64, f64)], start: &[f64], steps: f64) -> f64 {
        let tau = self.sgd.learning_rate * steps;
        let each = self.modes.iter().zip(variances).zip(start);
        each.map(|((mode, (va, vu)), a)| {
            let flow = mode.flow(tau);
            let kept = times(&times(&flow, &[[*va, 0.0], [0.0, *vu]]), &turned(&flow));
            (flow[0][0] * a - a).powi(2) + va - kept[0][0]
        })
        .sum()
    }

    /// The whole stationary state for a noise C of one sample [d, d]: density and current over z = (a, u) [2d].
    ///
    /// # Errors
    /// If there is none, or a direction has no noise.
    pub fn state(&self, noise: MatRef<'_, f64>) -> Result<Stationary> {
        Stationary::new(self.drift().as_ref(), self.diffusion(noise).as_ref(), self.stationary(noise)?)
    }

    /// J / p at (a, u) of one mode: (u, −ω² a) for C = σ² H, clockwise at the rate ω.
    pub fn current(&self, mode: usize, a: f64, u: f64) -> (f64, f64) {
        (u, -self.modes[mode].frequency().powi(2) * a)
    }

    /// The modified loss Ψ at (a, u) of one mode of eigenvalue ρ (without decay), for C = σ² H:
    /// ½ [2 / (η (1 + β)) (1 + λ / ρ) a² + u² / ρ]. The stationary density is p ∝ exp(−κ Ψ) with κ of
    /// [`Langevin::inverse_temperature`]. Without decay its positions are isotropic, however the loss is curved.
    pub fn modified_loss(&self, mode: usize, eigenvalue: f64, a: f64, u: f64) -> f64 {
        let decayed = self.modes[mode].curvature / eigenvalue;
        0.5 * (2.0 / self.inertia() * decayed * a * a + u * u / eigenvalue)
    }

    /// κ = (1 − β²) / (f σ²), what the modified loss counts in the Gibbs density for C = σ² H.
    pub fn inverse_temperature(&self, variance: f64) -> f64 {
        (1.0 - self.sgd.momentum.powi(2)) / (self.factor * variance)
    }
}

/// X of A X + X Bᵀ = diag(0, q) placed at the velocities.
fn pair(a: &Two, b: &Two, q: f64) -> Option<Two> {
    let mut m = [[0.0; 4]; 4];
    for (row, line) in m.iter_mut().enumerate() {
        let (i, j) = (row / 2, row % 2);
        for (column, cell) in line.iter_mut().enumerate() {
            let (k, l) = (column / 2, column % 2);
            *cell = if j == l { a[i][k] } else { 0.0 } + if i == k { b[j][l] } else { 0.0 };
        }
    }
    let x = solve4(m, [0.0, 0.0, 0.0, q])?;
    Some([[x[0], x[1]], [x[2], x[3]]])
}
