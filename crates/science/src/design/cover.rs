//! Stimuli that cover a feature space.

use rayon::prelude::*;

use super::search::Criterion;
use super::{check_size, distances, largest};
use crate::error::Result;
use crate::linalg::{Mat, MatRef};

/// k-centre: farthest-first from `start` (Gonzalez 1985), each stimulus the farthest from those before it. No set
/// has a radius below half of this one's. Gives the stimuli and the radius after each: the largest distance of
/// the pool from what is chosen.
///
/// # Errors
/// If the features are no numbers, or more is asked for than is there.
pub fn k_center(
    features: MatRef<'_, f64>,
    n: usize,
    start: usize,
    barred: &[bool],
) -> Result<(Vec<usize>, Vec<f64>)> {
    let distance = distances(features)?;
    let is_free = |i: usize| !barred.get(i).is_some_and(|b| *b);
    let free: Vec<usize> = (0..distance.nrows()).filter(|i| is_free(*i)).collect();
    check_size(n, free.len())?;
    let mut near = vec![f64::INFINITY; free.len()];
    let (mut chosen, mut radii) = (Vec::with_capacity(n), Vec::with_capacity(n));
    let mut next = if is_free(start) { start } else { free[0] };
    for _ in 0..n {
        chosen.push(next);
        near.iter_mut().zip(&free).for_each(|(near, i)| *near = near.min(distance[(*i, next)]));
        // A stimulus is taken once, even where duplicates leave nothing at a distance.
        let left = near.iter().zip(&free).map(|(d, i)| if chosen.contains(i) { f64::NAN } else { *d });
        let farthest = largest(left);
        radii.push(near.iter().copied().fold(0.0, f64::max));
        next = farthest.map_or(next, |place| free[place]);
    }
    Ok((chosen, radii))
}

/// The stimulus nearest to the mean of all.
pub fn central(features: MatRef<'_, f64>) -> usize {
    let n = features.nrows();
    let mean = |j: usize| features.col(j).iter().sum::<f64>() / n as f64;
    let means: Vec<f64> = (0..features.ncols()).map(mean).collect();
    let square = |i: usize| features.row(i).iter().zip(&means).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    largest((0..n).map(|i| -square(i))).unwrap_or(0)
}

/// Which distance of the pool from its nearest chosen stimulus is made small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// The mean (k-median).
    Mean,
    /// The largest: the radius (k-centre).
    Largest,
}

/// Covering a feature space, as a criterion: minus the distance. Invariant to rotation and translation of the
/// features.
pub struct Coverage {
    distance: Mat<f64>,
    which: Distance,
}

impl Coverage {
    /// For features (stimuli × p).
    ///
    /// # Errors
    /// If the features are no numbers or the pool is too large.
    pub fn new(which: Distance, features: MatRef<'_, f64>) -> Result<Self> {
        Ok(Coverage { distance: distances(features)?, which })
    }

    fn nearest(&self, chosen: &[usize]) -> Vec<f64> {
        let mut near = vec![f64::INFINITY; self.pool()];
        for stimulus in chosen {
            near.iter_mut().zip(self.distance.col(*stimulus).iter()).for_each(|(n, d)| *n = n.min(*d));
        }
        near
    }

    fn of(&self, near: impl Iterator<Item = f64>) -> f64 {
        match self.which {
            Distance::Mean => -near.sum::<f64>() / self.pool() as f64,
            Distance::Largest => -near.fold(0.0, f64::max),
        }
    }
}

impl Criterion for Coverage {
    fn pool(&self) -> usize {
        self.distance.nrows()
    }

    fn value(&self, chosen: &[usize]) -> f64 {
        self.of(self.nearest(chosen).into_iter())
    }

    fn values_with(&self, chosen: &[usize]) -> Vec<f64> {
        let near = self.nearest(chosen);
        let with = |x: usize| self.of(self.distance.col(x).iter().zip(&near).map(|(d, n)| d.min(*n)));
        (0..self.pool()).into_par_iter().map(with).collect()
    }
}
