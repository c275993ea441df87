//! What a Parquet footer says, believed only as far as the file can hold it.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use polars::prelude::{ArrowSchema, DataFrame, DataType, ParquetReader, Schema, SchemaExt, SerReader};
use polars_parquet::read::FileMetadata;

use super::frame::{Frame, size};
use super::{failure, pages};
use crate::fs::Context;
use crate::stage::{Failure, TableFacts};

/// A table may always unfold to this many bytes, …
const FREE: u64 = 4 << 30;
/// … and beyond that to this many times the size of its file.
const RATIO: u64 = 10_000;

/// What a file claims to unfold to, against what its bytes can hold.
pub(super) struct Claims {
    length: u64,
    bytes: u64,
}

impl Claims {
    /// Adds a claim.
    pub(super) fn add(&mut self, bytes: usize) -> Result<(), Failure> {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.bytes > FREE.max(self.length.saturating_mul(RATIO)) {
            return Err(Failure::new(format!(
                "{} bytes that claim to hold {} bytes unpacked",
                self.length, self.bytes
            )));
        }
        Ok(())
    }
}

/// An opened Parquet file whose footer was checked.
pub(super) struct Footer {
    reader: ParquetReader<File>,
    file: File,
    length: u64,
    pub(super) schema: Schema,
    pub(super) shapes: BTreeMap<String, Vec<usize>>,
    pub(super) rows: u64,
    /// Rows of each row group.
    pub(super) groups: Vec<usize>,
}

impl Footer {
    /// Opens `path` and checks its footer. Call inside a guard.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).at("open", path)?;
        let length = file.metadata().at("look at", path)?.len();
        let mut reader = ParquetReader::new(file.try_clone().at("open", path)?);
        let metadata = reader.get_metadata().map_err(failure)?;
        check_places(metadata, length)?;
        let rows = metadata.num_rows as u64;
        let groups = metadata.row_groups.iter().map(|group| group.num_rows()).collect();
        let arrow = reader.schema().map_err(failure)?;
        let schema = Schema::from_arrow_schema(&arrow);
        let width: usize = schema.iter_values().map(super::dtype::width).sum();
        Claims { length, bytes: 0 }
            .add((rows as usize).saturating_mul(width))
            .map_err(|said| said.context(format!("{rows} rows")))?;
        Ok(Footer { reader, file, length, shapes: shapes(&arrow, &schema), schema, rows, groups })
    }

    /// Reads the rows of a range, as far as there are such, and the columns named, or all.
    pub(super) fn read(mut self, columns: Option<&[&str]>, rows: Range<usize>) -> Result<Frame, Failure> {
        let metadata = self.reader.get_metadata().map_err(failure)?.clone();
        let claims = Claims { length: self.length, bytes: 0 };
        pages::check(&metadata, &mut self.file, columns, rows.clone(), claims)?;
        let wanted = columns.map(|c| c.iter().map(|&n| n.to_owned()).collect());
        let reader = self.reader.with_slice(Some((rows.start, rows.len()))).with_columns(wanted);
        Frame::adopt(reader.finish().map_err(failure)?, self.shapes)
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
