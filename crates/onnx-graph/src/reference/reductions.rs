//! Sums and means over axes, and softmax along one.

use super::Call;
use super::elementwise::stretched;
use super::value::{Value, axis, count, each_index, strides};
use crate::error::Result;

/// Folds `x` over `axes`, which stay with size 1.
fn fold(x: &Value, axes: &[usize], start: f64, f: impl Fn(f64, f64) -> f64) -> Result<Value> {
    let dims: Vec<usize> =
        x.dims.iter().enumerate().map(|(i, d)| if axes.contains(&i) { 1 } else { *d }).collect();
    let steps = strides(&dims);
    let mut data = vec![start; count(&dims)?];
    let mut position = 0;
    each_index(&x.dims, |index| {
        let at: usize =
            index.iter().zip(&steps).zip(&dims).map(|((i, s), d)| if *d == 1 { 0 } else { i * s }).sum();
        data[at] = f(data[at], x.data[position]);
        position += 1;
    });
    x.like(&dims, data)
}

/// The sum over the node's axes, and how many elements went into each.
fn summed(call: &Call) -> Result<(Value, usize)> {
    let x = call.x(0)?;
    let rank = x.dims.len();
    let given = call.axes().unwrap_or_default();
    let axes: Vec<usize> = if given.is_empty() && call.int("noop_with_empty_axes", 0) == 0 {
        (0..rank).collect()
    } else {
        given.iter().map(|a| axis(*a, rank)).collect::<Result<_>>()?
    };
    let mut total = fold(x, &axes, 0.0, |a, b| a + b)?;
    if call.int("keepdims", 1) == 0 {
        let kept = total.dims.iter().enumerate().filter(|(i, _)| !axes.contains(i));
        total.dims = kept.map(|(_, d)| *d).collect();
    }
    let each = (0..rank).filter(|i| axes.contains(i)).map(|i| x.dims[i]).product();
    Ok((total, each))
}

pub(super) fn reduce_sum(call: &Call) -> Result<Vec<Value>> {
    Ok(vec![summed(call)?.0])
}

pub(super) fn reduce_mean(call: &Call) -> Result<Vec<Value>> {
    let (mut total, each) = summed(call)?;
    total.data.iter_mut().for_each(|v| *v /= each as f64);
    Ok(vec![total])
}

/// x − log Σ exp(x), with the largest value taken out first.
pub(super) fn log_softmax(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let along = [axis(call.int("axis", -1), x.dims.len())?];
    let top = stretched(&fold(x, &along, f64::NEG_INFINITY, f64::max)?, &x.dims)?;
    let centred = x.like(&x.dims, x.data.iter().zip(&top.data).map(|(x, t)| x - t).collect())?;
    let exp = x.like(&x.dims, centred.data.iter().map(|v| v.exp()).collect())?;
    let total = stretched(&fold(&exp, &along, 0.0, |a, b| a + b)?, &x.dims)?;
    Ok(vec![x.like(&x.dims, centred.data.iter().zip(&total.data).map(|(c, t)| c - t.ln()).collect())?])
}

pub(super) fn softmax(call: &Call) -> Result<Vec<Value>> {
    let mut outputs = log_softmax(call)?;
    outputs.iter_mut().flat_map(|y| &mut y.data).for_each(|v| *v = v.exp());
    Ok(outputs)
}

/// The place of the first of the largest values along one axis.
pub(super) fn arg_max(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let at = axis(call.int("axis", 0), x.dims.len())?;
    let (outer, size, inner) = (count(&x.dims[..at])?, x.dims[at], count(&x.dims[at + 1..])?);
    let mut places = Vec::with_capacity(outer * inner);
    for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
        let value = |k: usize| x.data[(o * size + k) * inner + i];
        places.push((0..size).fold(0, |best, k| if value(k) > value(best) { k } else { best }) as i64);
    }
    let mut dims = x.dims.clone();
    if call.int("keepdims", 1) == 0 {
        dims.remove(at);
    } else {
        dims[at] = 1;
    }
    Ok(vec![Value::ints(&dims, &places)?])
}
