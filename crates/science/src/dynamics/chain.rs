//! The steps of one chain of SGD on linear regression: what an ensemble spends its time in.
//!
//! Rows come eight or four at a time, so that the parameters and the gradient are read once for all of them. Sums are
//! made in the lanes of the processor at hand: their last bits depend on it, not on threads.

use pulp::{Arch, Simd, WithSimd};

use super::Sgd;
use super::regression::Regression;

/// Rows are filled up with zeros to a multiple of this, the most lanes that a processor has.
const LANES: usize = 8;

/// The data row by row, in the eigenbasis; behind it a row of zeros, which fills the last block of a batch.
pub(super) struct Rows {
    x: Vec<f64>,
    y: Vec<f64>,
    features: usize,
    /// Numbers of a row.
    width: usize,
    arch: Arch,
}

impl Rows {
    pub(super) fn of(p: &Regression) -> Self {
        let (n, features) = (p.rows(), p.features());
        let width = features.next_multiple_of(LANES);
        let value = |i: usize, j: usize| if i < n && j < features { p.x[(i, j)] } else { 0.0 };
        let x = (0..=n).flat_map(|i| (0..width).map(move |j| (i, j))).map(|(i, j)| value(i, j)).collect();
        let y = p.y.iter().copied().chain([0.0]).collect();
        Rows { x, y, features, width, arch: Arch::new() }
    }
}

/// Where a chain is.
pub(super) struct Chain {
    theta: Vec<f64>,
    buffer: Vec<f64>,
    gradient: Vec<f64>,
    features: usize,
}

impl Chain {
    /// At rest at `start`, in the eigenbasis.
    pub(super) fn new(rows: &Rows, start: &[f64]) -> Self {
        let zero = vec![0.0; rows.width];
        let mut theta = zero.clone();
        theta.iter_mut().zip(start).for_each(|(t, s)| *t = *s);
        Chain { theta, buffer: zero.clone(), gradient: zero, features: rows.features }
    }

    /// θ, in the eigenbasis.
    pub(super) fn theta(&self) -> &[f64] {
        &self.theta[..self.features]
    }

    /// Minus the velocity.
    pub(super) fn buffer(&self) -> &[f64] {
        &self.buffer[..self.features]
    }

    /// One step with the rows of `batch`, of which each must exist.
    pub(super) fn step(&mut self, rows: &Rows, sgd: &Sgd, batch: &[u32]) {
        rows.arch.dispatch(Step { chain: self, rows, sgd, batch });
    }
}

struct Step<'a> {
    chain: &'a mut Chain,
    rows: &'a Rows,
    sgd: &'a Sgd,
    batch: &'a [u32],
}

impl WithSimd for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Step { chain, rows, sgd, batch } = self;
        chain.gradient.fill(0.0);
        let theta = S::as_simd_f64s(&chain.theta).0;
        let gradient = S::as_mut_simd_f64s(&mut chain.gradient).0;
        let (blocks, rest) = batch.as_chunks::<8>();
        for block in blocks {
            add(simd, rows, block, theta, gradient);
        }
        for few in rest.chunks(4) {
            let mut block = [rows.y.len() as u32 - 1; 4];
            block[..few.len()].copy_from_slice(few);
            add(simd, rows, &block, theta, gradient);
        }
        let share = 1.0 / batch.len() as f64;
        let each = chain.theta.iter_mut().zip(&mut chain.buffer).zip(&chain.gradient);
        for ((theta, buffer), gradient) in each {
            *buffer = sgd.momentum * *buffer + gradient * share + sgd.weight_decay * *theta;
            *theta -= sgd.learning_rate * *buffer;
        }
    }
}

/// Adds the gradients of K rows.
#[inline(always)]
fn add<S: Simd, const K: usize>(
    simd: S,
    rows: &Rows,
    block: &[u32; K],
    theta: &[S::f64s],
    gradient: &mut [S::f64s],
) {
    let n = theta.len();
    let mut x = [theta; K];
    for k in 0..K {
        let row = &rows.x[block[k] as usize * rows.width..][..rows.width];
        x[k] = &S::as_simd_f64s(row).0[..n];
    }
    let mut errors = [simd.splat_f64s(0.0); K];
    for j in 0..n {
        for k in 0..K {
            errors[k] = simd.mul_add_e_f64s(theta[j], x[k][j], errors[k]);
        }
    }
    for k in 0..K {
        errors[k] = simd.splat_f64s(simd.reduce_sum_f64s(errors[k]) - rows.y[block[k] as usize]);
    }
    for (j, g) in gradient.iter_mut().enumerate().take(n) {
        for k in 0..K {
            *g = simd.mul_add_e_f64s(errors[k], x[k][j], *g);
        }
    }
}
