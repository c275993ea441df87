//! The canonical form for relevance: layers that are linear together become one layer.
//!
//! What scales and shifts the channels of a linear layer (`BatchNormalization`, or its parts as TensorFlow's
//! exporter writes them) is merged into its weights, exactly, in float64: W · gain and b · gain + shift. `MatMul` and
//! `Add` of constants become `Gemm`. Scale and shift that stand alone become one `BatchNormalization`, which they are.

use std::collections::HashMap;

use super::affine::{Affine, affine, scale_and_shift};
use crate::error::Result;
use crate::inner::reads;
use crate::model::{Model, attribute, int_attribute};
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::shape::infer;
use crate::tensor::{floats, read_floats};

/// Merges what is linear together, but for tensors of the names `keep`. The model must be in normal form.
///
/// # Errors
/// If the model's shapes do not fit.
pub fn canonize(model: &Model, keep: &[&str]) -> Result<Model> {
    let mut model = model.clone();
    let infos = infer(model.graph()?)?;
    let outputs = model.0.graph.as_ref().map(|g| g.output.clone()).unwrap_or_default();
    let dims = |name: &str| infos.get(name).and_then(|i| i.dims.clone());
    let rank = |name: &str| dims(name).map(|d| d.len());
    if let Some(graph) = &mut model.0.graph {
        // An output is never merged away.
        graph.output.extend(keep.iter().filter_map(|name| Some(infos.get(*name)?.value(name))));
        let mut at = 0;
        while at < graph.node.len() {
            // A merged layer takes the place of its last node and may merge again with the next one.
            if !merge_product(graph, at, &rank) && !merge_affine(graph, at, &rank) {
                at += 1;
            }
        }
        for at in (0..graph.node.len()).rev() {
            if let Some((source, norm, constants)) = scale_and_shift(graph, at, &dims) {
                graph.initializer.extend(constants);
                graph.node[at] = norm;
                graph.node.remove(source);
            }
        }
        let mut used: std::collections::HashSet<String> =
            graph.node.iter().flat_map(reads).map(str::to_owned).collect();
        used.extend(graph.output.iter().filter_map(|v| v.name.clone()));
        graph.initializer.retain(|t| used.contains(t.name.as_deref().unwrap_or("")));
        graph.output = outputs;
    }
    Ok(model)
}

pub(super) fn op(node: &NodeProto) -> &str {
    node.op_type.as_deref().unwrap_or("")
}

fn constant<'g>(graph: &'g GraphProto, name: &str) -> Option<&'g TensorProto> {
    graph.initializer.iter().find(|t| t.name.as_deref() == Some(name))
}

/// Float values and shape of a constant.
pub(super) fn values(graph: &GraphProto, name: &str) -> Option<(Vec<f32>, Vec<i64>)> {
    let tensor = constant(graph, name)?;
    Some((read_floats(tensor).ok()?, tensor.dims.clone()))
}

/// The node before `at` that makes `value`, if nothing else reads it.
pub(super) fn only_source(graph: &GraphProto, at: usize, value: &str) -> Option<usize> {
    let readers = graph.node.iter().flat_map(reads).filter(|i| *i == value).count();
    let output = graph.output.iter().any(|v| v.name.as_deref() == Some(value));
    let source = graph.node[..at].iter().position(|n| n.output.first().is_some_and(|y| y == value))?;
    (readers == 1 && !output).then_some(source)
}

/// `Add`(`MatMul`(x [N, k], W), b) → `Gemm`. True if node `at` was merged.
fn merge_product(graph: &mut GraphProto, at: usize, rank: &dyn Fn(&str) -> Option<usize>) -> bool {
    let add = &graph.node[at];
    let ("Add", [a, b]) = (op(add), &add.input[..]) else { return false };
    let (product, bias) = if constant(graph, b).is_some() { (a, b) } else { (b, a) };
    let Some(source) = only_source(graph, at, product) else { return false };
    let from = &graph.node[source];
    let ("MatMul", [x, w]) = (op(from), &from.input[..]) else { return false };
    let (Some(weight), Some(bias_dims)) = (constant(graph, w), constant(graph, bias).map(|t| t.dims.clone()))
    else {
        return false;
    };
    let columns = weight.dims.get(1).copied();
    let vector = bias_dims.last().copied() == columns && bias_dims.iter().rev().skip(1).all(|d| *d == 1);
    if weight.dims.len() != 2 || rank(x) != Some(2) || !vector || bias_dims.len() > 2 {
        return false;
    }
    let merged = NodeProto {
        op_type: Some("Gemm".to_owned()),
        input: vec![x.clone(), w.clone(), bias.clone()],
        ..add.clone()
    };
    graph.node[at] = merged;
    graph.node.remove(source);
    true
}

/// Gain and shift of a linear layer that nothing else reads. True if node `at` was merged.
fn merge_affine(graph: &mut GraphProto, at: usize, rank: &dyn Fn(&str) -> Option<usize>) -> bool {
    merged_affine(graph, at, rank)
        .map(|(source, layer, constants)| {
            graph.initializer.extend(constants);
            graph.node[at] = layer;
            graph.node.remove(source);
        })
        .is_some()
}

fn merged_affine(
    graph: &GraphProto,
    at: usize,
    rank: &dyn Fn(&str) -> Option<usize>,
) -> Option<(usize, NodeProto, Vec<TensorProto>)> {
    let node = &graph.node[at];
    let Affine { x, gains, shifts, .. } = affine(graph, node, rank)?;
    let source = only_source(graph, at, x)?;
    let layer = &graph.node[source];
    // Along which axis of the weights the output channels lie, and how far apart they are.
    let (weight, dims) = values(graph, layer.input.get(1)?)?;
    let float =
        |name: &str| attribute(layer, name).and_then(|a| a.f).unwrap_or(1.0).to_bits() == 1f32.to_bits();
    let by_rows = match op(layer) {
        "Conv" => true,
        "Gemm" if float("alpha") && float("beta") => int_attribute(layer, "transB", 0) != 0,
        "MatMul" if dims.len() == 2 && rank(layer.input.first()?) == Some(2) => false,
        _ => return None,
    };
    let channels = usize::try_from(*if by_rows { dims.first()? } else { dims.last()? }).ok()?;
    let bias = match layer.input.get(2).filter(|name| !name.is_empty()) {
        Some(name) => values(graph, name)?.0,
        None => vec![0.0; channels],
    };
    let each_has_one = |values: &[f64]| values.len() == 1 || values.len() == channels;
    if !each_has_one(&gains) || !each_has_one(&shifts) || bias.len() != channels {
        return None;
    }
    let gain = |c: usize| gains[c % gains.len()];
    let shift = |c: usize| shifts[c % shifts.len()];
    let each = weight.len() / channels.max(1);
    let channel = |i: usize| if by_rows { i / each.max(1) } else { i % channels };
    let scaled: Vec<f32> =
        weight.iter().enumerate().map(|(i, w)| (f64::from(*w) * gain(channel(i))) as f32).collect();
    let shifted: Vec<f32> =
        bias.iter().enumerate().map(|(c, b)| (f64::from(*b) * gain(c) + shift(c)) as f32).collect();
    let y = node.output.first()?;
    let (w, b) = (free(graph, format!("{y}.weight")), free(graph, format!("{y}.bias")));
    let constants = vec![floats(&w, &dims, &scaled), floats(&b, &[channels as i64], &shifted)];
    let op_type = if op(layer) == "MatMul" { "Gemm" } else { op(layer) };
    let layer = NodeProto {
        op_type: Some(op_type.to_owned()),
        input: vec![layer.input.first()?.clone(), w, b],
        output: vec![y.clone()],
        ..layer.clone()
    };
    Some((source, layer, constants))
}

/// The name, made longer until no constant has it: a normalisation that is called as its output is may have a
/// `weight` itself.
pub(super) fn free(graph: &GraphProto, mut name: String) -> String {
    while constant(graph, &name).is_some() {
        name.push_str(".merged");
    }
    name
}

/// The value that is explained when `name` is asked for: what stands before a closing softmax, since the
/// relevance of a probability is spread by the other classes.
pub fn before_softmax(graph: &GraphProto, name: &str) -> String {
    let by: HashMap<&str, &NodeProto> =
        graph.node.iter().filter_map(|n| Some((n.output.first()?.as_str(), n))).collect();
    let mut name = name;
    while let Some(node) = by.get(name) {
        match (op(node), node.input.first()) {
            ("Softmax" | "LogSoftmax" | "Identity", Some(x)) => name = x,
            _ => break,
        }
    }
    name.to_owned()
}
