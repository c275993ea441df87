//! The analyses against the field's tools.

#[path = "it/brain/mod.rs"]
mod brain;
#[path = "it/design/mod.rs"]
mod design;
#[path = "it/dynamics.rs"]
mod dynamics;
#[path = "it/fits.rs"]
mod fits;
#[path = "it/intervals.rs"]
mod intervals;
#[path = "it/npz.rs"]
mod npz;
#[path = "it/processes.rs"]
mod processes;
#[path = "it/spectrum.rs"]
mod spectrum;
