//! A new last layer for a network that was trained on something else.

use super::{Draw, draw};
use crate::error::{Error, Result};
use crate::model::{Model, int_attribute, node_label};
use crate::passes::normal;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::random::Random;
use crate::shape::{Dim, Info, infer};
use crate::tensor::floats;

/// Ops that may stand behind the last layer: they take any number of outputs.
const BEHIND: &[&str] = &["Softmax", "LogSoftmax", "Sigmoid", "Tanh", "Relu", "Identity"];

/// The constants of a last layer, as places in the graph's list.
struct Head {
    weights: usize,
    /// The axis of the weights along which the outputs lie.
    axis: usize,
    bias: Option<usize>,
}

/// The model with a freshly drawn last layer of so many outputs, and the names of that layer's parameters
/// (weights, then bias), which stay what they were. The last layer is the `Gemm`, or `MatMul` and the `Add`
/// behind it, that makes the first output; weights and bias are uniform in ±1/√fan_in. The model comes in
/// normal form ([`normal`]).
///
/// # Errors
/// If the first output is not made by such a layer, or its weights are used elsewhere too.
pub fn with_head(model: &Model, outputs: usize, seed: u64) -> Result<(Model, Vec<String>)> {
    if outputs == 0 {
        return Err(Error::new("sizes must be at least 1"));
    }
    let mut model = normal(model)?;
    let graph = model.0.graph.as_mut().ok_or_else(|| Error::new("the model has no graph"))?;
    let head = find(graph)?;
    let mut random = Random::new(seed);
    let old = &graph.initializer[head.weights];
    let fan_in = old.dims.get(1 - head.axis).copied().unwrap_or(1).max(1) as usize;
    let count = fan_in.checked_mul(outputs).filter(|n| *n <= crate::model::MAX_ELEMENTS);
    let count = count.ok_or_else(|| Error::new(format!("a layer of {outputs} outputs is too large")))?;
    let mut names = Vec::new();
    let places = [Some((head.weights, head.axis, count)), head.bias.map(|b| (b, usize::MAX, outputs))];
    for (place, axis, count) in places.into_iter().flatten() {
        let tensor = &mut graph.initializer[place];
        let name = tensor.name.clone().unwrap_or_default();
        let axis = axis.min(tensor.dims.len().saturating_sub(1));
        let mut dims = tensor.dims.clone();
        if let Some(size) = dims.get_mut(axis) {
            *size = outputs as i64;
        }
        *tensor = floats(&name, &dims, &draw(&mut random, Draw::Uniform(fan_in), count));
        names.push(name);
    }
    graph.value_info.clear();
    restate(graph, outputs)?;
    Ok((model, names))
}

/// Writes the new size of the first output into the signature, after all shapes were inferred anew.
fn restate(graph: &mut GraphProto, outputs: usize) -> Result<()> {
    let Some(value) = graph.output.first_mut() else { return Err(Error::new("the model has no output")) };
    let (name, mut info) = (value.name.clone().unwrap_or_default(), Info::of(value));
    if let Some(last) = info.dims.as_mut().and_then(|d| d.last_mut()) {
        *last = Dim::Size(outputs as i64);
    }
    *value = info.value(&name);
    infer(graph).map(drop)
}

/// Finds the last layer, walking from the first output.
fn find(graph: &GraphProto) -> Result<Head> {
    let output = graph.output.first().and_then(|v| v.name.as_deref()).unwrap_or_default();
    let mut node = maker(graph, output)?;
    while BEHIND.contains(&node.op_type.as_deref().unwrap_or_default()) {
        node = maker(graph, input(node, 0))?;
    }
    let refused = |node: &NodeProto| {
        Error::new(format!(
            "{}: the first output is not made by a fully connected layer (`Gemm`, or `MatMul` and `Add`, \
             with constant weights), so there is no head to replace",
            node_label(node)
        ))
    };
    let found = match node.op_type.as_deref() {
        Some("Gemm") if int_attribute(node, "transA", 0) == 0 => {
            let axis = usize::from(int_attribute(node, "transB", 0) == 0);
            let bias = input(node, 2);
            Some((input(node, 1), axis, (!bias.is_empty()).then_some(bias)))
        }
        Some("MatMul") => Some((input(node, 1), 1, None)),
        Some("Add") => {
            let sides = [(input(node, 0), input(node, 1)), (input(node, 1), input(node, 0))];
            let product = |x: &str| maker(graph, x).ok().filter(|n| n.op_type.as_deref() == Some("MatMul"));
            let layer = sides.into_iter().find_map(|(x, b)| product(x).map(|n| (n, b)));
            layer.map(|(product, bias)| (input(product, 1), 1, Some(bias)))
        }
        _ => None,
    };
    let (weights, axis, bias) = found.ok_or_else(|| refused(node))?;
    let weights = constant(graph, weights)?.ok_or_else(|| refused(node))?;
    let old = &graph.initializer[weights].dims;
    let size = old.get(axis).copied().filter(|_| old.len() == 2).ok_or_else(|| refused(node))?;
    let bias = match bias {
        Some(name) => {
            let place = constant(graph, name)?.ok_or_else(|| refused(node))?;
            let dims = &graph.initializer[place].dims;
            let one_each = dims.last() == Some(&size) && dims.iter().product::<i64>() == size;
            Some(place).filter(|_| one_each).ok_or_else(|| refused(node)).map(Some)?
        }
        None => None,
    };
    Ok(Head { weights, axis, bias })
}

fn input(node: &NodeProto, place: usize) -> &str {
    node.input.get(place).map_or("", String::as_str)
}

fn maker<'g>(graph: &'g GraphProto, value: &str) -> Result<&'g NodeProto> {
    let made = graph.node.iter().find(|n| n.output.iter().any(|y| y == value));
    made.ok_or_else(|| Error::new(format!("no layer makes `{value}`")))
}

/// The place of a float constant that only one node reads.
fn constant(graph: &GraphProto, name: &str) -> Result<Option<usize>> {
    let float = |t: &TensorProto| t.data_type == Some(1) && t.name.as_deref() == Some(name);
    let Some(place) = graph.initializer.iter().position(float) else { return Ok(None) };
    match graph.node.iter().flat_map(crate::inner::reads).filter(|x| *x == name).count() {
        1 => Ok(Some(place)),
        _ => Err(Error::new(format!("the last layer's `{name}` is used elsewhere too"))),
    }
}
