//! Models: building, training, running, scoring.

#[cfg(feature = "models")]
pub mod build;
pub mod evaluate;
#[cfg(feature = "models")]
pub mod facts;
#[cfg(feature = "models")]
pub mod infer;
#[cfg(feature = "models")]
pub mod train;
