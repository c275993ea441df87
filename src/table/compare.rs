//! How far two tables differ.

use std::path::Path;

use polars::prelude::{DataType, Series};
use serde::Serialize;

use super::frame::{Frame, type_text};
use super::read::read_path;
use super::{digest, failure};
use crate::stage::{Column, Failure};

/// Two tables side by side, column by column: first those of the left table, then the right one's rest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Rows of the left table.
    pub left_rows: usize,
    /// Rows of the right table.
    pub right_rows: usize,
    /// Every column of either table.
    pub columns: Vec<(String, ColumnComparison)>,
}

impl Comparison {
    /// Do both tables hold the same columns with the same values?
    pub fn equal(&self) -> bool {
        self.left_rows == self.right_rows && self.columns.iter().all(|(_, c)| *c == ColumnComparison::Equal)
    }
}

/// One column in two tables.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnComparison {
    /// The same type and values.
    Equal,
    /// Only the left table has it.
    OnlyLeft,
    /// Only the right table has it.
    OnlyRight,
    /// The types differ; here as text.
    Types {
        /// Type in the left table.
        left: String,
        /// Type in the right table.
        right: String,
    },
    /// The numbers of rows differ, so values were not compared.
    Rows,
    /// The values differ.
    Values {
        /// Rows with a different value.
        rows: usize,
        /// Largest |a - b|, for numbers; infinite where a number meets NaN, infinity or null.
        max_absolute: Option<f64>,
        /// Largest |a - b| / max(|a|, |b|), for numbers.
        max_relative: Option<f64>,
    },
}

/// Compares two Parquet files.
///
/// # Errors
/// If one cannot be read.
pub fn compare_paths(left: &Path, right: &Path) -> Result<Comparison, Failure> {
    compare(&read_path(left, None)?, &read_path(right, None)?)
}

/// Compares two tables by the names of their columns; rows are compared in order.
///
/// # Errors
/// If a column's type cannot be compared.
pub fn compare(left: &Frame, right: &Frame) -> Result<Comparison, Failure> {
    let (ours, theirs) = (digest::columns(left)?, digest::columns(right)?);
    let mut columns = Vec::new();
    for column in &ours {
        let other = theirs.iter().find(|c| c.name == column.name);
        let found = match other {
            None => ColumnComparison::OnlyLeft,
            Some(other) if other.digest == column.digest => ColumnComparison::Equal,
            Some(other) => different(left, right, column, other)?,
        };
        columns.push((column.name.clone(), found));
    }
    for column in theirs.iter().filter(|c| !left.has(&c.name)) {
        columns.push((column.name.clone(), ColumnComparison::OnlyRight));
    }
    Ok(Comparison { left_rows: left.rows(), right_rows: right.rows(), columns })
}

fn different(
    left: &Frame,
    right: &Frame,
    ours: &Column,
    theirs: &Column,
) -> Result<ColumnComparison, Failure> {
    if (&ours.dtype, &ours.shape) != (&theirs.dtype, &theirs.shape) {
        return Ok(ColumnComparison::Types { left: type_text(ours), right: type_text(theirs) });
    }
    if left.rows() != right.rows() {
        return Ok(ColumnComparison::Rows);
    }
    let (a, b) = (left.series(&ours.name)?, right.series(&ours.name)?);
    let width: usize = ours.shape.iter().flatten().product::<usize>().max(1);
    let leaf = |s: &Series| match s.dtype() {
        DataType::Array(..) => filled(s),
        _ => Ok(s.clone()),
    };
    let (a, b) = (leaf(a)?, leaf(b)?);
    if !a.dtype().is_primitive_numeric() {
        let (a, b) = (left.strings(&ours.name)?, right.strings(&ours.name)?);
        return Ok(ColumnComparison::Values {
            rows: a.iter().zip(&b).filter(|(a, b)| a != b).count(),
            max_absolute: None,
            max_relative: None,
        });
    }
    numbers(&a, &b, width)
}

/// The values of a tensor column, null in every place of a row that is null.
fn filled(series: &Series) -> Result<Series, Failure> {
    let values = series.array().map_err(failure)?.get_inner();
    if series.null_count() == 0 {
        return Ok(values);
    }
    let width = values.len().checked_div(series.len()).unwrap_or(0);
    let present = series.is_not_null();
    let values = values.cast(&DataType::Float64).map_err(failure)?;
    let values = values.f64().map_err(failure)?;
    let masked =
        values.iter().enumerate().map(|(i, v)| v.filter(|_| present.get(i / width.max(1)) == Some(true)));
    Ok(masked.collect())
}

fn numbers(a: &Series, b: &Series, width: usize) -> Result<ColumnComparison, Failure> {
    let gaps = if a.dtype().is_integer() {
        let (a, b) = (whole(a)?, whole(b)?);
        gaps(
            a.into_iter().zip(b),
            |a, b| {
                let scale = a.unsigned_abs().max(b.unsigned_abs()) as f64;
                (a != b).then(|| (a.abs_diff(b) as f64, scale))
            },
            width,
        )
    } else {
        let (a, b) = (a.cast(&DataType::Float64), b.cast(&DataType::Float64));
        let (a, b) = (a.map_err(failure)?, b.map_err(failure)?);
        let (a, b) = (a.f64().map_err(failure)?, b.f64().map_err(failure)?);
        gaps(
            a.iter().zip(b.iter()),
            |a, b| {
                let same = a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
                (!same).then(|| ((a - b).abs(), a.abs().max(b.abs())))
            },
            width,
        )
    };
    let (rows, absolute, relative) = gaps;
    Ok(ColumnComparison::Values { rows, max_absolute: Some(absolute), max_relative: Some(relative) })
}

/// Whole numbers of any width, exactly.
fn whole(series: &Series) -> Result<Vec<Option<i128>>, Failure> {
    if let Ok(values) = series.u64() {
        return Ok(values.iter().map(|v| v.map(i128::from)).collect());
    }
    let values = series.cast(&DataType::Int64).map_err(failure)?;
    let values = values.i64().map_err(failure)?;
    Ok(values.iter().map(|v| v.map(i128::from)).collect())
}

/// Rows that differ and the largest absolute and relative gap. `gap` gives, for two different values,
/// their distance and the larger magnitude.
fn gaps<T: Copy>(
    pairs: impl Iterator<Item = (Option<T>, Option<T>)>,
    gap: impl Fn(T, T) -> Option<(f64, f64)>,
    width: usize,
) -> (usize, f64, f64) {
    let (mut rows, mut last) = (0, None);
    let (mut absolute, mut relative) = (0.0_f64, 0.0_f64);
    for (index, pair) in pairs.enumerate() {
        let found = match pair {
            (None, None) => None,
            (Some(a), Some(b)) => gap(a, b),
            _ => Some((f64::INFINITY, 1.0)),
        };
        let Some((distance, scale)) = found else {
            continue;
        };
        let row = index / width;
        if last.replace(row) != Some(row) {
            rows += 1;
        }
        let distance = if distance.is_nan() { f64::INFINITY } else { distance };
        absolute = absolute.max(distance);
        if distance > 0.0 {
            let scale = if scale.is_finite() { scale } else { 1.0 };
            relative = relative.max(distance / scale);
        }
    }
    (rows, absolute, relative)
}
