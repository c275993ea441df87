//! Element types and constant tensors.

use crate::error::{Error, Result};
use crate::proto::TensorProto;

/// Element types that this crate works with, with ONNX's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// 32-bit float (1).
    Float,
    /// 64-bit integer (7).
    Int64,
    /// Boolean (9).
    Bool,
    /// 64-bit float (11).
    Double,
    /// Any other, by its number.
    Other(i32),
}

impl DataType {
    /// From ONNX's number.
    pub fn from_code(code: i32) -> Self {
        match code {
            1 => DataType::Float,
            7 => DataType::Int64,
            9 => DataType::Bool,
            11 => DataType::Double,
            other => DataType::Other(other),
        }
    }

    /// ONNX's number.
    pub fn code(self) -> i32 {
        match self {
            DataType::Float => 1,
            DataType::Int64 => 7,
            DataType::Bool => 9,
            DataType::Double => 11,
            DataType::Other(code) => code,
        }
    }

    /// The field's name for it: `float32`, `int64`, ….
    pub fn name(self) -> &'static str {
        match self {
            DataType::Float => "float32",
            DataType::Int64 => "int64",
            DataType::Bool => "bool",
            DataType::Double => "float64",
            DataType::Other(code) => match code {
                2 => "uint8",
                3 => "int8",
                4 => "uint16",
                5 => "int16",
                6 => "int32",
                8 => "string",
                10 => "float16",
                12 => "uint32",
                13 => "uint64",
                16 => "bfloat16",
                _ => "unknown",
            },
        }
    }

    /// Bytes of one element; `None` for strings and types of less than a byte.
    pub fn bytes(self) -> Option<usize> {
        match self.code() {
            2 | 3 | 9 | 17..=20 => Some(1),
            4 | 5 | 10 | 16 => Some(2),
            1 | 6 | 12 => Some(4),
            7 | 11 | 13 | 14 => Some(8),
            15 => Some(16),
            _ => None,
        }
    }
}

/// A float32 tensor constant called `name`.
pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    constant(name, dims, DataType::Float, raw)
}

/// An int64 tensor constant called `name`.
pub fn ints(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    constant(name, dims, DataType::Int64, raw)
}

/// A boolean scalar constant called `name`.
pub fn flag(name: &str, value: bool) -> TensorProto {
    constant(name, &[], DataType::Bool, vec![u8::from(value)])
}

fn constant(name: &str, dims: &[i64], ty: DataType, raw: Vec<u8>) -> TensorProto {
    TensorProto {
        dims: dims.to_vec(),
        data_type: Some(ty.code()),
        name: Some(name.to_owned()),
        raw_data: Some(raw),
        ..TensorProto::default()
    }
}

/// Number of elements of a shape.
///
/// # Errors
/// If a dimension is negative or the product does not fit.
pub fn elements(dims: &[i64]) -> Result<usize> {
    let product =
        dims.iter().try_fold(1usize, |n, d| usize::try_from(*d).ok().and_then(|d| n.checked_mul(d)));
    product.ok_or_else(|| Error::new(format!("the shape {dims:?} is impossible")))
}

/// The values of a float32 constant.
///
/// # Errors
/// If it has another type or lacks its data.
pub fn read_floats(tensor: &TensorProto) -> Result<Vec<f32>> {
    let name = tensor.name.as_deref().unwrap_or("");
    if tensor.data_type != Some(1) {
        let ty = DataType::from_code(tensor.data_type.unwrap_or(0)).name();
        return Err(Error::new(format!("the constant `{name}` is {ty}, not float32")));
    }
    let values: Vec<f32> = match &tensor.raw_data {
        Some(raw) => raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        None => tensor.float_data.clone(),
    };
    whole(name, &values, &tensor.dims)?;
    Ok(values)
}

/// The values of an int64 constant.
///
/// # Errors
/// If it has another type or lacks its data.
pub fn read_ints(tensor: &TensorProto) -> Result<Vec<i64>> {
    let name = tensor.name.as_deref().unwrap_or("");
    if tensor.data_type != Some(7) {
        let ty = DataType::from_code(tensor.data_type.unwrap_or(0)).name();
        return Err(Error::new(format!("the constant `{name}` is {ty}, not int64")));
    }
    let word = |b: &[u8]| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
    let values: Vec<i64> = match &tensor.raw_data {
        Some(raw) => raw.chunks_exact(8).map(word).collect(),
        None => tensor.int64_data.clone(),
    };
    whole(name, &values, &tensor.dims)?;
    Ok(values)
}

fn whole<T>(name: &str, values: &[T], dims: &[i64]) -> Result<()> {
    if values.len() == elements(dims)? {
        Ok(())
    } else {
        Err(Error::new(format!("the constant `{name}` of shape {dims:?} has {} values", values.len())))
    }
}
