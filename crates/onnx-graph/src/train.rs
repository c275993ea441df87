//! Training as one ONNX graph: K optimizer steps inside a single `Loop` node.
//!
//! The state (parameters and momentum buffers) is carried by the loop; data, labels and the batch
//! order stay outside of it and are read by `Gather`, so that thousands of steps run without leaving
//! the runtime. The same file run with K = 1 again and again gives the same bits.

use std::collections::HashSet;

use crate::build::{Attr, Builder};
use crate::error::{Error, Result};
use crate::grad::backward;
use crate::loss::{Loss, emit};
use crate::model::Model;
use crate::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::shape::{Dim, Info};
use crate::tensor::{DataType, flag};

/// From this operator set on, the supported ops mean what they mean today (`Softmax` was the last to change).
const OLDEST_OPSET: i64 = 13;

/// Stochastic gradient descent as torch's `SGD` (dampening 0):
/// g ← g + weight_decay·θ; v ← momentum·v + g; θ ← θ − learning_rate·(v, or g + momentum·v with nesterov).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Factor of the velocity, 0 to below 1.
    pub momentum: f32,
    /// Pull towards zero.
    pub weight_decay: f32,
    /// Look ahead along the velocity.
    pub nesterov: bool,
}

/// One parameter of the model and how it is fed and fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The parameter's name in the model.
    pub parameter: String,
    /// Its shape.
    pub dims: Vec<i64>,
    /// Its first values.
    pub values: Vec<f32>,
    /// Input and output that carry it.
    pub value: (String, String),
    /// Input and output that carry its velocity, if there is momentum.
    pub velocity: Option<(String, String)>,
}

/// A training graph. Inputs, besides the states: `data` [N, …] float32, `target` [N] int64 or [N, …]
/// float32, `order` [K, B] int64 (rows of each step's batch), `learning_rate` [K] float32. Outputs,
/// besides the states: `losses` [K] float32, each before its step.
#[derive(Clone, Debug)]
pub struct Training {
    /// The graph.
    pub model: Model,
    /// The states in the order of their inputs and outputs.
    pub states: Vec<State>,
}

/// Builds the training graph of `model`, whose only input is the data and whose first output is trained.
///
/// # Errors
/// If an op cannot be differentiated, or a parameter does not reach the loss.
pub fn training(model: &Model, loss: Loss, sgd: Sgd) -> Result<Training> {
    let graph = model.graph()?;
    known_operators(model)?;
    let (input, data) = only_input(model)?;
    let (output, out) =
        model.outputs().into_iter().next().ok_or_else(|| Error::new("the model has no output"))?;
    let classes = match out.dims.as_deref() {
        Some([_, .., Dim::Size(classes)]) => *classes,
        _ => return Err(Error::new(format!("the output `{output}` has no known number of columns"))),
    };
    let names = trainable(graph);
    if names.is_empty() {
        return Err(Error::new("the model has no float32 constants to train"));
    }
    let constants: Vec<&TensorProto> =
        graph.initializer.iter().filter(|t| names.contains(&name(t))).collect();

    let mut b = Builder::new("t_");
    let step = b.node("Gather", &["order", "iteration"], [("axis", Attr::Int(0))]);
    b.named_node("Gather", &["data", &step], &[&input], [("axis", Attr::Int(0))]);
    let labels = b.node("Gather", &["target", &step], [("axis", Attr::Int(0))]);
    let rate = b.node("Gather", &["learning_rate", "iteration"], [("axis", Attr::Int(0))]);
    let before = b.nodes.len();
    let (loss_name, seed) = emit(loss, &mut b, &output, &labels, classes);
    let loss_nodes: Vec<NodeProto> = b.nodes.split_off(before);
    let mut head = std::mem::take(&mut b.nodes);

    let mut differentiable = graph.clone();
    differentiable.input = vec![data.value(&input)];
    let back = backward(&differentiable, &[(&output, &seed)], &names, Builder::new("g_"))?;
    head.extend(back.forward);
    head.extend(loss_nodes);
    head.extend(back.nodes);

    let states: Vec<State> = constants.iter().map(|t| state(t, sgd)).collect::<Result<_>>()?;
    let mut updates = Builder::new("u_");
    let mut outputs = Vec::new();
    for (state, gradient) in states.iter().zip(&back.gradients) {
        outputs.push(update(&mut updates, state, gradient, &rate, sgd));
    }
    head.extend(updates.nodes);

    let mut body = GraphProto { name: Some("step".to_owned()), node: head, ..GraphProto::default() };
    body.initializer = graph.initializer.iter().filter(|t| !names.contains(&name(t))).cloned().collect();
    for extra in [b.constants, back.constants, updates.constants] {
        body.initializer.extend(extra);
    }
    finish(body, graph, &states, outputs, &loss_name, (&data, &out, loss))
}

/// Wraps the body of one step into a loop and gives the graph its inputs and outputs.
fn finish(
    mut body: GraphProto,
    graph: &GraphProto,
    states: &[State],
    updated: Vec<(String, Option<String>)>,
    loss_name: &str,
    (data, out, loss): (&Info, &Info, Loss),
) -> Result<Training> {
    let float = |dims: &[i64]| Info::new(DataType::Float, dims.iter().map(|d| Dim::Size(*d)).collect());
    let scalar = |ty: DataType| Info::new(ty, Vec::new());
    body.input = vec![scalar(DataType::Int64).value("iteration"), scalar(DataType::Bool).value("go_on")];
    let mut b = Builder::new("b_");
    let go_on = b.node("Identity", &["go_on"], []);
    body.output = vec![scalar(DataType::Bool).value(&go_on)];
    let mut loop_inputs = vec!["steps".to_owned(), "always".to_owned()];
    let mut loop_outputs = Vec::new();
    let (mut inputs, mut outputs): (Vec<ValueInfoProto>, Vec<ValueInfoProto>) = (Vec::new(), Vec::new());
    for (state, (value, velocity)) in states.iter().zip(updated) {
        let info = float(&state.dims);
        // The loop's body calls a parameter by the model's own name, so that its nodes stay as they are.
        let carried = std::iter::once((&state.value, state.parameter.clone(), value));
        let velocities = state
            .velocity
            .iter()
            .zip(velocity)
            .map(|(names, new)| (names, velocity_name(&state.parameter), new));
        for ((from, to), inner, new) in carried.chain(velocities) {
            body.input.push(info.value(&inner));
            body.output.push(info.value(&new));
            loop_inputs.push(from.clone());
            loop_outputs.push(to.clone());
            inputs.push(info.value(from));
            outputs.push(info.value(to));
        }
    }
    body.output.push(scalar(DataType::Float).value(loss_name));
    body.node.extend(b.nodes);
    loop_outputs.push("losses".to_owned());
    outputs.push(Info::new(DataType::Float, vec![Dim::Name("K".to_owned())]).value("losses"));

    let rows = |of: &Info| {
        let rest = of.dims.iter().flatten().skip(1).cloned();
        std::iter::once(Dim::Name("N".to_owned())).chain(rest).collect::<Vec<Dim>>()
    };
    inputs.push(Info::new(DataType::Float, rows(data)).value("data"));
    let target = match loss {
        Loss::CrossEntropy => Info::new(DataType::Int64, vec![Dim::Name("N".to_owned())]),
        Loss::MeanSquaredError => Info::new(DataType::Float, rows(out)),
    };
    inputs.push(target.value("target"));
    let order = vec![Dim::Name("K".to_owned()), Dim::Name("B".to_owned())];
    inputs.push(Info::new(DataType::Int64, order).value("order"));
    inputs.push(Info::new(DataType::Float, vec![Dim::Name("K".to_owned())]).value("learning_rate"));

    let mut outer = Builder::new("o_");
    outer.named_node(
        "Shape",
        &["learning_rate"],
        &["steps_1d"],
        [("start", Attr::Int(0)), ("end", Attr::Int(1))],
    );
    outer.named_node("Squeeze", &["steps_1d"], &["steps"], []);
    let to: Vec<&str> = loop_outputs.iter().map(String::as_str).collect();
    let from: Vec<&str> = loop_inputs.iter().map(String::as_str).collect();
    outer.named_node("Loop", &from, &to, [("body", Attr::Graph(Box::new(body)))]);
    let graph = GraphProto {
        name: Some(format!("train_{}", graph.name.as_deref().unwrap_or("model"))),
        node: outer.nodes,
        initializer: vec![flag("always", true)],
        input: inputs,
        output: outputs,
        ..GraphProto::default()
    };
    Ok(Training { model: Model::new(graph), states: states.to_vec() })
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

/// The step is written in this crate's operator set: what meant something else in an older one would
/// change its meaning silently.
fn known_operators(model: &Model) -> Result<()> {
    let standard = |d: &Option<String>| matches!(d.as_deref(), None | Some("" | "ai.onnx"));
    match model.0.opset_import.iter().find(|o| standard(&o.domain)).and_then(|o| o.version) {
        Some(version) if version >= OLDEST_OPSET => Ok(()),
        found => Err(Error::new(format!(
            "the model is written in operator set {}; training needs {OLDEST_OPSET} or newer: convert it first",
            found.unwrap_or(1)
        ))),
    }
}

fn only_input(model: &Model) -> Result<(String, Info)> {
    match &model.inputs()[..] {
        [(name, info)] if info.ty == DataType::Float => Ok((name.clone(), info.clone())),
        [(name, info)] => Err(Error::new(format!("the input `{name}` is {}, not float32", info.ty.name()))),
        other => Err(Error::new(format!("the model has {} inputs; training needs one", other.len()))),
    }
}

fn name(tensor: &TensorProto) -> &str {
    tensor.name.as_deref().unwrap_or("")
}

/// Float constants that nodes use: the parameters.
fn trainable(graph: &GraphProto) -> Vec<&str> {
    let used: HashSet<&str> = graph.node.iter().flat_map(|n| &n.input).map(String::as_str).collect();
    let float = |t: &&TensorProto| t.data_type == Some(1) && !t.dims.is_empty() && used.contains(name(t));
    graph.initializer.iter().filter(float).map(name).collect()
}

fn velocity_name(parameter: &str) -> String {
    format!("velocity.{parameter}")
}

fn state(tensor: &TensorProto, sgd: Sgd) -> Result<State> {
    let parameter = name(tensor).to_owned();
    let velocity = || (format!("in.velocity.{parameter}"), format!("out.velocity.{parameter}"));
    Ok(State {
        dims: tensor.dims.clone(),
        values: crate::tensor::read_floats(tensor)?,
        value: (format!("in.{parameter}"), format!("out.{parameter}")),
        velocity: (sgd.momentum != 0.0).then(velocity),
        parameter,
    })
}

/// Emits the new value and velocity of one parameter.
fn update(b: &mut Builder, state: &State, gradient: &str, rate: &str, sgd: Sgd) -> (String, Option<String>) {
    let mut step = gradient.to_owned();
    if sgd.weight_decay != 0.0 {
        let decay = b.float(sgd.weight_decay);
        let pull = b.node("Mul", &[&state.parameter, &decay], []);
        step = b.node("Add", &[&step, &pull], []);
    }
    let mut velocity = None;
    if state.velocity.is_some() {
        let momentum = b.float(sgd.momentum);
        let kept = b.node("Mul", &[&velocity_name(&state.parameter), &momentum], []);
        let new = b.node("Add", &[&kept, &step], []);
        if sgd.nesterov {
            let ahead = b.node("Mul", &[&new, &momentum], []);
            step = b.node("Add", &[&step, &ahead], []);
        } else {
            step.clone_from(&new);
        }
        velocity = Some(new);
    }
    let scaled = b.node("Mul", &[&step, rate], []);
    (b.node("Sub", &[&state.parameter, &scaled], []), velocity)
}
