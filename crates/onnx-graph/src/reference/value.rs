//! A tensor of the reference evaluation.

use crate::error::{Error, Result};
use crate::proto::TensorProto;
use crate::tensor::{DataType, numbers};

/// The reference refuses values of more elements than this.
pub const MAX_VALUES: usize = 1 << 24;

/// A dense tensor, row-major. Whatever its element type, the numbers are kept as float64.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// The element type that the graph states.
    pub ty: DataType,
    /// Sizes of the axes.
    pub dims: Vec<usize>,
    /// The numbers.
    pub data: Vec<f64>,
}

impl Value {
    /// A tensor of these numbers.
    ///
    /// # Errors
    /// If `data` is not as long as `dims` say, or longer than [`MAX_VALUES`].
    pub fn new(ty: DataType, dims: &[usize], data: Vec<f64>) -> Result<Self> {
        if count(dims)? == data.len() {
            Ok(Value { ty, dims: dims.to_vec(), data })
        } else {
            Err(Error::new(format!("the shape {dims:?} does not hold {} values", data.len())))
        }
    }

    /// A float32 tensor.
    ///
    /// # Errors
    /// As [`Value::new`].
    pub fn floats(dims: &[usize], data: Vec<f64>) -> Result<Self> {
        Value::new(DataType::Float, dims, data)
    }

    /// An int64 tensor.
    ///
    /// # Errors
    /// As [`Value::new`].
    pub fn ints(dims: &[usize], data: &[i64]) -> Result<Self> {
        Value::new(DataType::Int64, dims, data.iter().map(|v| *v as f64).collect())
    }

    /// A constant of a graph.
    ///
    /// # Errors
    /// If its type is not one that this crate works with, or it lacks its data.
    pub fn of(tensor: &TensorProto) -> Result<Self> {
        let ty = DataType::from_code(tensor.data_type.unwrap_or(0));
        let data = numbers(tensor)?;
        let dims: Option<Vec<usize>> = tensor.dims.iter().map(|d| usize::try_from(*d).ok()).collect();
        Value::new(ty, &dims.ok_or_else(|| Error::new("a size is negative"))?, data)
    }

    /// The numbers as integers.
    pub fn to_ints(&self) -> Vec<i64> {
        self.data.iter().map(|v| *v as i64).collect()
    }

    /// The only number of a tensor of one element.
    ///
    /// # Errors
    /// If it has none or several.
    pub fn only(&self) -> Result<f64> {
        match self.data[..] {
            [only] => Ok(only),
            _ => Err(Error::new(format!("one value is needed, not {}", self.data.len()))),
        }
    }

    /// The same type with other shape and numbers.
    pub(super) fn like(&self, dims: &[usize], data: Vec<f64>) -> Result<Self> {
        Value::new(self.ty, dims, data)
    }
}

/// Number of elements of a shape, not above [`MAX_VALUES`].
pub(super) fn count(dims: &[usize]) -> Result<usize> {
    let product = dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    product
        .filter(|n| *n <= MAX_VALUES)
        .ok_or_else(|| Error::new(format!("the shape {dims:?} is too large for the reference")))
}

/// Row-major strides.
pub(super) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; dims.len()];
    for i in (1..dims.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(dims[i]);
    }
    strides
}

/// Visits every multi-index of `dims` in row-major order.
pub(super) fn each_index(dims: &[usize], mut visit: impl FnMut(&[usize])) {
    if dims.contains(&0) {
        return;
    }
    let mut index = vec![0usize; dims.len()];
    loop {
        visit(&index);
        let Some(axis) = (0..dims.len()).rev().find(|a| index[*a] + 1 < dims[*a]) else { return };
        index[axis] += 1;
        index[axis + 1..].fill(0);
    }
}

/// Builds a tensor of shape `dims` whose element at an index is the element of `x` at position `from(index)`.
pub(super) fn picked(x: &Value, dims: &[usize], from: impl Fn(&[usize]) -> usize) -> Result<Value> {
    let mut data = Vec::with_capacity(count(dims)?);
    each_index(dims, |index| data.extend(x.data.get(from(index))));
    x.like(dims, data)
}

/// An axis counted from the front.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize> {
    let counted = if axis < 0 { axis.saturating_add_unsigned(rank as u64) } else { axis };
    let found = usize::try_from(counted).ok().filter(|a| *a < rank);
    found.ok_or_else(|| Error::new(format!("there is no axis {axis} in {rank} dimensions")))
}
