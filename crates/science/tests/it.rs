//! The analyses against the field's tools.

#[path = "it/brain/mod.rs"]
mod brain;
#[path = "it/dynamics.rs"]
mod dynamics;
#[path = "it/npz.rs"]
mod npz;
