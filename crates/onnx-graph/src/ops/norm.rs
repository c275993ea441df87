//! Normalisation of single items: `LayerNormalization`, `InstanceNormalization`, `GroupNormalization`.
//!
//! All are y = s x̂ + b with x̂ = (x − mean) / √(variance + ε) over some axes. With ĝ = s dy:
//! dx = (ĝ − mean(ĝ) − x̂ mean(ĝ x̂)) / √(variance + ε), means over the same axes.

use super::{Gradient, Op, Site, axis};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::{attribute, int_attribute};
use crate::shape::{Dim, Info};
use crate::tensor::DataType;

/// Emits x̂ over `axes`, and 1 / √(variance + ε).
fn normal(g: &mut Gradient, x: &str, axes: &[i64]) -> (String, String) {
    let epsilon = attribute(g.node, "epsilon").and_then(|a| a.f).unwrap_or(1e-5);
    let mean = mean(g, x, axes);
    let centred = g.b.node("Sub", &[x, &mean], []);
    let square = g.mul(&centred, &centred);
    let variance = self::mean(g, &square, axes);
    let epsilon = g.b.float(epsilon);
    let raised = g.b.node("Add", &[&variance, &epsilon], []);
    let root = g.b.node("Sqrt", &[&raised], []);
    let inverse = g.b.node("Reciprocal", &[&root], []);
    (g.mul(&centred, &inverse), inverse)
}

fn mean(g: &mut Gradient, x: &str, axes: &[i64]) -> String {
    let axes = g.b.ints(axes);
    g.b.node("ReduceMean", &[x, &axes], [("keepdims", Attr::Int(1))])
}

/// Emits dx from x̂, 1 / √(variance + ε) and ĝ.
fn back(g: &mut Gradient, (hat, inverse): (&str, &str), scaled: &str, axes: &[i64]) -> String {
    let shift = mean(g, scaled, axes);
    let along = g.mul(scaled, hat);
    let along = mean(g, &along, axes);
    let along = g.mul(&along, hat);
    let rest = g.b.node("Sub", &[scaled, &shift], []);
    let rest = g.b.node("Sub", &[&rest, &along], []);
    g.mul(&rest, inverse)
}

/// Over all axes from `axis` on; scale and bias (optional) have the shape of these axes.
pub struct LayerNormalization;

impl Op for LayerNormalization {
    fn name(&self) -> &'static str {
        "LayerNormalization"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        let Some(dims) = &x.dims else { return Ok(vec![x.clone(); s.node.output.len()]) };
        let at = axis(int_attribute(s.node, "axis", -1), dims.len())?;
        let rest = dims.iter().skip(at).map(|_| Dim::Size(1));
        let statistics = Info::new(DataType::Float, dims.iter().take(at).cloned().chain(rest).collect());
        Ok(vec![x.clone(), statistics.clone(), statistics])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let rank = g.dims(0)?.len();
        let at = axis(int_attribute(g.node, "axis", -1), rank)?;
        let axes: Vec<i64> = (at as i64..rank as i64).collect();
        let others: Vec<i64> = (0..at as i64).collect();
        let (x, scale) = (g.x(0), g.x(1));
        let (hat, inverse) = normal(g, &x, &axes);
        let scaled = g.dy_times(&scale);
        let dx = back(g, (&hat, &inverse), &scaled, &axes);
        let moved = g.dy_times(&hat);
        // No axes would mean all of them.
        let sum = |g: &mut Gradient, value: &str| {
            if others.is_empty() { value.to_owned() } else { g.sum(value, &others, false) }
        };
        let dscale = sum(g, &moved);
        let dscale = g.shaped_as(1, &dscale);
        let mut gradients = vec![Some(dx), Some(dscale)];
        if g.has(2) {
            let dbias = sum(g, g.dy);
            gradients.push(Some(g.shaped_as(2, &dbias)));
        }
        Ok(gradients)
    }
}

/// Over the pixels of every channel of every item of [N, C, …]; scale and bias are [C].
pub struct InstanceNormalization;

/// Scale or bias [C] against [N, C, …].
fn column(g: &mut Gradient, i: usize, rank: usize) -> String {
    let (value, shape) = (g.x(i), [-1].into_iter().chain((2..rank).map(|_| 1)).collect::<Vec<i64>>());
    let shape = g.b.ints(&shape);
    g.b.node("Reshape", &[&value, &shape], [])
}

/// The gradients of scale and bias [C].
fn by_channel(g: &mut Gradient, hat: &str, rank: usize) -> (String, String) {
    let others: Vec<i64> = (0..rank as i64).filter(|a| *a != 1).collect();
    let moved = g.dy_times(hat);
    (g.sum(&moved, &others, false), g.sum(g.dy, &others, false))
}

impl Op for InstanceNormalization {
    fn name(&self) -> &'static str {
        "InstanceNormalization"
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let rank = g.dims(0)?.len();
        let axes: Vec<i64> = (2..rank as i64).collect();
        let x = g.x(0);
        let (hat, inverse) = normal(g, &x, &axes);
        let scale = column(g, 1, rank);
        let scaled = g.dy_times(&scale);
        let dx = back(g, (&hat, &inverse), &scaled, &axes);
        let (dscale, dbias) = by_channel(g, &hat, rank);
        Ok(vec![Some(dx), Some(dscale), Some(dbias)])
    }
}

/// Over the channels of each group and their pixels; scale and bias are [C], as from operator set 21 on.
pub struct GroupNormalization;

impl Op for GroupNormalization {
    fn name(&self) -> &'static str {
        "GroupNormalization"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        let groups = int_attribute(s.node, "num_groups", 0);
        let channels = x.dims.as_ref().and_then(|d| d.get(1)).and_then(Dim::size);
        if groups < 1 || channels.is_some_and(|c| c % groups != 0) {
            return Err(Error::new(format!("its channels do not divide into {groups} groups")));
        }
        Ok(vec![x.clone()])
    }

    // x as [N, G, −1] is normalised over its last axis.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let rank = g.dims(0)?.len();
        let groups = int_attribute(g.node, "num_groups", 0);
        let (x, apart) = (g.x(0), g.b.ints(&[0, groups, -1]));
        let grouped = g.b.node("Reshape", &[&x, &apart], []);
        let (hat, inverse) = normal(g, &grouped, &[2]);
        let scale = column(g, 1, rank);
        let scaled = g.dy_times(&scale);
        let scaled = g.b.node("Reshape", &[&scaled, &apart], []);
        let dx = back(g, (&hat, &inverse), &scaled, &[2]);
        let dx = g.shaped_as(0, &dx);
        let hat = g.shaped_as(0, &hat);
        let (dscale, dbias) = by_channel(g, &hat, rank);
        Ok(vec![Some(dx), Some(dscale), Some(dbias)])
    }
}
