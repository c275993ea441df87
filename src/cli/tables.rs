//! Tables and models as commands show them. A build without them shows less.

use std::path::Path;

use super::CliError;
use crate::stage::{ModelFacts, TableFacts};

/// Cells are cut to this many characters.
const CELL: usize = 32;

/// A table's schema and first rows.
pub struct Rows {
    /// The schema and the number of rows.
    pub facts: TableFacts,
    /// The rows, a text a column.
    pub rows: Vec<Vec<String>>,
}

/// A table's schema and first `count` rows; `None` in a build without tables.
///
/// # Errors
/// If the file is no table.
#[cfg(feature = "tables")]
pub fn rows(path: &Path, count: usize) -> Result<Option<Rows>, CliError> {
    let preview = crate::table::preview(path, count)?;
    Ok(Some(Rows { facts: preview.facts, rows: preview.rows }))
}

/// A table's schema and first `count` rows; `None` in a build without tables.
///
/// # Errors
/// None in this build.
#[cfg(not(feature = "tables"))]
pub fn rows(_path: &Path, _count: usize) -> Result<Option<Rows>, CliError> {
    Ok(None)
}

/// How two tables differ, a sentence a column; `None` in a build without tables.
#[cfg(feature = "tables")]
pub fn differences(before: &Path, now: &Path) -> Option<Vec<String>> {
    use crate::table::ColumnComparison as Column;
    let found = crate::table::compare_paths(before, now).ok()?;
    let mut out = Vec::new();
    if found.left_rows != found.right_rows {
        out.push(format!("{} rows before, {} now", found.left_rows, found.right_rows));
    }
    for (name, column) in &found.columns {
        match column {
            Column::Equal | Column::Rows => {}
            Column::OnlyLeft => out.push(format!("column `{name}` is gone")),
            Column::OnlyRight => out.push(format!("column `{name}` is new")),
            Column::Types { left, right } => out.push(format!("column `{name}`: {left} before, {right} now")),
            Column::Values { rows, max_absolute, max_relative } => {
                let far = match (max_absolute, max_relative) {
                    (Some(absolute), Some(relative)) => {
                        format!(", by at most {absolute:.3e} (relative {relative:.3e})")
                    }
                    _ => String::new(),
                };
                out.push(format!("column `{name}`: {rows} of {} rows differ{far}", found.left_rows));
            }
        }
    }
    Some(out)
}

/// How two tables differ; `None` in a build without tables.
#[cfg(not(feature = "tables"))]
pub fn differences(_before: &Path, _now: &Path) -> Option<Vec<String>> {
    None
}

/// A model's signature, ops and number of parameters.
pub struct ModelShown {
    /// Inputs and outputs.
    pub facts: ModelFacts,
    /// How often each op is used.
    pub ops: Vec<(String, usize)>,
    /// Number of parameters.
    pub parameters: usize,
}

/// A model at a glance; `None` in a build without models.
///
/// # Errors
/// If the file is no model.
#[cfg(feature = "models")]
pub fn model(path: &Path) -> Result<Option<ModelShown>, CliError> {
    let wrong = |e: onnx_graph::error::Error| CliError::failed(format!("{}: {e}", path.display()));
    let model = onnx_graph::model::Model::read(&crate::fs::read(path)?).map_err(wrong)?;
    let facts = crate::kinds::model::facts::of(&model);
    Ok(Some(ModelShown { facts, ops: model.ops(), parameters: model.parameters() }))
}

/// A model at a glance; `None` in a build without models.
///
/// # Errors
/// None in this build.
#[cfg(not(feature = "models"))]
pub fn model(_path: &Path) -> Result<Option<ModelShown>, CliError> {
    Ok(None)
}

/// A cell on one line, cut if it is long.
pub fn cell(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(CELL) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// A number as people read it: at most six significant digits. Any other text stays as it is.
pub fn number(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && text.contains(['.', 'e', 'E']) => {
            let digits = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
            if !(-5..15).contains(&digits) {
                let shown = format!("{value:.5e}");
                let (mantissa, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
                return format!("{}e{exponent}", without_zeros(mantissa));
            }
            let places = usize::try_from(5 - digits).unwrap_or(0);
            without_zeros(&format!("{value:.places$}")).to_owned()
        }
        _ => text.to_owned(),
    }
}

/// A decimal number without the zeros at its end.
fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_six_digits() {
        for (text, shown) in [
            ("0.9416666666666667", "0.941667"),
            ("1797", "1797"),
            ("12.50", "12.5"),
            ("1234567.8", "1234568"),
            ("0.0000001234567", "1.23457e-7"),
            ("1e-7", "1e-7"),
            ("-0.5", "-0.5"),
            ("0.0", "0"),
            ("1.2.3", "1.2.3"),
            ("inf", "inf"),
            ("null", "null"),
        ] {
            assert_eq!(number(text), shown);
        }
    }
}
