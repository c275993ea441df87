//! Columns that parameters name, as matrices and as keys of rows.

use std::collections::HashMap;

use science::linalg::Mat;

use crate::stage::{Column, Complaint, Facts, Failure, TableFacts};
use crate::table::{Frame, column_hint};

/// A column that must be there; `param` names it.
///
/// # Errors
/// If it is not there, with the nearest name or all names.
pub(super) fn exists(table: &TableFacts, name: &str, param: &str) -> Result<(), Complaint> {
    match table.column(name) {
        Some(_) => Ok(()),
        None => Err(Complaint::param(param, format!("the table has no column `{name}`"))
            .hint(column_hint(name, &table.names()))),
    }
}

/// The columns named; if none are, every tensor column.
pub(super) fn chosen(table: &TableFacts, named: &[String], param: &str) -> Result<Vec<String>, Complaint> {
    for (index, name) in named.iter().enumerate() {
        exists(table, name, &format!("{param}.{index}"))?;
    }
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let tensors = table.columns.iter().filter(|c| c.shape.is_some());
    let found: Vec<String> = tensors.map(|c| c.name.clone()).collect();
    if found.is_empty() {
        return Err(Complaint::param(param, "the table has no tensor column")
            .hint(format!("name the columns: `{param}: [a, b]`")));
    }
    Ok(found)
}

/// Facts of a table with these columns: names and types.
pub(super) fn facts(columns: &[(&str, &str)]) -> Facts {
    Facts::columns(columns.iter().map(|(name, dtype)| Column::new(*name, *dtype)).collect())
}

/// The columns side by side as one matrix (rows × numbers).
pub(super) fn matrix(frame: &Frame, columns: &[String]) -> Result<Mat<f64>, Failure> {
    let mut parts = Vec::with_capacity(columns.len());
    for name in columns {
        let tensor = frame.tensor_f64(name)?;
        let width = tensor.row_size().max(1);
        if let Some(at) = tensor.values.iter().position(|v| !v.is_finite()) {
            let text =
                format!("column `{name}`, row {}: {} is no finite number", at / width, tensor.values[at]);
            return Err(Failure::new(text).hint("leave the row out or fill it with table.sql"));
        }
        parts.push((width, tensor.values));
    }
    let places: Vec<(usize, usize)> = parts
        .iter()
        .enumerate()
        .flat_map(|(part, (width, _))| (0..*width).map(move |at| (part, at)))
        .collect();
    Ok(Mat::from_fn(frame.rows(), places.len(), |row, column| {
        let (part, at) = places[column];
        let (width, values) = &parts[part];
        values[row * width + at]
    }))
}

/// Names of the numbers in the columns: `voxel` alone, `maps[3]` of a tensor.
pub(super) fn names(frame: &Frame, columns: &[String]) -> Vec<String> {
    let facts = frame.facts();
    let of = |name: &String| -> Vec<String> {
        match facts.column(name).and_then(|c| c.shape.as_ref()) {
            None => vec![name.clone()],
            Some(shape) => (0..shape.iter().product::<usize>()).map(|i| format!("{name}[{i}]")).collect(),
        }
    };
    columns.iter().flat_map(of).collect()
}

/// Rows by their id, each id once.
pub(super) fn by_id(frame: &Frame, column: &str) -> Result<(Vec<String>, HashMap<String, usize>), Failure> {
    let ids = frame.strings(column)?;
    let mut places = HashMap::with_capacity(ids.len());
    for (row, id) in ids.iter().enumerate() {
        if let Some(first) = places.insert(id.clone(), row) {
            let text = format!("rows {first} and {row} have the same `{column}`: {id}");
            return Err(Failure::new(text).hint("every stimulus has one row; average repeats with table.sql"));
        }
    }
    Ok((ids, places))
}
