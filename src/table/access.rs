//! Columns as plain Rust values.

use polars::prelude::{DataType, Series};

use super::frame::{Frame, size};
use super::{dtype, failure};
use crate::stage::Failure;

/// The tensors of a column, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor<T> {
    /// Shape of one row's tensor; empty for plain numbers.
    pub row_shape: Vec<usize>,
    /// All values, rows outermost, each row in row-major order.
    pub values: Vec<T>,
}

impl<T> Tensor<T> {
    /// Number of values in one row.
    pub fn row_size(&self) -> usize {
        size(&self.row_shape)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.row_size()).unwrap_or(0)
    }
}

impl Frame {
    /// A column of numbers or tensors of numbers as 32-bit floats. Truth values are 0 and 1; lists
    /// count as tensors where all rows are equally long.
    ///
    /// # Errors
    /// If the column is missing, holds no numbers, or a row is null (its number, from 0, is named).
    pub fn tensor_f32(&self, name: &str) -> Result<Tensor<f32>, Failure> {
        let (leaf, row_shape) = self.leaf(name)?;
        let leaf = leaf.cast(&DataType::Float32).map_err(failure)?;
        self.tensor(name, plain_values(leaf.f32().map_err(failure)?), row_shape)
    }

    /// As [`Frame::tensor_f32`], as 64-bit floats.
    ///
    /// # Errors
    /// As [`Frame::tensor_f32`].
    pub fn tensor_f64(&self, name: &str) -> Result<Tensor<f64>, Failure> {
        let (leaf, row_shape) = self.leaf(name)?;
        let leaf = leaf.cast(&DataType::Float64).map_err(failure)?;
        self.tensor(name, plain_values(leaf.f64().map_err(failure)?), row_shape)
    }

    fn tensor<T>(&self, name: &str, values: Vec<T>, row_shape: Vec<usize>) -> Result<Tensor<T>, Failure> {
        if values.len() != size(&row_shape).saturating_mul(self.rows()) {
            return Err(Failure::new(format!("column `{name}` has rows of unequal length")));
        }
        Ok(Tensor { row_shape, values })
    }

    /// All numbers of a column, row after row, and the shape of a row.
    fn leaf(&self, name: &str) -> Result<(Series, Vec<usize>), Failure> {
        let series = self.series(name)?;
        refuse_nulls(series, "rows")?;
        let (leaf, row_shape) = match series.dtype() {
            DataType::Array(_, width) => {
                let shape = self.shapes.get(name).cloned().unwrap_or_else(|| vec![*width]);
                (series.array().map_err(failure)?.get_inner(), shape)
            }
            DataType::List(_) => {
                let width = list_width(series)?;
                let trimmed = series.trim_lists_to_normalized_offsets();
                (trimmed.as_ref().unwrap_or(series).get_leaf_array(), vec![width])
            }
            _ => (series.clone(), Vec::new()),
        };
        numeric(&leaf, name)?;
        refuse_nulls(&leaf, "values")?;
        Ok((leaf, row_shape))
    }

    /// A column of whole numbers. Truth values are 0 and 1; floats are taken if they are whole.
    ///
    /// # Errors
    /// If the column is missing, holds anything else, or a row is null.
    pub fn i64s(&self, name: &str) -> Result<Vec<i64>, Failure> {
        let series = self.series(name)?;
        numeric(series, name)?;
        refuse_nulls(series, "rows")?;
        if series.dtype().is_float() {
            let values = self.f64s(name)?;
            let whole = |v: &f64| v.fract() == 0.0 && v.abs() < 9.0e15;
            return match values.iter().position(|v| !whole(v)) {
                None => Ok(values.iter().map(|v| *v as i64).collect()),
                Some(row) => Err(Failure::new(format!(
                    "column `{name}`, row {row}: {} is not a whole number",
                    values[row]
                ))),
            };
        }
        let cast = series.strict_cast(&DataType::Int64).map_err(failure)?;
        Ok(plain_values(cast.i64().map_err(failure)?))
    }

    /// A column of numbers as 64-bit floats; a null is NaN.
    ///
    /// # Errors
    /// If the column is missing or does not hold numbers.
    pub fn f64s(&self, name: &str) -> Result<Vec<f64>, Failure> {
        let series = self.series(name)?;
        if series.dtype() == &DataType::Null {
            return Ok(vec![f64::NAN; series.len()]);
        }
        numeric(series, name)?;
        let cast = series.cast(&DataType::Float64).map_err(failure)?;
        let values = cast.f64().map_err(failure)?;
        Ok(values.iter().map(|v| v.unwrap_or(f64::NAN)).collect())
    }

    /// A column as text, whatever its type; a null is an empty text.
    ///
    /// # Errors
    /// If the column is missing.
    pub fn strings(&self, name: &str) -> Result<Vec<String>, Failure> {
        let series = self.series(name)?;
        if let Ok(text) = series.str() {
            return Ok(text.iter().map(|v| v.unwrap_or_default().to_owned()).collect());
        }
        (0..series.len()).map(|row| super::preview::cell(series, row, None, usize::MAX)).collect()
    }
}

/// Contiguous values of a column without nulls.
fn plain_values<T: polars::prelude::PolarsNumericType>(
    column: &polars::prelude::ChunkedArray<T>,
) -> Vec<T::Native> {
    let mut values = Vec::with_capacity(column.len());
    for chunk in column.downcast_iter() {
        values.extend_from_slice(chunk.values());
    }
    values
}

fn numeric(series: &Series, name: &str) -> Result<(), Failure> {
    let dtype = series.dtype();
    if dtype.is_primitive_numeric() || dtype.is_bool() || dtype.is_decimal() {
        return Ok(());
    }
    Err(Failure::new(format!("column `{name}` holds {}, not numbers", dtype::word(dtype))))
}

fn refuse_nulls(series: &Series, of: &str) -> Result<(), Failure> {
    if series.null_count() == 0 {
        return Ok(());
    }
    let missing = series.is_null();
    let first = missing.iter().position(|v| v == Some(true)).unwrap_or(0);
    let one = of.trim_end_matches('s');
    Err(Failure::new(format!(
        "column `{}` has {} missing {of}, the first at {one} {first}",
        series.name(),
        series.null_count()
    ))
    .hint("fill them or leave the rows out with table.sql"))
}

/// The length that all rows of a list column share.
fn list_width(series: &Series) -> Result<usize, Failure> {
    let lists = series.list().map_err(failure)?;
    let mut lengths = lists.downcast_iter().flat_map(|chunk| {
        let offsets = chunk.offsets().as_slice();
        offsets.windows(2).map(|w| w[1] - w[0]).collect::<Vec<_>>()
    });
    let Some(first) = lengths.next() else {
        return Ok(1);
    };
    match lengths.position(|l| l != first) {
        None => Ok(usize::try_from(first).unwrap_or(0)),
        Some(row) => Err(Failure::new(format!(
            "column `{}` has rows of unequal length: {first} values in row 0, not in row {}",
            series.name(),
            row + 1
        ))),
    }
}
