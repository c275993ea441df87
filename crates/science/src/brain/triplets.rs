//! Dissimilarities from odd-one-out choices (Hebart et al. 2020, doi 10.1038/s41562-020-00951-3): two things
//! are the more alike, the more often neither is the odd one of a triplet.

use super::pairs;
use crate::error::{Error, Result};

/// One answer: of `shown`, the thing at place `odd` was the odd one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Three different things.
    pub shown: [usize; 3],
    /// 0, 1 or 2.
    pub odd: usize,
}

/// The dissimilarity of every pair of `count` things (the pairs of an RDM): among the triplets that show
/// both, the share in which one of them was the odd one.
///
/// # Errors
/// If a thing is out of range or shown twice, or no triplet shows a pair; the pair's numbers are named.
pub fn dissimilarities(choices: &[Choice], count: usize) -> Result<Vec<f64>> {
    let mut seen = vec![[0.0_f64; 2]; count * count];
    for (row, Choice { shown, odd }) in choices.iter().enumerate() {
        let twice = shown[0] == shown[1] || shown[0] == shown[2] || shown[1] == shown[2];
        if twice || *odd > 2 || shown.iter().any(|s| *s >= count) {
            return Err(Error::new(format!("choice {row} is not one of three different things")));
        }
        for (a, b) in pairs(3) {
            let (first, second) = (shown[a].min(shown[b]), shown[a].max(shown[b]));
            let [apart, all] = &mut seen[first * count + second];
            *apart += f64::from(u8::from(a == *odd || b == *odd));
            *all += 1.0;
        }
    }
    let share = |(i, j): (usize, usize)| match seen[i * count + j] {
        [_, 0.0] => Err(Error::new(format!("no triplet shows the things {i} and {j}"))),
        [apart, all] => Ok(apart / all),
    };
    pairs(count).map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The choices of somebody who sees things on a line.
    fn of_a_line(places: &[f64]) -> Vec<Choice> {
        let count = places.len();
        let triplets = pairs(count).flat_map(|(i, j)| (j + 1..count).map(move |k| [i, j, k]));
        let choose = |shown: [usize; 3]| {
            let far = |a: usize, b: usize| (places[shown[a]] - places[shown[b]]).abs();
            let near = [far(1, 2), far(0, 2), far(0, 1)];
            let odd = (0..3).min_by(|a, b| near[*a].total_cmp(&near[*b])).unwrap();
            Choice { shown, odd }
        };
        triplets.map(choose).collect()
    }

    #[test]
    fn two_groups_are_told_apart() {
        let found = dissimilarities(&of_a_line(&[0.0, 0.1, 10.0, 10.1]), 4).unwrap();
        assert_eq!(found, [0.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn in_every_triplet_one_pair_of_three_is_together() {
        let choices = of_a_line(&[0.0, 1.0, 3.0, 3.5, 7.0, 7.2, 9.0]);
        let found = dissimilarities(&choices, 7).unwrap();
        // Every pair is shown with each of the 5 others.
        let apart = found.iter().sum::<f64>() * 5.0;
        assert!((apart - 2.0 * choices.len() as f64).abs() < 1e-9, "{apart}");
    }

    #[test]
    fn what_is_no_choice_is_refused() {
        let wrong = |shown, odd, count| dissimilarities(&[Choice { shown, odd }], count).unwrap_err().0;
        assert!(wrong([0, 1, 1], 0, 3).contains("three different"));
        assert!(wrong([0, 1, 2], 3, 3).contains("three different"));
        assert!(wrong([0, 1, 3], 0, 3).contains("three different"));
        assert_eq!(wrong([0, 1, 2], 0, 4), "no triplet shows the things 0 and 3");
    }
}
