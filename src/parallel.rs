//! The same work on many things, by several threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Builder;

/// The number of cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The answers for 0, 1, … `count` - 1, in that order. Threads that cannot be started are done without.
pub fn map<T: Send>(count: usize, threads: usize, answer: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut answers = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return answers;
            }
            answers.push((index, answer(index)));
        }
    };
    let mut all = std::thread::scope(|scope| {
        let start = |_| Builder::new().spawn_scoped(scope, work).ok();
        let others: Vec<_> = (1..threads.min(count)).filter_map(start).collect();
        let mut all = work();
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    });
    // What each thread answered is in order already, which a stable sort makes use of.
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::map;

    #[test]
    fn answers_come_in_order_whatever_the_threads() {
        for (count, threads) in [(0, 4), (1, 4), (7, 1), (1000, 3), (3, 8)] {
            let wanted: Vec<usize> = (0..count).map(|i| i * i).collect();
            assert_eq!(map(count, threads, |i| i * i), wanted);
        }
    }
}
