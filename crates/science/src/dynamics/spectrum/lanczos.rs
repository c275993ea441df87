//! Eigenpairs at the ends of the spectrum.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use super::krylov::{Krylov, sign};
use super::{Apply, Pair, dot};
use crate::error::Error;

/// Which pairs, and how well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// Pairs from the top of the spectrum.
    pub largest: usize,
    /// Pairs from its bottom.
    pub smallest: usize,
    /// Largest residual over the largest eigenvalue in absolute value.
    pub tolerance: f64,
    /// Products at most, those for the residuals aside.
    pub products: usize,
    /// Seed of the first vector.
    pub seed: u64,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The pairs by falling eigenvalue: first those from the top, then those from the bottom.
    pub pairs: Vec<Pair>,
    /// Products made in all.
    pub products: usize,
    /// Are all residuals within the tolerance?
    pub converged: bool,
}

/// The pairs at the ends of the spectrum of an n × n matrix, by Lanczos with full reorthogonalisation, thick restarts
/// and Rayleigh–Ritz. Each residual is measured by a product of its own. Of an eigenvalue that stands several times one
/// vector is found.
///
/// # Errors
/// If there are fewer than the wanted pairs, or a product holds what is no number.
pub fn lanczos<E: From<Error>>(n: usize, wanted: &Wanted, apply: Apply<'_, E>) -> Result<Found, E> {
    let count = wanted.largest + wanted.smallest;
    if count == 0 || count > n {
        return Err(Error::new(format!("{count} eigenpairs of a matrix with {n} rows")).into());
    }
    let mut random = Xoshiro256PlusPlus::seed_from_u64(wanted.seed);
    let start: Vec<f64> = (0..n).map(|_| sign(&mut random)).collect();
    let most = (2 * count + 20).min(n);
    let mut krylov = Krylov::new(&start, most, random);
    let mut products = 0;
    let (vectors, picked) = loop {
        while !krylov.is_full() && products < wanted.products {
            krylov.grow(apply)?;
            products += 1;
        }
        let (values, vectors, off) = krylov.ritz()?;
        let size = krylov.size();
        if size < count {
            return Err(Error::new(format!("{count} eigenpairs need more than {products} products")).into());
        }
        let picked: Vec<usize> = (0..wanted.largest).chain(size - wanted.smallest..size).collect();
        let scale = values.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let done = picked.iter().all(|k| off[*k] <= 0.5 * wanted.tolerance * scale);
        if done || products >= wanted.products || size == n {
            break (vectors, picked);
        }
        krylov.restart(&values, &vectors, &kept(wanted, size));
    };
    let mut pairs = Vec::with_capacity(count);
    for k in picked {
        let vector = krylov.combined(&vectors, k);
        let made = apply(&vector)?;
        products += 1;
        let value = dot(&vector, &made);
        let residual = made.iter().zip(&vector).map(|(a, v)| (a - value * v).powi(2)).sum::<f64>().sqrt();
        pairs.push(Pair { value, residual, vector });
    }
    let scale = pairs.iter().fold(0.0, |m: f64, p| m.max(p.value.abs()));
    let converged = pairs.iter().all(|p| p.residual <= wanted.tolerance * scale);
    Ok(Found { pairs, products, converged })
}

/// The Ritz vectors that a restart keeps: those wanted, and half as many beside them, which speeds convergence.
fn kept(wanted: &Wanted, size: usize) -> Vec<usize> {
    let room = |count: usize| if count == 0 { 0 } else { count + count / 2 + 2 };
    let top = room(wanted.largest).min(size / 2);
    let bottom = room(wanted.smallest).min(size - top - 2);
    (0..top).chain(size - bottom..size).collect()
}
