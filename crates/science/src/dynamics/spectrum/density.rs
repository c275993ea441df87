//! The density of the spectrum and the trace, from random vectors.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use super::Apply;
use super::krylov::{Krylov, sign};
use crate::error::Error;

/// Width of the curve around a node, as a part of the range of the spectrum.
const WIDTH: f64 = 0.01;

/// How many random vectors, and how many products with each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probes {
    /// Random vectors of ±1.
    pub vectors: usize,
    /// Products with each.
    pub steps: usize,
    /// Values of the curve.
    pub points: usize,
    /// Seed of the vectors.
    pub seed: u64,
}

/// Where the eigenvalues lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Density {
    /// Eigenvalues and the density at them, whose integral is 1.
    pub curve: Vec<(f64, f64)>,
    /// Hutchinson's estimate of Σ A_ii.
    pub trace: f64,
    /// Its standard error over the vectors; no number for a single one.
    pub trace_error: f64,
}

/// The density of an n × n matrix's spectrum by stochastic Lanczos quadrature (Ubaru, Chen and Saad 2017), and on the
/// way its trace (Hutchinson 1989).
///
/// # Errors
/// If there is no vector, no step or no point, or a product holds what is no number.
pub fn density<E: From<Error>>(n: usize, probes: &Probes, apply: Apply<'_, E>) -> Result<Density, E> {
    if n == 0 || probes.vectors == 0 || probes.steps == 0 || probes.points < 2 {
        return Err(Error::new("a density needs a vector, a step and two points").into());
    }
    let mut random = Xoshiro256PlusPlus::seed_from_u64(probes.seed);
    let (mut nodes, mut traces) = (Vec::new(), Vec::new());
    for _ in 0..probes.vectors {
        let start: Vec<f64> = (0..n).map(|_| sign(&mut random)).collect();
        let mut krylov = Krylov::new(&start, probes.steps.min(n), random.clone());
        while !krylov.is_full() {
            krylov.grow(apply)?;
        }
        let (values, vectors, _) = krylov.ritz()?;
        let weights: Vec<f64> = (0..values.len()).map(|k| vectors[(0, k)].powi(2)).collect();
        // vᵀ A v = n Σ w θ, for the rule is exact for a polynomial of degree one.
        traces.push(n as f64 * values.iter().zip(&weights).map(|(v, w)| v * w).sum::<f64>());
        nodes.extend(values.into_iter().zip(weights));
    }
    let (low, high) =
        nodes.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), (v, _)| (l.min(*v), h.max(*v)));
    let width = (WIDTH * (high - low)).max(f64::EPSILON * high.abs().max(1.0));
    let (from, to) = (low - 4.0 * width, high + 4.0 * width);
    let share = 1.0 / (probes.vectors as f64 * width * (2.0 * std::f64::consts::PI).sqrt());
    let at = |k: usize| {
        let x = from + (to - from) * k as f64 / (probes.points - 1) as f64;
        let near = nodes.iter().map(|(v, w)| w * (-0.5 * ((x - v) / width).powi(2)).exp());
        (x, share * near.sum::<f64>())
    };
    let curve = (0..probes.points).map(at).collect();
    let count = traces.len() as f64;
    let trace = traces.iter().sum::<f64>() / count;
    let square: f64 = traces.iter().map(|t| (t - trace).powi(2)).sum();
    Ok(Density { curve, trace, trace_error: (square / (count - 1.0) / count).sqrt() })
}
