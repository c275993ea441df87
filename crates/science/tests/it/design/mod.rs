//! The next experiment: the golden cases, exhaustive search, simulated subjects.

mod degenerate;
mod golden;
mod laws;
mod recovery;
mod synthesis;

use science::design::answers::{Answers, Link};
use science::linalg::Mat;

/// A number in [0, 1) from a place and a seed: a fixed, uneven pattern.
fn pattern(i: usize, seed: u64) -> f64 {
    let mut x = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed.wrapping_mul(0xD1B5_4A32_D192_ED03);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Uneven features (stimuli × p).
fn features(stimuli: usize, p: usize, seed: u64) -> Mat<f64> {
    Mat::from_fn(stimuli, p, |i, j| pattern(i * p + j, seed) - 0.5)
}

/// Models that agree on most stimuli and differ on a few.
fn similar_models(models: usize, stimuli: usize, classes: usize, seed: u64) -> Answers {
    let common = |s: usize, c: usize| 6.0 * pattern(s * classes + c, seed);
    let own = |m: usize, s: usize, c: usize| {
        let odd = pattern(m * stimuli + s, seed ^ 7) < 0.1;
        let z = pattern((m * stimuli + s) * classes + c, seed ^ 99);
        common(s, c) + if odd { 6.0 * z } else { 0.4 * z }
    };
    let outputs: Vec<Vec<f64>> = (0..models)
        .map(|m| (0..stimuli * classes).map(|i| own(m, i / classes, i % classes)).collect())
        .collect();
    let rows: Vec<&[f64]> = outputs.iter().map(Vec::as_slice).collect();
    Answers::new(&rows, classes, Link::Softmax, 1.0).unwrap()
}
