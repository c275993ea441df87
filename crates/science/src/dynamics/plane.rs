//! The stationary state of SGD over the plane of two eigendirections, in discrete time with constant noise.
//!
//! Along each direction positions and velocities are Gaussian with the variances of [`Mode`]; where the noise commutes
//! with the Hessian two directions are independent. −ln p of their positions is the modified loss: in place of the
//! curvature h it has 1 / Var a = 2 (1 − β) h / (κ η f c), the same for both where c ∝ h (arXiv 2107.09133, section 5).

use super::modes::Mode;
use crate::error::{Error, Result};

/// Independent Gaussians along two directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Variances, both above 0.
    variances: [f64; 2],
}

/// Positions and velocities over a plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plane {
    /// Of positions a.
    pub positions: Spread,
    /// Of velocities u.
    pub velocities: Spread,
}

impl Plane {
    /// Of two modes, each with the noise f c of a batch along it.
    ///
    /// # Errors
    /// If a mode has no stationary state, or no noise.
    pub fn new(modes: [(Mode, f64); 2]) -> Result<Self> {
        for (mode, noise) in &modes {
            if !mode.is_stable() {
                return Err(Error::new(format!(
                    "a direction of curvature {} has no stationary state at the learning rate {}",
                    mode.curvature, mode.learning_rate
                )));
            }
            if !noise.is_finite() || *noise <= 0.0 {
                return Err(Error::new(format!("a direction with the noise {noise} does not spread")));
            }
        }
        let of = |variance: fn(&Mode, f64) -> f64| Spread { variances: modes.map(|(m, c)| variance(&m, c)) };
        Ok(Plane { positions: of(Mode::position_variance), velocities: of(Mode::velocity_variance) })
    }
}

impl Spread {
    /// Standard deviations along both directions.
    pub fn deviations(&self) -> [f64; 2] {
        self.variances.map(f64::sqrt)
    }

    /// ½ Σ x² / Var x: the loss that the density is Gibbs' of at temperature 1, 0 at the middle.
    pub fn modified_loss(&self, at: [f64; 2]) -> f64 {
        0.5 * at.iter().zip(&self.variances).map(|(x, v)| x * x / v).sum::<f64>()
    }

    /// `points` points around the level set at `radius` standard deviations, at even angles.
    pub fn ellipse(&self, radius: f64, points: usize) -> Vec<[f64; 2]> {
        let [wide, high] = self.deviations();
        let at = |k: usize| {
            let (sin, cos) = (std::f64::consts::TAU * k as f64 / points as f64).sin_cos();
            [radius * wide * cos, radius * high * sin]
        };
        (0..points).map(at).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::SeedableRng;

    use super::*;
    use crate::dynamics::Sgd;
    use crate::dynamics::continuous::Langevin;
    use crate::dynamics::skip::Jump;
    use crate::linalg::Mat;

    const SGD: Sgd = Sgd { learning_rate: 0.05, momentum: 0.9, weight_decay: 0.0, batch_size: 4 };

    fn modes() -> [(Mode, f64); 2] {
        [(Mode::new(&SGD, 1.5), 0.3), (Mode::new(&SGD, 0.2), 0.02)]
    }

    #[test]
    fn it_is_the_langevin_potential_but_for_kappa() {
        let modes = modes();
        let plane = Plane::new(modes).unwrap();
        let each: Vec<Mode> = modes.iter().map(|m| m.0).collect();
        let noise = Mat::from_fn(2, 2, |i, j| if i == j { modes[i].1 } else { 0.0 });
        let state = Langevin::new(&each, &SGD, 1.0).state(noise.as_ref()).unwrap();
        for (at, k) in [([0.3, 0.0], 0), ([0.0, -0.7], 1)] {
            let kappa = modes[k].0.kappa();
            let (position, velocity) = ([at[0], at[1], 0.0, 0.0], [0.0, 0.0, at[0], at[1]]);
            let found = plane.positions.modified_loss(at) * kappa;
            assert!((found / state.potential(&position) - 1.0).abs() < 1e-10, "{found}");
            let found = plane.velocities.modified_loss(at) * kappa;
            assert!((found / state.potential(&velocity) - 1.0).abs() < 1e-10, "{found}");
        }
        // Without decay and with c ∝ h positions spread alike, however the loss is curved; velocities do not.
        let alike = Plane::new(modes.map(|(m, _)| (m, m.curvature / m.kappa()))).unwrap();
        let [a, b] = alike.positions.deviations();
        assert!((a / b - 1.0).abs() < 1e-12 && alike.velocities.deviations()[0] > 2.0 * a, "{alike:?}");
    }

    #[test]
    fn chains_lie_within_the_ellipses_as_often_as_a_gaussian_says() {
        let modes = modes();
        let plane = Plane::new(modes).unwrap();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
        let leaps = modes.map(|(mode, noise)| Jump::new(&mode, noise, 5000));
        const CHAINS: usize = 20_000;
        let mut inside = [[0.0; 2]; 2];
        for _ in 0..CHAINS {
            let [a, b] = leaps.map(|leap| leap.draw((0.0, 0.0), &mut random));
            let lost =
                [plane.positions.modified_loss([a.0, b.0]), plane.velocities.modified_loss([a.1, b.1])];
            for (found, lost) in inside.iter_mut().zip(lost) {
                // The levels ½ r² of the ellipses of r standard deviations.
                found[0] += f64::from(u8::from(lost < 0.5));
                found[1] += f64::from(u8::from(lost < 2.0));
            }
        }
        for found in inside {
            for (count, radius) in found.into_iter().zip([1.0, 2.0]) {
                let (share, wanted) = (count / CHAINS as f64, 1.0 - f64::exp(-0.5 * radius * radius));
                let error = (wanted * (1.0 - wanted) / CHAINS as f64).sqrt();
                assert!((share - wanted).abs() < 4.5 * error, "{share} against {wanted}");
            }
        }
        for point in plane.positions.ellipse(2.0, 7) {
            assert!((plane.positions.modified_loss(point) - 2.0).abs() < 1e-12);
        }
    }

    #[test]
    fn what_does_not_settle_or_spread_is_refused() {
        let [sound, _] = modes();
        let said = |mode: (Mode, f64)| Plane::new([sound, mode]).unwrap_err().0;
        assert!(said((Mode::new(&SGD, -0.1), 1.0)).contains("curvature -0.1 has no stationary state"));
        assert!(said((Mode::new(&SGD, 100.0), 1.0)).contains("no stationary state at the learning rate"));
        assert!(said((sound.0, 0.0)).contains("does not spread"));
        assert!(said((sound.0, f64::NAN)).contains("does not spread"));
    }
}
