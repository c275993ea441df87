//! How often the intervals of `brain.rsa` and `brain.encode` hold the truth, on simulated experiments whose expected
//! score is known: `intervals rsa EXPERIMENTS` (`rsa-many`: of more stimuli), `intervals encode EXPERIMENTS`, and `intervals refits EXPERIMENTS` for
//! those of `brain.encode` with refits.
//!
//! The truth is the mean score over many more experiments of the same size.

use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use rayon::prelude::*;
use science::brain::bootstrap::{Draw, Factor, draws, percentile_interval, scores, t_interval};
use science::brain::compare::Measure;
use science::brain::encode::folds::{contiguous, without};
use science::brain::encode::nested::nested;
use science::brain::encode::ridge::Ridge;
use science::brain::spread::{LeftOut, spread};
use science::brain::stats::{mean, pearson};
use science::brain::{jackknife, rdm};
use science::error::{Error, Result};
use science::linalg::Mat;

/// Experiments for the truth, for each one whose interval is asked.
const MORE: u64 = 20;

fn normal(random: &mut Xoshiro256PlusPlus) -> f64 {
    StandardNormal.sample(random)
}

fn noise(rows: usize, columns: usize, random: &mut Xoshiro256PlusPlus) -> Mat<f64> {
    Mat::from_fn(rows, columns, |_, _| normal(random))
}

/// An experiment of this number: its score, and its interval where that is asked.
type Experiment = fn(u64, bool) -> Result<(f64, (f64, f64))>;

/// 12 subjects see stimuli: what all have in common, what each sees otherwise, and a model that knows half of it.
fn rsa(number: u64, interval: bool, stimuli: usize) -> Result<(f64, (f64, f64))> {
    const SUBJECTS: usize = 12;
    const CHANNELS: usize = 10;
    let random = &mut Xoshiro256PlusPlus::seed_from_u64(number);
    let common = noise(stimuli, CHANNELS, random);
    let about = |scale: f64, random: &mut Xoshiro256PlusPlus| -> Result<Vec<f64>> {
        let own = noise(stimuli, CHANNELS, random);
        rdm::euclidean(Mat::from_fn(stimuli, CHANNELS, |i, j| common[(i, j)] + scale * own[(i, j)]).as_ref())
    };
    let model = about(1.0, random)?;
    let subjects = (0..SUBJECTS).map(|_| about(1.5, random)).collect::<Result<Vec<_>>>()?;
    let subjects: Vec<&[f64]> = subjects.iter().map(Vec::as_slice).collect();
    let of = |draws: &[Draw]| -> Result<Vec<Option<f64>>> {
        let all = scores(Measure::Spearman, &[&model], &subjects, draws)?;
        Ok(all.into_iter().map(|score| Some(score?[0])).collect())
    };
    let whole = Draw { subjects: (0..SUBJECTS).collect(), stimuli: (0..stimuli).collect() };
    let score = of(&[whole])?[0].unwrap_or(0.0);
    if !interval {
        return Ok((score, (score, score)));
    }
    let drawn = [Factor::Both, Factor::Subjects, Factor::Stimuli];
    let drawn = drawn.map(|factor| of(&draws(factor, SUBJECTS, stimuli, 300, number)));
    let drawn = drawn
        .into_iter()
        .map(|d| Ok(d?.into_iter().flatten().collect()))
        .collect::<Result<Vec<Vec<f64>>>>()?;
    let left_out = LeftOut::new(stimuli, 300, number);
    let of_pairs = left_out.of_pairs(score, &of(&left_out.draws(SUBJECTS))?);
    let spread = spread(&drawn, of_pairs, (SUBJECTS, stimuli));
    Ok((score, t_interval(score, spread.variance, spread.degrees, 0.95)?))
}

/// 100 stimuli with 20 features, of which a target is a noisy sum, predicted in five folds; with `refits` an interval
/// by so many, else by draws of stimuli.
fn encoding(number: u64, interval: bool, refits: usize) -> Result<(f64, (f64, f64))> {
    const STIMULI: usize = 100;
    const FEATURES: usize = 20;
    let random = &mut Xoshiro256PlusPlus::seed_from_u64(number);
    let x = noise(STIMULI, FEATURES, random);
    let sum = |i: usize| x.row(i).iter().sum::<f64>() / (FEATURES as f64).sqrt();
    let y = Mat::from_fn(STIMULI, 1, |i, _| sum(i) + normal(random));
    let alphas: Vec<f64> = (-2..=6).map(|e| 10_f64.powi(e)).collect();
    let rows: Vec<usize> = (0..STIMULI).collect();
    // Truth and prediction of these rows, each in the fold that it has among all.
    let predicted = |kept: &[usize]| -> Result<(Vec<f64>, Vec<f64>)> {
        let cut = |m: &Mat<f64>| Mat::from_fn(kept.len(), m.ncols(), |i, j| m[(kept[i], j)]);
        let (x, y) = (cut(&x), cut(&y));
        let place = |row: &usize| kept.binary_search(row).ok();
        let held: Vec<Vec<usize>> =
            contiguous(&rows, 5)?.iter().map(|fold| fold.iter().filter_map(place).collect()).collect();
        let found = nested(&Ridge::new(x.as_ref(), y.as_ref())?, &held, 4, &alphas)?;
        Ok((y.col_as_slice(0).to_vec(), found.predictions.col_as_slice(0).to_vec()))
    };
    let (truth, prediction) = predicted(&rows)?;
    let whole = pearson(&truth, &prediction).unwrap_or(0.0);
    if !interval {
        return Ok((whole, (whole, whole)));
    }
    if refits == 0 {
        let of = |all: &[f64], drawn: &[usize]| -> Vec<f64> { drawn.iter().map(|i| all[*i]).collect() };
        let score = |d: &Draw| pearson(&of(&truth, &d.stimuli), &of(&prediction, &d.stimuli)).unwrap_or(0.0);
        let drawn: Vec<f64> = draws(Factor::Stimuli, 1, STIMULI, 500, number).iter().map(score).collect();
        return Ok((whole, percentile_interval(&drawn, 0.95)?));
    }
    let without_part = |part: Vec<usize>| -> Result<f64> {
        let (truth, prediction) = predicted(&without(&rows, &part))?;
        Ok(pearson(&truth, &prediction).unwrap_or(0.0))
    };
    let parts = jackknife::parts(STIMULI, refits, number);
    let scores = parts.into_iter().map(without_part).collect::<Result<Vec<f64>>>()?;
    Ok((whole, t_interval(whole, jackknife::variance(&scores), refits as f64 - 1.0, 0.95)?))
}

fn coverage(experiment: Experiment, count: u64) -> Result<()> {
    let scores = (count..count * (MORE + 1)).into_par_iter().map(|number| Ok(experiment(number, false)?.0));
    let truth = mean(&scores.collect::<Result<Vec<f64>>>()?);
    let intervals = (0..count).into_par_iter().map(|number| Ok(experiment(number, true)?.1));
    let intervals: Vec<(f64, f64)> = intervals.collect::<Result<_>>()?;
    let share =
        |of: &dyn Fn(&(f64, f64)) -> bool| intervals.iter().filter(|i| of(i)).count() as f64 / count as f64;
    let width = mean(&intervals.iter().map(|(low, high)| high - low).collect::<Vec<f64>>());
    println!(
        "truth {truth:.4}: in {:.3} of {count} intervals, below {:.3}, above {:.3}; mean width {width:.3}",
        share(&|(low, high)| (*low..=*high).contains(&truth)),
        share(&|(low, _)| truth < *low),
        share(&|(_, high)| truth > *high),
    );
    Ok(())
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let count = words.get(1).and_then(|n| n.parse().ok());
    match (words.first().map(String::as_str), count) {
        (Some("rsa"), Some(count)) => coverage(|n, i| rsa(n, i, 24), count),
        (Some("rsa-many"), Some(count)) => coverage(|n, i| rsa(n, i, 72), count),
        (Some("encode"), Some(count)) => coverage(|n, i| encoding(n, i, 0), count),
        (Some("refits"), Some(count)) => coverage(|n, i| encoding(n, i, 20), count),
        _ => Err(Error::new("intervals rsa|rsa-many|encode|refits EXPERIMENTS")),
    }
}
