//! Models: building, training, running, scoring.

#[cfg(feature = "models")]
pub mod build;
#[cfg(feature = "models")]
pub mod facts;
#[cfg(feature = "models")]
pub mod infer;
#[cfg(feature = "models")]
pub mod train;
