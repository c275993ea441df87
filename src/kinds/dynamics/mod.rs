//! Kinds that study how stochastic gradient descent moves.

pub mod fit;
pub mod regression;
mod study;
