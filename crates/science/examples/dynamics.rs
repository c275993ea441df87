//! Times what `benches/dynamics.py` compares, on one thread: `dynamics simulate STEPS` prints seconds for chains of
//! SGD on a regression of 100 features, `dynamics leap FEATURES` those of 64 chains of 10⁶ steps with additive noise at 62
//! times, `dynamics moments FEATURES` those of the exact stationary moments, `dynamics rest STEPS` those of that many steps of
//! exact theory from rest with 500 rows and 20 features.

use std::time::Instant;

use science::dynamics::Sgd;
use science::dynamics::additive::simulate_additive;
use science::dynamics::discrete::Theory;
use science::dynamics::regression::Regression;
use science::dynamics::sampler::Sampler;
use science::dynamics::simulate::{Ensemble, generated, simulate};
use science::error::{Error, Result};
use science::linalg::with_threads;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = || arguments.get(1).and_then(|n| n.parse().ok());
    match (arguments.first().map(String::as_str), number()) {
        (Some("simulate"), Some(steps)) => with_threads(1, || simulated(steps as u64))?,
        (Some("leap"), Some(features)) => with_threads(1, || leapt(features))?,
        (Some("moments"), Some(features)) => with_threads(1, || moments(features))?,
        (Some("rest"), Some(steps)) => with_threads(1, || rest(steps))?,
        _ => {
            Err(Error::new("usage: dynamics simulate STEPS | leap FEATURES | moments FEATURES | rest STEPS"))
        }
    }
}

fn settings() -> Sgd {
    Sgd { learning_rate: 0.01, momentum: 0.9, weight_decay: 0.0, batch_size: 16 }
}

fn simulated(steps: u64) -> Result<()> {
    let (x, y) = generated(4096, 100, 1.0, 0.5, 1);
    let problem = Regression::new(x.as_ref(), &y, 0.0)?;
    let start = vec![0.0; 100];
    let begun = Instant::now();
    let records = simulate(&ensemble(&problem, &start, 1, &[steps]), &|| Ok(()))?;
    println!("{} {}", begun.elapsed().as_secs_f64(), records[0][0].displacement);
    Ok(())
}

fn ensemble<'a>(problem: &'a Regression, start: &'a [f64], chains: usize, record: &'a [u64]) -> Ensemble<'a> {
    Ensemble {
        problem,
        sgd: settings(),
        sampler: Sampler::Replacement,
        start,
        chains,
        record,
        from_first_record: false,
        modes: &[],
        seed: 1,
    }
}

fn leapt(features: usize) -> Result<()> {
    let (x, y) = generated(4096, features, 1.0, 0.5, 1);
    let problem = Regression::new(x.as_ref(), &y, 0.0)?;
    let start = vec![0.0; features];
    // Evenly spaced in logarithm.
    let mut record: Vec<u64> =
        (1..=64).map(|k| 10f64.powf(6.0 * f64::from(k) / 64.0).round() as u64).collect();
    record.dedup();
    let begun = Instant::now();
    let records = simulate_additive(&ensemble(&problem, &start, 64, &record), &|| Ok(()))?;
    println!("{} {}", begun.elapsed().as_secs_f64(), records[0][0].displacement);
    Ok(())
}

fn moments(features: usize) -> Result<()> {
    let (x, y) = generated(10 * features, features, 1.0, 0.5, 1);
    let problem = Regression::new(x.as_ref(), &y, 0.0)?;
    let theory = Theory::new(&problem, &settings(), Sampler::Replacement)?;
    let begun = Instant::now();
    let found = theory.stationary()?;
    println!("{} {}", begun.elapsed().as_secs_f64(), found.traces().0);
    Ok(())
}

fn rest(steps: usize) -> Result<()> {
    let (x, y) = generated(500, 20, 1.5, 0.5, 1);
    let problem = Regression::new(x.as_ref(), &y, 0.0)?;
    let theory = Theory::new(&problem, &settings(), Sampler::Replacement)?;
    let mut state = theory.at_rest(&[0.0; 20]);
    let begun = Instant::now();
    (0..steps).for_each(|_| theory.advance(&mut state));
    println!("{} {:e}", begun.elapsed().as_secs_f64(), state.moments.traces().0);
    Ok(())
}
