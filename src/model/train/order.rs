//! Which rows each step sees.

use onnx_graph::random::Random;
use serde::{Deserialize, Serialize};

/// How batches are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sampler {
    /// Each epoch visits the rows in a new order; a last batch with fewer rows is left out.
    #[default]
    Epoch,
    /// Each row of each batch is drawn anew from all rows.
    Replacement,
    /// Each batch is a fresh subset of the rows: none twice in a batch.
    Subset,
}

/// Draws batches; the seed alone decides.
pub struct Order {
    sampler: Sampler,
    random: Random,
    rows: usize,
    batch: usize,
    /// Rows of this epoch that are still to come, or the pool that subsets are drawn from.
    pool: Vec<usize>,
    at: usize,
}

impl Order {
    /// Batches of `batch` of `rows` rows.
    pub fn new(sampler: Sampler, rows: usize, batch: usize, seed: u64) -> Self {
        let pool = if sampler == Sampler::Subset { (0..rows).collect() } else { Vec::new() };
        Order { sampler, random: Random::new(seed), rows, batch, pool, at: 0 }
    }

    /// Draws so many batches for nobody.
    pub fn skip(&mut self, steps: usize) {
        (0..steps).for_each(|_| drop(self.next(1)));
    }

    /// The rows of the next `steps` batches, one batch behind the other.
    pub fn next(&mut self, steps: usize) -> Vec<i64> {
        let mut out = Vec::with_capacity(steps * self.batch);
        for _ in 0..steps {
            match self.sampler {
                Sampler::Epoch => {
                    if self.at + self.batch > self.pool.len() {
                        self.pool = self.random.permutation(self.rows);
                        self.at = 0;
                    }
                    let end = (self.at + self.batch).min(self.pool.len());
                    out.extend(self.pool[self.at..end].iter().map(|r| *r as i64));
                    self.at = end;
                }
                Sampler::Replacement => {
                    out.extend((0..self.batch).map(|_| self.random.below(self.rows) as i64));
                }
                // The first steps of Fisher and Yates' shuffle, on whatever order the pool has.
                Sampler::Subset => {
                    for i in 0..self.batch.min(self.rows) {
                        let chosen = i + self.random.below(self.rows - i);
                        self.pool.swap(i, chosen);
                        out.push(self.pool[i] as i64);
                    }
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(mut rows: Vec<i64>) -> Vec<i64> {
        rows.sort_unstable();
        rows
    }

    #[test]
    fn an_epoch_visits_every_row_once() {
        let mut order = Order::new(Sampler::Epoch, 12, 4, 3);
        let (first, second) = (order.next(3), order.next(3));
        assert_eq!(sorted(first.clone()), (0..12).collect::<Vec<i64>>());
        assert_eq!(sorted(second.clone()), sorted(first.clone()));
        assert_ne!(first, second);
    }

    #[test]
    fn a_last_small_batch_is_left_out() {
        let mut order = Order::new(Sampler::Epoch, 10, 4, 3);
        let mut once = order.next(2);
        once.dedup();
        assert_eq!(once.len(), 8);
    }

    #[test]
    fn a_subset_holds_no_row_twice_and_all_rows_come() {
        let mut order = Order::new(Sampler::Subset, 9, 5, 1);
        let mut seen = [0; 9];
        for _ in 0..200 {
            let mut batch = sorted(order.next(1));
            batch.dedup();
            assert_eq!(batch.len(), 5);
            batch.iter().for_each(|r| seen[*r as usize] += 1);
        }
        assert!(seen.iter().all(|n| (80..145).contains(n)), "{seen:?}");
    }

    #[test]
    fn batches_do_not_depend_on_how_many_are_asked_for_at_once() {
        for sampler in [Sampler::Epoch, Sampler::Replacement, Sampler::Subset] {
            let (mut a, mut b) = (Order::new(sampler, 20, 6, 5), Order::new(sampler, 20, 6, 5));
            let at_once = a.next(7);
            let one_by_one: Vec<i64> = (0..7).flat_map(|_| b.next(1)).collect();
            assert_eq!(at_once, one_by_one);
            let mut c = Order::new(sampler, 20, 6, 5);
            c.skip(4);
            assert_eq!(c.next(3), at_once[4 * 6..]);
        }
    }
}
