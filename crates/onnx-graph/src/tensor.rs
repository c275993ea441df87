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

    /// Whether it is a floating-point type.
    pub fn is_float(self) -> bool {
        matches!(self.code(), 1 | 10 | 11 | 16)
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
    floats_of(name, dims, values.len(), values.iter().copied())
}

/// As [`floats`], of `count` values that are made one after the other.
pub(crate) fn floats_of(
    name: &str,
    dims: &[i64],
    count: usize,
    values: impl Iterator<Item = f32>,
) -> TensorProto {
    let mut raw = Vec::with_capacity(4 * count);
    values.for_each(|v| raw.extend_from_slice(&v.to_le_bytes()));
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

/// A constant of these numbers in the type `ty`.
///
/// # Errors
/// If the type is not one of float32, float64, int32, int64 and bool, or a number is not exact in it.
pub fn constant_of(name: &str, ty: DataType, dims: &[i64], values: &[f64]) -> Result<TensorProto> {
    let whole = |v: &f64| v.fract() == 0.0 && v.abs() <= 9_007_199_254_740_992.0;
    let raw: Vec<u8> = match ty.code() {
        1 => values.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect(),
        11 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        6 if values.iter().all(whole) => values.iter().flat_map(|v| (*v as i32).to_le_bytes()).collect(),
        7 if values.iter().all(whole) => values.iter().flat_map(|v| (*v as i64).to_le_bytes()).collect(),
        9 => values.iter().map(|v| u8::from(*v != 0.0)).collect(),
        _ => return Err(Error::new(format!("`{name}` cannot be a constant of {}", ty.name()))),
    };
    Ok(constant(name, dims, ty, raw))
}

fn constant(name: &str, dims: &[i64], ty: DataType, raw: Vec<u8>) -> TensorProto {
    TensorProto {
        dims: dims.to_vec(),
        data_type: Some(ty.code()),
        name: Some(name.to_owned()),
        raw_data: Some(raw.into()),
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

/// The numbers of a constant of any numeric type, as float64.
///
/// # Errors
/// If it has no numbers, or lacks its data.
pub fn numbers(tensor: &TensorProto) -> Result<Vec<f64>> {
    let name = tensor.name.as_deref().unwrap_or("");
    let ty = DataType::from_code(tensor.data_type.unwrap_or(0));
    let small = |v: &i32| f64::from(*v);
    let half = |v: &i32| f64::from(half::f16::from_bits(*v as u16));
    let brain = |v: &i32| f64::from(half::bf16::from_bits(*v as u16));
    let values: Vec<f64> = match (ty.code(), &tensor.raw_data) {
        (1, None) => tensor.float_data.iter().map(|v| f64::from(*v)).collect(),
        (2..=6 | 9, None) => tensor.int32_data.iter().map(small).collect(),
        (10, None) => tensor.int32_data.iter().map(half).collect(),
        (16, None) => tensor.int32_data.iter().map(brain).collect(),
        (7, None) => tensor.int64_data.iter().map(|v| *v as f64).collect(),
        (11, None) => tensor.double_data.clone(),
        (12 | 13, None) => tensor.uint64_data.iter().map(|v| *v as f64).collect(),
        (code, Some(raw)) => match (code, ty.bytes()) {
            (1..=7 | 9..=13 | 16, Some(width)) => raw.chunks_exact(width).map(|b| number(code, b)).collect(),
            _ => return Err(Error::new(format!("the constant `{name}` is {}", ty.name()))),
        },
        _ => return Err(Error::new(format!("the constant `{name}` is {}", ty.name()))),
    };
    whole(name, &values, &tensor.dims)?;
    Ok(values)
}

/// One little-endian number of the type with ONNX's number `code`.
fn number(code: i32, bytes: &[u8]) -> f64 {
    let mut word = [0u8; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    let bits = u64::from_le_bytes(word);
    match code {
        1 => f64::from(f32::from_bits(bits as u32)),
        3 => f64::from(bits as i8),
        5 => f64::from(bits as i16),
        6 => f64::from(bits as i32),
        7 => bits as i64 as f64,
        9 => f64::from(u8::from(bits != 0)),
        10 => f64::from(half::f16::from_bits(bits as u16)),
        11 => f64::from_bits(bits),
        16 => f64::from(half::bf16::from_bits(bits as u16)),
        _ => bits as f64,
    }
}

fn whole<T>(name: &str, values: &[T], dims: &[i64]) -> Result<()> {
    if values.len() == elements(dims)? {
        Ok(())
    } else {
        Err(Error::new(format!("the constant `{name}` of shape {dims:?} has {} values", values.len())))
    }
}
