//! Whitening of RDMs: dissimilarities that share a condition covary.
//!
//! For independent conditions with equal noise, V = (C Cᵀ)² elementwise with C the pairwise contrasts
//! (Diedrichsen et al. 2020). V = 2 I + B Bᵀ with B the pairs × conditions incidence, and BᵀB =
//! (n − 2) I + 1 1ᵀ, so that the inverse is exact and takes one pass over the pairs:
//! V⁻¹ x = ½ (x − B u), u = (Bᵀx − 1 · Σ(Bᵀx) ÷ 2n) ÷ n.

use crate::error::Result;
use crate::linalg::{Mat, solve_positive};

use super::pairs;

/// V⁻¹ x of an RDM of `n` conditions.
pub(super) fn solve(x: &[f64], n: usize) -> Vec<f64> {
    let mut sums = vec![0.0; n];
    for ((i, j), value) in pairs(n).zip(x) {
        sums[i] += value;
        sums[j] += value;
    }
    let all: f64 = sums.iter().sum();
    let shift = |s: f64| (s - all / (2 * n) as f64) / n as f64;
    let shifts: Vec<f64> = sums.into_iter().map(shift).collect();
    pairs(n).zip(x).map(|((i, j), value)| 0.5 * (value - shifts[i] - shifts[j])).collect()
}

/// V⁻¹ x where only the pairs `kept` of `n` conditions are there: the same identity with
/// (2 I + BᵀB) of those pairs, solved by Cholesky.
pub(super) fn solve_among(x: &[f64], n: usize, kept: &[(usize, usize)]) -> Result<Vec<f64>> {
    let mut inner = Mat::from_fn(n, n, |i, j| if i == j { 2.0 } else { 0.0 });
    let mut sums = Mat::zeros(n, 1);
    for ((i, j), value) in kept.iter().copied().zip(x) {
        inner[(i, i)] += 1.0;
        inner[(j, j)] += 1.0;
        inner[(i, j)] += 1.0;
        inner[(j, i)] += 1.0;
        sums[(i, 0)] += value;
        sums[(j, 0)] += value;
    }
    let shifts = solve_positive(inner.as_ref(), sums.as_ref())?;
    Ok(kept.iter().zip(x).map(|((i, j), v)| 0.5 * (v - shifts[(*i, 0)] - shifts[(*j, 0)])).collect())
}

/// The double-centred kernel −½ H D H as full rows (n × n), of squared distances.
pub(super) fn kernel(x: &[f64], n: usize) -> Vec<f64> {
    let mut full = vec![0.0; n * n];
    for ((i, j), value) in pairs(n).zip(x) {
        full[i * n + j] = -0.5 * value;
        full[j * n + i] = -0.5 * value;
    }
    let means: Vec<f64> = full.chunks(n).map(super::stats::mean).collect();
    let all = super::stats::mean(&means);
    for i in 0..n {
        for j in 0..n {
            full[i * n + j] += all - means[i] - means[j];
        }
    }
    full
}

/// Vector whose inner product is the whitened one for conditions of unequal variance: entries of the
/// centred kernel ÷ √(sᵢ sⱼ), those off the diagonal × √2.
pub(super) fn by_variance(x: &[f64], n: usize, variances: &[f64]) -> Vec<f64> {
    let full = kernel(x, n);
    let entry =
        |i: usize, j: usize, weight: f64| weight * full[i * n + j] / (variances[i] * variances[j]).sqrt();
    let diagonal = (0..n).map(|i| entry(i, i, 1.0));
    diagonal.chain(pairs(n).map(|(i, j)| entry(i, j, std::f64::consts::SQRT_2))).collect()
}

#[cfg(test)]
mod cases {
    use super::*;

    #[test]
    fn the_closed_form_and_the_factored_one_undo_v() {
        let n = 7;
        let all: Vec<(usize, usize)> = pairs(n).collect();
        let x: Vec<f64> = (0..all.len()).map(|k| ((k * 37) % 11) as f64 - 4.0).collect();
        let kept: Vec<(usize, usize)> = all.iter().copied().filter(|(i, j)| (i + j) % 3 > 0).collect();
        for (list, solved) in [(&all, solve(&x, n)), (&kept, solve_among(&x, n, &kept).unwrap())] {
            for (row, (i, j)) in list.iter().enumerate() {
                let shared =
                    |(a, b): &(usize, usize)| [a, b].into_iter().filter(|c| *c == i || *c == j).count();
                let v = |k: usize| [0.0, 1.0, 4.0][shared(&list[k])];
                let back: f64 = solved.iter().enumerate().map(|(k, s)| v(k) * s).sum();
                assert!((back - x[row]).abs() < 1e-12, "{back} {}", x[row]);
            }
        }
    }
}
