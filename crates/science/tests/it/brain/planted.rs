//! Planted truths: what is known beforehand must be found.

use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use science::brain::encode::curve::{Repeated, Settings, orders, point};
use science::brain::encode::folds::contiguous;
use science::brain::encode::nested::nested;
use science::brain::encode::ridge::Ridge;
use science::brain::reliability::{Repeats, normalize, split_half};
use science::brain::stats::{mean, pearson, variance};
use science::linalg::Mat;

fn normal(rows: usize, columns: usize, seed: u64) -> Mat<f64> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    Mat::from_fn(rows, columns, |_, _| StandardNormal.sample(&mut random))
}

#[test]
fn features_of_noise_score_within_two_standard_errors_of_zero() {
    let (x, y) = (normal(200, 50, 1), normal(200, 100, 2));
    let rows: Vec<usize> = (0..200).collect();
    let alphas: Vec<f64> = (0..6).map(|e| 10_f64.powi(e)).collect();
    let ridge = Ridge::new(x.as_ref(), y.as_ref()).unwrap();
    let folds = contiguous(&rows, 5).unwrap();
    let found = nested(&ridge, &folds, 4, &alphas).unwrap();
    // Within folds: the mean of the other folds is itself correlated with what is held out.
    let score = |j: usize| -> f64 {
        let of = |m: &Mat<f64>, held: &[usize]| -> Vec<f64> { held.iter().map(|i| m[(*i, j)]).collect() };
        let one = |held: &Vec<usize>| pearson(&of(&y, held), &of(&found.predictions, held)).unwrap();
        folds.iter().map(one).sum::<f64>() / folds.len() as f64
    };
    let scores: Vec<f64> = (0..100).map(score).collect();
    let error = (variance(&scores) / 100.0).sqrt();
    println!("noise scores {:.4} with a standard error of {error:.4}", mean(&scores));
    assert!(mean(&scores).abs() < 2.0 * error);
}

#[test]
fn a_perfect_model_reaches_the_ceiling() {
    let (stimuli, repeats, voxels) = (400, 6, 40);
    let truth = normal(stimuli, voxels, 3);
    let noise = normal(stimuli * repeats, voxels, 4);
    let splits: Vec<Vec<usize>> =
        (0..20).map(|s| science::brain::bootstrap::permutation(repeats, 1, s)).collect();
    let normalized = |v: usize| -> f64 {
        let values: Vec<f64> =
            (0..stimuli * repeats).map(|i| truth[(i / repeats, v)] + 1.5 * noise[(i, v)]).collect();
        let data = Repeats { values: &values, repeats };
        let reliability = split_half(data, &splits).unwrap().mean_of_sb;
        let raw = pearson(truth.col_as_slice(v), &data.means()).unwrap();
        normalize(raw, reliability).unwrap().0
    };
    let scores: Vec<f64> = (0..voxels).map(normalized).collect();
    let error = (variance(&scores) / voxels as f64).sqrt();
    println!("the true model scores {:.4} of the ceiling, standard error {error:.4}", mean(&scores));
    assert!((mean(&scores) - 1.0).abs() < 0.02, "{}", mean(&scores));
}

/// Twenty features carry all of the signal S. Of responses with noise of variance σ² ÷ m, least squares on n rows finds
/// a map whose predictions have the error e = σ² ÷ m · p ÷ (n − p − 1): they correlate with the responses by
/// S ÷ √((S + σ² ÷ m) (S + e)), here within three standard errors of a correlation over 3 × 600 rows.
#[test]
fn a_learning_curve_rises_to_what_the_noise_leaves() {
    let (stimuli, repeats, features, noise) = (600, 16, 20, 2.0);
    let (x, weights) = (normal(stimuli, features, 11), normal(features, 3, 12));
    let truth = &x * &weights;
    let spread = noise * (features as f64).sqrt();
    let errors = normal(stimuli * repeats, 3, 13);
    let values = Mat::from_fn(stimuli * repeats, 3, |i, j| truth[(i / repeats, j)] + spread * errors[(i, j)]);
    let y = Repeated { values: values.as_ref(), repeats };
    let settings = Settings { folds: 5, inner: 4, alphas: vec![1e-3, 1.0, 1e3] };
    let orders = orders(stimuli, repeats, 8, 1);
    let at = |n: usize, m: usize| point(x.as_ref(), y, (n, m), &orders, &settings).unwrap();
    for m in [1, 4, 16] {
        let signal = (0..3).map(|j| variance(truth.col_as_slice(j))).sum::<f64>() / 3.0;
        let rest = spread * spread / m as f64;
        let error = rest * features as f64 / (0.8 * stimuli as f64 - features as f64 - 1.0);
        let expected = signal / ((signal + rest) * (signal + error)).sqrt();
        let curve: Vec<_> = [30, 100, 300, 600].map(|n| at(n, m)).into();
        println!("{m} repeats: {curve:.3?}, in the end {expected:.3} expected");
        assert!(curve.windows(2).all(|w| w[1].score > w[0].score));
        let last = curve[3];
        let three_errors = 3.0 * (1.0 - expected * expected) / (3.0 * stimuli as f64).sqrt();
        assert!((last.score - expected).abs() < three_errors, "{last:?} {expected}");
    }
    // All stimuli and all repeats are one sample: draws do not differ, nor do runs.
    assert!(at(600, 16).error == 0.0 && at(100, 4).error > 0.0);
    assert_eq!(at(100, 4), at(100, 4));
    assert!(point(x.as_ref(), y, (601, 1), &orders, &settings).is_err());
    assert!(point(x.as_ref(), y, (600, 0), &orders, &settings).is_err());
    assert!(point(x.as_ref(), y, (100, 1), &orders[..1], &settings).is_err());
}

#[test]
fn a_larger_sample_holds_the_smaller() {
    let all = orders(9, 4, 3, 5);
    assert_eq!(all, orders(9, 4, 3, 5));
    assert_ne!(all, orders(9, 4, 3, 6));
    for order in &all {
        let mut sorted = order.stimuli.clone();
        sorted.sort_unstable();
        assert_eq!((sorted, order.repeats.len()), ((0..9).collect(), 4));
    }
    assert!(all[0] != all[1] && all[1] != all[2]);
}
