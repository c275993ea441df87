//! Arrays from other programs as columns.

use polars::prelude::{NamedFrom, Series, pf16};

use super::frame::{Frame, size};
use crate::stage::{Column, Failure};

/// A row holds at most this many values.
const MOST: usize = 1 << 32;

/// The element type of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Element {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    /// Half precision; becomes a 32-bit float, because lists of halves cannot be read from Parquet again.
    F16,
    /// The upper half of a 32-bit float; becomes a 32-bit float.
    Bf16,
    F32,
    F64,
    /// Text of so many bytes, padded with zeros.
    Bytes(usize),
    /// Text of so many 32-bit code points, padded with zeros.
    Utf32(usize),
}

impl Element {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Element::Bool | Element::U8 | Element::I8 => 1,
            Element::U16 | Element::I16 | Element::F16 | Element::Bf16 => 2,
            Element::U32 | Element::I32 | Element::F32 => 4,
            Element::U64 | Element::I64 | Element::F64 => 8,
            Element::Bytes(count) => count,
            Element::Utf32(count) => count.saturating_mul(4),
        }
    }

    /// Bytes of the words that byte order is about.
    pub fn word_size(self) -> usize {
        match self {
            Element::Bytes(_) => 1,
            Element::Utf32(_) => 4,
            other => other.size(),
        }
    }

    /// The word for a column of it.
    pub fn word(self) -> &'static str {
        match self {
            Element::Bool => "bool",
            Element::U8 => "uint8",
            Element::U16 => "uint16",
            Element::U32 => "uint32",
            Element::U64 => "uint64",
            Element::I8 => "int8",
            Element::I16 => "int16",
            Element::I32 => "int32",
            Element::I64 => "int64",
            Element::F16 | Element::Bf16 | Element::F32 => "float32",
            Element::F64 => "float64",
            Element::Bytes(_) | Element::Utf32(_) => "string",
        }
    }
}

/// Name, element type and shape of an array; the first axis counts rows.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayFacts {
    /// Its name in its file.
    pub name: String,
    /// What it holds.
    pub element: Element,
    /// All axes.
    pub shape: Vec<usize>,
}

impl ArrayFacts {
    /// Number of bytes of its values; `None` if that overflows.
    pub fn bytes(&self) -> Option<usize> {
        let count = self.shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d))?;
        count.checked_mul(self.element.size())
    }

    /// Number of rows.
    ///
    /// # Errors
    /// If it has no first axis, or an axis of rows of no values.
    pub fn rows(&self) -> Result<usize, Failure> {
        match self.shape.split_first() {
            None => {
                Err(Failure::new(format!("array `{}` is a single value; rows need a first axis", self.name)))
            }
            Some((_, row)) if !(1..=MOST).contains(&size(row)) => Err(Failure::new(format!(
                "array `{}` of shape {:?} has rows of no or too many values",
                self.name, self.shape
            ))),
            Some((rows, _)) => Ok(*rows),
        }
    }

    /// The facts of the column that it makes.
    pub fn column(&self, name: &str) -> Column {
        let row = self.shape.get(1..).unwrap_or_default();
        let word = self.element.word();
        if row.is_empty() {
            return Column::new(name, word);
        }
        Column::new(name, format!("tensor({word})")).with_shape(row.to_vec())
    }
}

impl Frame {
    /// Appends an array as a column, its further axes as the shape of a tensor. `bytes` are the values
    /// in row-major order, little-endian.
    ///
    /// # Errors
    /// If the bytes do not fit the facts, text is not Unicode, or the column does not fit the table.
    pub fn push_array(&mut self, name: &str, facts: &ArrayFacts, bytes: &[u8]) -> Result<(), Failure> {
        if facts.bytes() != Some(bytes.len()) {
            return Err(Failure::new(format!(
                "array `{}` of shape {:?} has {} bytes of values",
                facts.name,
                facts.shape,
                bytes.len()
            )));
        }
        facts.rows()?;
        let series = series(name, facts.element, bytes)?;
        self.push_tensor(name, series, &facts.shape[1..])
    }
}

fn series(name: &str, element: Element, bytes: &[u8]) -> Result<Series, Failure> {
    macro_rules! numbers {
        ($type:ty, $size:literal) => {{
            let words = bytes.as_chunks::<$size>().0;
            let values: Vec<$type> = words.iter().map(|b| <$type>::from_le_bytes(*b)).collect();
            Series::new(name.into(), values)
        }};
    }
    let text = |size: usize, decode: &dyn Fn(&[u8]) -> Option<String>| -> Result<Series, Failure> {
        let values: Option<Vec<String>> = bytes.chunks_exact(size.max(1)).map(decode).collect();
        let values =
            values.ok_or_else(|| Failure::new(format!("array `{name}` holds text that is not Unicode")))?;
        Ok(Series::new(name.into(), values))
    };
    Ok(match element {
        Element::Bool => {
            let values: Vec<bool> = bytes.iter().map(|b| *b != 0).collect();
            Series::new(name.into(), values)
        }
        Element::U8 => Series::new(name.into(), bytes),
        Element::U16 => numbers!(u16, 2),
        Element::U32 => numbers!(u32, 4),
        Element::U64 => numbers!(u64, 8),
        Element::I8 => numbers!(i8, 1),
        Element::I16 => numbers!(i16, 2),
        Element::I32 => numbers!(i32, 4),
        Element::I64 => numbers!(i64, 8),
        Element::F16 => {
            let words = bytes.as_chunks::<2>().0;
            let wide = |b: &[u8; 2]| pf16::from_bits(u16::from_le_bytes(*b)).0.to_f32();
            Series::new(name.into(), words.iter().map(wide).collect::<Vec<f32>>())
        }
        Element::Bf16 => {
            let words = bytes.as_chunks::<2>().0;
            let wide = |b: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16);
            Series::new(name.into(), words.iter().map(wide).collect::<Vec<f32>>())
        }
        Element::F32 => numbers!(f32, 4),
        Element::F64 => numbers!(f64, 8),
        Element::Bytes(size) => text(size, &|cell| {
            let end = cell.iter().rposition(|b| *b != 0).map_or(0, |p| p + 1);
            String::from_utf8(cell[..end].to_vec()).ok()
        })?,
        Element::Utf32(size) => text(size.saturating_mul(4), &|cell| {
            let points = cell.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b));
            let text: Option<String> = points.map(char::from_u32).collect();
            text.map(|t| t.trim_end_matches('\0').to_owned())
        })?,
    })
}
