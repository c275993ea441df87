//! Many artefacts at one port as one table, the matrix axes as columns.

use serde_json::Value;

use polars::prelude::{NamedFrom, Series};

use super::frame::{Frame, same_columns};
use super::read::read;
use crate::stage::{Axes, Bound, Column, Failure, InputFacts, TableFacts};

/// Reads all artefacts bound to a port and stacks their rows in the order given. Where they come from
/// a matrix, its axes come first, as columns.
///
/// # Errors
/// If a file cannot be read, the columns differ, or an axis has the name of a column.
pub fn gather(bounds: &[Bound], columns: Option<&[&str]>) -> Result<Frame, Failure> {
    let cells = bounds
        .iter()
        .map(|bound| {
            let part = read(bound, columns)?;
            Ok((bound.axes.clone(), part))
        })
        .collect::<Result<_, Failure>>()?;
    stack(cells)
}

/// Stacks the rows of matrix cells in the order given, their axes in front as columns.
///
/// # Errors
/// If the columns or the axes differ, or an axis has the name of a column.
pub fn stack(cells: Vec<(Axes, Frame)>) -> Result<Frame, Failure> {
    let axes: Vec<&Axes> = cells.iter().map(|(axes, _)| axes).collect();
    let axes = axis_values(&axes).map_err(Failure::new)?;
    let mut rows = Vec::with_capacity(cells.len());
    let mut body = Frame::new();
    for (_, part) in &cells {
        rows.push(part.rows());
        body.vstack(part).map_err(|f| f.context("the tables cannot be stacked"))?;
    }
    if axes.is_empty() {
        return Ok(body);
    }
    let mut frame = Frame::new();
    for (name, values) in &axes {
        if body.has(name) {
            return Err(Failure::new(clash(name)).hint(CLASH_HINT));
        }
        frame.push(axis_column(name, values, &rows))?;
    }
    for name in body.names() {
        frame.push_column_of(&body, name)?;
    }
    Ok(frame)
}

/// The schema that [`gather`] will give, `None` where it is not known yet.
///
/// # Errors
/// If the columns differ or an axis has the name of a column.
pub fn gather_facts(inputs: &[InputFacts]) -> Result<Option<TableFacts>, String> {
    let axes: Vec<&Axes> = inputs.iter().map(|i| &i.axes).collect();
    let axes = axis_values(&axes)?;
    let tables: Vec<&TableFacts> = inputs.iter().filter_map(|i| i.facts.table()).collect();
    if tables.len() != inputs.len() || tables.is_empty() {
        return Ok(None);
    }
    for other in &tables[1..] {
        same_columns(tables[0], other)?;
    }
    let mut columns = Vec::new();
    for (name, values) in &axes {
        if tables[0].column(name).is_some() {
            return Err(clash(name));
        }
        columns.push(Column::new(name, axis_word(values)));
    }
    let alone = tables.len() == 1 && axes.is_empty();
    columns
        .extend(tables[0].columns.iter().map(|c| Column { digest: c.digest.filter(|_| alone), ..c.clone() }));
    let rows = tables.iter().map(|t| t.rows).sum();
    Ok(Some(TableFacts { rows, columns }))
}

const CLASH_HINT: &str = "rename the column or the axis";

fn clash(name: &str) -> String {
    format!("the matrix axis `{name}` has the name of a column")
}

/// Each axis with its value in every cell. All cells have the same axes.
fn axis_values(cells: &[&Axes]) -> Result<Vec<(String, Vec<Value>)>, String> {
    let Some(first) = cells.first() else {
        return Ok(Vec::new());
    };
    let mut axes: Vec<(String, Vec<Value>)> =
        first.iter().map(|(name, _)| (name.clone(), Vec::new())).collect();
    for cell in cells {
        if cell.len() != axes.len() {
            return Err("the gathered artefacts have different matrix axes".to_owned());
        }
        for (name, values) in &mut axes {
            let Some((_, value)) = cell.iter().find(|(n, _)| n == name) else {
                return Err(format!("a gathered artefact has no matrix axis `{name}`"));
            };
            values.push(value.clone());
        }
    }
    Ok(axes)
}

fn axis_word(values: &[Value]) -> &'static str {
    if values.iter().all(Value::is_i64) {
        "int64"
    } else if values.iter().all(Value::is_number) {
        "float64"
    } else if values.iter().all(Value::is_boolean) {
        "bool"
    } else {
        "string"
    }
}

/// Every cell's value, repeated for its rows.
fn axis_column(name: &str, values: &[Value], rows: &[usize]) -> Series {
    fn repeat<T: Clone>(values: impl Iterator<Item = T>, rows: &[usize]) -> Vec<T> {
        values.zip(rows).flat_map(|(value, count)| std::iter::repeat_n(value, *count)).collect()
    }
    let all = values.iter();
    match axis_word(values) {
        "int64" => Series::new(name.into(), repeat(all.filter_map(Value::as_i64), rows)),
        "float64" => Series::new(name.into(), repeat(all.filter_map(Value::as_f64), rows)),
        "bool" => Series::new(name.into(), repeat(all.filter_map(Value::as_bool), rows)),
        _ => {
            let text = all.map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
            Series::new(name.into(), repeat(text, rows))
        }
    }
}
