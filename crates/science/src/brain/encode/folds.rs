//! Folds of cross-validation: lists of held-out rows.

use crate::error::{Error, Result};

/// `count` contiguous blocks of `rows`; the first `rows mod count` are one longer.
///
/// # Errors
/// If there are fewer than two folds or more folds than rows.
pub fn contiguous(rows: &[usize], count: usize) -> Result<Vec<Vec<usize>>> {
    if count < 2 || count > rows.len() {
        return Err(Error::new(format!("{count} folds of {} rows", rows.len())));
    }
    let (size, longer) = (rows.len() / count, rows.len() % count);
    let mut rest = rows;
    let block = |fold: usize| {
        let (block, after) = rest.split_at(size + usize::from(fold < longer));
        rest = after;
        block.to_vec()
    };
    Ok((0..count).map(block).collect())
}

/// Folds from a label of every row, in ascending order of label.
///
/// # Errors
/// If there are fewer than two labels.
pub fn by_label(labels: &[i64]) -> Result<Vec<Vec<usize>>> {
    let mut folds = std::collections::BTreeMap::<i64, Vec<usize>>::new();
    for (row, label) in labels.iter().enumerate() {
        folds.entry(*label).or_default().push(row);
    }
    match folds.len() {
        0 | 1 => Err(Error::new("cross-validation needs at least two folds")),
        _ => Ok(folds.into_values().collect()),
    }
}

/// The rows of `rows` that are not in `held`; both ascending or not, the order of `rows` is kept.
pub fn without(rows: &[usize], held: &[usize]) -> Vec<usize> {
    let held: std::collections::HashSet<usize> = held.iter().copied().collect();
    rows.iter().copied().filter(|r| !held.contains(r)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folds_are_longer() {
        let folds = contiguous(&[0, 1, 2, 3, 4, 5, 6], 3).unwrap();
        assert_eq!(folds, [vec![0, 1, 2], vec![3, 4], vec![5, 6]]);
        assert_eq!(without(&[4, 2, 1], &[2]), [4, 1]);
        assert!(contiguous(&[0], 2).is_err() && by_label(&[3, 3]).is_err());
    }
}
