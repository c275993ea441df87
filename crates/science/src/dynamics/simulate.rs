//! Ensembles of true stochastic gradient descent on linear regression: many chains, each with its own batches.

use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use rayon::prelude::*;

use super::Sgd;
use super::chain::{Chain, Rows};
use super::regression::Regression;
use super::sampler::{Batches, Sampler};
use crate::error::{Error, Result};
use crate::linalg::Mat;

/// What is recorded of one chain at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Steps done.
    pub step: u64,
    /// |θ − θ₀|².
    pub displacement: f64,
    /// |θ_k − θ_(k−1)|², 0 before the first step.
    pub squared_step: f64,
    /// Positions of the chosen modes, from the minimum.
    pub positions: Vec<f64>,
    /// Their velocities (θ_k − θ_(k−1)) / η.
    pub velocities: Vec<f64>,
}

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Ensemble<'a> {
    /// The data.
    pub problem: &'a Regression,
    /// The settings.
    pub sgd: Sgd,
    /// How batches are drawn.
    pub sampler: Sampler,
    /// Where every chain begins, at rest (coordinates of the data).
    pub start: &'a [f64],
    /// How many chains.
    pub chains: usize,
    /// The steps after which to record, rising; the last one ends the chain. Displacement counts from the first
    /// one if `from_first_record`.
    pub record: &'a [u64],
    /// Displacement counts from the first record, not from the start.
    pub from_first_record: bool,
    /// The modes whose positions and velocities are recorded, by rank of their eigenvalue.
    pub modes: &'a [usize],
    /// The seed; chain number k draws from its own stream.
    pub seed: u64,
}

/// Runs every chain over the threads of the current rayon pool. The result does not depend on their number. `tell`
/// hears of finished chains and may stop the run.
///
/// # Errors
/// If settings are impossible, a mode does not exist, or a chain leaves all bounds.
pub fn simulate(ensemble: &Ensemble, tell: &(dyn Fn() -> Result<()> + Sync)) -> Result<Vec<Vec<Record>>> {
    check(ensemble)?;
    let rows = Rows::of(ensemble.problem);
    let start = ensemble.problem.to_modes(ensemble.start);
    (0..ensemble.chains)
        .into_par_iter()
        .map(|chain| {
            let records = run(ensemble, &rows, &start, chain)?;
            tell()?;
            Ok(records)
        })
        .collect()
}

/// Is there anything impossible in it?
pub(super) fn check(ensemble: &Ensemble) -> Result<()> {
    let (p, d) = (ensemble.problem, ensemble.problem.features());
    ensemble.sgd.check(p.rows())?;
    if ensemble.start.len() != d {
        return Err(Error::new(format!(
            "a start of {} values does not fit {d} features",
            ensemble.start.len()
        )));
    }
    if let Some(mode) = ensemble.modes.iter().find(|m| **m >= d) {
        return Err(Error::new(format!("there is no mode {mode} among {d}")));
    }
    if u32::try_from(p.rows()).is_err() {
        return Err(Error::new("more rows than 2³² cannot be drawn from"));
    }
    Ok(())
}

/// What chain number `number` draws from.
pub(super) fn stream(seed: u64, number: usize) -> Xoshiro256PlusPlus {
    let mut random =
        Xoshiro256PlusPlus::seed_from_u64(seed ^ (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    random.jump();
    random
}

/// Draws data: x with independent Gaussian features of variance l^−spectrum, and y = x·θ* + noise, θ* standard normal.
pub fn generated(rows: usize, features: usize, spectrum: f64, noise: f64, seed: u64) -> (Mat<f64>, Vec<f64>) {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
    let truth: Vec<f64> = (0..features).map(|_| normal()).collect();
    let scale = |j: usize| ((j + 1) as f64).powf(-spectrum / 2.0);
    let values: Vec<f64> = (0..rows * features).map(|k| normal() * scale(k % features)).collect();
    let y = values
        .chunks_exact(features.max(1))
        .map(|x| x.iter().zip(&truth).map(|(x, t)| x * t).sum::<f64>() + noise * normal())
        .collect();
    (Mat::from_fn(rows, features, |i, j| values[i * features + j]), y)
}

/// The parameters after each of `steps` with given batches, in the coordinates of the data: to replay a run of
/// another program.
///
/// # Errors
/// If settings are impossible or a row does not exist.
pub fn replay(problem: &Regression, sgd: &Sgd, start: &[f64], batches: &[Vec<u32>]) -> Result<Vec<Vec<f64>>> {
    sgd.check(problem.rows())?;
    if batches.iter().flatten().any(|row| *row as usize >= problem.rows()) {
        return Err(Error::new(format!("a batch asks for a row beyond {}", problem.rows())));
    }
    let rows = Rows::of(problem);
    let mut chain = Chain::new(&rows, &problem.to_modes(start));
    let mut all = Vec::with_capacity(batches.len());
    for batch in batches {
        chain.step(&rows, sgd, batch);
        all.push(problem.from_modes(chain.theta()));
    }
    Ok(all)
}

fn run(ensemble: &Ensemble, rows: &Rows, start: &[f64], number: usize) -> Result<Vec<Record>> {
    let sgd = &ensemble.sgd;
    let random = stream(ensemble.seed, number);
    let mut batches = Batches::new(ensemble.sampler, ensemble.problem.rows(), sgd.batch_size, random);
    let mut chain = Chain::new(rows, start);
    let (mut batch, mut origin) = (Vec::with_capacity(sgd.batch_size), start.to_vec());
    let mut records = Vec::with_capacity(ensemble.record.len());
    let mut step = 0u64;
    for (index, until) in ensemble.record.iter().enumerate() {
        while step < *until {
            batches.draw(&mut batch);
            chain.step(rows, sgd, &batch);
            step += 1;
        }
        let (theta, buffer) = (chain.theta(), chain.buffer());
        if theta.iter().any(|v| !v.is_finite()) {
            return Err(Error::new(format!(
                "chain {number} left all bounds before step {step}: lower the learning rate"
            )));
        }
        if index == 0 && ensemble.from_first_record {
            origin.copy_from_slice(theta);
        }
        let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
        let displacement = square(&mut theta.iter().zip(&origin).map(|(t, o)| t - o));
        let squared_step = square(&mut buffer.iter().map(|b| sgd.learning_rate * b));
        let positions = ensemble.modes.iter().map(|m| theta[*m] - ensemble.problem.minimum[*m]).collect();
        let velocities = ensemble.modes.iter().map(|m| -buffer[*m]).collect();
        records.push(Record { step, displacement, squared_step, positions, velocities });
    }
    Ok(records)
}
