//! The logical digest of a column: a name for its values, whatever the file looks like.
//!
//! It is the blake3 hash of a header (the type's word, a tensor's shape, the number of rows), which
//! rows are null, and the values of the other rows in order. Chunks, compression, row groups and what
//! lies under a null do not enter. All NaNs are one value; 0.0 and -0.0 are two, because 1/x tells
//! them apart; the name of the column is not part of it.

use blake3::Hasher;
use polars::prelude::{BooleanChunked, ChunkedArray, DataType, PolarsNumericType, Series, pf16};

use super::frame::Frame;
use super::{dtype, failure};
use crate::parallel;
use crate::stage::{Column, Digest, Failure};

/// Values are gathered to blocks of about this many bytes before they are hashed.
const BLOCK: usize = 64 * 1024;

/// The columns' facts with their digests, made in parallel over the columns.
pub(super) fn columns(frame: &Frame) -> Result<Vec<Column>, Failure> {
    let mut facts = frame.facts().columns;
    let digests = parallel::map(facts.len(), parallel::cores(), |at| column(frame, &facts[at]));
    for (fact, digest) in facts.iter_mut().zip(digests) {
        fact.digest = Some(digest?);
    }
    Ok(facts)
}

/// The digest of a tensor column whose rows come piece by piece.
pub(super) struct Running(Hasher);

impl Running {
    /// Of a column of `rows` rows; none if it is no tensor column.
    pub(super) fn new(facts: &Column, rows: usize) -> Option<Self> {
        let width: usize = facts.shape.as_ref()?.iter().product();
        let mut hasher = headed(facts);
        begin_without_nulls(&mut hasher, rows);
        begin_without_nulls(&mut hasher, rows * width);
        Some(Running(hasher))
    }

    /// Takes the next rows. False if they hold nulls: then the column has another digest.
    pub(super) fn push(&mut self, series: &Series) -> Result<bool, Failure> {
        let inner = series.array().map_err(failure)?.get_inner();
        if series.null_count() > 0 || inner.null_count() > 0 {
            return Ok(false);
        }
        hash_values(&mut self.0, &inner)?;
        Ok(true)
    }

    pub(super) fn finish(self) -> Digest {
        self.0.finalize().into()
    }
}

/// A hasher that has taken what stands before the values.
fn headed(facts: &Column) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.update(b"sulcus column 1\n");
    hasher.update(facts.dtype.as_bytes());
    if let Some(shape) = &facts.shape {
        hasher.update(format!(" {shape:?}").as_bytes());
    }
    hasher.update(b"\n");
    hasher
}

/// What stands before values without nulls.
fn begin_without_nulls(hasher: &mut Hasher, length: usize) {
    hasher.update(&(length as u64).to_le_bytes());
    hasher.update(&[0]);
}

/// The digest of one column.
pub(super) fn column(frame: &Frame, facts: &Column) -> Result<Digest, Failure> {
    let series = frame.series(&facts.name)?;
    let mut hasher = headed(facts);
    hash_series(&mut hasher, series).map_err(|f| f.context(format!("column `{}`", facts.name)))?;
    Ok(hasher.finalize().into())
}

/// Hashes length, nulls and values.
fn hash_series(hasher: &mut Hasher, series: &Series) -> Result<(), Failure> {
    if series.null_count() == 0 || series.dtype() == &DataType::Null {
        begin_without_nulls(hasher, series.len());
        return hash_values(hasher, series);
    }
    hasher.update(&(series.len() as u64).to_le_bytes());
    hasher.update(&[1]);
    hash_bools(hasher, &series.is_not_null());
    hash_values(hasher, &series.drop_nulls())
}

/// Hashes the values of a column without nulls.
fn hash_values(hasher: &mut Hasher, series: &Series) -> Result<(), Failure> {
    macro_rules! numbers {
        ($column:expr, $canonical:expr) => {
            hash_numbers(hasher, $column.map_err(failure)?, $canonical)
        };
    }
    match series.dtype() {
        DataType::Null => {}
        DataType::Boolean => hash_bools(hasher, series.bool().map_err(failure)?),
        DataType::UInt8 => numbers!(series.u8(), u8::to_le_bytes),
        DataType::UInt16 => numbers!(series.u16(), u16::to_le_bytes),
        DataType::UInt32 => numbers!(series.u32(), u32::to_le_bytes),
        DataType::UInt64 => numbers!(series.u64(), u64::to_le_bytes),
        DataType::Int8 => numbers!(series.i8(), i8::to_le_bytes),
        DataType::Int16 => numbers!(series.i16(), i16::to_le_bytes),
        DataType::Int32 => numbers!(series.i32(), i32::to_le_bytes),
        DataType::Int64 => numbers!(series.i64(), i64::to_le_bytes),
        DataType::Float16 => numbers!(series.f16(), |v: pf16| {
            let nan = v.0.is_nan();
            (if nan { 0x7e00 } else { v.0.to_bits() }).to_le_bytes()
        }),
        DataType::Float32 => numbers!(series.f32(), |v: f32| {
            (if v.is_nan() { 0x7fc0_0000 } else { v.to_bits() }).to_le_bytes()
        }),
        DataType::Float64 => numbers!(series.f64(), |v: f64| {
            (if v.is_nan() { 0x7ff8 << 48 } else { v.to_bits() }).to_le_bytes()
        }),
        DataType::String => {
            let text = series.str().map_err(failure)?;
            hash_bytes(hasher, text.iter().flatten().map(str::as_bytes));
        }
        DataType::Binary => hash_bytes(hasher, series.binary().map_err(failure)?.iter().flatten()),
        DataType::Date | DataType::Time | DataType::Datetime(..) | DataType::Duration(_) => {
            hash_values(hasher, &series.to_physical_repr())?;
        }
        DataType::Array(..) => {
            hash_series(hasher, &series.array().map_err(failure)?.get_inner())?;
        }
        DataType::List(_) => {
            for row in series.list().map_err(failure)?.series_iter().flatten() {
                hash_series(hasher, &row)?;
            }
        }
        DataType::Struct(_) => {
            for field in series.struct_().map_err(failure)?.fields_as_series() {
                hash_series(hasher, &field)?;
            }
        }
        DataType::Decimal(..) => {
            // The word in the header holds precision and scale, so the text is exact.
            let text = series.cast(&DataType::String).map_err(failure)?;
            hash_values(hasher, &text)?;
        }
        other => {
            let word = dtype::word(other);
            return Err(Failure::new(format!("values of type {word} are not supported")));
        }
    }
    Ok(())
}

/// Hashes numbers as little-endian bytes, in blocks so that blake3 sees long runs.
fn hash_numbers<T: PolarsNumericType, const N: usize>(
    hasher: &mut Hasher,
    column: &ChunkedArray<T>,
    bytes: impl Fn(T::Native) -> [u8; N],
) {
    let mut block = Vec::with_capacity(BLOCK);
    for chunk in column.downcast_iter() {
        for values in chunk.values().chunks(BLOCK / N) {
            block.clear();
            block.extend(values.iter().flat_map(|v| bytes(*v)));
            hasher.update(&block);
        }
    }
}

fn hash_bools(hasher: &mut Hasher, column: &BooleanChunked) {
    let bytes: Vec<u8> = column.iter().map(|v| u8::from(v == Some(true))).collect();
    hasher.update(&bytes);
}

/// Hashes texts, each after its length.
fn hash_bytes<'a>(hasher: &mut Hasher, texts: impl Iterator<Item = &'a [u8]>) {
    let mut block = Vec::with_capacity(BLOCK);
    for text in texts {
        block.extend_from_slice(&(text.len() as u64).to_le_bytes());
        block.extend_from_slice(text);
        if block.len() >= BLOCK {
            hasher.update(&block);
            block.clear();
        }
    }
    hasher.update(&block);
}
