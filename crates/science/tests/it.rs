//! The analyses against the field's tools.

#[path = "it/brain/mod.rs"]
mod brain;
#[path = "it/design/mod.rs"]
mod design;
#[path = "it/dynamics.rs"]
mod dynamics;
#[path = "it/fits.rs"]
mod fits;
#[path = "it/npz.rs"]
mod npz;
#[path = "it/spectrum.rs"]
mod spectrum;
