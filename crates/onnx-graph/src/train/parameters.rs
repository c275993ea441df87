//! Which constants of a model are trained, and how they are fed and fetched.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Settings, State};
use crate::error::{Error, Result};
use crate::inner;
use crate::model::Model;
use crate::proto::{GraphProto, NodeProto, TensorProto};

/// Ops whose output is linear in a weight: what is added to it is a bias.
const LINEAR: &[&str] = &["MatMul", "Gemm", "Conv", "ConvTranspose"];

/// The parameters of a graph, in the order of its constants: float32 constants that stand where a
/// layer's weights stand. A constant that only scales or shifts the input, or the running statistics of a
/// normalisation, is none.
pub fn trainable(graph: &GraphProto) -> Vec<String> {
    let made_by: HashMap<&str, &NodeProto> =
        graph.node.iter().flat_map(|n| n.output.iter().map(move |y| (y.as_str(), n))).collect();
    let op = |node: &NodeProto| node.op_type.clone().unwrap_or_default();
    let linear = |x: &String| made_by.get(x.as_str()).is_some_and(|n| LINEAR.contains(&op(n).as_str()));
    let mut weights: HashSet<&str> = HashSet::new();
    for node in &graph.node {
        let places: &[usize] = match op(node).as_str() {
            "Conv"
            | "ConvTranspose"
            | "BatchNormalization"
            | "LayerNormalization"
            | "InstanceNormalization"
            | "GroupNormalization" => &[1, 2],
            "Gemm" => &[0, 1, 2],
            "MatMul" => &[0, 1],
            "PRelu" => &[1],
            "Add" if node.input.iter().any(linear) => &[0, 1],
            _ => &[],
        };
        weights.extend(places.iter().filter_map(|i| node.input.get(*i)).map(String::as_str));
    }
    let float = |t: &&TensorProto| t.data_type == Some(1) && !t.dims.is_empty() && weights.contains(name(t));
    graph.initializer.iter().filter(float).map(|t| name(t).to_owned()).collect()
}

/// The parameters that move under these settings.
pub(super) fn moving(graph: &GraphProto, settings: &Settings) -> Result<Vec<String>> {
    let mut names = trainable(graph);
    if names.is_empty() {
        return Err(Error::new(
            "the model has no parameters to train (float32 constants at the weights of its layers)",
        ));
    }
    names.retain(|n| settings.rate(n) != 0.0);
    if names.is_empty() {
        return Err(Error::new("every parameter of the model is frozen"));
    }
    Ok(names)
}

pub(super) fn name(tensor: &TensorProto) -> &str {
    tensor.name.as_deref().unwrap_or("")
}

/// A constant as a state with `slots` optimizer buffers.
pub(super) fn state(tensor: &TensorProto, slots: &[&str]) -> Result<State> {
    let parameter = name(tensor).to_owned();
    let pair = |slot: &&str| (format!("in.{slot}.{parameter}"), format!("out.{slot}.{parameter}"));
    Ok(State {
        dims: tensor.dims.clone(),
        values: crate::tensor::read_floats(tensor)?,
        value: (format!("in.{parameter}"), format!("out.{parameter}")),
        slots: slots.iter().map(pair).collect(),
        parameter,
    })
}

/// The model with other values for its parameters, in the order of `states`.
///
/// # Errors
/// If a parameter is not in the model or has another size.
pub fn with_parameters(model: &Model, states: &[State], values: &[Vec<f32>]) -> Result<Model> {
    let mut model = model.clone();
    let graph = model.0.graph.as_mut().ok_or_else(|| Error::new("the model has no graph"))?;
    for (state, values) in states.iter().zip(values) {
        let tensor = graph.initializer.iter_mut().find(|t| t.name.as_deref() == Some(&state.parameter));
        let tensor =
            tensor.ok_or_else(|| Error::new(format!("the model has no parameter `{}`", state.parameter)))?;
        if values.len() != state.values.len() {
            return Err(Error::new(format!("the parameter `{}` has another size", state.parameter)));
        }
        *tensor = crate::tensor::floats(&state.parameter, &state.dims, values);
    }
    Ok(model)
}

/// The model with its states as inputs, under the names that the training graph feeds them by: one
/// session then serves all values.
///
/// # Errors
/// If the model has no graph.
pub fn with_inputs(model: &Model, states: &[State]) -> Result<Model> {
    let mut model = model.clone();
    let graph = model.0.graph.as_mut().ok_or_else(|| Error::new("the model has no graph"))?;
    let fed: BTreeMap<&str, &State> = states.iter().map(|s| (s.parameter.as_str(), s)).collect();
    graph.initializer.retain(|t| !fed.contains_key(name(t)));
    graph.input.retain(|v| !fed.contains_key(v.name.as_deref().unwrap_or("")));
    for node in &mut graph.node {
        inner::rename(node, &mut |x| {
            if let Some(state) = fed.get(x.as_str()) {
                x.clone_from(&state.value.0);
            }
        });
    }
    graph.input.extend(states.iter().map(|s| s.info().value(&s.value.0)));
    Ok(model)
}
