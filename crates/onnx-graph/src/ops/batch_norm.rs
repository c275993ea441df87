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

fn momentum(node: &NodeProto) -> f32 {
    attribute(node, "momentum").and_then(|a| a.f).unwrap_or(0.9)
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
    // last line are as large as x. What is given, not the batch's, has dmean = −Σ dy · gain and
    // dvariance = −gain · dscale / 2σ.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let batch = Batch::of(g)?;
        let mut all = if g.dy.is_empty() { vec![None; 5] } else { outputs(g, &batch)? };
        if training(g.node) {
            running(g, &batch, &mut all);
        }
        Ok(all)
    }
}

/// What the gradients share.
struct Batch {
    dims: Vec<Dim>,
    /// A shape: one value for each channel, beside axes of size 1.
    channels: String,
    mean: String,
    variance: String,
    centred: String,
}

impl Batch {
    fn of(g: &mut Gradient) -> Result<Self> {
        let dims = g.dims(0)?.to_vec();
        let channels: Vec<i64> = [1, -1].into_iter().chain((2..dims.len()).map(|_| 1)).collect();
        let channels = g.b.ints(&channels);
        let (mean, variance) = statistics(g, dims.len());
        let (x, wide) = (g.x(0), g.b.node("Reshape", &[&mean, &channels], []));
        let centred = g.b.node("Sub", &[&x, &wide], []);
        Ok(Batch { dims, channels, mean, variance, centred })
    }

    /// A value for each channel, as it stands beside images.
    fn wide(&self, g: &mut Gradient, value: &str) -> String {
        g.b.node("Reshape", &[value, &self.channels], [])
    }
}

/// The gradients of all inputs from that of the normalised images.
fn outputs(g: &mut Gradient, batch: &Batch) -> Result<Vec<Option<String>>> {
    let epsilon = epsilon(g.node);
    let epsilon = g.b.float(epsilon);
    let sum = g.b.node("Add", &[&batch.variance, &epsilon], []);
    let deviation = g.b.node("Sqrt", &[&sum], []);
    let scale = g.x(1);
    let weighted = g.dy_times(&batch.centred);
    let dscale = g.sum_by_channel(&weighted, batch.dims.len());
    let dscale = g.b.node("Div", &[&dscale, &deviation], []);
    let dbias = g.sum_by_channel(g.dy, batch.dims.len());
    let gain = g.b.node("Div", &[&scale, &deviation], []);
    let wide_gain = batch.wide(g, &gain);
    let share = g.b.node("Div", &[&dscale, &deviation], []);
    if !training(g.node) {
        let dmean = g.mul(&dbias, &gain);
        let dmean = g.b.node("Neg", &[&dmean], []);
        let (half, dvariance) = (g.b.float(-0.5), g.mul(&share, &gain));
        let dvariance = g.mul(&dvariance, &half);
        let dx = g.dy_times(&wide_gain);
        return Ok([dx, dscale, dbias, dmean, dvariance].map(Some).to_vec());
    }
    let count = count(g, &batch.dims, &dbias);
    let shift = g.b.node("Div", &[&dbias, &count], []);
    let shift = batch.wide(g, &shift);
    let flow = g.b.node("Sub", &[g.dy, &shift], []);
    let flow = g.mul(&flow, &wide_gain);
    let share = g.b.node("Div", &[&share, &count], []);
    let share = g.mul(&share, &gain);
    let share = batch.wide(g, &share);
    let along = g.mul(&batch.centred, &share);
    Ok(vec![Some(g.b.node("Sub", &[&flow, &along], [])), Some(dscale), Some(dbias), None, None])
}

/// Adds the gradients that come from the running statistics: the batch's mean, Σ x / n, and variance, Σ c² / n, count
/// as 1 − momentum, the old ones as momentum.
fn running(g: &mut Gradient, batch: &Batch, all: &mut [Option<String>]) {
    let momentum = momentum(g.node);
    for i in [1, 2] {
        let Some(dy) = g.dys.get(i).cloned().flatten() else { continue };
        let old = g.b.float(momentum);
        all[i + 2] = Some(g.mul(&dy, &old));
        let count = count(g, &batch.dims, &batch.mean);
        let new = g.b.float((1.0 - momentum) * i as f32);
        let share = g.b.node("Div", &[&new, &count], []);
        let each = g.mul(&dy, &share);
        let each = batch.wide(g, &each);
        let dx = if i == 1 {
            let x = g.x(0);
            let shape = g.b.node("Shape", &[&x], []);
            g.b.node("Expand", &[&each, &shape], [])
        } else {
            g.mul(&batch.centred, &each)
        };
        all[0] = Some(match all[0].take() {
            Some(sum) => g.b.node("Add", &[&sum, &dx], []),
            None => dx,
        });
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
    if let ([_, mean, variance, ..], 0) = (&g.node.output[..], momentum(g.node).to_bits()) {
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
