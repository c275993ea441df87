//! Kinds that plan the next experiment.

#[cfg(test)]
mod degenerate;
#[cfg(feature = "models")]
mod goal;
pub mod r#loop;
mod predictions;
pub mod recover;
#[cfg(feature = "models")]
mod seer;
pub mod select;
mod selection;
mod stoppable;
#[cfg(feature = "models")]
mod study;
#[cfg(feature = "models")]
pub mod synthesize;
