//! Content keys: a step's key is the blake3 hash of a plain-text manifest of everything that its
//! result depends on.

mod diff;
mod manifest;

pub use diff::{Change, diff};
pub use manifest::{InputPart, Manifest, Part, canonical, table_digest};
