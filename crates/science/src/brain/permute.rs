//! Do a model's dissimilarities belong to these very stimuli? A test by permutation of the stimulus labels
//! (Kriegeskorte et al. 2008): under the hypothesis that model and subjects are unrelated, any order is as good.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use crate::error::Result;
use crate::linalg::Mat;

use super::bootstrap::permutation;
use super::{conditions, pairs};

/// Sums of the same numbers in another order differ by rounding; such a draw counts as equal.
const ROUNDING: f64 = 1e-12;

/// For every model the one-sided p-value of its mean similarity with the subjects, as `compare` (models × subjects)
/// measures it: (1 + permutations that give as much or more) ÷ (1 + permutations). Every permutation turns the labels
/// of all models alike, so that what subjects share is kept. It cannot be below 1 ÷ (1 + permutations).
///
/// # Errors
/// Those of `compare`.
pub fn p_values(
    models: &[&[f64]],
    subjects: &[&[f64]],
    compare: impl Fn(&[&[f64]], &[&[f64]]) -> Result<Mat<f64>> + Sync,
    permutations: usize,
    seed: u64,
) -> Result<Vec<f64>> {
    let n = conditions(subjects.first().map_or(0, |s| s.len()))?;
    let means = |models: &[&[f64]]| -> Result<Vec<f64>> {
        let found = compare(models, subjects)?;
        let mean = |m| found.row(m).iter().sum::<f64>() / subjects.len() as f64;
        Ok((0..models.len()).map(mean).collect())
    };
    let own = means(models)?;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let seeds: Vec<u64> = (0..permutations).map(|_| random.next_u64()).collect();
    let draws = seeds.par_iter().map(|seed| {
        let order = permutation(n, *seed, 0);
        let turned: Vec<Vec<f64>> = models.iter().map(|rdm| relabelled(rdm, &order)).collect();
        means(&turned.iter().map(Vec::as_slice).collect::<Vec<_>>())
    });
    let draws = draws.collect::<Result<Vec<_>>>()?;
    let p = |(model, value): (usize, &f64)| {
        let hits = draws.iter().filter(|draw| draw[model] >= value - ROUNDING).count();
        (1 + hits) as f64 / (1 + permutations) as f64
    };
    Ok(own.iter().enumerate().map(p).collect())
}

/// The RDM whose condition `i` is condition `order[i]` of `rdm`.
fn relabelled(rdm: &[f64], order: &[usize]) -> Vec<f64> {
    let n = order.len();
    let value = |(i, j): (usize, usize)| {
        let (a, b) = (order[i].min(order[j]), order[i].max(order[j]));
        rdm[a * n - a * (a + 1) / 2 + (b - a - 1)]
    };
    pairs(n).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brain::compare::{Measure, compare};

    /// Numbers without a pattern, one for each pair of `n` conditions.
    fn rdm(n: usize, salt: u64) -> Vec<f64> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(salt);
        pairs(n).map(|_| (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64).collect()
    }

    #[test]
    fn labels_go_with_their_values() {
        // Pairs (0,1) (0,2) (1,2) of conditions 2, 0, 1 are those of (2,0) (2,1) (0,1).
        assert_eq!(relabelled(&[1.0, 2.0, 3.0], &[2, 0, 1]), [2.0, 3.0, 1.0]);
        assert_eq!(relabelled(&rdm(5, 1), &[0, 1, 2, 3, 4]), rdm(5, 1));
    }

    #[test]
    fn all_orders_of_three_conditions_give_the_exact_share() {
        // Of the six orders of three different dissimilarities one gives the correlation 1.
        let one = [1.0, 2.0, 4.0];
        let p = p_values(&[&one], &[&one], |a, b| compare(Measure::Correlation, a, b), 6000, 3).unwrap()[0];
        assert!((p - 1.0 / 6.0).abs() < 0.02, "{p}");
    }

    #[test]
    fn the_true_model_is_told_from_chance_and_chance_is_uniform() {
        let truth = rdm(12, 1);
        let by_rank = |a: &[&[f64]], b: &[&[f64]]| compare(Measure::Spearman, a, b);
        let p = p_values(&[&truth, &rdm(12, 2)], &[&truth, &truth], by_rank, 199, 7).unwrap();
        assert_eq!(p[0], 1.0 / 200.0);
        assert!(p[1] > 0.05, "{}", p[1]);
        // P-values of unrelated models: their mean is a half, 0.29 / √60 apart.
        let models: Vec<Vec<f64>> = (0..60).map(|m| rdm(12, 100 + m)).collect();
        let models: Vec<&[f64]> = models.iter().map(Vec::as_slice).collect();
        let p = p_values(&models, &[&truth], by_rank, 199, 7).unwrap();
        let mean = p.iter().sum::<f64>() / 60.0;
        assert!((mean - 0.5).abs() < 3.0 * 0.29 / 60.0_f64.sqrt(), "{mean}");
        assert_eq!(p, p_values(&models, &[&truth], by_rank, 199, 7).unwrap());
    }
}
