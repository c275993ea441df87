//! Searches that end when their step is asked to stop.

use science::design::search::Criterion;

use crate::stage::Cancel;

/// A criterion until the step is cancelled; from then on every set is worth nothing, so that a search finds no more
/// to gain and ends. What it found then means nothing: ask [`crate::stage::Io::check_cancelled`] before it is used.
pub(super) struct Stoppable<'a> {
    pub(super) criterion: &'a dyn Criterion,
    pub(super) cancel: &'a Cancel,
}

impl Criterion for Stoppable<'_> {
    fn pool(&self) -> usize {
        self.criterion.pool()
    }

    fn value(&self, chosen: &[usize]) -> f64 {
        if self.cancel.is_cancelled() { f64::NEG_INFINITY } else { self.criterion.value(chosen) }
    }

    fn values_with(&self, chosen: &[usize]) -> Vec<f64> {
        if self.cancel.is_cancelled() {
            return vec![f64::NEG_INFINITY; self.pool()];
        }
        self.criterion.values_with(chosen)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use science::design::search::best;

    use super::*;

    /// Sums, and after some of them a wish to stop.
    struct Asked {
        cancel: Cancel,
        sums: AtomicUsize,
    }

    const ENOUGH: usize = 5000;

    impl Criterion for Asked {
        fn pool(&self) -> usize {
            60
        }

        fn value(&self, chosen: &[usize]) -> f64 {
            if self.sums.fetch_add(1, Ordering::Relaxed) + 1 == ENOUGH {
                self.cancel.cancel();
            }
            chosen.iter().map(|i| ((i * 37) % 61) as f64).sum()
        }
    }

    #[test]
    fn a_search_ends_soon_after_it_is_asked_to() {
        let starts: Vec<Vec<usize>> = (0..40).map(|s| (s..s + 10).collect()).collect();
        let sums = |stop: bool| {
            let cancel = Cancel::default();
            let asked =
                Asked { cancel: if stop { cancel.clone() } else { Cancel::default() }, sums: 0.into() };
            let found = best(&Stoppable { criterion: &asked, cancel: &cancel }, 10, &[], &starts);
            assert_eq!(found.is_ok(), !stop);
            asked.sums.into_inner()
        };
        // At most the row of sums that had begun is finished.
        let (whole, stopped) = (sums(false), sums(true));
        assert!(whole > 5 * ENOUGH && stopped <= ENOUGH + 60, "{whole} {stopped}");
    }
}
