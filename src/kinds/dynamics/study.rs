//! The tables of `dynamics.regression`: what an ensemble did beside what theory says.

use std::f64::consts::PI;

use science::dynamics::continuous::Langevin;
use science::dynamics::discrete::{Moments, Theory};
use science::dynamics::modes::Mode;
use science::dynamics::phase::{Orbit, measure};
use science::dynamics::regression::Regression as Problem;
use science::dynamics::simulate::Record;

use super::regression::{Noise, Params};
use crate::kinds::wrong;
use crate::stage::Failure;
use crate::table::Frame;

/// Exact theory of displacement from rest takes N d² operations a step: above this many the closed form for
/// additive noise stands in.
const MOST_OPERATIONS: f64 = 2e10;

/// Half the width of a Gaussian's 95 % band, in standard deviations.
const BAND: f64 = 1.96;

/// Names of the noise that theory takes.
const ADDITIVE: &str = "additive";
const STATE: &str = "state-dependent";

/// Theory from the origin of displacement on, time by time.
struct Exact {
    displacement: Vec<f64>,
    noise: &'static str,
    /// Covariance (of a; of a and u; of u) of each mode.
    spreads: Vec<Vec<[f64; 3]>>,
    spread_noise: &'static str,
}

/// The theory and what was simulated.
pub struct Study<'a> {
    pub params: &'a Params,
    pub problem: &'a Problem,
    pub theory: &'a Theory<'a>,
    pub moments: &'a Moments,
    pub ranks: &'a [usize],
    pub chains: &'a [Vec<Record>],
}

impl Study<'_> {
    /// The records, chain after chain; times count from the origin of displacement.
    pub fn trajectory(&self) -> Result<Frame, Failure> {
        let all =
            || self.chains.iter().enumerate().flat_map(|(c, records)| records.iter().map(move |r| (c, r)));
        let mut frame = Frame::new();
        frame.push_i64s("chain", all().map(|(c, _)| c as i64).collect())?;
        frame.push_i64s("step", all().map(|(_, r)| (r.step - self.params.burn_in) as i64).collect())?;
        frame.push_f64s("displacement", all().map(|(_, r)| r.displacement).collect())?;
        frame.push_f64s("squared_step", all().map(|(_, r)| r.squared_step).collect())?;
        for (k, rank) in self.ranks.iter().enumerate() {
            frame.push_f64s(&format!("position_{rank}"), all().map(|(_, r)| r.positions[k]).collect())?;
            frame.push_f64s(&format!("velocity_{rank}"), all().map(|(_, r)| r.velocities[k]).collect())?;
        }
        Ok(frame)
    }

    pub fn displacement(&self, times: &[u64], start: &[f64]) -> Result<Frame, Failure> {
        let skip = usize::from(self.params.burn_in > 0);
        let means: Vec<(f64, f64)> = (0..times.len())
            .map(|i| mean(&self.chains.iter().map(|c| c[i + skip].displacement).collect::<Vec<f64>>()))
            .collect();
        let Exact { displacement: exact, noise, spreads, spread_noise } = self.exact(times, start);
        let sgd = self.params.sgd();
        let model = Langevin::new(self.theory.modes(), &sgd, self.theory.factor());
        let variances =
            model.stationary_proportional(self.problem.eigenvalues(), self.problem.residual_variance());
        let state = self.theory.at_rest(start);
        let continuous = times.iter().map(|t| {
            if self.params.burn_in > 0 {
                model.displacement(&variances, *t as f64)
            } else {
                model.displacement_from_rest(&variances, &state.mean.0, *t as f64)
            }
        });
        let mut frame = Frame::new();
        frame.push_i64s("step", times.iter().map(|t| *t as i64).collect())?;
        frame.push_f64s("measured", means.iter().map(|m| m.0).collect())?;
        frame.push_f64s("standard_error", means.iter().map(|m| m.1).collect())?;
        frame.push_f64s("exact", exact)?;
        frame.push_f64s("continuous", continuous.collect())?;
        frame.push_strings("noise", &vec![noise; times.len()])?;
        let means: Vec<Vec<(f64, f64)>> = times
            .iter()
            .map(|t| self.theory.mean_from_rest(&state.mean.0, self.params.burn_in + t))
            .collect();
        for rank in self.ranks {
            let of = |pick: fn(&(f64, f64)) -> f64| means.iter().map(|m| pick(&m[*rank])).collect();
            frame.push_f64s(&format!("mean_position_{rank}"), of(|m| m.0))?;
            frame.push_f64s(&format!("mean_velocity_{rank}"), of(|m| m.1))?;
            // Where 95 of 100 chains lie, for a Gaussian.
            let band = |sign: f64, pick: fn(&(f64, f64)) -> f64, variance: usize| -> Vec<f64> {
                let each = means.iter().zip(&spreads);
                let edge = |(m, s): (&Vec<(f64, f64)>, &Vec<[f64; 3]>)| {
                    pick(&m[*rank]) + sign * BAND * s[*rank][variance].max(0.0).sqrt()
                };
                each.map(edge).collect()
            };
            frame.push_f64s(&format!("low_position_{rank}"), band(-1.0, |m| m.0, 0))?;
            frame.push_f64s(&format!("high_position_{rank}"), band(1.0, |m| m.0, 0))?;
            frame.push_f64s(&format!("low_velocity_{rank}"), band(-1.0, |m| m.1, 2))?;
            frame.push_f64s(&format!("high_velocity_{rank}"), band(1.0, |m| m.1, 2))?;
        }
        frame.push_strings("band_noise", &vec![spread_noise; times.len()])?;
        let assumed = self.params.sampler.drawn().assumed().name();
        frame.push_strings("assumed_sampler", &vec![assumed; times.len()])?;
        Ok(frame)
    }

    /// Mean square displacement and the spread of modes around their means by theory.
    fn exact(&self, times: &[u64], start: &[f64]) -> Exact {
        let additive = self.params.noise == Noise::Additive;
        let leap = || {
            times.iter().map(|t| self.theory.spread_from_rest(self.params.burn_in + t)).collect::<Vec<_>>()
        };
        if self.params.burn_in > 0 {
            return Exact {
                displacement: times.iter().map(|t| self.theory.displacement(self.moments, *t)).collect(),
                noise: if additive { ADDITIVE } else { STATE },
                spreads: leap(),
                spread_noise: ADDITIVE,
            };
        }
        let (n, d) = (self.problem.rows() as f64, self.problem.features() as f64);
        let mut state = self.theory.at_rest(start);
        let origin = state.mean.0.clone();
        if additive || n * d * d * self.params.steps as f64 > MOST_OPERATIONS {
            let at = |t: &u64| self.theory.displacement_additive(&origin, *t);
            let displacement = times.iter().map(at).collect();
            return Exact { displacement, noise: ADDITIVE, spreads: leap(), spread_noise: ADDITIVE };
        }
        let (mut step, mut exact) = (0, Vec::with_capacity(times.len()));
        let mut spreads = Vec::with_capacity(times.len());
        for t in times {
            while step < *t {
                self.theory.advance(&mut state);
                step += 1;
            }
            exact.push(Theory::displacement_of(&state, &origin));
            spreads.push(state.spread());
        }
        Exact { displacement: exact, noise: STATE, spreads, spread_noise: STATE }
    }

    pub fn modes(&self, times: &[u64]) -> Result<Frame, Failure> {
        let modes = self.theory.modes();
        let (f, variance) = (self.theory.factor(), self.problem.residual_variance());
        let own = self.problem.noise_at_minimum();
        let of = |value: &dyn Fn(usize, &Mode) -> f64| -> Vec<f64> {
            modes.iter().enumerate().map(|(l, m)| value(l, m)).collect()
        };
        let proportional = |l: usize| f * variance * self.problem.eigenvalues()[l];
        let rates = self.theory.area_rates(self.moments);
        let mut frame = Frame::new();
        frame.push_i64s("mode", (0..modes.len() as i64).collect())?;
        frame.push_f64s("eigenvalue", self.problem.eigenvalues().to_vec())?;
        frame.push_f64s("noise_variance", of(&|l, _| own[(l, l)]))?;
        frame.push_f64s("kappa", of(&|_, m| m.kappa()))?;
        // No number where the mode does not oscillate.
        frame.push_f64s("angle", of(&|_, m| m.angle().unwrap_or(f64::NAN)))?;
        frame.push_f64s("angle_measured", self.angles()?)?;
        frame.push_f64s("damping", of(&|_, m| m.damping()))?;
        frame.push_f64s("frequency", of(&|_, m| m.frequency()))?;
        frame.push_f64s("position_variance_exact", of(&|l, _| self.moments.aa[(l, l)]))?;
        frame.push_f64s(
            "position_variance_continuous",
            of(&|l, m| m.position_variance_continuous(proportional(l))),
        )?;
        frame.push_f64s("position_variance_measured", self.measured(times, |r| &r.positions))?;
        frame.push_f64s("velocity_variance_exact", of(&|l, _| self.moments.uu[(l, l)]))?;
        frame.push_f64s(
            "velocity_variance_continuous",
            of(&|l, m| m.velocity_variance_continuous(proportional(l))),
        )?;
        frame.push_f64s("velocity_variance_measured", self.measured(times, |r| &r.velocities))?;
        frame.push_f64s("area_rate_exact", rates)?;
        let assumed = self.params.sampler.drawn().assumed().name();
        frame.push_strings("assumed_sampler", &vec![assumed; modes.len()])?;
        Ok(frame)
    }

    /// Radians a step of the linear map from one even record to the next, over all chains; no number for modes that were
    /// not recorded or do not turn, and where records are uneven or too sparse to tell.
    fn angles(&self) -> Result<Vec<f64>, Failure> {
        let mut all = vec![f64::NAN; self.problem.features()];
        let Some((half, spacing)) = self.params.even() else { return Ok(all) };
        let even = |r: &&Record| {
            let step = r.step.saturating_sub(self.params.burn_in);
            step > half && (step - half).is_multiple_of(spacing)
        };
        for (k, rank) in self.ranks.iter().enumerate() {
            // More than half a turn between two records looks like less.
            let seen = self.theory.modes()[*rank].angle().is_none_or(|a| a * (spacing as f64) < PI);
            let orbit = |records: &Vec<Record>| Orbit {
                positions: records.iter().filter(even).map(|r| r.positions[k]).collect(),
                velocities: records.iter().filter(even).map(|r| r.velocities[k]).collect(),
            };
            if seen {
                let orbits: Vec<Orbit> = self.chains.iter().map(orbit).collect();
                all[*rank] = measure(&orbits, spacing).map_err(wrong)?.angle.unwrap_or(f64::NAN);
            }
        }
        Ok(all)
    }

    /// Mean squares over chains and the second half of time; no number for modes that were not recorded.
    fn measured(&self, times: &[u64], pick: fn(&Record) -> &Vec<f64>) -> Vec<f64> {
        let half = self.params.burn_in + times.last().copied().unwrap_or(0) / 2;
        let mut all = vec![f64::NAN; self.problem.features()];
        for (k, rank) in self.ranks.iter().enumerate() {
            let late = self.chains.iter().flatten().filter(|r| r.step > half);
            let squares: Vec<f64> = late.map(|r| pick(r)[k].powi(2)).collect();
            all[*rank] = mean(&squares).0;
        }
        all
    }
}

/// Mean and its standard error; the error of one value is no number.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, (square / (n - 1.0) / n).sqrt())
}
