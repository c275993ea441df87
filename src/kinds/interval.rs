//! The level of confidence intervals, a parameter of many kinds.

use crate::stage::Complaint;

/// The level of intervals unless said.
pub(super) fn level() -> f64 {
    0.95
}

/// Refuses a level that is none.
pub(super) fn check(level: f64) -> Result<(), Complaint> {
    if level > 0.0 && level < 1.0 {
        return Ok(());
    }
    Err(Complaint::param("level", format!("{level} is not between 0 and 1")))
}
