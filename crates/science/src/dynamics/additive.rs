//! Ensembles with additive Gaussian noise that leap from record to record: f C₀, the noise of batches at the minimum,
//! everywhere. The law at the recorded steps is exactly that of stepping, and 10⁶ steps cost what one leap costs.

use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use super::Two;
use super::discrete::Theory;
use super::simulate::{Ensemble, Record, check, stream};
use super::skip::{Ways, summed};
use crate::error::Result;
use crate::linalg::{Mat, eigh};

/// A leap of all modes by a number of steps: z → T z + R n for n standard normal.
struct Leap {
    ways: Vec<Two>,
    /// R [2d, 2d], positions before velocities.
    root: Mat<f64>,
}

impl Leap {
    /// `noise` is C₀ in the eigenbasis, which ties the modes together.
    fn new(theory: &Theory, noise: &Mat<f64>, steps: u64) -> Result<Self> {
        let d = theory.modes().len();
        let ways: Vec<Ways> = theory.modes().iter().map(|mode| Ways::new(mode, steps)).collect();
        let mut covariance = Mat::zeros(2 * d, 2 * d);
        for (l, k) in (0..d).flat_map(|l| (0..=l).map(move |k| (l, k))) {
            let block = summed(&ways[l], &ways[k], theory.factor() * noise[(l, k)]);
            for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                covariance[(i * d + l, j * d + k)] = block[i][j];
                covariance[(j * d + k, i * d + l)] = block[i][j];
            }
        }
        Ok(Leap { ways: ways.iter().map(Ways::whole).collect(), root: root(&covariance)? })
    }

    fn draw(&self, (a, u): (&mut [f64], &mut [f64]), random: &mut Xoshiro256PlusPlus) {
        let d = a.len();
        let normal: Vec<f64> = (0..2 * d).map(|_| StandardNormal.sample(random)).collect();
        let kick = |i: usize| normal.iter().enumerate().map(|(j, n)| self.root[(i, j)] * n).sum::<f64>();
        for (l, t) in self.ways.iter().enumerate() {
            (a[l], u[l]) =
                (t[0][0] * a[l] + t[0][1] * u[l] + kick(l), t[1][0] * a[l] + t[1][1] * u[l] + kick(d + l));
        }
    }
}

/// R with R Rᵀ the covariance, which may be singular: after one step a position is its velocity times η.
fn root(covariance: &Mat<f64>) -> Result<Mat<f64>> {
    let n = covariance.nrows();
    // In units of standard deviations, for velocities may be many times as wide as positions.
    let wide: Vec<f64> = (0..n).map(|i| covariance[(i, i)].max(0.0).sqrt()).collect();
    let unit = |i: usize| if wide[i] > 0.0 { 1.0 / wide[i] } else { 0.0 };
    let scaled = Mat::from_fn(n, n, |i, j| covariance[(i, j)] * unit(i) * unit(j));
    let (values, vectors) = eigh(scaled.as_ref())?;
    Ok(Mat::from_fn(n, n, |i, j| wide[i] * vectors[(i, j)] * values[j].max(0.0).sqrt()))
}

/// Where a chain is.
struct Place {
    a: Vec<f64>,
    u: Vec<f64>,
    origin: Vec<f64>,
    random: Xoshiro256PlusPlus,
    records: Vec<Record>,
}

/// [`simulate`](super::simulate::simulate) with additive noise. Batches of an epoch count as fresh subsets. The result
/// does not depend on the number of threads; `tell` hears of each record that all chains have made, and may stop the run.
///
/// # Errors
/// If settings are impossible, a mode does not exist, or the learning rate is beyond the stability of a mode.
pub fn simulate_additive(
    ensemble: &Ensemble,
    tell: &(dyn Fn() -> Result<()> + Sync),
) -> Result<Vec<Vec<Record>>> {
    check(ensemble)?;
    let (p, sgd) = (ensemble.problem, &ensemble.sgd);
    let theory = Theory::new(p, sgd, ensemble.sampler)?;
    let noise = p.noise_at_minimum();
    let start: Vec<f64> = p.to_modes(ensemble.start).iter().zip(&p.minimum).map(|(t, m)| t - m).collect();
    let place = |chain| Place {
        a: start.clone(),
        u: vec![0.0; start.len()],
        origin: start.clone(),
        random: stream(ensemble.seed, chain),
        records: Vec::with_capacity(ensemble.record.len()),
    };
    let mut places: Vec<Place> = (0..ensemble.chains).map(place).collect();
    let (mut at, mut last) = (0, None);
    for (index, until) in ensemble.record.iter().enumerate() {
        let steps = until - at;
        // Evenly spaced records share their leap.
        let leap = match last.take() {
            Some((same, leap)) if same == steps => leap,
            _ => Leap::new(&theory, &noise, steps)?,
        };
        places.par_iter_mut().for_each(|place| {
            leap.draw((&mut place.a, &mut place.u), &mut place.random);
            if index == 0 && ensemble.from_first_record {
                place.origin.copy_from_slice(&place.a);
            }
            let displacement = place.a.iter().zip(&place.origin).map(|(a, o)| (a - o).powi(2)).sum();
            let squared_step = place.u.iter().map(|u| (sgd.learning_rate * u).powi(2)).sum();
            let chosen = |of: &[f64]| ensemble.modes.iter().map(|m| of[*m]).collect();
            let (positions, velocities) = (chosen(&place.a), chosen(&place.u));
            place.records.push(Record { step: *until, displacement, squared_step, positions, velocities });
        });
        tell()?;
        (at, last) = (*until, Some((steps, leap)));
    }
    Ok(places.into_iter().map(|place| place.records).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::Sgd;
    use crate::dynamics::regression::Regression;
    use crate::dynamics::sampler::Sampler;
    use crate::dynamics::simulate::generated;

    const DECAY: f64 = 0.01;

    fn problem() -> Regression {
        let (x, y) = generated(40, 3, 1.0, 0.5, 3);
        Regression::new(x.as_ref(), &y, DECAY).unwrap()
    }

    fn settings() -> Sgd {
        Sgd { learning_rate: 0.1, momentum: 0.8, weight_decay: DECAY, batch_size: 4 }
    }

    #[test]
    fn a_leap_is_its_steps_with_modes_that_are_tied() {
        let problem = problem();
        let theory = Theory::new(&problem, &settings(), Sampler::Replacement).unwrap();
        let noise = problem.noise_at_minimum();
        assert!((noise[(0, 1)] / noise[(0, 0)]).abs() > 0.01, "the noise ties no modes");
        // One step in whole matrices: Q ← T Q Tᵀ + f G C₀ Gᵀ.
        let (eta, f) = (settings().learning_rate, theory.factor());
        let step =
            Mat::from_fn(
                6,
                6,
                |i, j| {
                    if i % 3 == j % 3 { theory.modes()[i % 3].step()[i / 3][j / 3] } else { 0.0 }
                },
            );
        let kick = Mat::from_fn(6, 6, |i, j| {
            f * noise[(i % 3, j % 3)] * if i < 3 { eta } else { 1.0 } * if j < 3 { eta } else { 1.0 }
        });
        let (mut way, mut sum) = (Mat::<f64>::identity(6, 6), Mat::<f64>::zeros(6, 6));
        for steps in 1..=70 {
            way = &step * &way;
            sum = &step * &sum * step.transpose() + &kick;
            let leap = Leap::new(&theory, &noise, steps).unwrap();
            let made = &leap.root * leap.root.transpose();
            assert!((made - &sum).norm_max() < 1e-12 * sum.norm_max(), "{steps}");
            let mut off = 0.0_f64;
            for (l, own) in leap.ways.iter().enumerate() {
                for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    off = off.max((own[i][j] - way[(i * 3 + l, j * 3 + l)]).abs());
                }
            }
            assert!(off < 1e-12, "{steps}: {off}");
        }
    }

    #[test]
    fn leaps_and_steps_have_the_same_law() {
        let problem = problem();
        let every: Vec<u64> = (1..=60).collect();
        let run = |record: &[u64], seed| {
            let ensemble = Ensemble {
                problem: &problem,
                sgd: settings(),
                sampler: Sampler::Subset,
                start: &[0.0; 3],
                chains: 4000,
                record,
                from_first_record: false,
                modes: &[0],
                seed,
            };
            let chains = simulate_additive(&ensemble, &|| Ok(())).unwrap();
            let mut last: Vec<f64> = chains.iter().map(|c| c.last().unwrap().displacement).collect();
            last.sort_by(f64::total_cmp);
            last
        };
        let (stepped, leapt) = (run(&every, 1), run(&[60], 2));
        // Kolmogorov's and Smirnov's largest distance of two samples of n: above 1.95 √(2 / n) once in a thousand.
        let below = |v: f64| leapt.partition_point(|w| *w <= v) as f64 / leapt.len() as f64;
        let far = |(k, v): (usize, &f64)| (below(*v) - (k as f64 + 0.5) / stepped.len() as f64).abs();
        let distance = stepped.iter().enumerate().map(far).fold(0.0, f64::max);
        assert!(distance < 1.95 * (2.0 / 4000.0_f64).sqrt(), "{distance}");
    }
}
