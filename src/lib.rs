//! Declared research pipelines: a workflow file becomes a plan, each step gets a key, a known key is
//! a hit, an unknown one is executed and recorded.

pub mod cli;
pub mod exec;
pub mod fs;
pub mod key;
pub mod kinds;
#[cfg(feature = "models")]
pub mod model;
mod parallel;
pub mod plan;
pub mod spec;
pub mod stage;
pub mod store;
#[cfg(feature = "tables")]
pub mod table;
