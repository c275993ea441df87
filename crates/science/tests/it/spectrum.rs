//! Eigenpairs, density, trace and noise from products alone.

use proptest::prelude::*;
use science::dynamics::spectrum::{Noise, Probes, Wanted, dense, density, lanczos};
use science::error::{Error, Result};
use science::linalg::{Mat, eigh};

fn matrix(n: usize, seed: u64) -> Mat<f64> {
    let raw =
        |i: usize, j: usize| ((i * 37 + j * 101 + seed as usize * 13) as f64 * 12.9898).sin() * 43758.5453;
    let part = |i: usize, j: usize| raw(i, j) - raw(i, j).floor() - 0.5;
    Mat::from_fn(n, n, |i, j| part(i.min(j), i.max(j)))
}

fn times(a: &Mat<f64>) -> impl FnMut(&[f64]) -> Result<Vec<f64>> + '_ {
    move |v| Ok((0..a.nrows()).map(|i| (0..v.len()).map(|j| a[(i, j)] * v[j]).sum()).collect())
}

fn wanted(largest: usize, smallest: usize) -> Wanted {
    Wanted { largest, smallest, tolerance: 1e-10, products: 10_000, seed: 5 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn lanczos_finds_both_ends_of_the_spectrum(n in 3usize..120, seed in 0u64..1000, top in 1usize..6, bottom in 0usize..5) {
        prop_assume!(top + bottom <= n);
        let a = matrix(n, seed);
        let (values, _) = eigh(a.as_ref()).unwrap();
        let found = lanczos(n, &wanted(top, bottom), &mut times(&a)).unwrap();
        prop_assert!(found.converged);
        let scale = values[0].abs().max(values[n - 1].abs());
        let exact = values[..top].iter().chain(&values[n - bottom..]);
        for (pair, value) in found.pairs.iter().zip(exact) {
            prop_assert!((pair.value - value).abs() < 1e-9 * scale, "{} {}", pair.value, value);
            prop_assert!(pair.residual < 1e-9 * scale);
            prop_assert!((pair.vector.iter().map(|v| v * v).sum::<f64>() - 1.0).abs() < 1e-12);
        }
        for (i, p) in found.pairs.iter().enumerate() {
            for q in &found.pairs[..i] {
                prop_assert!(p.vector.iter().zip(&q.vector).map(|(a, b)| a * b).sum::<f64>().abs() < 1e-8);
            }
        }
    }
}

#[test]
fn of_an_eigenvalue_that_stands_three_times_one_vector_is_found() {
    let diagonal = |i: usize| if i < 3 { 2.0 } else { 1.0 / i as f64 };
    let a = Mat::from_fn(60, 60, |i, j| if i == j { diagonal(i) } else { 0.0 });
    let found = lanczos(60, &wanted(3, 0), &mut times(&a)).unwrap();
    let values: Vec<f64> = found.pairs.iter().map(|p| p.value).collect();
    assert!(values.iter().zip([2.0, 1.0 / 3.0, 0.25]).all(|(v, w)| (v - w).abs() < 1e-9), "{values:?}");
}

#[test]
fn too_few_products_are_said() {
    let a = matrix(200, 1);
    let found = lanczos(200, &Wanted { products: 30, ..wanted(3, 0) }, &mut times(&a)).unwrap();
    assert!(!found.converged);
    assert!(lanczos(200, &wanted(201, 0), &mut times(&a)).is_err());
    let mut broken = |v: &[f64]| -> Result<Vec<f64>> { Ok(vec![f64::NAN; v.len()]) };
    assert!(lanczos(20, &wanted(1, 0), &mut broken).unwrap_err().0.contains("no numbers"));
    let mut failing = |_: &[f64]| -> Result<Vec<f64>> { Err(Error::new("stopped")) };
    assert_eq!(lanczos(20, &wanted(1, 0), &mut failing).unwrap_err().0, "stopped");
}

#[test]
fn the_dense_way_finds_all() {
    let a = matrix(40, 3);
    let (values, _) = eigh(a.as_ref()).unwrap();
    let found = dense(40, &mut times(&a)).unwrap();
    assert!(found.values.iter().zip(&values).all(|(a, b)| (a - b).abs() < 1e-12));
    assert!(found.residuals.iter().all(|r| *r < 1e-12) && found.asymmetry == 0.0);
    assert!((found.trace - values.iter().sum::<f64>()).abs() < 1e-12);
}

#[test]
fn the_density_has_integral_one_and_the_trace_is_within_its_error() {
    let a = matrix(150, 7);
    let probes = Probes { vectors: 40, steps: 40, points: 400, seed: 2 };
    let found = density(150, &probes, &mut times(&a)).unwrap();
    let step = found.curve[1].0 - found.curve[0].0;
    let total: f64 = found.curve.iter().map(|(_, d)| d * step).sum();
    assert!((total - 1.0).abs() < 1e-3, "{total}");
    let trace: f64 = (0..150).map(|i| a[(i, i)]).sum();
    assert!(
        (found.trace - trace).abs() < 4.0 * found.trace_error,
        "{} ± {}: {trace}",
        found.trace,
        found.trace_error
    );
    // The mean of the curve is the trace over the size.
    let mean: f64 = found.curve.iter().map(|(x, d)| x * d * step).sum();
    assert!((mean - found.trace / 150.0).abs() < 1e-3);
}

#[test]
fn noise_is_the_covariance_of_gradients() {
    let gradients = Mat::from_fn(5, 12, |i, j| ((i * 7 + j * 3) as f64).sin());
    let unit = Mat::from_fn(5, 5, |i, j| if i == j { 1.0 } else { 0.0 });
    let mut noise = Noise::new(5, 5);
    noise.add(unit.as_ref(), gradients.as_ref().subcols(0, 7));
    noise.add(unit.as_ref(), gradients.as_ref().subcols(7, 5));
    let mean = |i: usize| (0..12).map(|j| gradients[(i, j)]).sum::<f64>() / 12.0;
    let along = noise.along();
    for i in 0..5 {
        let c = (0..12).map(|j| (gradients[(i, j)] - mean(i)).powi(2)).sum::<f64>() / 12.0;
        assert!((along[i] - c).abs() < 1e-12 && (noise.gradient()[i] - mean(i)).abs() < 1e-12);
    }
    assert!((noise.trace() - along.iter().sum::<f64>()).abs() < 1e-12);
}
