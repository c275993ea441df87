//! What a Parquet footer says, believed only as far as the file can hold it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use polars::prelude::{ArrowSchema, DataFrame, DataType, ParquetReader, Schema, SchemaExt, SerReader};
use polars_parquet::read::FileMetadata;

use super::failure;
use super::frame::{Frame, size};
use crate::fs::Context;
use crate::stage::{Failure, TableFacts};

/// A table may always unfold to this many bytes, …
const FREE: u64 = 4 << 30;
/// … and beyond that to this many times the size of its file.
const RATIO: u64 = 10_000;

/// An opened Parquet file whose footer was checked.
pub(super) struct Footer {
    pub(super) reader: ParquetReader<File>,
    pub(super) schema: Schema,
    pub(super) shapes: BTreeMap<String, Vec<usize>>,
    pub(super) rows: u64,
}

impl Footer {
    /// Opens `path` and checks its footer. Call inside a guard.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).at("open", path)?;
        let length = file.metadata().at("look at", path)?.len();
        let mut reader = ParquetReader::new(file);
        let metadata = reader.get_metadata().map_err(failure)?;
        check_places(metadata, length)?;
        let rows = metadata.num_rows as u64;
        let arrow = reader.schema().map_err(failure)?;
        let schema = Schema::from_arrow_schema(&arrow);
        let width: u64 = schema.iter_values().map(|d| super::dtype::width(d) as u64).sum();
        let claimed = rows.saturating_mul(width);
        if claimed > FREE.max(length.saturating_mul(RATIO)) {
            return Err(Failure::new(format!(
                "{length} bytes that claim to hold {rows} rows, {claimed} bytes unpacked"
            )));
        }
        Ok(Footer { reader, shapes: shapes(&arrow, &schema), schema, rows })
    }

    /// A table of no rows with the file's columns.
    pub(super) fn schema(&self) -> Result<Frame, Failure> {
        let empty = DataFrame::empty_with_schema(&self.schema);
        Frame::adopt(empty, self.shapes.clone())
    }

    /// The schema and the number of rows.
    pub(super) fn facts(&self) -> Result<TableFacts, Failure> {
        let mut facts = self.schema()?.facts();
        facts.rows = Some(self.rows);
        Ok(facts)
    }
}

/// Every column chunk lies inside the file, and the row groups add up to the rows.
fn check_places(metadata: &FileMetadata, length: u64) -> Result<(), Failure> {
    let mut rows = 0_usize;
    for group in &metadata.row_groups {
        rows = rows.saturating_add(group.num_rows());
        for chunk in group.parquet_columns() {
            let place = chunk.byte_range();
            if place.start > place.end || place.end > length {
                return Err(Failure::new(format!(
                    "the file has {length} bytes, but its footer speaks of byte {}",
                    place.end
                ))
                .hint("the file was cut short or damaged; make it or fetch it again"));
            }
        }
    }
    if rows != metadata.num_rows {
        return Err(Failure::new(format!(
            "the footer counts {} rows, its row groups {rows}",
            metadata.num_rows
        )));
    }
    Ok(())
}

/// Shapes in the metadata of tensor fields; a shape that does not fit the width is ignored.
pub(super) fn shapes(arrow: &ArrowSchema, schema: &Schema) -> BTreeMap<String, Vec<usize>> {
    let told = |name: &str| -> Option<Vec<usize>> {
        let text = arrow.get(name)?.metadata.as_ref()?.get("shape")?;
        serde_json::from_str(text).ok()
    };
    let fits = |name: &str, shape: &[usize]| match schema.get(name) {
        Some(DataType::Array(_, width)) => size(shape) == *width,
        _ => false,
    };
    schema
        .iter_names()
        .filter_map(|name| Some((name.to_string(), told(name)?)))
        .filter(|(name, shape)| fits(name, shape))
        .collect()
}
