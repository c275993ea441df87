//! Kendall's rank correlations in O(m log m) (Knight 1966).

use super::stats;

/// Dense ranks: equal values share a whole number, in the order of their values.
pub(super) struct Dense {
    ranks: Vec<u32>,
    /// Indices in ascending order of value.
    order: Vec<u32>,
    /// Number of pairs that are tied.
    tied: u64,
}

impl Dense {
    pub(super) fn new(values: &[f64]) -> Self {
        let order = stats::order(values);
        let mut ranks = vec![0; values.len()];
        let mut tied = 0;
        for (rank, group) in (0..).zip(order.chunk_by(|a, b| values[*a as usize] == values[*b as usize])) {
            tied += pairs(group.len());
            group.iter().for_each(|index| ranks[*index as usize] = rank);
        }
        Dense { ranks, order, tied }
    }

    /// Is there one value only?
    pub(super) fn constant(&self) -> bool {
        self.tied == pairs(self.ranks.len())
    }
}

fn pairs(count: usize) -> u64 {
    let count = count as u64;
    count * count.saturating_sub(1) / 2
}

/// Concordant minus discordant pairs.
fn surplus(x: &Dense, y: &Dense) -> i64 {
    // In the order of x; within a tie of x in the order of y, so that it counts no inversion.
    let mut sequence: Vec<u32> = Vec::with_capacity(x.order.len());
    let mut both = 0;
    for group in x.order.chunk_by(|a, b| x.ranks[*a as usize] == x.ranks[*b as usize]) {
        let start = sequence.len();
        sequence.extend(group.iter().map(|index| y.ranks[*index as usize]));
        if group.len() > 1 {
            sequence[start..].sort_unstable();
            both += sequence[start..].chunk_by(|a, b| a == b).map(|tie| pairs(tie.len())).sum::<u64>();
        }
    }
    let all = pairs(x.order.len());
    let discordant = inversions(&mut sequence);
    all as i64 - x.tied as i64 - y.tied as i64 + both as i64 - 2 * discordant as i64
}

/// (concordant − discordant) ÷ all pairs; ties count as neither.
pub(super) fn tau_a(x: &Dense, y: &Dense) -> f64 {
    surplus(x, y) as f64 / pairs(x.order.len()) as f64
}

/// (concordant − discordant) ÷ √(pairs untied in x · pairs untied in y).
pub(super) fn tau_b(x: &Dense, y: &Dense) -> f64 {
    let all = pairs(x.order.len());
    let untied = |d: &Dense| (all - d.tied) as f64;
    surplus(x, y) as f64 / (untied(x).sqrt() * untied(y).sqrt())
}

/// Runs of this length are sorted by insertion before they are merged.
const RUN: usize = 16;

/// Number of pairs that stand in the wrong order; sorts the values.
fn inversions(values: &mut [u32]) -> u64 {
    let mut count = 0;
    for run in values.chunks_mut(RUN) {
        for end in 1..run.len() {
            let value = run[end];
            let mut at = end;
            while at > 0 && run[at - 1] > value {
                run[at] = run[at - 1];
                at -= 1;
            }
            run[at] = value;
            count += (end - at) as u64;
        }
    }
    let mut merged = values.to_vec();
    let mut width = RUN;
    while width < values.len() {
        for (from, to) in values.chunks(2 * width).zip(merged.chunks_mut(2 * width)) {
            count += merge(from, width.min(from.len()), to);
        }
        values.copy_from_slice(&merged);
        width *= 2;
    }
    count
}

/// Merges the two sorted parts of `from`, split at `middle`, and counts pairs that change order.
fn merge(from: &[u32], middle: usize, to: &mut [u32]) -> u64 {
    let (left, right) = from.split_at(middle);
    if left.last() <= right.first() || right.is_empty() {
        to.copy_from_slice(from);
        return 0;
    }
    let (mut i, mut j, mut count) = (0, 0, 0);
    for slot in to.iter_mut() {
        // Without a branch on the data: which side is smaller cannot be predicted.
        let take_right = i == left.len() || (j < right.len() && right[j] < left[i]);
        *slot = if take_right { right[j] } else { left[i] };
        count += if take_right { (left.len() - i) as u64 } else { 0 };
        j += usize::from(take_right);
        i += usize::from(!take_right);
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pairs_are_counted_as_one_by_one(
            rows in prop::collection::vec((0_u8..12, 0_u8..12), 2..120),
        ) {
            let x: Vec<f64> = rows.iter().map(|r| f64::from(r.0)).collect();
            let y: Vec<f64> = rows.iter().map(|r| f64::from(r.1)).collect();
            let mut expected = 0;
            for i in 0..x.len() {
                for j in 0..i {
                    let sign = (x[i] - x[j]) * (y[i] - y[j]);
                    expected += i64::from(sign > 0.0) - i64::from(sign < 0.0);
                }
            }
            prop_assert_eq!(surplus(&Dense::new(&x), &Dense::new(&y)), expected);
        }
    }
}
