//! Writing what a step made to its ports, and the runtime that it was given.

use crate::stage::{Failure, Io};
use crate::table::{self, Frame};

/// Writes a table to an output port.
///
/// # Errors
/// If it cannot be written.
pub(super) fn put_table(io: &mut Io, port: &str, mut frame: Frame) -> Result<(), Failure> {
    let path = io.create(port, "parquet");
    let facts = table::write(&mut frame, &path)?;
    io.put(port, path, facts);
    Ok(())
}

/// Writes a model to an output port.
///
/// # Errors
/// If it cannot be written.
#[cfg(feature = "models")]
pub(super) fn put_model(io: &mut Io, port: &str, model: &onnx_graph::model::Model) -> Result<(), Failure> {
    let path = io.create(port, "onnx");
    crate::fs::write_atomic(&path, &model.to_bytes())?;
    io.put(port, path, crate::stage::Facts::Model(super::model::facts::of(model)));
    Ok(())
}

/// ONNX Runtime, for kinds that say that they use it.
///
/// # Errors
/// If it was not given or cannot be loaded.
#[cfg(feature = "models")]
pub(super) fn runtime(io: &Io) -> Result<&'static crate::model::Runtime, Failure> {
    let library = io.library.as_ref().ok_or_else(|| Failure::new("ONNX Runtime is not here"))?;
    crate::model::Runtime::load(library)
}
