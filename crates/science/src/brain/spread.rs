//! How far a score that compares RDMs would go in another experiment, with other subjects and other stimuli.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use super::bootstrap::Draw;
use super::{pairs, stats};
use crate::random::below;

/// The variance of a score, and how many degrees of freedom its estimate has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Variance of the score.
    pub variance: f64,
    /// Degrees of freedom for Student's t.
    pub degrees: f64,
}

/// Every stimulus left out once, then pairs of stimuli.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    stimuli: usize,
    pairs: Vec<(usize, usize)>,
}

impl LeftOut {
    /// All pairs of `stimuli`, or `count` random ones where there are more.
    pub fn new(stimuli: usize, count: usize, seed: u64) -> Self {
        let all = stimuli * stimuli.saturating_sub(1) / 2;
        if all <= count {
            return LeftOut { stimuli, pairs: pairs(stimuli).collect() };
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let pair = |_| {
            let (first, second) = (below(&mut random, stimuli), below(&mut random, stimuli - 1));
            if second < first { (second, first) } else { (first, second + 1) }
        };
        LeftOut { stimuli, pairs: (0..count).map(pair).collect() }
    }

    /// What is left out of each of [`LeftOut::draws`].
    pub fn stimuli(&self) -> impl Iterator<Item = Vec<usize>> {
        let pairs = self.pairs.iter().map(|(i, j)| vec![*i, *j]);
        (0..self.stimuli).map(|i| vec![i]).chain(pairs)
    }

    /// Samples of all `subjects` and of the stimuli that are left.
    pub fn draws(&self, subjects: usize) -> Vec<Draw> {
        let left = |out: Vec<usize>| Draw {
            subjects: (0..subjects).collect(),
            stimuli: (0..self.stimuli).filter(|i| !out.contains(i)).collect(),
        };
        self.stimuli().map(left).collect()
    }

    /// The variance that a score has from pairs of stimuli, beyond what each stimulus brings by itself, from the
    /// `whole` score and those of [`LeftOut::draws`]; pairs with an undefined score are passed over.
    ///
    /// Interactions of Efron and Stein (1981): Qᵢⱼ = n·θ − (n − 1)·(θ₍ᵢ₎ + θ₍ⱼ₎) + (n − 2)·θ₍ᵢⱼ₎. Half their mean square,
    /// times (n − 3) ÷ n, is that variance: exactly so, on average, for the mean of independent values of pairs, whose
    /// Qᵢⱼ have the variance 4 ÷ ((n − 1)(n − 3)). It is 0 where there are three stimuli or fewer.
    pub fn of_pairs(&self, whole: f64, scores: &[Option<f64>]) -> f64 {
        let n = self.stimuli as f64;
        let (single, double) = scores.split_at(self.stimuli.min(scores.len()));
        let square = |(pair, both): (&(usize, usize), &Option<f64>)| {
            let q = n * whole - (n - 1.0) * (single[pair.0]? + single[pair.1]?) + (n - 2.0) * (*both)?;
            Some(q * q)
        };
        let squares: Vec<f64> = self.pairs.iter().zip(double).filter_map(square).collect();
        if squares.is_empty() || n <= 3.0 { 0.0 } else { stats::mean(&squares) / 2.0 * (n - 3.0) / n }
    }
}

/// Over new subjects and new stimuli, from `bootstraps`: the scores of draws of both factors, of subjects and of stimuli,
/// or of stimuli alone where there is one subject. `sizes` are the numbers of subjects and stimuli.
///
/// A bootstrap of both factors alone counts the measurement noise too often; Schütt et al. (2023) take
/// c·s + d·t − c·d·(b − s − t), with b, s and t the variances of draws of both, of subjects and of stimuli and
/// c, d = n ÷ (n − 1) of either factor; never less than c·s or d·t, never more than b. A score of RDMs is one of pairs of
/// stimuli besides: drawing stimuli anew counts too often what belongs to a pair, for both of its members are drawn.
/// `of_pairs` ([`LeftOut::of_pairs`]) is taken from d·t once, at most half of it. By that intervals of correlations of
/// RDMs hold what they say (simulated by the example `intervals`); those of a plain mean over pairs, of which draws
/// count such noise three times, stay too wide. It is 0 for a score that is a mean over stimuli.
///
/// Degrees of freedom are Satterthwaite's: stimuli have one less than they are for their variance, subjects for what
/// they add to it.
pub fn spread(bootstraps: &[Vec<f64>], of_pairs: f64, sizes: (usize, usize)) -> Spread {
    let less = |n: usize| n.saturating_sub(1).max(1) as f64;
    let correct = |n: usize| n as f64 / less(n);
    let over_stimuli = |t: f64| {
        let variance = t * correct(sizes.1);
        variance - of_pairs.clamp(0.0, variance / 2.0)
    };
    match bootstraps {
        [both, by_subjects, by_stimuli] => {
            let [b, s, t] = [both, by_subjects, by_stimuli].map(|drawn| stats::variance(drawn));
            let (over_subjects, own) = (correct(sizes.0) * s, over_stimuli(t));
            let twice = correct(sizes.0) * correct(sizes.1) * (b - s - t);
            let variance = (over_subjects + own - twice).min(b).max(over_subjects).max(own);
            let parts = own.powi(2) / less(sizes.1) + (variance - own).powi(2) / less(sizes.0);
            let degrees = if parts > 0.0 { variance.powi(2) / parts } else { less(sizes.1) };
            Spread { variance, degrees }
        }
        [by_stimuli] => {
            Spread { variance: over_stimuli(stats::variance(by_stimuli)), degrees: less(sizes.1) }
        }
        _ => Spread { variance: f64::NAN, degrees: less(sizes.1) },
    }
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    /// The score of all pairs and those of what is left, of the mean over the pairs of what is left.
    fn scores(n: usize, left_out: &LeftOut, of: impl Fn(usize, usize) -> f64) -> (f64, Vec<Option<f64>>) {
        let mean = |kept: &[usize]| {
            let values: Vec<f64> = pairs(kept.len()).map(|(i, j)| of(kept[i], kept[j])).collect();
            stats::mean(&values)
        };
        let left = left_out.draws(1).iter().map(|draw| Some(mean(&draw.stimuli))).collect();
        (mean(&(0..n).collect::<Vec<_>>()), left)
    }

    #[test]
    fn what_each_stimulus_brings_by_itself_is_none_of_pairs() {
        let left_out = LeftOut::new(9, 100, 0);
        let (whole, left) = scores(9, &left_out, |i, j| ((i * i) % 7 + (j * j) % 7) as f64);
        assert!(left_out.of_pairs(whole, &left) < 1e-20);
    }

    /// Independent noise of variance 1 on every pair: its mean has the variance 2 ÷ (n(n − 1)).
    #[test]
    fn noise_of_pairs_is_all_of_pairs() {
        let (n, times) = (12, 400);
        // Some pairs tell what all tell, on average.
        for count in [1000, 40] {
            let found: Vec<f64> = (0..times)
                .map(|seed| {
                    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
                    let noise: Vec<f64> = (0..n * n).map(|_| StandardNormal.sample(&mut random)).collect();
                    let left_out = LeftOut::new(n, count, seed);
                    let (whole, left) = scores(n, &left_out, |i, j| noise[i * n + j]);
                    left_out.of_pairs(whole, &left)
                })
                .collect();
            let exact = 2.0 / (n * (n - 1)) as f64;
            let error = (stats::variance(&found) / times as f64).sqrt();
            assert!((stats::mean(&found) - exact).abs() < 4.0 * error, "{}", stats::mean(&found) / exact);
        }
    }

    #[test]
    fn a_pair_is_of_two_and_its_scores_may_be_undefined() {
        let some = LeftOut::new(30, 50, 3);
        assert_eq!(some.draws(2).len(), 30 + 50);
        assert!(some.pairs.iter().all(|(i, j)| i < j && *j < 30));
        let none = vec![None; 80];
        assert_eq!(some.of_pairs(1.0, &none), 0.0);
    }

    #[test]
    fn degrees_are_those_of_the_factor_that_varies() {
        let flat = vec![1.0; 50];
        let spread_out: Vec<f64> = (0..50).map(f64::from).collect();
        let of = |drawn: [&Vec<f64>; 3]| spread(&drawn.map(Vec::clone), 0.0, (5, 41));
        assert!((of([&spread_out, &flat, &spread_out]).degrees - 40.0).abs() < 1e-9);
        assert!((of([&spread_out, &spread_out, &flat]).degrees - 4.0).abs() < 1e-9);
        assert_eq!(of([&flat, &flat, &flat]).degrees, 40.0);
    }
}
