//! Ops that pick elements by indices and put them there.

use super::Call;
use super::value::{Value, axis, count, each_index, strides};
use crate::error::{Error, Result};
use crate::model::attribute;
use crate::tensor::DataType;

/// Whole slices along one axis, by indices of any shape.
pub(super) fn gather(call: &Call) -> Result<Vec<Value>> {
    let (x, indices) = (call.x(0)?, call.x(1)?);
    let at = axis(call.int("axis", 0), x.dims.len())?;
    let rows: Vec<usize> = indices.to_ints().iter().map(|i| axis(*i, x.dims[at])).collect::<Result<_>>()?;
    let (before, after) = (&x.dims[..at], &x.dims[at + 1..]);
    let dims = [before, &indices.dims, after].concat();
    let (outer, size, inner) = (count(before)?, x.dims[at], count(after)?);
    let mut data = Vec::with_capacity(count(&dims)?);
    for block in 0..outer {
        for row in &rows {
            let start = (block * size + row) * inner;
            data.extend_from_slice(&x.data[start..start + inner]);
        }
    }
    Ok(vec![x.like(&dims, data)?])
}

/// Single elements along one axis.
pub(super) fn gather_elements(call: &Call) -> Result<Vec<Value>> {
    let (x, indices) = (call.x(0)?, call.x(1)?);
    let at = axis(call.int("axis", 0), x.dims.len())?;
    if indices.dims.len() != x.dims.len() {
        return Err(Error::new("indices and data differ in dimensions"));
    }
    let rows: Vec<usize> = indices.to_ints().iter().map(|i| axis(*i, x.dims[at])).collect::<Result<_>>()?;
    let (steps, mut position, mut data) = (strides(&x.dims), 0, Vec::with_capacity(rows.len()));
    each_index(&indices.dims, |index| {
        let other = index.iter().zip(&steps).enumerate().map(|(a, (i, s))| if a == at { 0 } else { i * s });
        data.extend(x.data.get(other.sum::<usize>() + rows[position] * steps[at]));
        position += 1;
    });
    Ok(vec![x.like(&indices.dims, data)?])
}

/// What a scattering node does where something is already.
fn reduction(call: &Call) -> Result<fn(f64, f64) -> f64> {
    match attribute(call.node, "reduction").and_then(|a| a.s.as_deref()) {
        None | Some(b"none") => Ok(|_, new| new),
        Some(b"add") => Ok(|old, new| old + new),
        Some(b"mul") => Ok(|old, new| old * new),
        Some(b"max") => Ok(f64::max),
        Some(b"min") => Ok(f64::min),
        Some(_) => Err(Error::new("this reduction is not known here")),
    }
}

/// An index may occur several times.
pub(super) fn scatter_elements(call: &Call) -> Result<Vec<Value>> {
    let (x, indices, updates) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let at = axis(call.int("axis", 0), x.dims.len())?;
    let reduce = reduction(call)?;
    if indices.dims != updates.dims || indices.dims.len() != x.dims.len() {
        return Err(Error::new("indices and updates differ in shape"));
    }
    let steps = strides(&x.dims);
    let rows: Vec<usize> = indices.to_ints().iter().map(|i| axis(*i, x.dims[at])).collect::<Result<_>>()?;
    let (mut data, mut position) = (x.data.clone(), 0);
    each_index(&indices.dims, |index| {
        let other: usize =
            index.iter().zip(&steps).enumerate().map(|(a, (i, s))| if a == at { 0 } else { i * s }).sum();
        if let Some(to) = data.get_mut(other + rows[position] * steps[at]) {
            *to = reduce(*to, updates.data[position]);
        }
        position += 1;
    });
    Ok(vec![x.like(&x.dims, data)?])
}

/// The first places of the slices that indices [.., k] name in `x`, and the size of a slice.
fn slices(x: &Value, indices: &Value) -> Result<(Vec<usize>, usize)> {
    let k = indices.dims.last().copied().unwrap_or(0);
    let rest = x.dims.get(k..).ok_or_else(|| Error::new(format!("{k} indices into {:?}", x.dims)))?;
    let steps = strides(&x.dims);
    let flat = |place: &[i64]| -> Result<usize> {
        place.iter().zip(&x.dims).zip(&steps).map(|((i, d), s)| Ok(axis(*i, *d)? * s)).sum()
    };
    let all = indices.to_ints();
    let starts = if k == 0 {
        vec![0; count(&indices.dims[..indices.dims.len() - 1])?]
    } else {
        all.chunks_exact(k).map(flat).collect::<Result<_>>()?
    };
    Ok((starts, count(rest)?))
}

pub(super) fn gather_nd(call: &Call) -> Result<Vec<Value>> {
    let (x, indices) = (call.x(0)?, call.x(1)?);
    if call.int("batch_dims", 0) != 0 || indices.dims.is_empty() {
        return Err(Error::new("only indices without batch dimensions are known here"));
    }
    let (starts, width) = slices(x, indices)?;
    let k = indices.dims[indices.dims.len() - 1];
    let dims = [&indices.dims[..indices.dims.len() - 1], &x.dims[k..]].concat();
    count(&dims)?;
    let data = starts.iter().flat_map(|s| x.data[*s..s + width].iter().copied()).collect();
    Ok(vec![x.like(&dims, data)?])
}

pub(super) fn scatter_nd(call: &Call) -> Result<Vec<Value>> {
    let (x, indices, updates) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let reduce = reduction(call)?;
    if indices.dims.is_empty() {
        return Err(Error::new("indices need a dimension"));
    }
    let (starts, width) = slices(x, indices)?;
    if updates.data.len() != starts.len() * width {
        return Err(Error::new("the updates do not fit the indices"));
    }
    let mut data = x.data.clone();
    for (i, start) in starts.iter().enumerate() {
        for p in 0..width {
            data[start + p] = reduce(data[start + p], updates.data[i * width + p]);
        }
    }
    Ok(vec![x.like(&x.dims, data)?])
}

/// The places of what is not 0, one column each.
pub(super) fn non_zero(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let rank = x.dims.len();
    let (mut columns, mut position) = (Vec::new(), 0);
    each_index(&x.dims, |index| {
        if x.data[position] != 0.0 {
            columns.push(index.to_vec());
        }
        position += 1;
    });
    let rows: Vec<i64> = (0..rank).flat_map(|a| columns.iter().map(move |c| c[a] as i64)).collect();
    Ok(vec![Value::new(DataType::Int64, &[rank, columns.len()], rows.iter().map(|v| *v as f64).collect())?])
}
