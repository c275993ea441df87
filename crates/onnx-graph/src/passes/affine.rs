//! Nodes that scale and shift each channel by constants: y = gain · x + shift along the axis of channels.

use super::canonize::{free, only_source, op, values};
use crate::build::Attr;
use crate::model::{attribute, int_attribute};
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::shape::Dim;
use crate::tensor::floats;

/// What such a node does.
pub(super) struct Affine<'g> {
    /// The value that is scaled and shifted.
    pub(super) x: &'g str,
    /// One for each channel, or one for all.
    pub(super) gains: Vec<f64>,
    /// One for each channel, or one for all.
    pub(super) shifts: Vec<f64>,
    /// Whether it says so of channels, and not of a value as a whole; so it can be with one channel.
    by_channel: bool,
}

/// The gains and shifts of a node, if it has nothing else to it.
pub(super) fn affine<'g>(
    graph: &'g GraphProto,
    node: &'g NodeProto,
    rank: &dyn Fn(&str) -> Option<usize>,
) -> Option<Affine<'g>> {
    match op(node) {
        "BatchNormalization" => normalisation(graph, node),
        "Mul" | "Div" | "Add" | "Sub" => arithmetic(graph, node, rank),
        _ => None,
    }
}

/// `BatchNormalization` with constant statistics.
fn normalisation<'g>(graph: &GraphProto, node: &'g NodeProto) -> Option<Affine<'g>> {
    let epsilon = f64::from(attribute(node, "epsilon").and_then(|a| a.f).unwrap_or(1e-5));
    let part = |i: usize| Some(values(graph, node.input.get(i)?)?.0);
    let (scale, bias, mean, variance) = (part(1)?, part(2)?, part(3)?, part(4)?);
    let same = [bias.len(), mean.len(), variance.len()].iter().all(|n| *n == scale.len());
    if !same || int_attribute(node, "training_mode", 0) != 0 {
        return None;
    }
    let gain = |c: usize| f64::from(scale[c]) / (f64::from(variance[c]) + epsilon).sqrt();
    let gains: Vec<f64> = (0..scale.len()).map(gain).collect();
    let shifts = (0..scale.len()).map(|c| f64::from(bias[c]) - f64::from(mean[c]) * gains[c]).collect();
    Some(Affine { x: node.input.first()?, gains, shifts, by_channel: true })
}

/// Arithmetic with one constant that differs between channels, axis 1, at most.
fn arithmetic<'g>(
    graph: &GraphProto,
    node: &'g NodeProto,
    rank: &dyn Fn(&str) -> Option<usize>,
) -> Option<Affine<'g>> {
    let [a, b] = &node.input[..] else { return None };
    let (x, (constant, dims), behind) = match values(graph, b) {
        Some(constant) => (a, constant, true),
        None => (b, values(graph, a)?, false),
    };
    // A constant of more axes would give the value more.
    let before = rank(x)?.checked_sub(dims.len())?;
    if dims.iter().enumerate().any(|(axis, size)| *size != 1 && before + axis != 1) {
        return None;
    }
    let all = |of: fn(f64) -> f64| constant.iter().map(|v| of(f64::from(*v))).collect::<Vec<f64>>();
    let (gains, shifts) = match (op(node), behind) {
        ("Mul", _) => (all(|v| v), vec![0.0]),
        ("Div", true) => (all(|v| 1.0 / v), vec![0.0]),
        ("Add", _) => (vec![1.0], all(|v| v)),
        ("Sub", true) => (vec![1.0], all(|v| -v)),
        ("Sub", false) => (vec![-1.0], all(|v| v)),
        _ => return None,
    };
    let numbers = gains.iter().all(|v| v.is_finite()) && !gains.is_empty() && !shifts.is_empty();
    numbers.then_some(Affine { x, gains, shifts, by_channel: before <= 1 })
}

/// A shift that ends at node `at` and the scale before it, which no linear layer takes, as the `BatchNormalization`
/// that one exporter writes whole and another in parts: relevance has one rule for it. The scale's place, the
/// normalisation and its constants.
pub(super) fn scale_and_shift(
    graph: &GraphProto,
    at: usize,
    dims: &dyn Fn(&str) -> Option<Vec<Dim>>,
) -> Option<(usize, NodeProto, Vec<TensorProto>)> {
    let rank = |name: &str| dims(name).map(|d| d.len());
    let shift = Some(&graph.node[at]).filter(|n| matches!(op(n), "Add" | "Sub"))?;
    let second = affine(graph, shift, &rank)?;
    let source = only_source(graph, at, second.x)?;
    let scale = Some(&graph.node[source]).filter(|n| matches!(op(n), "Mul" | "Div"))?;
    let first = affine(graph, scale, &rank)?;
    // Behind a quotient they are the end of a layer normalisation.
    let quotient = |n: &NodeProto| op(n) == "Div" && n.output.first().is_some_and(|y| y == first.x);
    if graph.node[..source].iter().any(quotient) {
        return None;
    }
    let y = shift.output.first()?;
    let channels = match dims(first.x)?.get(1)? {
        Dim::Size(channels) => usize::try_from(*channels).ok()?,
        _ => return None,
    };
    // One constant at least names each channel, also where there is one, and none makes one channel into several.
    let (gains, shifts) = (first.gains.len(), second.shifts.len());
    let fits = |count: usize| count == 1 || count == channels;
    let by_channel = first.by_channel || second.by_channel;
    if !fits(gains) || !fits(shifts) || gains.max(shifts) != channels || !by_channel {
        return None;
    }
    let of = |values: &[f64], c: usize| values[c % values.len()];
    let gains = (0..channels).map(|c| of(&first.gains, c) * of(&second.gains, c));
    let shifts = (0..channels).map(|c| of(&second.shifts, c));
    let parts: [(&str, Vec<f64>); 4] = [
        ("scale", gains.collect()),
        ("shift", shifts.collect()),
        ("mean", vec![0.0; channels]),
        ("variance", vec![1.0; channels]),
    ];
    let constants: Vec<TensorProto> = parts
        .into_iter()
        .map(|(part, values)| {
            let values: Vec<f32> = values.into_iter().map(|v| v as f32).collect();
            floats(&free(graph, format!("{y}.{part}")), &[channels as i64], &values)
        })
        .collect();
    let names = constants.iter().filter_map(|t| t.name.clone());
    let norm = NodeProto {
        op_type: Some("BatchNormalization".to_owned()),
        input: std::iter::once(first.x.to_owned()).chain(names).collect(),
        attribute: vec![Attr::Float(0.0).named("epsilon")],
        ..shift.clone()
    };
    Some((source, norm, constants))
}
