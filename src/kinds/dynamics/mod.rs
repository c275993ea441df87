//! Kinds that study how stochastic gradient descent moves.

#[cfg(feature = "models")]
mod batches;
#[cfg(feature = "models")]
mod curvature;
pub mod fit;
mod fit_tables;
mod given;
#[cfg(feature = "models")]
pub mod hessian;
#[cfg(feature = "models")]
mod landscape;
#[cfg(feature = "models")]
mod normalisation;
#[cfg(feature = "models")]
mod objective;
mod orbits;
pub mod phase;
mod phase_tables;
#[cfg(feature = "models")]
pub mod plane;
#[cfg(feature = "models")]
mod plane_tables;
pub mod regression;
#[cfg(feature = "models")]
mod spectrum_tables;
pub mod stationary;
mod study;
