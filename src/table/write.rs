//! Writing Parquet: the same table always makes the same bytes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use polars::io::parquet::write::BatchedWriter;
use polars::prelude::{ArrowSchema, Field, KeyValueMetadata, ParquetCompression, ParquetWriter, PlSmallStr};
use polars_arrow::datatypes::Metadata;
use polars_parquet::write::schema_to_metadata_key;

use super::frame::Frame;
use super::{digest, dtype, failure};
use crate::fs::Context;
use crate::stage::{Facts, Failure, TableFacts};

/// A row group holds about this many bytes of plain values.
const GROUP_BYTES: usize = 32 << 20;
/// And at most this many rows.
const GROUP_ROWS: usize = 1 << 18;

/// Writes a table as Parquet and states its facts with the digest of every column.
///
/// Compression is zstd; row groups are cut by the schema alone. A tensor column is a fixed-size list
/// whose field metadata (in the Arrow schema that the file carries) holds `shape` and `dtype`.
///
/// # Errors
/// If the file cannot be written or a column's type cannot be stored.
pub fn write(frame: &mut Frame, path: &Path) -> Result<Facts, Failure> {
    let columns = digest::columns(frame)?;
    let file = File::create(path).at("create", path)?;
    let mut file = BufWriter::new(file);
    write_to(frame, &mut file).map_err(|f| f.context(format!("cannot write {}", path.display())))?;
    file.flush().at("write", path)?;
    Ok(Facts::Table(TableFacts { rows: Some(frame.rows() as u64), columns }))
}

fn write_to(frame: &mut Frame, file: &mut impl Write) -> Result<(), Failure> {
    let (mut writer, group) = open(frame, file)?;
    for start in (0..frame.rows()).step_by(group) {
        write_group(&mut writer, &frame.slice(start..frame.rows().min(start + group)))?;
    }
    writer.finish().map_err(failure)?;
    Ok(())
}

/// Writes one row group.
pub(super) fn write_group<W: Write>(writer: &mut BatchedWriter<W>, rows: &Frame) -> Result<(), Failure> {
    let mut part = rows.data.clone();
    part.rechunk_mut_par();
    writer.write_batch(&part).map_err(failure)
}

/// A writer of tables with the columns of `frame`, and the rows of a row group.
pub(super) fn open<W: Write>(frame: &Frame, file: W) -> Result<(BatchedWriter<W>, usize), Failure> {
    let schema = frame.data.schema().clone();
    let arrow = schema_to_metadata_key(&arrow_schema(frame));
    let arrow = vec![(arrow.key, arrow.value.unwrap_or_default())];
    let writer = ParquetWriter::new(file)
        .with_compression(ParquetCompression::Zstd(None))
        .with_key_value_metadata(Some(KeyValueMetadata::from_static(arrow)))
        .batched(&schema)
        .map_err(failure)?;
    let row: usize = schema.iter_values().map(dtype::width).sum();
    let group = (GROUP_BYTES / row.max(1)).clamp(1, GROUP_ROWS);
    Ok((writer, group))
}

/// The schema that Arrow readers see, with the metadata of tensor fields.
fn arrow_schema(frame: &Frame) -> ArrowSchema {
    frame
        .data
        .columns()
        .iter()
        .map(|column| {
            let name = column.name();
            let field = dtype::arrow_field(&Field::new(name.clone(), column.dtype().clone()));
            let field = match frame.shapes.get(name.as_str()) {
                Some(shape) => field.with_metadata(tensor_metadata(shape, column.dtype())),
                None => field,
            };
            (name.clone(), field)
        })
        .collect()
}

fn tensor_metadata(shape: &[usize], dtype: &polars::prelude::DataType) -> Metadata {
    let word = dtype::word(dtype);
    let inner = word.trim_start_matches("tensor(").trim_end_matches(')');
    let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
    let entry = |key: &'static str, value: &str| (PlSmallStr::from_static(key), value.into());
    [entry("dtype", inner), entry("shape", &format!("[{}]", shape.join(",")))].into_iter().collect()
}
