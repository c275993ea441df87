//! Model-free choice: at random, and in strata.

use std::collections::BTreeMap;

use super::check_size;
use crate::brain::bootstrap::permutation;
use crate::error::Result;

/// `n` different members of `free`, in random order.
///
/// # Errors
/// If there are fewer.
pub fn random(free: &[usize], n: usize, seed: u64, number: u64) -> Result<Vec<usize>> {
    check_size(n, free.len())?;
    Ok(permutation(free.len(), seed, number).into_iter().take(n).map(|place| free[place]).collect())
}

/// `n` members of `free`, from each group in proportion to its size (largest remainders, equal ones in the order
/// of the groups' names), at random within it. Groups take turns in the order of the result. Gives the stimuli
/// and the share of its group that each stands for.
///
/// # Errors
/// If there are fewer.
pub fn stratified(free: &[usize], groups: &[String], n: usize, seed: u64) -> Result<Vec<(usize, f64)>> {
    check_size(n, free.len())?;
    let mut strata = BTreeMap::<&str, Vec<usize>>::new();
    for member in free {
        strata.entry(groups.get(*member).map_or("", String::as_str)).or_default().push(*member);
    }
    let share = |size: usize| size as f64 * n as f64 / free.len() as f64;
    let mut counts: Vec<usize> = strata.values().map(|m| share(m.len()) as usize).collect();
    let mut order: Vec<(usize, f64)> = strata.values().map(|m| share(m.len()).fract()).enumerate().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    let missing = n - counts.iter().sum::<usize>();
    order.iter().take(missing).for_each(|(place, _)| counts[*place] += 1);
    let mut drawn = Vec::with_capacity(n);
    for (number, (members, count)) in strata.values().zip(&counts).enumerate() {
        if *count > 0 {
            let share = *count as f64 / members.len() as f64;
            let own = random(members, *count, seed, number as u64)?;
            drawn.extend(own.into_iter().enumerate().map(|(turn, member)| (turn, number, member, share)));
        }
    }
    drawn.sort_by_key(|(turn, number, ..)| (*turn, *number));
    Ok(drawn.into_iter().map(|(.., member, share)| (member, share)).collect())
}
