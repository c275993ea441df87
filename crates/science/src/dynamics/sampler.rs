//! How batches are drawn, which decides how large their noise is.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;

/// How the rows of a batch are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampler {
    /// Each row independently of all others.
    Replacement,
    /// A fresh subset of different rows at each step.
    Subset,
    /// A new order of all rows in each epoch, cut into batches; rows left over are not used. Its noise sums to zero
    /// over an epoch, and no exact theory is given for it.
    Epoch,
}

impl Sampler {
    /// The name that files use.
    pub fn name(self) -> &'static str {
        match self {
            Sampler::Replacement => "replacement",
            Sampler::Subset => "subset",
            Sampler::Epoch => "epoch",
        }
    }

    /// The sampler that theory assumes where this one is used: batches of an epoch are subsets, but not
    /// independent.
    pub fn assumed(self) -> Self {
        if self == Sampler::Epoch { Sampler::Subset } else { self }
    }

    /// f: the covariance of a batch's gradient over that of one sample (1/N normalised). 1/S with replacement,
    /// (N − S) / (S (N − 1)) for a fresh subset.
    pub fn factor(self, rows: usize, batch_size: usize) -> f64 {
        let (n, s) = (rows as f64, batch_size as f64);
        match self.assumed() {
            Sampler::Replacement => 1.0 / s,
            _ if rows > 1 => (n - s) / (s * (n - 1.0)),
            _ => 0.0,
        }
    }
}

/// Draws batches.
pub struct Batches {
    sampler: Sampler,
    batch_size: usize,
    random: Xoshiro256PlusPlus,
    order: Vec<u32>,
    next: usize,
}

impl Batches {
    /// Batches of `batch_size` of `rows` rows, at most 2³².
    pub fn new(sampler: Sampler, rows: usize, batch_size: usize, random: Xoshiro256PlusPlus) -> Self {
        let order = (0..rows as u32).collect();
        // So that the first epoch begins with the first batch.
        Batches { sampler, batch_size, random, order, next: rows }
    }

    /// Draws the next batch into `batch`.
    pub fn draw(&mut self, batch: &mut Vec<u32>) {
        let rows = self.order.len();
        batch.clear();
        match self.sampler {
            Sampler::Replacement => {
                batch.extend((0..self.batch_size).map(|_| below(&mut self.random, rows) as u32));
            }
            Sampler::Subset => {
                for place in 0..self.batch_size {
                    let other = place + below(&mut self.random, rows - place);
                    self.order.swap(place, other);
                }
                batch.extend_from_slice(&self.order[..self.batch_size]);
            }
            Sampler::Epoch => {
                if self.next + self.batch_size > rows {
                    for place in (1..rows).rev() {
                        let other = below(&mut self.random, place + 1);
                        self.order.swap(place, other);
                    }
                    self.next = 0;
                }
                batch.extend_from_slice(&self.order[self.next..self.next + self.batch_size]);
                self.next += self.batch_size;
            }
        }
    }
}

/// A number below `bound`. The bias of this quick way is below bound / 2³².
fn below(random: &mut Xoshiro256PlusPlus, bound: usize) -> usize {
    ((u64::from(random.next_u32()) * bound as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn subsets_have_no_row_twice_and_epochs_use_every_row_once() {
        let random = || Xoshiro256PlusPlus::seed_from_u64(1);
        let mut batch = Vec::new();
        let mut subsets = Batches::new(Sampler::Subset, 10, 7, random());
        for _ in 0..50 {
            subsets.draw(&mut batch);
            batch.sort_unstable();
            assert!(batch.windows(2).all(|w| w[0] < w[1]) && batch.len() == 7);
        }
        let mut epochs = Batches::new(Sampler::Epoch, 12, 4, random());
        for _ in 0..5 {
            let mut seen = Vec::new();
            for _ in 0..3 {
                epochs.draw(&mut batch);
                seen.extend_from_slice(&batch);
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..12).collect::<Vec<u32>>());
        }
    }
}
