//! The analyses against the field's tools.

#[path = "it/brain/mod.rs"]
mod brain;
#[path = "it/npz.rs"]
mod npz;
