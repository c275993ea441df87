//! Relevance (layer-wise relevance propagation) as a plain ONNX graph: one graph computes the model's
//! answer and the map of what decided it.
//!
//! ```
//! use onnx_graph::{architectures, relevance::{Options, attribution, composite::Composite}};
//!
//! let spec = architectures::Spec { input: vec![4], classes: 3, hidden: vec![8], activation: "Relu".into(), ..Default::default() };
//! let model = architectures::build("mlp", &spec, 0)?;
//! let made = attribution(&model, &Composite::named("epsilon")?, &Options::default())?;
//! assert_eq!(made.explained, "logits"); // inputs `input` and `start`, outputs `logits` and `relevance`
//! # Ok::<(), onnx_graph::error::Error>(())
//! ```

use crate::build::{Attr, Builder};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::passes::{before_softmax, canonize, fuse, normal};
use crate::proto::GraphProto;
use crate::shape::{Dim, Info, inferred};
use crate::tensor::DataType;
use composite::{Composite, STABILISER};

pub mod composite;
mod layer;
mod linear;
pub mod randomise;
mod rules;
mod sign;
mod walk;

/// Bounds of the input for the box rule: one value, or one for each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// Smallest values.
    pub low: Vec<f32>,
    /// Largest values.
    pub high: Vec<f32>,
}

/// Where relevance starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Start {
    /// The input `start`, of the explained tensor's shape [N, …].
    #[default]
    Given,
    /// 1 at the largest value of the explained tensor [N, C].
    Predicted,
    /// 1 at its second largest.
    RunnerUp,
    /// 1 at the largest, −1 / (C − 1) at all others.
    Contrast,
    /// 1 at every place of one channel of the explained tensor [N, C, …], 0 in the others: what the input
    /// contributed to one feature (Achtibat et al. 2023).
    Channel(usize),
}

/// What to explain and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The explained tensor; by default the first output, or what stands before its softmax.
    pub tensor: Option<String>,
    /// Where the map is wanted; by default the model's only input.
    pub at: Option<String>,
    /// Where relevance starts.
    pub start: Start,
    /// Multiply the start by the explained tensor's values, so that relevance sums to the logit.
    pub from_logit: bool,
    /// Bounds of the input for the box rule.
    pub bounds: Option<Bounds>,
    /// The stabiliser of all rules but epsilon, which has its own.
    pub stabiliser: f32,
    /// Leave biases out of the rules, so that relevance is conserved.
    pub zero_bias: bool,
    /// Count what each layer passes on and what its bias and stabiliser take.
    pub conservation: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            tensor: None,
            at: None,
            start: Start::Given,
            from_logit: false,
            bounds: None,
            stabiliser: STABILISER,
            zero_bias: false,
            conservation: false,
        }
    }
}

/// One layer of the conservation table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The node.
    pub node: String,
    /// Its op.
    pub op: String,
    /// The rule's name.
    pub rule: String,
}

/// A graph of forward pass and relevance.
///
/// Inputs: the model's, and `start` (shape of the explained tensor) where the start is given. Outputs: the
/// explained tensor, `relevance` with the shape of the input, and, if asked for, `conservation`
/// [N, layers, 4]: relevance at the layer's output, at its inputs, taken by its bias, taken by its stabiliser.
/// Layers whose tensors do not begin with the axis of the images are left out of it.
#[derive(Clone, Debug)]
pub struct Attribution {
    /// The graph.
    pub model: Model,
    /// Name of the explained tensor.
    pub explained: String,
    /// Type and shape of the explained tensor.
    pub explained_info: Info,
    /// Name of the value that the map belongs to.
    pub at: String,
    /// The layers of the output `conservation`, in its order.
    pub lines: Vec<Line>,
}

/// Name of the input that gives the start.
pub const START: &str = "start";
/// Name of the output that holds the map.
pub const RELEVANCE: &str = "relevance";
/// Name of the output that holds the conservation table.
pub const CONSERVATION: &str = "conservation";

/// Builds the graph of a model and its relevance.
///
/// # Errors
/// A node without a rule, by name; weights that are not constant; a tensor that is not there.
pub fn attribution(model: &Model, composite: &Composite, options: &Options) -> Result<Attribution> {
    let model = normal(model)?;
    let named: Vec<&str> = [&options.tensor, &options.at].into_iter().flatten().map(String::as_str).collect();
    let mut model = if composite.canonize { canonize(&model, &named)? } else { model };
    if let Some(graph) = model.0.graph.as_mut().filter(|_| composite.canonize) {
        let before = graph.node.clone();
        fuse(graph);
        let made = |nodes: &[crate::proto::NodeProto], name: &str| {
            nodes.iter().any(|n| n.output.iter().any(|y| y == name))
        };
        // A group holds no tensor that is asked for.
        if named.iter().any(|name| made(&before, name) && !made(&graph.node, name)) {
            graph.node = before;
        }
    }
    let graph = model.graph()?;
    let asked = match &options.tensor {
        Some(name) => name.clone(),
        None => {
            let first = graph.output.first().and_then(|v| v.name.clone());
            before_softmax(graph, &first.ok_or_else(|| Error::new("the model has no output"))?)
        }
    };
    let at = match (&options.at, &model.inputs()[..]) {
        (Some(name), _) => name.clone(),
        (None, [(only, _)]) => only.clone(),
        (None, inputs) => {
            return Err(Error::new(format!("the model has {} inputs; name the one to map", inputs.len())));
        }
    };
    if composite.needs_box() && options.bounds.is_none() {
        return Err(Error::new("the box rule needs the bounds of the input: `box: [low, high]`"));
    }
    let graph = needed(graph, &asked);
    let known = inferred(&graph)?;
    let info = |name: &str| {
        known
            .infos
            .get(name)
            .cloned()
            .ok_or_else(|| Error::new(format!("there is no tensor `{name}` before `{asked}`")))
    };
    let (explained_info, at_info) = (info(&asked)?, info(&at)?);
    let mut b = Builder::new("r_");
    let start = start(&mut b, &asked, &explained_info, options)?;
    let made = walk::walk(&graph, &known, composite, options, (&asked, &start, &at), b)?;

    let mut nodes = graph.node.clone();
    nodes = merged(nodes, made.forward);
    let mut outputs = vec![explained_info.value(&asked), at_info.value(RELEVANCE)];
    let mut wanted = vec![asked.clone(), RELEVANCE.to_owned()];
    if options.conservation && !made.lines.is_empty() {
        let first = at_info.dims.as_ref().and_then(|d| d.first()).cloned().unwrap_or(Dim::Unknown);
        let dims = vec![first, Dim::Size(made.lines.len() as i64), Dim::Size(4)];
        outputs.push(Info::new(DataType::Float, dims).value(CONSERVATION));
        wanted.push(CONSERVATION.to_owned());
    }
    nodes.extend(made.nodes);
    let nodes = crate::grad::live(nodes, &wanted);
    let read: std::collections::HashSet<&str> = nodes.iter().flat_map(crate::inner::reads).collect();
    let mut initializer = graph.initializer.clone();
    initializer.extend(made.constants);
    initializer.retain(|t| read.contains(t.name.as_deref().unwrap_or("")));
    let mut inputs = graph.input.clone();
    if options.start == Start::Given {
        inputs.push(explained_info.value(START));
    }
    let graph = GraphProto {
        name: Some("relevance".to_owned()),
        node: nodes,
        initializer,
        input: inputs,
        output: outputs,
        ..GraphProto::default()
    };
    Ok(Attribution { model: Model::new(graph), explained: asked, explained_info, at, lines: made.lines })
}

/// The part of a graph that `value` needs.
fn needed(graph: &GraphProto, value: &str) -> GraphProto {
    let nodes = crate::grad::live(graph.node.clone(), &[value.to_owned()]);
    GraphProto { node: nodes, ..graph.clone() }
}

/// The forward nodes, of which some were given further outputs on the way back.
fn merged(
    mut nodes: Vec<crate::proto::NodeProto>,
    changed: Vec<crate::proto::NodeProto>,
) -> Vec<crate::proto::NodeProto> {
    for node in changed {
        if let Some(own) = nodes.iter_mut().find(|n| n.output.first() == node.output.first()) {
            *own = node;
        }
    }
    nodes
}

/// Emits the relevance at the explained tensor.
fn start(b: &mut Builder, explained: &str, info: &Info, options: &Options) -> Result<String> {
    let one_hot = |b: &mut Builder, place: &str| -> Result<String> {
        let classes = match info.rank("the explained tensor")? {
            [_, Dim::Size(classes)] => *classes,
            _ => {
                return Err(Error::new(format!(
                    "`{explained}` is no list of classes: give the start yourself"
                )));
            }
        };
        let depth = b.ints(&[classes]);
        let off_on = b.fresh("off_on");
        b.constants.push(crate::tensor::floats(&off_on, &[2], &[0.0, 1.0]));
        Ok(b.node("OneHot", &[place, &depth, &off_on], [("axis", Attr::Int(-1))]))
    };
    let largest = |b: &mut Builder| {
        b.node("ArgMax", &[explained], [("axis", Attr::Int(1)), ("keepdims", Attr::Int(0))])
    };
    let start = match options.start {
        Start::Given => START.to_owned(),
        Start::Predicted => {
            let place = largest(b);
            one_hot(b, &place)?
        }
        Start::RunnerUp => {
            // The largest is pushed below all others; then the largest of these is the second.
            let place = largest(b);
            let hot = one_hot(b, &place)?;
            let far = b.float(f32::MAX / 4.0);
            let push = b.node("Mul", &[&hot, &far], []);
            let rest = b.node("Sub", &[explained, &push], []);
            let second = b.node("ArgMax", &[&rest], [("axis", Attr::Int(1)), ("keepdims", Attr::Int(0))]);
            one_hot(b, &second)?
        }
        Start::Contrast => {
            let place = largest(b);
            let hot = one_hot(b, &place)?;
            let classes = match info.dims.as_deref() {
                Some([_, Dim::Size(classes)]) if *classes > 1 => *classes as f32,
                _ => return Err(Error::new(format!("`{explained}` has no other class to contrast with"))),
            };
            let (rise, rest) = (b.float(1.0 + 1.0 / (classes - 1.0)), b.float(1.0 / (classes - 1.0)));
            let scaled = b.node("Mul", &[&hot, &rise], []);
            b.node("Sub", &[&scaled, &rest], [])
        }
        Start::Channel(channel) => one_channel(b, explained, info, channel)?,
    };
    Ok(if options.from_logit { b.node("Mul", &[&start, explained], []) } else { start })
}

/// Emits 1 in one channel of `explained` [N, C, …] and 0 in the others.
fn one_channel(b: &mut Builder, explained: &str, info: &Info, channel: usize) -> Result<String> {
    let (channels, places) = match info.rank("the explained tensor")? {
        [_, Dim::Size(channels), rest @ ..] => (usize::try_from(*channels).unwrap_or(0), rest.len()),
        _ => return Err(Error::new(format!("`{explained}` has no channels"))),
    };
    if channel >= channels {
        return Err(Error::new(format!(
            "there is no channel {channel}: `{explained}` has the channels 0 to {}",
            channels.saturating_sub(1)
        )));
    }
    let mut values = vec![0.0; channels];
    values[channel] = 1.0;
    let dims: Vec<i64> = [1, channels as i64].into_iter().chain(std::iter::repeat_n(1, places)).collect();
    let pattern = b.fresh("channel");
    b.constants.push(crate::tensor::floats(&pattern, &dims, &values));
    let shape = b.node("Shape", &[explained], []);
    Ok(b.node("Expand", &[&pattern, &shape], []))
}
