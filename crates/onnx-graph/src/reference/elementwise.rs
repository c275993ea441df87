//! Ops that work element by element, with numpy's broadcasting.

use super::Call;
use super::value::{Value, picked, strides};
use crate::error::{Error, Result};
use crate::tensor::DataType;

/// The shape of two operands against each other.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], i: usize| (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
    let join = |i: usize| match (at(a, i), at(b, i)) {
        (x, y) if x == y => Ok(x),
        (1, y) => Ok(y),
        (x, 1) => Ok(x),
        _ => Err(Error::new(format!("the shapes {a:?} and {b:?} do not fit"))),
    };
    (0..rank).map(join).collect()
}

/// `x` repeated along its missing and its unit axes up to the shape `dims`.
pub(super) fn stretched(x: &Value, dims: &[usize]) -> Result<Value> {
    let steps = strides(&x.dims);
    let missing = dims.len().saturating_sub(x.dims.len());
    picked(x, dims, |index| {
        let own = index[missing..].iter().zip(&x.dims).zip(&steps);
        own.map(|((i, size), step)| if *size == 1 { 0 } else { i * step }).sum()
    })
}

fn binary(call: &Call, ty: Option<DataType>, f: impl Fn(f64, f64) -> f64) -> Result<Vec<Value>> {
    let (a, b) = (call.x(0)?, call.x(1)?);
    let dims = broadcast(&a.dims, &b.dims)?;
    let (x, y) = (stretched(a, &dims)?, stretched(b, &dims)?);
    let data = x.data.iter().zip(&y.data).map(|(x, y)| f(*x, *y)).collect();
    Ok(vec![Value::new(ty.unwrap_or(a.ty), &dims, data)?])
}

fn unary(call: &Call, f: impl Fn(f64) -> f64) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    Ok(vec![x.like(&x.dims, x.data.iter().map(|v| f(*v)).collect())?])
}

pub(super) fn add(call: &Call) -> Result<Vec<Value>> {
    binary(call, None, |a, b| a + b)
}

pub(super) fn sub(call: &Call) -> Result<Vec<Value>> {
    binary(call, None, |a, b| a - b)
}

pub(super) fn mul(call: &Call) -> Result<Vec<Value>> {
    binary(call, None, |a, b| a * b)
}

/// Integers are divided towards zero.
pub(super) fn div(call: &Call) -> Result<Vec<Value>> {
    if call.x(0)?.ty != DataType::Int64 {
        return binary(call, None, |a, b| a / b);
    }
    if call.x(1)?.data.contains(&0.0) {
        return Err(Error::new("an integer is divided by 0"));
    }
    binary(call, None, |a, b| (a / b).trunc())
}

pub(super) fn greater(call: &Call) -> Result<Vec<Value>> {
    binary(call, Some(DataType::Bool), |a, b| f64::from(u8::from(a > b)))
}

pub(super) fn sum(call: &Call) -> Result<Vec<Value>> {
    let mut total = call.x(0)?.clone();
    for i in 1..call.inputs.len() {
        let next = call.x(i)?;
        let dims = broadcast(&total.dims, &next.dims)?;
        let (x, y) = (stretched(&total, &dims)?, stretched(next, &dims)?);
        total = total.like(&dims, x.data.iter().zip(&y.data).map(|(x, y)| x + y).collect())?;
    }
    Ok(vec![total])
}

pub(super) fn identity(call: &Call) -> Result<Vec<Value>> {
    Ok(vec![call.x(0)?.clone()])
}

pub(super) fn neg(call: &Call) -> Result<Vec<Value>> {
    unary(call, |x| -x)
}

pub(super) fn exp(call: &Call) -> Result<Vec<Value>> {
    unary(call, f64::exp)
}

pub(super) fn relu(call: &Call) -> Result<Vec<Value>> {
    unary(call, |x| if x > 0.0 { x } else { 0.0 })
}

pub(super) fn sigmoid(call: &Call) -> Result<Vec<Value>> {
    unary(call, |x| 1.0 / (1.0 + (-x).exp()))
}

pub(super) fn tanh(call: &Call) -> Result<Vec<Value>> {
    unary(call, f64::tanh)
}

/// Floats stay float64; to an integer they are cut, to a boolean they are compared with 0.
pub(super) fn cast(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let ty = DataType::from_code(i32::try_from(call.int("to", 0)).unwrap_or(0));
    let to = |v: f64| match ty {
        DataType::Float | DataType::Double => Ok(v),
        DataType::Int64 => Ok(v.trunc()),
        DataType::Bool => Ok(f64::from(u8::from(v != 0.0))),
        DataType::Other(_) => Err(Error::new(format!("a cast to {} is not known here", ty.name()))),
    };
    let data: Result<Vec<f64>> = x.data.iter().map(|v| to(*v)).collect();
    Ok(vec![Value::new(ty, &x.dims, data?)?])
}
