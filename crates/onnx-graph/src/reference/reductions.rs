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

/// Folds over the node's axes; and how many elements went into each result.
fn reduced(call: &Call, start: f64, f: impl Fn(f64, f64) -> f64) -> Result<(Value, usize)> {
    let x = call.x(0)?;
    let rank = x.dims.len();
    let given = call.axes().unwrap_or_default();
    let axes: Vec<usize> = if given.is_empty() && call.int("noop_with_empty_axes", 0) == 0 {
        (0..rank).collect()
    } else {
        given.iter().map(|a| axis(*a, rank)).collect::<Result<_>>()?
    };
    let mut total = fold(x, &axes, start, f)?;
    if call.int("keepdims", 1) == 0 {
        let kept = total.dims.iter().enumerate().filter(|(i, _)| !axes.contains(i));
        total.dims = kept.map(|(_, d)| *d).collect();
    }
    let each = (0..rank).filter(|i| axes.contains(i)).map(|i| x.dims[i]).product();
    Ok((total, each))
}

pub(super) fn reduce_sum(call: &Call) -> Result<Vec<Value>> {
    Ok(vec![reduced(call, 0.0, |a, b| a + b)?.0])
}

pub(super) fn reduce_mean(call: &Call) -> Result<Vec<Value>> {
    let (mut total, each) = reduced(call, 0.0, |a, b| a + b)?;
    total.data.iter_mut().for_each(|v| *v /= each as f64);
    Ok(vec![total])
}

pub(super) fn reduce_max(call: &Call) -> Result<Vec<Value>> {
    Ok(vec![reduced(call, f64::NEG_INFINITY, f64::max)?.0])
}

pub(super) fn reduce_min(call: &Call) -> Result<Vec<Value>> {
    Ok(vec![reduced(call, f64::INFINITY, f64::min)?.0])
}

pub(super) fn reduce_sum_square(call: &Call) -> Result<Vec<Value>> {
    Ok(vec![reduced(call, 0.0, |a, b| a + b * b)?.0])
}

pub(super) fn reduce_l1(call: &Call) -> Result<Vec<Value>> {
    Ok(vec![reduced(call, 0.0, |a, b| a + b.abs())?.0])
}

pub(super) fn reduce_l2(call: &Call) -> Result<Vec<Value>> {
    let (mut total, _) = reduced(call, 0.0, |a, b| a + b * b)?;
    total.data.iter_mut().for_each(|v| *v = v.sqrt());
    Ok(vec![total])
}

pub(super) fn reduce_prod(call: &Call) -> Result<Vec<Value>> {
    Ok(vec![reduced(call, 1.0, |a, b| a * b)?.0])
}

pub(super) fn reduce_log_sum(call: &Call) -> Result<Vec<Value>> {
    let (mut total, _) = reduced(call, 0.0, |a, b| a + b)?;
    total.data.iter_mut().for_each(|v| *v = v.ln());
    Ok(vec![total])
}

pub(super) fn reduce_log_sum_exp(call: &Call) -> Result<Vec<Value>> {
    let pair = |a: f64, b: f64| {
        let top = a.max(b);
        if top.is_infinite() { top } else { top + ((a - top).exp() + (b - top).exp()).ln() }
    };
    Ok(vec![reduced(call, f64::NEG_INFINITY, pair)?.0])
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

/// The place along one axis of the first value, or the last if asked, that no other is `better` than.
fn place(call: &Call, better: fn(f64, f64) -> bool) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let at = axis(call.int("axis", 0), x.dims.len())?;
    let last = call.int("select_last_index", 0) != 0;
    let (outer, size, inner) = (count(&x.dims[..at])?, x.dims[at], count(&x.dims[at + 1..])?);
    let mut places = Vec::with_capacity(outer * inner);
    for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
        let value = |k: usize| x.data[(o * size + k) * inner + i];
        let wins =
            |k: usize, best: usize| better(value(k), value(best)) || (last && !better(value(best), value(k)));
        places.push((0..size).fold(0, |best, k| if wins(k, best) { k } else { best }) as i64);
    }
    let mut dims = x.dims.clone();
    if call.int("keepdims", 1) == 0 {
        dims.remove(at);
    } else {
        dims[at] = 1;
    }
    Ok(vec![Value::ints(&dims, &places)?])
}

pub(super) fn arg_max(call: &Call) -> Result<Vec<Value>> {
    place(call, |a, b| a > b)
}

pub(super) fn arg_min(call: &Call) -> Result<Vec<Value>> {
    place(call, |a, b| a < b)
}
