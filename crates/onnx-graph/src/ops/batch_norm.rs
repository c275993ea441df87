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

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let rank = g.dims(0)?.len();
        let channels: Vec<i64> = [1, -1].into_iter().chain((2..rank).map(|_| 1)).collect();
        let others: Vec<i64> = std::iter::once(0).chain(2..rank as i64).collect();
        let (channels, others) = (g.b.ints(&channels), g.b.ints(&others));
        let (mean, variance) = statistics(g, &others);
        let wide = |g: &mut Gradient, value: &str| g.b.node("Reshape", &[value, &channels], []);
        let epsilon = epsilon(g.node);
        let epsilon = g.b.float(epsilon);
        let sum = g.b.node("Add", &[&variance, &epsilon], []);
        let deviation = g.b.node("Sqrt", &[&sum], []);
        let (x, scale) = (g.x(0), g.x(1));
        let (mean, deviation) = (wide(g, &mean), wide(g, &deviation));
        let centred = g.b.node("Sub", &[&x, &mean], []);
        let normal = g.b.node("Div", &[&centred, &deviation], []);
        let weighted = g.dy_times(&normal);
        let total = [("keepdims", Attr::Int(0))];
        let dscale = g.b.node("ReduceSum", &[&weighted, &others], total);
        let dbias = g.b.node("ReduceSum", &[g.dy, &others], [("keepdims", Attr::Int(0))]);
        let scale = wide(g, &scale);
        let gain = g.b.node("Div", &[&scale, &deviation], []);
        let mut flow = g.dy.to_owned();
        if training(g.node) {
            // dx = gain · (dy − mean(dy) − normal · mean(dy · normal))
            let all = g.b.node("Size", &[&x], []);
            let kept = g.b.node("Size", &[&dbias], []);
            let count = g.b.node("Div", &[&all, &kept], []);
            let count = g.b.node("Cast", &[&count], [("to", Attr::Int(1))]);
            for (sum, along) in [(&dbias, None), (&dscale, Some(&normal))] {
                let mean = g.b.node("Div", &[sum, &count], []);
                let mean = wide(g, &mean);
                let part = along.map_or(mean.clone(), |normal| g.mul(normal, &mean));
                flow = g.b.node("Sub", &[&flow, &part], []);
            }
        }
        Ok(vec![Some(g.mul(&flow, &gain)), Some(dscale), Some(dbias), None, None])
    }
}

/// Mean and variance that the forward node used. With momentum 0 the running outputs are the batch's own.
fn statistics(g: &mut Gradient, others: &str) -> (String, String) {
    if !training(g.node) {
        return (g.x(3), g.x(4));
    }
    let momentum = attribute(g.node, "momentum").and_then(|a| a.f).unwrap_or(0.9);
    if let ([_, mean, variance, ..], 0) = (&g.node.output[..], momentum.to_bits()) {
        return (mean.clone(), variance.clone());
    }
    let x = g.x(0);
    let wide = g.b.node("ReduceMean", &[&x, others], [("keepdims", Attr::Int(1))]);
    let centred = g.b.node("Sub", &[&x, &wide], []);
    let square = g.b.node("Mul", &[&centred, &centred], []);
    let variance = g.b.node("ReduceMean", &[&square, others], [("keepdims", Attr::Int(0))]);
    let flat = g.b.ints(&[-1]);
    (g.b.node("Reshape", &[&wide, &flat], []), variance)
}
