//! Reading Parquet.

use std::ops::Range;
use std::path::Path;

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
    read_some(path, columns, None)
}

/// As [`read_path`], some of the rows only.
///
/// # Errors
/// As [`read_path`]; if there are no such rows.
pub fn read_rows(path: &Path, columns: Option<&[&str]>, rows: Range<usize>) -> Result<Frame, Failure> {
    read_some(path, columns, Some(rows))
}

fn read_some(path: &Path, columns: Option<&[&str]>, rows: Option<Range<usize>>) -> Result<Frame, Failure> {
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
        let rows = rows.unwrap_or(0..footer.rows as usize);
        let expected = rows.len();
        let frame = footer.read(columns, rows)?;
        if frame.rows() != expected {
            return Err(Failure::new(format!(
                "{} rows were read where the footer counts {expected}",
                frame.rows(),
            )));
        }
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

/// The rows of a Parquet file by its row groups: what is read at once at little cost.
///
/// # Errors
/// If the file cannot be read or is damaged.
pub fn row_groups(path: &Path) -> Result<Vec<Range<usize>>, Failure> {
    guarded("Parquet", path, || {
        let mut end = 0;
        let place = |rows| {
            end += rows;
            end - rows..end
        };
        Ok(Footer::open(path)?.groups.into_iter().map(place).collect())
    })
}

/// A table of no rows with the columns of a Parquet file.
///
/// # Errors
/// If the file cannot be read or is damaged.
pub fn schema_of(path: &Path) -> Result<Frame, Failure> {
    guarded("Parquet", path, || Footer::open(path)?.schema())
}
