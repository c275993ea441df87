//! Sets with a large value: exhaustive search, greedy choice, exchange.

use rayon::prelude::*;

use super::{check_size, largest};
use crate::error::{Error, Result};

/// Up to this many sets are tried one by one.
pub const EXHAUSTIVE: u64 = 20_000;

/// What makes a set of stimuli good.
pub trait Criterion: Sync {
    /// Stimuli to choose from.
    fn pool(&self) -> usize;

    /// The value of a set: larger is better, −∞ where it is undefined.
    fn value(&self, chosen: &[usize]) -> f64;

    /// The value of the set with each stimulus of the pool added.
    fn values_with(&self, chosen: &[usize]) -> Vec<f64> {
        let with = |stimulus: usize| {
            let mut set = chosen.to_vec();
            set.push(stimulus);
            self.value(&set)
        };
        (0..self.pool()).into_par_iter().map(with).collect()
    }
}

/// The best stimulus to add, the first of equals. Stimuli of the set and those `barred` are left out.
fn best_with(criterion: &dyn Criterion, chosen: &[usize], barred: &[bool]) -> Option<(usize, f64)> {
    let mut values = criterion.values_with(chosen);
    for stimulus in chosen {
        values[*stimulus] = f64::NAN;
    }
    values.iter_mut().zip(barred).filter(|(_, b)| **b).for_each(|(v, _)| *v = f64::NAN);
    let best = largest(values.iter().copied())?;
    Some((best, values[best]))
}

/// One stimulus after the other, each the best addition to those before; in the order of choice.
pub fn greedy(criterion: &dyn Criterion, n: usize, barred: &[bool]) -> Vec<usize> {
    let mut chosen = Vec::with_capacity(n);
    while chosen.len() < n {
        let Some((best, _)) = best_with(criterion, &chosen, barred) else { break };
        chosen.push(best);
    }
    chosen
}

/// Exchanges single stimuli for better ones until none is left (Fedorov 1972); never worse than it began.
pub fn exchange(criterion: &dyn Criterion, mut chosen: Vec<usize>, barred: &[bool]) -> Vec<usize> {
    let mut value = criterion.value(&chosen);
    loop {
        let before = value;
        for place in 0..chosen.len() {
            let old = chosen[place];
            let mut rest = chosen.clone();
            rest.remove(place);
            let Some((new, gained)) = best_with(criterion, &rest, barred) else { continue };
            // A gain within rounding could go to and fro for ever.
            if new != old && gained > value + 1e-12 * value.abs().max(1e-300) {
                chosen[place] = new;
                value = criterion.value(&chosen);
            }
        }
        if value.is_nan() || value <= before {
            return chosen;
        }
    }
}

/// The best of all sets, ascending; the first in lexicographic order of equals. `None` if every set's value
/// is undefined.
pub fn exhaustive(criterion: &dyn Criterion, n: usize, barred: &[bool]) -> Option<Vec<usize>> {
    let free: Vec<usize> = (0..criterion.pool()).filter(|i| !barred.get(*i).is_some_and(|b| *b)).collect();
    let mut best: Option<(Vec<usize>, f64)> = None;
    let mut places: Vec<usize> = (0..n).collect();
    loop {
        let set: Vec<usize> = places.iter().filter_map(|p| free.get(*p)).copied().collect();
        let value = criterion.value(&set);
        if set.len() == n && value > best.as_ref().map_or(f64::NEG_INFINITY, |(_, b)| *b) {
            best = Some((set, value));
        }
        // The next combination: the last place that can move, and those behind it close up.
        let Some(moved) = (0..n).rev().find(|p| places[*p] + n - p < free.len()) else { break };
        places[moved] += 1;
        for later in moved + 1..n {
            places[later] = places[later - 1] + 1;
        }
    }
    best.map(|(set, _)| set)
}

/// Number of sets of `n` of `pool`; `None` above 2⁶⁴.
pub fn combinations(pool: usize, n: usize) -> Option<u64> {
    let n = n.min(pool.checked_sub(n)?);
    (0..n as u64).try_fold(1_u64, |count, i| Some(count.checked_mul(pool as u64 - i)? / (i + 1)))
}

/// A set of `n` with a large value: the best of all where there are at most [`EXHAUSTIVE`], else by exchange
/// from the greedy set and from each of `starts`. In greedy order of the set found.
///
/// # Errors
/// If `n` is 0 or above the pool left, or no set that was tried has a value.
pub fn best(
    criterion: &dyn Criterion,
    n: usize,
    barred: &[bool],
    starts: &[Vec<usize>],
) -> Result<Vec<usize>> {
    let free = criterion.pool() - barred.iter().filter(|b| **b).count();
    check_size(n, free)?;
    let found = if combinations(free, n).is_some_and(|count| count <= EXHAUSTIVE) {
        exhaustive(criterion, n, barred)
    } else {
        let mut best = exchange(criterion, greedy(criterion, n, barred), barred);
        for start in starts {
            let other = exchange(criterion, start.clone(), barred);
            if criterion.value(&other) > criterion.value(&best) {
                best = other;
            }
        }
        Some(best)
    };
    let found = found.filter(|set| set.len() == n && criterion.value(set) > f64::NEG_INFINITY);
    let found = found.ok_or_else(|| Error::new(format!("no set of {n} stimuli has a value")))?;
    Ok(in_order(criterion, &found))
}

/// A set in the order in which greedy choice would take its members.
pub fn in_order(criterion: &dyn Criterion, set: &[usize]) -> Vec<usize> {
    let mut barred = vec![true; criterion.pool()];
    set.iter().for_each(|i| barred[*i] = false);
    greedy(criterion, set.len(), &barred)
}
