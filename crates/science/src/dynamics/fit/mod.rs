//! What a displacement curve says: exponent with an interval, drift and spread, and which model made it.
//!
//! Points of one curve are strongly correlated, so no interval here comes from the residuals of a regression line:
//! all come from independent chains (or blocks of one chain), by the jackknife.

pub mod exponent;
pub mod likelihood;
pub mod models;
pub mod paths;
pub mod select;
