//! A table's first rows as text.

use std::path::Path;

use polars::prelude::{AnyValue, DataType, Series};

use super::failure;
use super::footer::Footer;
use super::guard::guarded;
use crate::fs::Context;
use crate::stage::{Failure, TableFacts};

/// Values of a tensor that a cell shows.
const SHOWN: usize = 6;

/// A table at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// Schema and number of rows.
    pub facts: TableFacts,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// The first rows, one text a column.
    pub rows: Vec<Vec<String>>,
}

/// Schema, size and the first `rows` rows of a Parquet file. A tensor is shortened to its shape and
/// first values, `[1×8×8] 0 0 5 …`; a missing value is `null`.
///
/// # Errors
/// If the file cannot be read or is damaged.
pub fn preview(path: &Path, rows: usize) -> Result<Preview, Failure> {
    let bytes = std::fs::metadata(path).at("look at", path)?.len();
    guarded("Parquet", path, || {
        let footer = Footer::open(path)?;
        let facts = footer.facts()?;
        let frame = footer.read(None, 0..rows)?;
        let cells = |row| -> Result<Vec<String>, Failure> {
            frame
                .names()
                .into_iter()
                .map(|name| {
                    let shape = frame.shapes.get(name).map(Vec::as_slice);
                    let series = frame.series(name)?;
                    Ok(match cell(series, row, shape, SHOWN)? {
                        text if text.is_empty() && is_null(series, row) => "null".to_owned(),
                        text => text,
                    })
                })
                .collect()
        };
        let rows = (0..frame.rows()).map(cells).collect::<Result<_, _>>()?;
        Ok(Preview { facts, bytes, rows })
    })
}

fn is_null(series: &Series, row: usize) -> bool {
    matches!(series.get(row), Ok(AnyValue::Null))
}

/// One value as text; a null is empty. At most `shown` values of a list are written out.
pub(super) fn cell(
    series: &Series,
    row: usize,
    shape: Option<&[usize]>,
    shown: usize,
) -> Result<String, Failure> {
    let value = series.get(row).map_err(failure)?;
    Ok(match value {
        AnyValue::Null => String::new(),
        AnyValue::String(text) => text.to_owned(),
        AnyValue::Boolean(v) => v.to_string(),
        AnyValue::Float32(v) => v.to_string(),
        AnyValue::Float64(v) => v.to_string(),
        AnyValue::Float16(v) => v.0.to_f32().to_string(),
        AnyValue::Array(values, width) => {
            let shape = shape.map_or_else(|| vec![width], <[usize]>::to_vec);
            let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
            format!("[{}] {}", shape.join("×"), list(&values, shown)?)
        }
        AnyValue::List(values) => format!("[{}] {}", values.len(), list(&values, shown)?),
        AnyValue::Binary(bytes) => format!("{} bytes", bytes.len()),
        other if other.dtype().is_integer() => other.to_string(),
        AnyValue::Struct(..) | AnyValue::StructOwned(_) => fields(series, row, shown)?,
        _ => {
            let text = series.slice(row as i64, 1).cast(&DataType::String);
            let text = text.map_err(failure)?;
            text.str().map_err(failure)?.get(0).unwrap_or_default().to_owned()
        }
    })
}

fn list(values: &Series, shown: usize) -> Result<String, Failure> {
    let mut text: Vec<String> =
        (0..values.len().min(shown)).map(|i| cell(values, i, None, shown)).collect::<Result<_, _>>()?;
    if values.len() > shown {
        text.push("…".to_owned());
    }
    Ok(text.join(" "))
}

fn fields(series: &Series, row: usize, shown: usize) -> Result<String, Failure> {
    let fields = series.struct_().map_err(failure)?.fields_as_series();
    let text: Vec<String> = fields
        .iter()
        .map(|f| Ok(format!("{}: {}", f.name(), cell(f, row, None, shown)?)))
        .collect::<Result<_, Failure>>()?;
    Ok(format!("{{{}}}", text.join(", ")))
}
