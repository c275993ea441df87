//! Fixed-size lists of fixed-size lists ↔ flat ones with a shape.

use polars::prelude::{CompatLevel, DataType, Series};
use polars_arrow::array::{ArrayRef, FixedSizeListArray};
use polars_arrow::bitmap::Bitmap;

use super::failure;
use crate::stage::Failure;

/// One level of fixed-size lists over `values`.
fn wrap(values: ArrayRef, width: usize, validity: Option<Bitmap>) -> Result<ArrayRef, Failure> {
    let dtype = FixedSizeListArray::default_datatype(values.dtype().clone(), width);
    let length = values.len().checked_div(width).unwrap_or(0);
    FixedSizeListArray::try_new(dtype, length, values, validity)
        .map(FixedSizeListArray::boxed)
        .map_err(failure)
}

/// The values of a (nested) fixed-size list column in one array, and which rows are not null.
fn leaves(series: &Series) -> Result<(ArrayRef, Option<Bitmap>), Failure> {
    let series = series.rechunk();
    let rows = series.array().map_err(failure)?.rechunk_validity();
    let mut inner = series.array().map_err(failure)?.get_inner();
    while let DataType::Array(..) = inner.dtype() {
        let level = inner.array().map_err(failure)?;
        if rows.is_none() && level.null_count() > 0 {
            let text = format!("column `{}` holds a tensor with a missing slice", series.name());
            return Err(Failure::new(text));
        }
        inner = level.get_inner();
    }
    Ok((inner.rechunk().to_arrow(0, CompatLevel::newest()), rows))
}

/// A nested fixed-size list column as a flat one of `width` values a row.
pub(super) fn flatten(series: &Series, width: usize) -> Result<Series, Failure> {
    let (values, rows) = leaves(series)?;
    Series::from_arrow(series.name().clone(), wrap(values, width, rows)?).map_err(failure)
}

/// A flat fixed-size list column as a nested one of this shape.
pub(super) fn nest(series: &Series, shape: &[usize]) -> Result<Series, Failure> {
    let (mut values, rows) = leaves(series)?;
    for (level, width) in shape.iter().enumerate().rev() {
        let validity = if level == 0 { rows.clone() } else { None };
        values = wrap(values, *width, validity)?;
    }
    Series::from_arrow(series.name().clone(), values).map_err(failure)
}

/// A column whose rows are `width` consecutive values of `values`.
pub(super) fn wrap_values(values: &Series, width: usize) -> Result<Series, Failure> {
    let leaf = values.rechunk().to_arrow(0, CompatLevel::newest());
    Series::from_arrow(values.name().clone(), wrap(leaf, width, None)?).map_err(failure)
}
