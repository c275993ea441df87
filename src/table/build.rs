//! Making tables from plain Rust values.

use polars::prelude::{Column as PolarsColumn, DataFrame, NamedFrom, Series};

use super::access::Tensor;
use super::failure;
use super::frame::{Frame, size};
use crate::stage::Failure;

impl Frame {
    /// Appends a column of 32-bit float tensors; an empty shape makes a plain column.
    ///
    /// # Errors
    /// If the name is taken, the number of rows differs, or the shape holds a zero.
    pub fn push_tensor_f32(&mut self, name: &str, tensor: Tensor<f32>) -> Result<(), Failure> {
        self.push_tensor(name, Series::new(name.into(), tensor.values), &tensor.row_shape)
    }

    /// Appends a column of 64-bit whole numbers.
    ///
    /// # Errors
    /// If the name is taken or the number of rows differs.
    pub fn push_i64s(&mut self, name: &str, values: Vec<i64>) -> Result<(), Failure> {
        self.push(Series::new(name.into(), values))
    }

    /// Appends a column of 64-bit whole numbers, some of them missing.
    ///
    /// # Errors
    /// If the name is taken or the number of rows differs.
    pub fn push_optional_i64s(&mut self, name: &str, values: Vec<Option<i64>>) -> Result<(), Failure> {
        self.push(Series::new(name.into(), values))
    }

    /// Appends a column of 64-bit floats.
    ///
    /// # Errors
    /// If the name is taken or the number of rows differs.
    pub fn push_f64s(&mut self, name: &str, values: Vec<f64>) -> Result<(), Failure> {
        self.push(Series::new(name.into(), values))
    }

    /// Appends a column of 64-bit floats in which a NaN stands for a missing value, and becomes one.
    ///
    /// # Errors
    /// If the name is taken or the number of rows differs.
    pub fn push_known_f64s(&mut self, name: &str, values: Vec<f64>) -> Result<(), Failure> {
        let known: Vec<Option<f64>> = values.into_iter().map(|v| (!v.is_nan()).then_some(v)).collect();
        self.push(Series::new(name.into(), known))
    }

    /// Appends a column of 32-bit floats.
    ///
    /// # Errors
    /// If the name is taken or the number of rows differs.
    pub fn push_f32s(&mut self, name: &str, values: Vec<f32>) -> Result<(), Failure> {
        self.push(Series::new(name.into(), values))
    }

    /// Appends a column of text.
    ///
    /// # Errors
    /// If the name is taken or the number of rows differs.
    pub fn push_strings<S: AsRef<str>>(&mut self, name: &str, values: &[S]) -> Result<(), Failure> {
        let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
        self.push(Series::new(name.into(), values))
    }

    /// Appends a column of text, some of it missing.
    ///
    /// # Errors
    /// If the name is taken or the number of rows differs.
    pub fn push_optional_strings(&mut self, name: &str, values: &[Option<String>]) -> Result<(), Failure> {
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        self.push(Series::new(name.into(), values))
    }

    /// Appends the column `name` of `other`.
    ///
    /// # Errors
    /// If `other` lacks it, the name is taken or the number of rows differs.
    pub fn push_column_of(&mut self, other: &Frame, name: &str) -> Result<(), Failure> {
        self.push_renamed(other, name, name)
    }

    /// Appends the column `name` of `other` under the name `new`.
    ///
    /// # Errors
    /// If `other` lacks it, the new name is taken or the number of rows differs.
    pub fn push_renamed(&mut self, other: &Frame, name: &str, new: &str) -> Result<(), Failure> {
        self.push(other.series(name)?.clone().with_name(new.into()))?;
        if let Some(shape) = other.shapes.get(name) {
            self.shapes.insert(new.to_owned(), shape.clone());
        }
        Ok(())
    }

    /// Appends a column given as the flat `values` of tensors of `row_shape`.
    pub(super) fn push_tensor(
        &mut self,
        name: &str,
        values: Series,
        row_shape: &[usize],
    ) -> Result<(), Failure> {
        if row_shape.is_empty() {
            return self.push(values);
        }
        let width = size(row_shape);
        if width == 0 || !values.len().is_multiple_of(width) {
            return Err(Failure::new(format!(
                "column `{name}`: {} values do not make rows of shape {row_shape:?}",
                values.len()
            )));
        }
        let flat = super::nest::wrap_values(&values, width)?;
        self.push(flat)?;
        self.shapes.insert(name.to_owned(), row_shape.to_vec());
        Ok(())
    }

    pub(super) fn push(&mut self, column: Series) -> Result<(), Failure> {
        let name = column.name().to_string();
        if self.has(&name) {
            return Err(Failure::new(format!("there are two columns called `{name}`")));
        }
        if self.data.width() == 0 {
            self.data = DataFrame::new(column.len(), vec![column.into()]).map_err(failure)?;
            return Ok(());
        }
        if column.len() != self.rows() {
            return Err(Failure::new(format!(
                "column `{name}` has {} rows, the table has {}",
                column.len(),
                self.rows()
            )));
        }
        self.data.with_column(PolarsColumn::from(column)).map_err(failure)?;
        Ok(())
    }
}
