//! Exact jumps of many steps for additive Gaussian noise: z_(k+t) = Tᵗ z_k + a draw of the noise that t steps add up to.

use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::modes::Mode;
use super::{Two, times, turned};

/// The ways of one mode that doubling passes on its way to a number of steps, from the highest bit down.
pub(super) struct Ways {
    eta: f64,
    one: Two,
    /// Tⁿ before each bit, and whether the bit is set: n becomes 2 n or 2 n + 1.
    bits: Vec<(Two, bool)>,
    whole: Two,
}

impl Ways {
    pub(super) fn new(mode: &Mode, steps: u64) -> Self {
        let (one, mut way) = (mode.step(), [[1.0, 0.0], [0.0, 1.0]]);
        let mut bits = Vec::new();
        for bit in (0..u64::BITS - steps.leading_zeros()).rev() {
            let set = steps >> bit & 1 == 1;
            bits.push((way, set));
            way = times(&way, &way);
            if set {
                way = times(&one, &way);
            }
        }
        Ways { eta: mode.learning_rate, one, bits, whole: way }
    }

    /// T to the number of steps.
    pub(super) fn whole(&self) -> Two {
        self.whole
    }
}

/// Σ_j T_lʲ G c Gᵀ T_kʲᵀ over the steps, what noise of the covariance c of two modes adds up to: their (a, u) in rows and
/// columns. Q_(2n) = Q_n + T_lⁿ Q_n T_kⁿᵀ.
pub(super) fn summed(l: &Ways, k: &Ways, noise: f64) -> Two {
    let kick = [[l.eta * k.eta * noise, l.eta * noise], [k.eta * noise, noise]];
    let mut sum = [[0.0; 2]; 2];
    for ((a, set), (b, _)) in l.bits.iter().zip(&k.bits) {
        sum = added(&sum, &times(&times(a, &sum), &turned(b)));
        if *set {
            sum = added(&times(&times(&l.one, &sum), &turned(&k.one)), &kick);
        }
    }
    sum
}

/// The jump of one mode by a number of steps.
#[derive(Clone, Copy, Debug)]
pub struct Jump {
    way: Two,
    /// Lower triangular root of the noise's covariance.
    root: [f64; 3],
}

impl Jump {
    /// The jump of `mode` by `steps`, with noise variance f c of one step.
    pub fn new(mode: &Mode, noise: f64, steps: u64) -> Self {
        let ways = Ways::new(mode, steps);
        let (way, sum) = (ways.whole(), summed(&ways, &ways, noise));
        let a = sum[0][0].max(0.0).sqrt();
        let b = if a > 0.0 { sum[1][0] / a } else { 0.0 };
        let c = (sum[1][1] - b * b).max(0.0).sqrt();
        Jump { way, root: [a, b, c] }
    }

    /// Draws (a, u) after the jump.
    pub fn draw(&self, (a, u): (f64, f64), random: &mut Xoshiro256PlusPlus) -> (f64, f64) {
        let (x, y): (f64, f64) = (StandardNormal.sample(random), StandardNormal.sample(random));
        let t = &self.way;
        (
            t[0][0] * a + t[0][1] * u + self.root[0] * x,
            t[1][0] * a + t[1][1] * u + self.root[1] * x + self.root[2] * y,
        )
    }

    /// Mean and covariance (of a; of a and u; of u) after the jump from (a, u).
    pub fn moments(&self, (a, u): (f64, f64)) -> ((f64, f64), [f64; 3]) {
        let (t, [p, q, r]) = (&self.way, self.root);
        let mean = (t[0][0] * a + t[0][1] * u, t[1][0] * a + t[1][1] * u);
        (mean, [p * p, p * q, q * q + r * r])
    }
}

fn added(a: &Two, b: &Two) -> Two {
    [[a[0][0] + b[0][0], a[0][1] + b[0][1]], [a[1][0] + b[1][0], a[1][1] + b[1][1]]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_its_steps() {
        let mode = Mode { learning_rate: 0.1, momentum: 0.9, curvature: 0.7 };
        let one = Jump::new(&mode, 0.3, 1);
        let (mut mean, mut cov) = ((1.0, -2.0), [[0.0; 2]; 2]);
        for steps in 1..=37u64 {
            mean = one.moments(mean).0;
            let (_, [p, q, r]) = one.moments((0.0, 0.0));
            cov = added(&times(&times(&mode.step(), &cov), &turned(&mode.step())), &[[p, q], [q, r]]);
            let (m, c) = Jump::new(&mode, 0.3, steps).moments((1.0, -2.0));
            assert!((m.0 - mean.0).abs() < 1e-12 && (m.1 - mean.1).abs() < 1e-12, "{steps}");
            for (a, b) in c.iter().zip([cov[0][0], cov[0][1], cov[1][1]]) {
                assert!((a - b).abs() < 1e-12 * b.abs().max(1e-3), "{steps}: {a} against {b}");
            }
        }
        let settled = Jump::new(&mode, 0.3, 100_000).moments((5.0, 5.0));
        assert!((settled.1[0] / mode.position_variance(0.3) - 1.0).abs() < 1e-9);
    }
}
