//! The delete-a-group jackknife: how far a number of a whole analysis would go in another experiment, from the same
//! analysis without one part of the rows after the other.

use super::{bootstrap, stats};

/// `rows` rows in `count` parts of nearly the same size, drawn at random, each part ascending.
pub fn parts(rows: usize, count: usize, seed: u64) -> Vec<Vec<usize>> {
    let order = bootstrap::permutation(rows, seed, 0);
    let part = |first: usize| {
        let mut part: Vec<usize> = order.iter().copied().skip(first).step_by(count.max(1)).collect();
        part.sort_unstable();
        part
    };
    (0..count).map(part).collect()
}

/// Variance of an analysis's number, from what it is without each of g parts: (g − 1) ÷ g · Σ(θ − θ̄)².
///
/// Where fits and scores share rows, as in cross-validation, it is on average too large rather than too small (Efron
/// and Stein 1981).
pub fn variance(without: &[f64]) -> f64 {
    let g = without.len() as f64;
    (g - 1.0) * (g - 1.0) / g * stats::variance(without)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_part() {
        let parts = parts(23, 5, 3);
        let mut all = parts.concat();
        all.sort_unstable();
        assert_eq!(all, (0..23).collect::<Vec<_>>());
        assert!(parts.iter().all(|p| p.len() == 4 || p.len() == 5), "{parts:?}");
    }

    #[test]
    fn of_a_mean_it_is_the_variance_of_the_mean() {
        let values: Vec<f64> = (0..12).map(|i| f64::from(i * i % 7)).collect();
        let sum: f64 = values.iter().sum();
        let without: Vec<f64> = values.iter().map(|v| (sum - v) / 11.0).collect();
        assert!((variance(&without) - stats::variance(&values) / 12.0).abs() < 1e-12);
    }
}
