//! The analyses against the field's tools.

#[path = "it/npz.rs"]
mod npz;
