//! What `dynamics.phase` reads: modes with their noise, and chains of positions and velocities.

use science::dynamics::Sgd;
use science::dynamics::modes::Mode;
use science::dynamics::phase::Orbit;

use crate::stage::{Failure, Io};
use crate::table::{Frame, read};

/// Directions with the noise f c of a batch along them.
pub struct Modes {
    /// Rank, eigenvalue, mode, f c.
    pub rows: Vec<(i64, f64, Mode, f64)>,
}

impl Modes {
    /// Of a table with eigenvalues and one-sample noise.
    ///
    /// # Errors
    /// If the learning rate is beyond the stability of a mode, or a number is none.
    pub fn of(frame: &Frame, sgd: &Sgd, factor: f64) -> Result<Self, Failure> {
        let (values, noise) = (frame.f64s("eigenvalue")?, frame.f64s("noise")?);
        let ranks = if frame.has("mode") { frame.i64s("mode")? } else { (0..values.len() as i64).collect() };
        let mut rows = Vec::with_capacity(values.len());
        for ((rank, value), noise) in ranks.into_iter().zip(values).zip(noise) {
            if !value.is_finite() || !noise.is_finite() || noise < 0.0 {
                return Err(Failure::new(format!(
                    "the mode {rank} has the eigenvalue {value} and the noise {noise}, which is no variance"
                ))
                .hint("bind tables of `dynamics.hessian` with `noise: true`"));
            }
            let mode = Mode::new(sgd, value + sgd.weight_decay);
            if mode.curvature > 0.0 && !mode.is_stable() {
                return Err(Failure::new(format!(
                    "the learning rate {} is beyond the limit of stability {:.6} of the mode with eigenvalue {value:.6}",
                    sgd.learning_rate,
                    2.0 * (1.0 + sgd.momentum) / mode.curvature
                ))
                .hint("lower `learning_rate`"));
            }
            rows.push((rank, value, mode, factor * noise));
        }
        Ok(Modes { rows })
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// E|δ|² for all noise `total` = f tr C: η² Σ κ f c / (1 − β²), with κ = 1 for the noise that is not along a mode.
    pub fn squared_step(&self, total: f64) -> f64 {
        let Some((.., any, _)) = self.rows.first() else { return f64::NAN };
        let (eta, beta) = (any.learning_rate, any.momentum);
        let known: f64 = self.rows.iter().map(|(.., noise)| noise).sum();
        let along: f64 = self.rows.iter().map(|(.., mode, noise)| mode.kappa() * noise).sum();
        eta * eta * (along + total - known) / (1.0 - beta * beta)
    }
}

/// Chains behind the burn-in.
pub struct Orbits {
    /// Steps between records.
    pub spacing: u64,
    /// Recorded steps.
    pub steps: Vec<i64>,
    /// For each chain and direction.
    pub chains: Vec<Vec<Orbit>>,
    /// Mean squared step and mean loss of each chain.
    pub local: Vec<(f64, f64)>,
}

impl Orbits {
    /// Reads every table at the port `trajectory`.
    ///
    /// # Errors
    /// If records are not even, chains differ in theirs, there are other than `count` directions, or a number is none.
    pub fn read(io: &Io, columns: &[&str], burn_in: i64, count: usize) -> Result<Self, Failure> {
        let mut orbits = Orbits { spacing: 1, steps: Vec::new(), chains: Vec::new(), local: Vec::new() };
        for (index, bound) in io.many("trajectory").iter().enumerate() {
            io.check_cancelled()?;
            let frame = read(bound, Some(columns))?;
            let steps = frame.i64s("step")?;
            let first = steps.iter().position(|s| *s > burn_in).unwrap_or(steps.len());
            let late = steps.get(first..).unwrap_or_default();
            let spacing = late.get(1).zip(late.first()).map_or(1, |(b, a)| b - a);
            if late.windows(2).any(|w| w[1] - w[0] != spacing) {
                return Err(Failure::new("the records of a chain are not evenly spaced")
                    .hint("record with `record: { every: … }`"));
            }
            if index == 0 {
                (orbits.spacing, orbits.steps) = (spacing.unsigned_abs(), late.to_vec());
            } else if orbits.steps != late {
                return Err(Failure::new("chains have records at different steps"));
            }
            let (position, velocity) = (frame.tensor_f64("position")?, frame.tensor_f64("momentum")?);
            let width = position.row_size();
            if width != count || velocity.row_size() != count {
                return Err(Failure::new(format!(
                    "the chains were recorded along {width} directions, and `directions` has {count} rows"
                ))
                .hint("bind the table that stood at the port `directions` of `model.train`"));
            }
            let series = |values: &[f64], k: usize| {
                values.iter().skip(first * width + k).step_by(width).copied().collect()
            };
            let orbit =
                |k| Orbit { positions: series(&position.values, k), velocities: series(&velocity.values, k) };
            orbits.chains.push((0..count).map(orbit).collect());
            let mean = |name: &str| {
                let all = frame.f64s(name)?;
                let late = all.get(first..).unwrap_or_default();
                if let Some(row) = late.iter().position(|v| !v.is_finite()) {
                    let step = steps.get(first + row).copied().unwrap_or_default();
                    return Err(Failure::new(format!(
                        "`{name}` of chain {index} is no number at step {step}"
                    ))
                    .hint("the chain left all bounds: train with a lower `learning_rate`"));
                }
                Ok(late.iter().sum::<f64>() / late.len() as f64)
            };
            orbits.local.push((mean("step_squared")?, mean("loss")?));
        }
        Ok(orbits)
    }
}
