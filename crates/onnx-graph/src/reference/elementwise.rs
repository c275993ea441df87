//! Ops that work element by element, with numpy's broadcasting.

use super::Call;
use super::value::{Value, picked, strides};
use crate::error::{Error, Result};
use crate::model::attribute;
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

pub(super) fn unary(call: &Call, f: impl Fn(f64) -> f64) -> Result<Vec<Value>> {
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
    if call.x(0)?.ty.is_float() {
        return binary(call, None, |a, b| a / b);
    }
    if call.x(1)?.data.contains(&0.0) {
        return Err(Error::new("an integer is divided by 0"));
    }
    binary(call, None, |a, b| (a / b).trunc())
}

pub(super) fn pow(call: &Call) -> Result<Vec<Value>> {
    binary(call, None, f64::powf)
}

fn logical(call: &Call, holds: impl Fn(f64, f64) -> bool) -> Result<Vec<Value>> {
    binary(call, Some(DataType::Bool), |a, b| f64::from(u8::from(holds(a, b))))
}

pub(super) fn equal(call: &Call) -> Result<Vec<Value>> {
    logical(call, |a, b| a == b)
}

pub(super) fn greater(call: &Call) -> Result<Vec<Value>> {
    logical(call, |a, b| a > b)
}

pub(super) fn greater_or_equal(call: &Call) -> Result<Vec<Value>> {
    logical(call, |a, b| a >= b)
}

pub(super) fn less(call: &Call) -> Result<Vec<Value>> {
    logical(call, |a, b| a < b)
}

pub(super) fn less_or_equal(call: &Call) -> Result<Vec<Value>> {
    logical(call, |a, b| a <= b)
}

pub(super) fn and(call: &Call) -> Result<Vec<Value>> {
    logical(call, |a, b| a != 0.0 && b != 0.0)
}

pub(super) fn or(call: &Call) -> Result<Vec<Value>> {
    logical(call, |a, b| a != 0.0 || b != 0.0)
}

pub(super) fn not(call: &Call) -> Result<Vec<Value>> {
    unary(call, |x| f64::from(u8::from(x == 0.0)))
}

/// Input 1 where input 0 holds, else input 2.
pub(super) fn choose(call: &Call) -> Result<Vec<Value>> {
    let (condition, a, b) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let dims = broadcast(&condition.dims, &broadcast(&a.dims, &b.dims)?)?;
    let (c, x, y) = (stretched(condition, &dims)?, stretched(a, &dims)?, stretched(b, &dims)?);
    let data = c.data.iter().zip(x.data.iter().zip(&y.data));
    Ok(vec![a.like(&dims, data.map(|(c, (x, y))| if *c != 0.0 { *x } else { *y }).collect())?])
}

/// Any number of inputs, one after the other.
fn folded(call: &Call, f: impl Fn(f64, f64) -> f64) -> Result<Vec<Value>> {
    let mut total = call.x(0)?.clone();
    for i in 1..call.inputs.len() {
        let next = call.x(i)?;
        let dims = broadcast(&total.dims, &next.dims)?;
        let (x, y) = (stretched(&total, &dims)?, stretched(next, &dims)?);
        total = total.like(&dims, x.data.iter().zip(&y.data).map(|(x, y)| f(*x, *y)).collect())?;
    }
    Ok(vec![total])
}

pub(super) fn sum(call: &Call) -> Result<Vec<Value>> {
    folded(call, |x, y| x + y)
}

pub(super) fn mean(call: &Call) -> Result<Vec<Value>> {
    let mut made = sum(call)?;
    made.iter_mut().flat_map(|y| &mut y.data).for_each(|v| *v /= call.inputs.len() as f64);
    Ok(made)
}

pub(super) fn min(call: &Call) -> Result<Vec<Value>> {
    folded(call, f64::min)
}

pub(super) fn max(call: &Call) -> Result<Vec<Value>> {
    folded(call, f64::max)
}

pub(super) fn identity(call: &Call) -> Result<Vec<Value>> {
    Ok(vec![call.x(0)?.clone()])
}

pub(super) fn neg(call: &Call) -> Result<Vec<Value>> {
    unary(call, |x| -x)
}

pub(super) fn abs(call: &Call) -> Result<Vec<Value>> {
    unary(call, f64::abs)
}

pub(super) fn sign(call: &Call) -> Result<Vec<Value>> {
    unary(call, |x| if x == 0.0 { 0.0 } else { x.signum() })
}

pub(super) fn ceil(call: &Call) -> Result<Vec<Value>> {
    unary(call, f64::ceil)
}

pub(super) fn floor(call: &Call) -> Result<Vec<Value>> {
    unary(call, f64::floor)
}

/// Halves go to the even neighbour.
pub(super) fn round(call: &Call) -> Result<Vec<Value>> {
    unary(call, f64::round_ties_even)
}

pub(super) fn sin(call: &Call) -> Result<Vec<Value>> {
    unary(call, f64::sin)
}

pub(super) fn cos(call: &Call) -> Result<Vec<Value>> {
    unary(call, f64::cos)
}

pub(super) fn reciprocal(call: &Call) -> Result<Vec<Value>> {
    unary(call, f64::recip)
}

pub(super) fn sqrt(call: &Call) -> Result<Vec<Value>> {
    unary(call, f64::sqrt)
}

pub(super) fn log(call: &Call) -> Result<Vec<Value>> {
    unary(call, f64::ln)
}

/// Bounds are inputs (or attributes before operator set 11).
pub(super) fn clip(call: &Call) -> Result<Vec<Value>> {
    let bound = |i: usize, name: &str, default: f64| match call.optional(i) {
        Some(value) => value.only(),
        None => Ok(attribute(call.node, name).and_then(|a| a.f).map_or(default, f64::from)),
    };
    let (low, high) = (bound(1, "min", f64::NEG_INFINITY)?, bound(2, "max", f64::INFINITY)?);
    unary(call, |x| x.max(low).min(high))
}

pub(super) fn exp(call: &Call) -> Result<Vec<Value>> {
    unary(call, f64::exp)
}

/// At inference nothing is dropped; in training what is dropped is random.
pub(super) fn dropout(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let ratio = call.optional(1).map_or(Ok(0.5), Value::only)?;
    if call.optional(2).map_or(Ok(0.0), Value::only)? != 0.0 && ratio != 0.0 {
        return Err(Error::new("in training it is random"));
    }
    Ok(vec![x.clone(), Value::new(DataType::Bool, &x.dims, vec![1.0; x.data.len()])?])
}

/// float32 and float64 stay as they are, smaller floats are rounded; to an integer numbers are cut, to a
/// boolean they are compared with 0.
pub(super) fn cast(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let ty = DataType::from_code(i32::try_from(call.int("to", 0)).unwrap_or(0));
    let to: fn(f64) -> f64 = match ty.code() {
        1 | 11 => |v| v,
        2..=7 | 12 | 13 => f64::trunc,
        9 => |v| f64::from(u8::from(v != 0.0)),
        10 => |v| half::f16::from_f64(v).to_f64(),
        16 => |v| half::bf16::from_f64(v).to_f64(),
        _ => return Err(Error::new(format!("a cast to {} is not known here", ty.name()))),
    };
    Ok(vec![Value::new(ty, &x.dims, x.data.iter().map(|v| to(*v)).collect())?])
}
