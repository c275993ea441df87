//! Models: building, training, running, scoring.

#[cfg(feature = "models")]
pub mod build;
pub mod evaluate;
#[cfg(feature = "models")]
pub mod facts;
#[cfg(feature = "models")]
pub mod head;
#[cfg(feature = "models")]
pub mod infer;
#[cfg(feature = "models")]
mod pool;
mod scores;
#[cfg(feature = "models")]
pub mod train;

/// The index of the largest value, the first if several are equal.
pub(super) fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}
