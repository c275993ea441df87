//! Arrow files (the IPC file format, also called Feather 2).

use std::fs::File;
use std::path::Path;

use polars::prelude::{DataFrame, IpcReader, Schema, SchemaExt, SerReader};

use super::failure;
use super::footer::shapes;
use super::frame::Frame;
use super::guard::guarded;
use crate::fs::Context;
use crate::stage::Failure;

/// Reads an Arrow file.
///
/// # Errors
/// If the file cannot be read or is damaged.
pub fn read_arrow(path: &Path) -> Result<Frame, Failure> {
    guarded("Arrow", path, || {
        let mut reader = IpcReader::new(File::open(path).at("open", path)?);
        let arrow = reader.schema().map_err(failure)?;
        let schema = Schema::from_arrow_schema(&arrow);
        let data = reader.finish().map_err(failure)?;
        Frame::adopt(data, shapes(&arrow, &schema))
    })
}

/// A table of no rows with the columns of an Arrow file.
///
/// # Errors
/// If the file cannot be read or is damaged.
pub fn arrow_schema_of(path: &Path) -> Result<Frame, Failure> {
    guarded("Arrow", path, || {
        let mut reader = IpcReader::new(File::open(path).at("open", path)?);
        let arrow = reader.schema().map_err(failure)?;
        let schema = Schema::from_arrow_schema(&arrow);
        let empty = DataFrame::empty_with_schema(&schema);
        Frame::adopt(empty, shapes(&arrow, &schema))
    })
}
