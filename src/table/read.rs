//! Reading Parquet.

use std::path::Path;

use polars::prelude::SerReader;

use super::failure;
use super::footer::Footer;
use super::frame::Frame;
use super::guard::guarded;
use super::nearest::column_hint;
use crate::stage::{Bound, Failure, TableFacts};

/// Reads the table bound to a port: all columns, or the named ones in that order.
///
/// # Errors
/// If the file cannot be read, is damaged, or lacks a column.
pub fn read(bound: &Bound, columns: Option<&[&str]>) -> Result<Frame, Failure> {
    read_path(&bound.path, columns)
}

/// Reads a Parquet file: all columns, or the named ones in that order.
///
/// # Errors
/// If the file cannot be read, is damaged, or lacks a column.
pub fn read_path(path: &Path, columns: Option<&[&str]>) -> Result<Frame, Failure> {
    guarded("Parquet", path, || {
        let footer = Footer::open(path)?;
        if let Some(columns) = columns {
            let known: Vec<&str> = footer.schema.iter_names().map(|n| n.as_str()).collect();
            if let Some(name) = columns.iter().find(|c| !known.contains(c)) {
                return Err(
                    Failure::new(format!("there is no column `{name}`")).hint(column_hint(name, &known))
                );
            }
        }
        let wanted = columns.map(|c| c.iter().map(|&n| n.to_owned()).collect());
        let data = footer.reader.with_columns(wanted).finish().map_err(failure)?;
        if data.height() as u64 != footer.rows {
            return Err(Failure::new(format!(
                "{} rows were read where the footer counts {}",
                data.height(),
                footer.rows
            )));
        }
        let frame = Frame::adopt(data, footer.shapes)?;
        match columns {
            Some(columns) => frame.select(columns),
            None => Ok(frame),
        }
    })
}

/// Schema and number of rows of a Parquet file, from its footer alone.
///
/// # Errors
/// If the file cannot be read or is damaged.
pub fn facts_of(path: &Path) -> Result<TableFacts, Failure> {
    guarded("Parquet", path, || Footer::open(path)?.facts())
}

/// A table of no rows with the columns of a Parquet file.
///
/// # Errors
/// If the file cannot be read or is damaged.
pub fn schema_of(path: &Path) -> Result<Frame, Failure> {
    guarded("Parquet", path, || Footer::open(path)?.schema())
}
