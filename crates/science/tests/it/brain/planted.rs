//! Planted truths: what is known beforehand must be found.

use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
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
