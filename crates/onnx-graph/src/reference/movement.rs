//! Ops that move elements or ask for shapes.

use super::Call;
use super::elementwise::{broadcast, stretched};
use super::value::{Value, axis, count, each_index, picked, strides};
use crate::error::{Error, Result};
use crate::model::attribute;
use crate::tensor::DataType;

fn sizes(values: &[i64]) -> Result<Vec<usize>> {
    let sizes: Option<Vec<usize>> = values.iter().map(|v| usize::try_from(*v).ok()).collect();
    sizes.ok_or_else(|| Error::new(format!("the shape {values:?} is impossible")))
}

pub(super) fn constant(call: &Call) -> Result<Vec<Value>> {
    let tensor = crate::ops::constant_tensor(call.node);
    Ok(vec![Value::of(&tensor.ok_or_else(|| Error::new("it has no tensor"))?)?])
}

pub(super) fn concat(call: &Call) -> Result<Vec<Value>> {
    let parts = (0..call.inputs.len()).map(|i| call.x(i)).collect::<Result<Vec<_>>>()?;
    let first = call.x(0)?;
    let at = axis(call.int("axis", 0), first.dims.len())?;
    let mut dims = first.dims.clone();
    dims[at] = parts.iter().filter_map(|p| p.dims.get(at)).sum();
    if parts.iter().any(|p| p.dims.get(..at) != dims.get(..at) || p.dims.get(at + 1..) != dims.get(at + 1..))
    {
        return Err(Error::new("its inputs differ in another axis"));
    }
    let mut data = Vec::with_capacity(count(&dims)?);
    for block in 0..count(&dims[..at])? {
        for part in &parts {
            let length = count(&part.dims[at..])?;
            data.extend_from_slice(&part.data[block * length..(block + 1) * length]);
        }
    }
    Ok(vec![first.like(&dims, data)?])
}

/// Around some axes or all; negative pads cut. What lies outside is a constant, or found inside by
/// reflection, at the edge or around the corner.
pub(super) fn pad(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let rank = x.dims.len();
    let given = call.ints("pads").map_or_else(|| call.x(1).map(Value::to_ints), Ok)?;
    let at: Vec<usize> = match call.optional(3) {
        Some(axes) => axes.to_ints().iter().map(|a| axis(*a, rank)).collect::<Result<_>>()?,
        None => (0..rank).collect(),
    };
    if given.len() != 2 * at.len() || given.iter().any(|p| p.abs() > 1 << 24) {
        return Err(Error::new(format!("the pads {given:?} do not fit")));
    }
    let (mut before, mut dims) = (vec![0; rank], x.dims.clone());
    for (i, a) in at.iter().enumerate() {
        before[*a] = given[i];
        dims[*a] = usize::try_from(x.dims[*a] as i64 + given[i] + given[i + at.len()])
            .map_err(|_| Error::new(format!("the pads {given:?} leave nothing of axis {a}")))?;
    }
    let mode = attribute(call.node, "mode").and_then(|a| a.s.as_deref()).unwrap_or(b"constant");
    let value = call.optional(2).map_or(Ok(0.0), Value::only)?;
    let (mut data, steps) = (Vec::with_capacity(count(&dims)?), strides(&x.dims));
    each_index(&dims, |index| {
        let mut from = Some(0);
        for a in 0..rank {
            let place = inside(index[a] as i64 - before[a], x.dims[a] as i64, mode);
            from = from.zip(place).map(|(f, p)| f + p * steps[a]);
        }
        data.push(from.and_then(|f| x.data.get(f)).copied().unwrap_or(value));
    });
    Ok(vec![x.like(&dims, data)?])
}

/// The place on an axis of `size` that stands for `place`, if any does.
fn inside(place: i64, size: i64, mode: &[u8]) -> Option<usize> {
    let found = match mode {
        b"edge" => place.clamp(0, (size - 1).max(0)),
        b"wrap" => place.rem_euclid(size.max(1)),
        b"reflect" => {
            let period = (2 * (size - 1)).max(1);
            let phase = place.rem_euclid(period);
            phase.min(period - phase)
        }
        _ => place,
    };
    usize::try_from(found).ok().filter(|p| (*p as i64) < size)
}

pub(super) fn constant_of_shape(call: &Call) -> Result<Vec<Value>> {
    let dims = sizes(&call.x(0)?.to_ints())?;
    let value = attribute(call.node, "value").and_then(|a| a.t.as_ref()).map(Value::of).transpose()?;
    let (ty, fill) = value.map_or(Ok((DataType::Float, 0.0)), |v| v.only().map(|fill| (v.ty, fill)))?;
    Ok(vec![Value::new(ty, &dims, vec![fill; count(&dims)?])?])
}

pub(super) fn range(call: &Call) -> Result<Vec<Value>> {
    let (start, limit, step) = (call.x(0)?.only()?, call.x(1)?.only()?, call.x(2)?.only()?);
    let length = ((limit - start) / step).ceil().max(0.0);
    if !length.is_finite() {
        return Err(Error::new("a range without end"));
    }
    let dims = [length as usize];
    let data = (0..count(&dims)?).map(|i| start + step * i as f64).collect();
    Ok(vec![call.x(0)?.like(&dims, data)?])
}

/// Parts along one axis, of given or of equal sizes.
pub(super) fn split(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let at = axis(call.int("axis", 0), x.dims.len())?;
    let parts = call.node.output.len();
    let given = call.ints("split").or_else(|| call.optional(1).map(Value::to_ints));
    let each = x.dims[at].div_ceil(parts.max(1));
    let sizes = given.map_or_else(
        || Ok((0..parts).map(|i| x.dims[at].saturating_sub(i * each).min(each)).collect()),
        |g| sizes(&g),
    )?;
    if sizes.len() != parts || sizes.iter().sum::<usize>() != x.dims[at] {
        return Err(Error::new(format!("the sizes {sizes:?} do not fit {} in {parts} parts", x.dims[at])));
    }
    let (steps, mut start) = (strides(&x.dims), 0);
    let mut made = Vec::with_capacity(parts);
    for size in sizes {
        let mut dims = x.dims.clone();
        dims[at] = size;
        let offset = start * steps[at];
        made.push(picked(x, &dims, |index| {
            offset + index.iter().zip(&steps).map(|(i, s)| i * s).sum::<usize>()
        })?);
        start += size;
    }
    Ok(made)
}

pub(super) fn tile(call: &Call) -> Result<Vec<Value>> {
    let (x, times) = (call.x(0)?, sizes(&call.x(1)?.to_ints())?);
    if times.len() != x.dims.len() {
        return Err(Error::new(format!("{times:?} repetitions of {} dimensions", x.dims.len())));
    }
    let dims: Vec<usize> = x.dims.iter().zip(&times).map(|(d, t)| d.saturating_mul(*t)).collect();
    let steps = strides(&x.dims);
    let y =
        picked(x, &dims, |index| index.iter().zip(&x.dims).zip(&steps).map(|((i, d), s)| i % d * s).sum())?;
    Ok(vec![y])
}

pub(super) fn expand(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let dims = broadcast(&x.dims, &sizes(&call.x(1)?.to_ints())?)?;
    Ok(vec![stretched(x, &dims)?])
}

pub(super) fn flatten(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let at = match call.int("axis", 1) {
        end if end == x.dims.len() as i64 => x.dims.len(),
        other => axis(other, x.dims.len())?,
    };
    let (rows, columns) = x.dims.split_at(at);
    Ok(vec![x.like(&[count(rows)?, count(columns)?], x.data.clone())?])
}

/// 0 keeps a size, −1 is what is left.
pub(super) fn reshape(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let mut wanted = call.x(1)?.to_ints();
    for (i, size) in wanted.iter_mut().enumerate() {
        if *size == 0 && call.int("allowzero", 0) == 0 {
            *size = x.dims.get(i).map_or(0, |d| *d as i64);
        }
    }
    let open = wanted.iter().position(|s| *s == -1);
    if let Some(open) = open {
        wanted[open] = 1;
        wanted[open] = (x.data.len() / count(&sizes(&wanted)?)?.max(1)) as i64;
    }
    Ok(vec![x.like(&sizes(&wanted)?, x.data.clone())?])
}

pub(super) fn squeeze(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let gone: Vec<usize> = match call.axes() {
        Some(axes) => axes.iter().map(|a| axis(*a, x.dims.len())).collect::<Result<_>>()?,
        None => (0..x.dims.len()).filter(|i| x.dims[*i] == 1).collect(),
    };
    let kept = (0..x.dims.len()).filter(|i| !gone.contains(i)).map(|i| x.dims[i]);
    Ok(vec![x.like(&kept.collect::<Vec<_>>(), x.data.clone())?])
}

pub(super) fn unsqueeze(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let axes = call.axes().ok_or_else(|| Error::new("it has no axes"))?;
    let rank = x.dims.len() + axes.len();
    let new: Vec<usize> = axes.iter().map(|a| axis(*a, rank)).collect::<Result<_>>()?;
    let mut old = x.dims.iter().copied();
    let dims: Vec<usize> =
        (0..rank).map(|i| if new.contains(&i) { 1 } else { old.next().unwrap_or(1) }).collect();
    Ok(vec![x.like(&dims, x.data.clone())?])
}

pub(super) fn transpose(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let rank = x.dims.len();
    let order = match call.ints("perm") {
        Some(perm) => perm.iter().map(|a| axis(*a, rank)).collect::<Result<Vec<usize>>>()?,
        None => (0..rank).rev().collect(),
    };
    if order.len() != rank {
        return Err(Error::new(format!("perm {order:?} does not fit {rank} dimensions")));
    }
    let (steps, dims) = (strides(&x.dims), order.iter().map(|a| x.dims[*a]).collect::<Vec<_>>());
    let y = picked(x, &dims, |index| index.iter().zip(&order).map(|(i, a)| i * steps[*a]).sum())?;
    Ok(vec![y])
}

/// Ranges of some axes, backwards too.
pub(super) fn slice(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let rank = x.dims.len();
    let (starts, ends) = (call.x(1)?.to_ints(), call.x(2)?.to_ints());
    let axes = call.optional(3).map_or_else(|| (0..starts.len() as i64).collect(), Value::to_ints);
    let steps = call.optional(4).map_or_else(|| vec![1; starts.len()], Value::to_ints);
    let mut places: Vec<Vec<usize>> = x.dims.iter().map(|d| (0..*d).collect()).collect();
    for (((start, end), at), step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let (at, size) = (axis(*at, rank)?, x.dims[axis(*at, rank)?] as i64);
        if *step == 0 {
            return Err(Error::new("a step of 0 is impossible"));
        }
        let (low, high) = if *step > 0 { (0, size) } else { (-1, size - 1) };
        let place = |v: i64| (if v < 0 { v.saturating_add(size) } else { v }).clamp(low, high);
        let (mut next, end) = (place(*start), place(*end));
        places[at].clear();
        while if *step > 0 { next < end } else { next > end } {
            places[at].push(next as usize);
            next = next.saturating_add(*step);
        }
    }
    let dims: Vec<usize> = places.iter().map(Vec::len).collect();
    let strides = strides(&x.dims);
    let y =
        picked(x, &dims, |index| index.iter().enumerate().map(|(a, i)| places[a][*i] * strides[a]).sum())?;
    Ok(vec![y])
}

/// Along a new axis, by default the last. An index that is out of range is off everywhere.
pub(super) fn one_hot(call: &Call) -> Result<Vec<Value>> {
    let (indices, off_on) = (call.x(0)?, call.x(2)?);
    let [off, on] = off_on.data[..] else { return Err(Error::new("it needs the values off and on")) };
    let at = axis(call.int("axis", -1), indices.dims.len() + 1)?;
    let depth = call.x(1)?.only()?.max(0.0) as usize;
    let mut dims = indices.dims.clone();
    dims.insert(at, depth);
    let inner = count(&indices.dims[at..])?;
    let mut data = vec![off; count(&dims)?];
    for (i, index) in indices.to_ints().into_iter().enumerate() {
        if let (Ok(hot), Some(block)) = (axis(index, depth), i.checked_div(inner)) {
            data[(block * depth + hot) * inner + i % inner] = on;
        }
    }
    Ok(vec![off_on.like(&dims, data)?])
}

pub(super) fn shape(call: &Call) -> Result<Vec<Value>> {
    let dims = &call.x(0)?.dims;
    let rank = dims.len() as i64;
    let place = |v: i64| (if v < 0 { v.saturating_add(rank) } else { v }).clamp(0, rank) as usize;
    let (start, end) = (place(call.int("start", 0)), place(call.int("end", rank)));
    let part: Vec<i64> = dims.iter().take(end).skip(start).map(|d| *d as i64).collect();
    Ok(vec![Value::ints(&[part.len()], &part)?])
}

pub(super) fn size(call: &Call) -> Result<Vec<Value>> {
    Ok(vec![Value::new(DataType::Int64, &[], vec![call.x(0)?.data.len() as f64])?])
}
