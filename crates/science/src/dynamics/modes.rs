//! Closed forms of one eigendirection of the Hessian with additive noise. h = ρ + λ is the decayed eigenvalue, c the
//! noise variance of one sample's gradient along it, f the sampler's factor.
//!
//! The position is a second-order autoregression a_(k+1) = (1 + β − η h) a_k − β a_(k−1) − η ζ. Discrete forms are
//! exact; continuous ones are those of the paper's underdamped Langevin equation.

use super::{Sgd, Two};

/// One mode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mode {
    /// η.
    pub learning_rate: f64,
    /// β.
    pub momentum: f64,
    /// h.
    pub curvature: f64,
}

impl Mode {
    /// The mode of decayed curvature `h`.
    pub fn new(sgd: &Sgd, curvature: f64) -> Self {
        Mode { learning_rate: sgd.learning_rate, momentum: sgd.momentum, curvature }
    }

    /// η h.
    fn rate(&self) -> f64 {
        self.learning_rate * self.curvature
    }

    /// How (a, u) moves in one step without noise.
    pub(crate) fn step(&self) -> Two {
        let (eta, beta) = (self.learning_rate, self.momentum);
        [[1.0 - self.rate(), eta * beta], [-self.curvature, beta]]
    }

    /// Does it settle? Exactly when 0 < η h < 2 (1 + β).
    pub fn is_stable(&self) -> bool {
        self.rate() > 0.0 && self.rate() < 2.0 * (1.0 + self.momentum)
    }

    /// The largest modulus of the roots of z² − (1 + β − η h) z + β.
    pub fn spectral_radius(&self) -> f64 {
        let (b, beta) = (1.0 + self.momentum - self.rate(), self.momentum);
        let discriminant = b * b - 4.0 * beta;
        if discriminant < 0.0 { beta.sqrt() } else { (b.abs() + discriminant.sqrt()) / 2.0 }
    }

    /// κ = 1 / (1 − η h / (2 (1 + β))): the whole error of the continuous stationary variances.
    pub fn kappa(&self) -> f64 {
        1.0 / (1.0 - self.rate() / (2.0 * (1.0 + self.momentum)))
    }

    /// ψ in radians a step, if the mode oscillates: (1 − √β)² < η h < (1 + √β)².
    pub fn angle(&self) -> Option<f64> {
        let root = self.momentum.sqrt();
        let cosine = (1.0 + self.momentum - self.rate()) / (2.0 * root);
        (root > 0.0 && cosine.abs() < 1.0).then(|| cosine.acos())
    }

    /// Stationary variance of the position: κ η f c / (2 (1 − β) h).
    pub fn position_variance(&self, noise: f64) -> f64 {
        self.kappa() * self.position_variance_continuous(noise)
    }

    /// Stationary variance of the velocity: κ f c / (1 − β²).
    pub fn velocity_variance(&self, noise: f64) -> f64 {
        self.kappa() * self.velocity_variance_continuous(noise)
    }

    /// Stationary covariance of position and velocity: η Var u / 2.
    pub fn covariance(&self, noise: f64) -> f64 {
        self.learning_rate * self.velocity_variance(noise) / 2.0
    }

    /// ½ E[a_k u_(k+s) − u_k a_(k+s)] in the stationary state: the area swept in the phase plane in `steps`.
    pub fn area_rate(&self, noise: f64, steps: u64) -> f64 {
        let (a, u, cov) =
            (self.position_variance(noise), self.velocity_variance(noise), self.covariance(noise));
        let moved = super::times(&super::power(&self.step(), steps), &[[a, cov], [cov, u]]);
        0.5 * (moved[1][0] - moved[0][1])
    }

    /// The continuous variance of the position; `noise` is f c.
    pub fn position_variance_continuous(&self, noise: f64) -> f64 {
        self.learning_rate * noise / (2.0 * (1.0 - self.momentum) * self.curvature)
    }

    /// The continuous variance of the velocity.
    pub fn velocity_variance_continuous(&self, noise: f64) -> f64 {
        noise / (1.0 - self.momentum * self.momentum)
    }

    /// The stationary autocorrelation of the position after `steps`, from the recursion itself, which needs no
    /// special case for equal roots.
    pub fn autocorrelation(&self, steps: u64) -> f64 {
        // Cov(a_t, a_0) = (Tᵗ M)_aa for M of unit noise.
        let (va, cov) = (self.position_variance(1.0), self.covariance(1.0));
        let p = super::power(&self.step(), steps);
        (p[0][0] * va + p[0][1] * cov) / va
    }

    /// Mean square displacement after `steps` from rest at the minimum; `noise` is f c.
    pub fn displacement_from_rest(&self, steps: u64, noise: f64) -> f64 {
        let (b, beta) = (1.0 + self.momentum - self.rate(), self.momentum);
        // w_0 = 1, w_1 = b, w_j = b w_(j−1) − β w_(j−2): the answer to one kick.
        let (mut before, mut now, mut total) = (0.0, 1.0, 0.0);
        for _ in 0..steps {
            total += now * now;
            (before, now) = (now, b * now - beta * before);
        }
        self.learning_rate * self.learning_rate * noise * total
    }

    /// Mean square displacement after `steps` in the stationary state.
    pub fn displacement(&self, steps: u64, noise: f64) -> f64 {
        2.0 * self.position_variance(noise) * (1.0 - self.autocorrelation(steps))
    }

    /// γ: damping per unit of τ, (1 − β) / (η (1 + β)).
    pub fn damping(&self) -> f64 {
        (1.0 - self.momentum) / (self.learning_rate * (1.0 + self.momentum))
    }

    /// ω: undamped frequency per unit of τ, √(2 h / (η (1 + β))).
    pub fn frequency(&self) -> f64 {
        (2.0 * self.curvature / (self.learning_rate * (1.0 + self.momentum))).sqrt()
    }

    /// ν = √(ω² − γ²), if the continuous mode oscillates.
    pub fn damped_frequency(&self) -> Option<f64> {
        let square = self.frequency().powi(2) - self.damping().powi(2);
        (square > 0.0).then(|| square.sqrt())
    }

    /// exp(−A τ): how (a, u) moves in time τ in the continuous model.
    pub(crate) fn flow(&self, tau: f64) -> Two {
        let (gamma, omega2) = (self.damping(), self.frequency().powi(2));
        let square = omega2 - gamma * gamma;
        let nu = square.abs().sqrt();
        // c = e^(−γ τ) cos ν τ and s = e^(−γ τ) sin(ν τ) / ν, or their hyperbolic or limiting forms. The
        // exponentials are joined before they can overflow.
        let (c, s) = if nu * tau < 1e-8 {
            ((-gamma * tau).exp(), tau * (-gamma * tau).exp())
        } else if square > 0.0 {
            ((-gamma * tau).exp() * (nu * tau).cos(), (-gamma * tau).exp() * (nu * tau).sin() / nu)
        } else {
            let (slow, fast) = (((nu - gamma) * tau).exp(), ((-nu - gamma) * tau).exp());
            ((slow + fast) / 2.0, (slow - fast) / (2.0 * nu))
        };
        [[c + gamma * s, s], [-omega2 * s, c - gamma * s]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(rate: f64, momentum: f64) -> Mode {
        Mode { learning_rate: 0.1, momentum, curvature: rate / 0.1 }
    }

    #[test]
    fn the_oscillating_form_of_the_autocorrelation() {
        let mode = mode(0.05, 0.9);
        let psi = mode.angle().unwrap();
        for t in [0u64, 1, 2, 7, 40] {
            let k = t as f64;
            let form = 0.9f64.powf(k / 2.0) * ((psi * k).cos() + (0.1 / 1.9) * (psi * k).sin() / psi.tan());
            assert!((mode.autocorrelation(t) - form).abs() < 1e-12, "{t}");
        }
    }

    #[test]
    fn displacement_from_rest_reaches_the_stationary_variance() {
        for m in [mode(0.05, 0.9), mode(0.5, 0.0), mode(1.5, 0.3)] {
            let settled = m.displacement_from_rest(5000, 0.7);
            assert!((settled / m.position_variance(0.7) - 1.0).abs() < 1e-10, "{m:?}");
        }
    }

    #[test]
    fn stability_is_where_the_roots_leave_the_circle() {
        for momentum in [0.0, 0.5, 0.9] {
            let limit = 2.0 * (1.0 + momentum);
            assert!(
                mode(limit - 1e-6, momentum).is_stable()
                    && mode(limit - 1e-6, momentum).spectral_radius() < 1.0
            );
            assert!(
                !mode(limit + 1e-6, momentum).is_stable()
                    && mode(limit + 1e-6, momentum).spectral_radius() > 1.0
            );
        }
    }
}
