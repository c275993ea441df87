//! Models: building, training, running.

pub mod build;
pub mod facts;
pub mod infer;
pub mod train;
