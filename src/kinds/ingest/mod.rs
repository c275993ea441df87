//! What comes into a workflow from files.

#[cfg(feature = "models")]
pub mod model_file;
