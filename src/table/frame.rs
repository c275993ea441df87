//! A table in memory.

use std::collections::BTreeMap;

use polars::prelude::{Column as PolarsColumn, DataFrame, DataType, IdxCa, IdxSize, NamedFrom, Series};

use super::nearest::column_hint;
use super::{dtype, failure};
use crate::stage::{Failure, TableFacts};

/// A table in memory: named columns of equal length.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    pub(super) data: DataFrame,
    /// Shapes of the tensor columns, whose rows are stored flat.
    pub(super) shapes: BTreeMap<String, Vec<usize>>,
}

impl Frame {
    /// A table without columns; the first column pushed decides the number of rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// A table of no rows with this schema; `None` if the schema holds a type that has no plain word.
    pub fn empty(facts: &TableFacts) -> Option<Self> {
        let shapes = facts.columns.iter().filter_map(|c| Some((c.name.clone(), c.shape.clone()?))).collect();
        let data = dtype::empty(facts)?;
        Some(Frame { data, shapes })
    }

    /// A table of polars columns: nested fixed-size lists become flat ones with a shape, categories
    /// become their text.
    pub(super) fn adopt(data: DataFrame, mut shapes: BTreeMap<String, Vec<usize>>) -> Result<Self, Failure> {
        let height = data.height();
        let mut columns = Vec::with_capacity(data.width());
        for column in data.into_columns() {
            let name = column.name().to_string();
            let (column, found) = plain(column)?;
            if let Some(found) = found {
                let told = shapes.get(&name).filter(|told| size(told) == size(&found));
                let shape = told.cloned().unwrap_or(found);
                shapes.insert(name, shape);
            } else {
                shapes.remove(&name);
            }
            columns.push(column);
        }
        let data = DataFrame::new(height, columns).map_err(failure)?;
        Ok(Frame { data, shapes })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.data.height()
    }

    /// Names of the columns, in order.
    pub fn names(&self) -> Vec<&str> {
        self.data.columns().iter().map(|c| c.name().as_str()).collect()
    }

    /// Is there a column called `name`?
    pub fn has(&self, name: &str) -> bool {
        self.data.get_column_index(name).is_some()
    }

    /// The schema and the number of rows; digests are made when a table is written.
    pub fn facts(&self) -> TableFacts {
        TableFacts {
            rows: Some(self.rows() as u64),
            columns: self
                .data
                .columns()
                .iter()
                .map(|c| {
                    let shape = self.shapes.get(c.name().as_str()).map(Vec::as_slice);
                    dtype::facts(c.name(), c.dtype(), shape)
                })
                .collect(),
        }
    }

    pub(super) fn series(&self, name: &str) -> Result<&Series, Failure> {
        match self.data.column(name) {
            Ok(column) => Ok(column.as_materialized_series()),
            Err(_) => {
                Err(Failure::new(format!("there is no column `{name}`"))
                    .hint(column_hint(name, &self.names())))
            }
        }
    }

    /// The named columns, in the order of `names`.
    ///
    /// # Errors
    /// If a column is missing or named twice.
    pub fn select(&self, names: &[&str]) -> Result<Self, Failure> {
        for name in names {
            self.series(name)?;
        }
        let data = self.data.select(names.iter().copied()).map_err(failure)?;
        let shapes = self
            .shapes
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()))
            .map(|(name, shape)| (name.clone(), shape.clone()))
            .collect();
        Ok(Frame { data, shapes })
    }

    /// The rows at `indices`, in that order; a row may be taken several times.
    ///
    /// # Errors
    /// If an index is not below the number of rows.
    pub fn take(&self, indices: &[usize]) -> Result<Self, Failure> {
        let rows = self.rows();
        if let Some(bad) = indices.iter().find(|i| **i >= rows) {
            return Err(Failure::new(format!("row {bad} of a table of {rows} rows")));
        }
        if self.data.width() == 0 {
            return Ok(self.clone());
        }
        let indices: Vec<IdxSize> = indices.iter().map(|i| *i as IdxSize).collect();
        let data = self.data.take(&IdxCa::new("".into(), indices)).map_err(failure)?;
        Ok(Frame { data, shapes: self.shapes.clone() })
    }

    /// The first `count` rows, or all if there are fewer.
    pub fn head(&self, count: usize) -> Self {
        Frame { data: self.data.head(Some(count)), shapes: self.shapes.clone() }
    }

    /// The rows of a range, which must lie within the table.
    pub fn slice(&self, rows: std::ops::Range<usize>) -> Self {
        Frame { data: self.data.slice(rows.start as i64, rows.len()), shapes: self.shapes.clone() }
    }

    /// Appends the rows of `other`, whose columns must be the same, in any order.
    ///
    /// # Errors
    /// If a column is missing, is too many or has another type or shape.
    pub fn vstack(&mut self, other: &Frame) -> Result<(), Failure> {
        if self.data.width() == 0 {
            *self = other.clone();
            return Ok(());
        }
        let (ours, theirs) = (self.facts(), other.facts());
        same_columns(&ours, &theirs).map_err(Failure::new)?;
        let other = other.data.select(ours.names()).map_err(failure)?;
        self.data.vstack_mut_owned(other).map_err(failure)?;
        Ok(())
    }
}

/// Number of values in a tensor of this shape.
pub(super) fn size(shape: &[usize]) -> usize {
    shape.iter().fold(1, |size, axis| size.saturating_mul(*axis))
}

/// Are the columns of two tables the same, order aside? If not, the first difference in words.
pub(super) fn same_columns(ours: &TableFacts, theirs: &TableFacts) -> Result<(), String> {
    for column in &ours.columns {
        let Some(other) = theirs.column(&column.name) else {
            return Err(format!("column `{}` is missing in a later part", column.name));
        };
        if (&column.dtype, &column.shape) != (&other.dtype, &other.shape) {
            return Err(format!(
                "column `{}` is {} in one part and {} in another",
                column.name,
                type_text(column),
                type_text(other)
            ));
        }
    }
    match theirs.columns.iter().find(|c| ours.column(&c.name).is_none()) {
        Some(extra) => Err(format!("column `{}` is missing in an earlier part", extra.name)),
        None => Ok(()),
    }
}

/// A column's type with its shape: `float32[1×8×8]`, `int64`.
pub(super) fn type_text(column: &crate::stage::Column) -> String {
    match (&column.shape, column.dtype.strip_prefix("tensor(")) {
        (Some(shape), Some(inner)) => {
            let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
            format!("{}[{}]", inner.trim_end_matches(')'), shape.join("×"))
        }
        _ => column.dtype.clone(),
    }
}

/// The column in plain types, and the shape if it is a tensor.
fn plain(column: PolarsColumn) -> Result<(PolarsColumn, Option<Vec<usize>>), Failure> {
    match column.dtype() {
        DataType::Categorical(..) | DataType::Enum(..) => {
            let text = column.cast(&DataType::String).map_err(failure)?;
            Ok((text, None))
        }
        DataType::Array(inner, _) if inner.is_array() => {
            let mut shape = Vec::new();
            let mut leaf = column.dtype();
            while let DataType::Array(inner, width) = leaf {
                shape.push(*width);
                leaf = inner;
            }
            let flat = super::nest::flatten(column.as_materialized_series(), size(&shape))?;
            Ok((flat.into(), Some(shape)))
        }
        DataType::Array(_, width) => {
            let shape = vec![*width];
            Ok((column, Some(shape)))
        }
        _ => Ok((column, None)),
    }
}
