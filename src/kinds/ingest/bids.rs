//! Tables of BIDS, the Brain Imaging Data Structure: tab-separated text whose missing values are `n/a`,
//! and beside it a JSON file that describes the columns.

use std::path::Path;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use crate::fs::Context;
use crate::spec::suggest::hint;
use crate::stage::Failure;
use crate::table::Frame;

/// The cell that stands for a missing value.
pub(super) const MISSING: &str = "n/a";

/// A sidecar's column, of which the levels matter here.
#[derive(Deserialize)]
struct Described {
    #[serde(default, rename = "Levels")]
    levels: IndexMap<String, Value>,
}

/// The levels of the columns that a sidecar describes as categories.
pub(super) struct Levels(IndexMap<String, Vec<String>>);

impl Levels {
    /// Reads a sidecar.
    ///
    /// # Errors
    /// If it is no JSON object.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = std::fs::read(path).at("read", path)?;
        let described: IndexMap<String, Value> = serde_json::from_slice(&bytes).map_err(|e| {
            Failure::new(format!("{} is no sidecar: {e}", path.display()))
                .hint("a sidecar is a JSON object of column names")
        })?;
        let levels = |value| serde_json::from_value::<Described>(value).map(|d| d.levels).unwrap_or_default();
        let columns = described.into_iter().map(|(column, value)| {
            let names: Vec<String> = levels(value).into_iter().map(|(name, _)| name).collect();
            (column, names)
        });
        Ok(Self(columns.filter(|(_, names)| !names.is_empty()).collect()))
    }

    /// The columns with levels; they are text even where the levels are numbers.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Checks that the columns hold nothing but their levels and missing values.
    ///
    /// # Errors
    /// If a cell is no level: which, and in which row.
    pub(super) fn check(&self, frame: &Frame) -> Result<(), Failure> {
        for (column, names) in self.0.iter().filter(|(column, _)| frame.has(column)) {
            let cells = frame.strings(column)?;
            let level = |cell: &String| cell.is_empty() || names.contains(cell);
            if let Some((row, cell)) = cells.iter().enumerate().find(|(_, cell)| !level(cell)) {
                let text = format!(
                    "row {row}: `{cell}` in column `{column}` is none of the levels that the sidecar names"
                );
                return Err(Failure::new(text).hint(hint(cell, names.iter().map(String::as_str))));
            }
        }
        Ok(())
    }
}
