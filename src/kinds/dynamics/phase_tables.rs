//! The tables of `dynamics.phase`.

use science::dynamics::modes::Mode;
use science::dynamics::phase::{Measured, Orbit, measure};

use super::orbits::{Modes, Orbits};
use super::phase::Params;
use crate::kinds::wrong;
use crate::stage::Failure;
use crate::table::Frame;

/// Points of an ellipse.
const POINTS: usize = 96;

/// Chains and what theory says of them.
pub struct Phase<'a> {
    pub params: &'a Params,
    pub modes: Modes,
    pub orbits: Orbits,
    /// E|δ|².
    pub step_theory: f64,
}

impl Phase<'_> {
    fn along(&self, k: usize) -> Result<Measured, Failure> {
        let chains: Vec<Orbit> = self.orbits.chains.iter().filter_map(|c| c.get(k).cloned()).collect();
        measure(&chains, self.orbits.spacing).map_err(wrong)
    }

    /// A row a direction.
    pub fn modes(&self) -> Result<Frame, Failure> {
        let found: Vec<Measured> = (0..self.modes.len()).map(|k| self.along(k)).collect::<Result<_, _>>()?;
        let spacing = self.orbits.spacing;
        // A turn of more than half a circle between two records cannot be told from a smaller one.
        let seen = |angle: f64| angle * (spacing as f64) < std::f64::consts::PI;
        let theory = |of: &dyn Fn(&Mode, f64) -> f64| -> Vec<f64> {
            let each = self.modes.rows.iter();
            each.map(|(.., mode, noise)| if mode.is_stable() { of(mode, *noise) } else { f64::NAN }).collect()
        };
        let measured = |of: &dyn Fn(&Measured) -> f64| -> Vec<f64> { found.iter().map(of).collect() };
        let angles = theory(&|mode, _| mode.angle().unwrap_or(f64::NAN));
        let mut turned = measured(&|m| m.angle.unwrap_or(f64::NAN));
        turned.iter_mut().zip(&angles).filter(|(_, a)| !seen(**a)).for_each(|(m, _)| *m = f64::NAN);
        let mut frame = Frame::new();
        frame.push_i64s("mode", self.modes.rows.iter().map(|r| r.0).collect())?;
        frame.push_f64s("eigenvalue", self.modes.rows.iter().map(|r| r.1).collect())?;
        frame.push_f64s("batch_noise", self.modes.rows.iter().map(|r| r.3).collect())?;
        frame.push_f64s("kappa", theory(&|mode, _| mode.kappa()))?;
        for (name, value, error, by_theory) in [
            (
                "position_variance",
                measured(&|m| m.position_variance.value),
                measured(&|m| m.position_variance.error),
                theory(&Mode::position_variance),
            ),
            (
                "velocity_variance",
                measured(&|m| m.velocity_variance.value),
                measured(&|m| m.velocity_variance.error),
                theory(&Mode::velocity_variance),
            ),
            (
                "area_rate",
                measured(&|m| m.area_rate.value),
                measured(&|m| m.area_rate.error),
                theory(&|mode, noise| mode.area_rate(noise, spacing)),
            ),
        ] {
            let ratio = value.iter().zip(&by_theory).map(|(v, t)| ratio(*v, *t)).collect();
            frame.push_f64s(&format!("{name}_measured"), value)?;
            frame.push_f64s(&format!("{name}_error"), error)?;
            frame.push_f64s(&format!("{name}_theory"), by_theory)?;
            frame.push_f64s(&format!("{name}_ratio"), ratio)?;
        }
        frame.push_f64s("angle_ratio", turned.iter().zip(&angles).map(|(m, t)| m / t).collect())?;
        frame.push_f64s("angle_measured", turned)?;
        frame.push_f64s("angle_theory", angles)?;
        frame.push_i64s("spacing", vec![spacing as i64; found.len()])?;
        frame.push_i64s("chains", vec![self.orbits.chains.len() as i64; found.len()])?;
        frame.push_strings("assumed_sampler", &vec![self.sampler(); found.len()])?;
        Ok(frame)
    }

    fn sampler(&self) -> &'static str {
        self.params.sampler.drawn().assumed().name()
    }

    /// One row: the mean squared step and the mean loss.
    pub fn local(&self) -> Result<Frame, Failure> {
        let n = self.orbits.local.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| self.orbits.local.iter().map(of).sum::<f64>() / n;
        let step = mean(|l| l.0);
        let square: f64 = self.orbits.local.iter().map(|l| (l.0 - step).powi(2)).sum();
        let mut frame = Frame::new();
        frame.push_f64s("step_squared_measured", vec![step])?;
        frame.push_f64s("step_squared_error", vec![(square / (n - 1.0) / n).sqrt()])?;
        frame.push_f64s("step_squared_theory", vec![self.step_theory])?;
        frame.push_f64s("step_squared_ratio", vec![ratio(step, self.step_theory)])?;
        frame.push_f64s("loss", vec![mean(|l| l.1)])?;
        frame.push_i64s("chains", vec![n as i64])?;
        frame.push_strings("assumed_sampler", &[self.sampler()])?;
        Ok(frame)
    }

    /// The last records of the first chain around its means, and ellipses of theory. `centre` is the mean position, from
    /// where the chain began.
    pub fn paths(&self) -> Result<Frame, Failure> {
        let (mut modes, mut kinds, mut steps) = (Vec::new(), Vec::new(), Vec::new());
        let (mut positions, mut velocities) = (Vec::new(), Vec::new());
        let mut centres = Vec::new();
        let first = self.orbits.chains.first().map(Vec::as_slice).unwrap_or_default();
        for (orbit, (rank, _, mode, noise)) in first.iter().zip(&self.modes.rows) {
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let (a, u) = (mean(&orbit.positions), mean(&orbit.velocities));
            let from = orbit.positions.len().saturating_sub(self.params.paths);
            let late = orbit.positions.iter().zip(&orbit.velocities).zip(&self.orbits.steps).skip(from);
            for ((position, velocity), step) in late {
                modes.push(*rank);
                kinds.push("chain");
                steps.push(*step);
                positions.push(position - a);
                velocities.push(velocity - u);
            }
            // Without noise the ellipse is a point.
            if !mode.is_stable() || *noise == 0.0 {
                centres.resize(modes.len(), a);
                continue;
            }
            // The root of the covariance [[a, c], [c, u]] turns a circle into the ellipse.
            let root = mode.position_variance(*noise).sqrt();
            let across = mode.covariance(*noise) / root;
            let rest = (mode.velocity_variance(*noise) - across * across).max(0.0).sqrt();
            for (kind, radius) in [("1 sigma", 1.0), ("2 sigma", 2.0)] {
                for point in 0..POINTS {
                    let (sin, cos) = (std::f64::consts::TAU * point as f64 / POINTS as f64).sin_cos();
                    modes.push(*rank);
                    kinds.push(kind);
                    steps.push(point as i64);
                    positions.push(radius * root * cos);
                    velocities.push(radius * (across * cos + rest * sin));
                }
            }
            centres.resize(modes.len(), a);
        }
        let mut frame = Frame::new();
        frame.push_i64s("mode", modes)?;
        frame.push_strings("kind", &kinds)?;
        frame.push_i64s("step", steps)?;
        frame.push_f64s("position", positions)?;
        frame.push_f64s("centre", centres)?;
        frame.push_f64s("velocity", velocities)?;
        Ok(frame)
    }
}

/// Measured over theory; no number where theory says that nothing moves.
fn ratio(measured: f64, theory: f64) -> f64 {
    if theory == 0.0 { f64::NAN } else { measured / theory }
}
