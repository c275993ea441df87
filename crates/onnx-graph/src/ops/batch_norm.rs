//! `BatchNormalization`, with running statistics or with those of the batch.

use super::{Gradient, Op, Site};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::{attribute, int_attribute};
use crate::proto::NodeProto;
use crate::shape::{Dim, Info};

/// (x − mean) / √(variance + ε) · scale + bias for each channel. Inputs: x, scale, bias, mean, variance.
/// In training mode mean and variance are the batch's, and outputs 1 and 2 are the running ones:
/// momentum · old + (1 − momentum) · batch's.
pub struct BatchNormalization;

fn epsilon(node: &NodeProto) -> f32 {
    attribute(node, "epsilon").and_then(|a| a.f).unwrap_or(1e-5)
}

fn training(node: &NodeProto) -> bool {
    int_attribute(node, "training_mode", 0) != 0
}

impl Op for BatchNormalization {
    fn name(&self) -> &'static str {
        "BatchNormalization"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        let running = s.x(3)?.clone();
        if let Some(dims) = &x.dims
            && dims.len() < 2
        {
            return Err(Error::new("images need at least 2 dimensions"));
        }
        for i in 1..5 {
            if let (Some(Dim::Size(c)), Some([Dim::Size(own)])) =
                (x.dims.as_ref().and_then(|d| d.get(1)), s.x(i)?.dims.as_deref())
                && c != own
            {
                return Err(Error::new(format!("its input {i} has {own} values for {c} channels")));
            }
        }
        Ok(if training(s.node) { vec![x.clone(), running.clone(), running] } else { vec![x.clone()] })
    }

    // With c = x − mean, σ² = variance + ε, gain = scale / σ and n values of a channel: dscale = Σ dy·c / σ,
    // dbias = Σ dy, dx = gain · (dy − dbias / n) − c · gain · (dscale / σ) / n. Only c, its product with dy and the
    // last line are as large as x.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let dims = g.dims(0)?.to_vec();
        let channels: Vec<i64> = [1, -1].into_iter().chain((2..dims.len()).map(|_| 1)).collect();
        let channels = g.b.ints(&channels);
        let (mean, variance) = statistics(g, dims.len());
        let wide = |g: &mut Gradient, value: &str| g.b.node("Reshape", &[value, &channels], []);
        let epsilon = epsilon(g.node);
        let epsilon = g.b.float(epsilon);
        let sum = g.b.node("Add", &[&variance, &epsilon], []);
        let deviation = g.b.node("Sqrt", &[&sum], []);
        let (x, scale) = (g.x(0), g.x(1));
        let mean = wide(g, &mean);
        let centred = g.b.node("Sub", &[&x, &mean], []);
        let weighted = g.dy_times(&centred);
        let dscale = g.sum_by_channel(&weighted, dims.len());
        let dscale = g.b.node("Div", &[&dscale, &deviation], []);
        let dbias = g.sum_by_channel(g.dy, dims.len());
        let gain = g.b.node("Div", &[&scale, &deviation], []);
        let wide_gain = wide(g, &gain);
        if !training(g.node) {
            return Ok(vec![Some(g.dy_times(&wide_gain)), Some(dscale), Some(dbias), None, None]);
        }
        let count = count(g, &dims, &dbias);
        let shift = g.b.node("Div", &[&dbias, &count], []);
        let shift = wide(g, &shift);
        let flow = g.b.node("Sub", &[g.dy, &shift], []);
        let flow = g.mul(&flow, &wide_gain);
        let share = g.b.node("Div", &[&dscale, &deviation], []);
        let share = g.b.node("Div", &[&share, &count], []);
        let share = g.mul(&share, &gain);
        let share = wide(g, &share);
        let along = g.mul(&centred, &share);
        Ok(vec![Some(g.b.node("Sub", &[&flow, &along], [])), Some(dscale), Some(dbias), None, None])
    }
}

/// Values of a channel, a float; `channel` is a value of as many elements as there are channels.
fn count(g: &mut Gradient, dims: &[Dim], channel: &str) -> String {
    let others = dims.iter().enumerate().filter(|(i, _)| *i != 1);
    if let Some(count) = others.map(|(_, d)| d.size()).try_fold(1i64, |n, d| n.checked_mul(d?)) {
        return g.b.float(count as f32);
    }
    let x = g.x(0);
    let all = g.b.node("Size", &[&x], []);
    let kept = g.b.node("Size", &[channel], []);
    let count = g.b.node("Div", &[&all, &kept], []);
    g.b.node("Cast", &[&count], [("to", Attr::Int(1))])
}

/// Mean and variance that the forward node used. With momentum 0 the running outputs are the batch's own.
fn statistics(g: &mut Gradient, rank: usize) -> (String, String) {
    if !training(g.node) {
        return (g.x(3), g.x(4));
    }
    let momentum = attribute(g.node, "momentum").and_then(|a| a.f).unwrap_or(0.9);
    if let ([_, mean, variance, ..], 0) = (&g.node.output[..], momentum.to_bits()) {
        return (mean.clone(), variance.clone());
    }
    let x = g.x(0);
    let others: Vec<i64> = std::iter::once(0).chain(2..rank as i64).collect();
    let others = g.b.ints(&others);
    let wide = g.b.node("ReduceMean", &[&x, &others], [("keepdims", Attr::Int(1))]);
    let centred = g.b.node("Sub", &[&x, &wide], []);
    let square = g.b.node("Mul", &[&centred, &centred], []);
    let variance = g.b.node("ReduceMean", &[&square, &others], [("keepdims", Attr::Int(0))]);
    let flat = g.b.ints(&[-1]);
    (g.b.node("Reshape", &[&wide, &flat], []), variance)
}
