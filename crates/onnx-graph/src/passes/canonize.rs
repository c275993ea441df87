//! The canonical form for relevance: layers that are linear together become one layer.
//!
//! `BatchNormalization` after a linear layer is merged into its weights, exactly: W · s and
//! (b − mean) · s + bias with s = scale / √(variance + ε), in float64. `MatMul` and `Add` of constants
//! become `Gemm`.

use std::collections::HashMap;

use crate::error::Result;
use crate::model::{Model, attribute, int_attribute};
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::shape::infer;
use crate::tensor::{floats, read_floats};

/// Merges what is linear together. The model must be in normal form.
///
/// # Errors
/// If the model's shapes do not fit.
pub fn canonize(model: &Model) -> Result<Model> {
    let mut model = model.clone();
    let infos = infer(model.graph()?)?;
    let rank = |name: &str| infos.get(name).and_then(|i| i.dims.as_ref()).map(Vec::len);
    if let Some(graph) = &mut model.0.graph {
        let mut at = 0;
        while at < graph.node.len() {
            // A merged layer takes the place of its last node and may merge again with the next one.
            if !merge_product(graph, at, &rank) && !merge_norm(graph, at) {
                at += 1;
            }
        }
        let mut used: std::collections::HashSet<String> =
            graph.node.iter().flat_map(|n| n.input.clone()).collect();
        used.extend(graph.output.iter().filter_map(|v| v.name.clone()));
        graph.initializer.retain(|t| used.contains(t.name.as_deref().unwrap_or("")));
    }
    Ok(model)
}

fn op(node: &NodeProto) -> &str {
    node.op_type.as_deref().unwrap_or("")
}

fn constant<'g>(graph: &'g GraphProto, name: &str) -> Option<&'g TensorProto> {
    graph.initializer.iter().find(|t| t.name.as_deref() == Some(name))
}

/// Float values and shape of a constant.
fn values(graph: &GraphProto, name: &str) -> Option<(Vec<f32>, Vec<i64>)> {
    let tensor = constant(graph, name)?;
    Some((read_floats(tensor).ok()?, tensor.dims.clone()))
}

/// The node before `at` that makes `value`, if nothing else reads it.
fn only_source(graph: &GraphProto, at: usize, value: &str) -> Option<usize> {
    let readers = graph.node.iter().flat_map(|n| &n.input).filter(|i| *i == value).count();
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

/// Scale and shift of each channel of a `BatchNormalization` with constant statistics.
fn affine(graph: &GraphProto, node: &NodeProto) -> Option<(Vec<f64>, Vec<f64>)> {
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
    Some((gains, shifts))
}

/// `BatchNormalization` of a linear layer that nothing else reads. True if node `at` was merged.
fn merge_norm(graph: &mut GraphProto, at: usize) -> bool {
    merged_norm(graph, at)
        .map(|(source, layer, constants)| {
            graph.initializer.extend(constants);
            graph.node[at] = layer;
            graph.node.remove(source);
        })
        .is_some()
}

fn merged_norm(graph: &GraphProto, at: usize) -> Option<(usize, NodeProto, Vec<TensorProto>)> {
    let norm = &graph.node[at];
    if op(norm) != "BatchNormalization" {
        return None;
    }
    let source = only_source(graph, at, norm.input.first()?)?;
    let layer = &graph.node[source];
    // Along which axis of the weights the output channels lie, and how far apart they are.
    let (weight, dims) = values(graph, layer.input.get(1)?)?;
    let float =
        |name: &str| attribute(layer, name).and_then(|a| a.f).unwrap_or(1.0).to_bits() == 1f32.to_bits();
    let by_rows = match op(layer) {
        "Conv" => true,
        "Gemm" if float("alpha") && float("beta") => int_attribute(layer, "transB", 0) != 0,
        _ => return None,
    };
    let channels = usize::try_from(*if by_rows { dims.first()? } else { dims.last()? }).ok()?;
    let (gains, shifts) = affine(graph, norm)?;
    let bias = match layer.input.get(2).filter(|name| !name.is_empty()) {
        Some(name) => values(graph, name)?.0,
        None => vec![0.0; channels],
    };
    if gains.len() != channels || bias.len() != channels {
        return None;
    }
    let each = weight.len() / channels.max(1);
    let channel = |i: usize| if by_rows { i / each.max(1) } else { i % channels };
    let scaled: Vec<f32> =
        weight.iter().enumerate().map(|(i, w)| (f64::from(*w) * gains[channel(i)]) as f32).collect();
    let shifted: Vec<f32> =
        bias.iter().enumerate().map(|(c, b)| (f64::from(*b) * gains[c] + shifts[c]) as f32).collect();
    let y = norm.output.first()?;
    let (w, b) = (free(graph, format!("{y}.weight")), free(graph, format!("{y}.bias")));
    let constants = vec![floats(&w, &dims, &scaled), floats(&b, &[channels as i64], &shifted)];
    let layer = NodeProto {
        input: vec![layer.input.first()?.clone(), w, b],
        output: vec![y.clone()],
        ..layer.clone()
    };
    Some((source, layer, constants))
}

/// The name, made longer until no constant has it: a normalisation that is called as its output is may have a
/// `weight` itself.
fn free(graph: &GraphProto, mut name: String) -> String {
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
