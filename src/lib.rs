//! Declared research pipelines: a workflow file becomes a plan, each step gets a key, a known key is
//! a hit, an unknown one is executed and recorded.

pub mod fs;
pub mod kinds;
pub mod stage;
#[cfg(feature = "tables")]
pub mod table;
