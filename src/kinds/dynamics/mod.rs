//! Kinds that study how stochastic gradient descent moves.

pub mod fit;
pub mod regression;

use crate::stage::Failure;

/// An analysis that cannot be done, as a failure.
fn wrong(error: science::error::Error) -> Failure {
    Failure::new(error.0)
}
