//! The normal form of a model: this crate's operator set, constants folded, dead nodes gone.

use std::borrow::Cow;
use std::collections::HashSet;

use super::fold::{Constants, tensor};
use super::opset::{KNOWN, raise};
use crate::build::Builder;
use crate::error::{Error, Result};
use crate::inner::{self, reads};
use crate::model::{Model, OPSET};
use crate::ops;
use crate::proto::{GraphProto, NodeProto, OperatorSetIdProto, TensorProto};
use crate::shape::{Dim, Inferred, Info};
use crate::tensor::{DataType, ints, numbers};

/// Rewrites a model as exporters write it (operator sets 7 to 24; shapes computed in the graph; weights
/// behind `Transpose` or `Identity`; `Dropout`) into one that the rest of this crate works on. What it
/// computes stays the same. Ops that are not supported stay where they are.
///
/// # Errors
/// If the operator set is not known, or a node cannot be raised to this crate's.
pub fn normal(model: &Model) -> Result<Model> {
    let version = operator_set(model)?;
    let graph = model.graph()?;
    let mut walk = Walk { constants: Constants::default(), known: Inferred::default(), nodes: Vec::new() };
    let constants: HashSet<&str> = graph.initializer.iter().filter_map(|t| t.name.as_deref()).collect();
    let inputs: Vec<_> = graph
        .input
        .iter()
        .filter(|v| !constants.contains(v.name.as_deref().unwrap_or("")))
        .cloned()
        .collect();
    for value in &inputs {
        walk.known.infos.insert(value.name.clone().unwrap_or_default(), Info::of(value));
    }
    for tensor in &graph.initializer {
        walk.constant(tensor.clone());
    }
    let mut b = Builder::new("n_");
    for node in &graph.node {
        let mut node = walk.at_rest(node);
        if inner::has_bodies(&node) {
            raise_inside(node.to_mut(), version, &walk.known, &mut b)?;
        }
        raise(&node, version, &walk.known.infos, &mut b)?;
        for tensor in std::mem::take(&mut b.constants) {
            walk.constant(tensor);
        }
        for node in std::mem::take(&mut b.nodes) {
            walk.place(node, graph);
        }
    }
    let mut graph = GraphProto { input: inputs, node: walk.nodes, ..graph.clone() };
    // Of an op that is not understood, only the file says what it makes.
    let opaque = graph.node.iter().filter(|n| ops::find(n).is_err()).flat_map(|n| &n.output);
    let opaque: HashSet<&str> = opaque.map(String::as_str).collect();
    graph.value_info.retain(|v| opaque.contains(v.name.as_deref().unwrap_or("")));
    live(&mut graph, walk.constants);
    let mut proto = model.0.clone();
    proto.graph = Some(graph);
    let standard = |set: &OperatorSetIdProto| matches!(set.domain.as_deref(), None | Some("" | "ai.onnx"));
    proto.opset_import.retain(|set| !standard(set));
    proto.opset_import.push(OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) });
    proto.ir_version = Model::new(GraphProto::default()).0.ir_version;
    Ok(Model(proto))
}

fn operator_set(model: &Model) -> Result<i64> {
    let standard = |d: &Option<String>| matches!(d.as_deref(), None | Some("" | "ai.onnx"));
    let found =
        model.0.opset_import.iter().find(|o| standard(&o.domain)).and_then(|o| o.version).unwrap_or(1);
    if KNOWN.contains(&found) {
        return Ok(found);
    }
    Err(Error::new(format!(
        "the model is written in operator set {found}; known are {} to {}: export it again or convert it",
        KNOWN.start(),
        KNOWN.end()
    )))
}

struct Walk {
    constants: Constants,
    known: Inferred,
    nodes: Vec<NodeProto>,
}

impl Walk {
    fn constant(&mut self, tensor: TensorProto) {
        self.known.constant(&tensor);
        let name = tensor.name.clone().unwrap_or_default();
        self.constants.insert(&name, tensor);
    }

    /// A `Dropout` whose training mode is a constant `false` becomes one without that input.
    fn at_rest<'n>(&self, node: &'n NodeProto) -> Cow<'n, NodeProto> {
        let mode = node.input.get(2).and_then(|name| self.constants.tensors.get(name));
        let off = mode.and_then(|t| numbers(t).ok()).is_some_and(|v| v.iter().all(|v| *v == 0.0));
        if node.op_type.as_deref() != Some("Dropout") || !off {
            return Cow::Borrowed(node);
        }
        let mut node = node.clone();
        node.input.truncate(2);
        Cow::Owned(node)
    }

    fn place(&mut self, mut node: NodeProto, stated: &GraphProto) {
        if self.constants.fold(&node) {
            for name in &node.output {
                if let Some(tensor) = self.constants.tensors.get(name) {
                    self.known.constant(tensor);
                }
            }
            return;
        }
        self.close_shape(&mut node);
        // What cannot be inferred here is reported by whoever needs it.
        let stated = |name: &String| {
            let mut values = stated.value_info.iter().chain(&stated.output);
            let value = values.find(|v| v.name.as_ref() == Some(name));
            value.map_or(Info { ty: DataType::Other(0), dims: None }, Info::of)
        };
        let infos = self.known.node(&node).unwrap_or_else(|_| node.output.iter().map(stated).collect());
        for (name, info) in node.output.iter().zip(infos) {
            self.known.infos.insert(name.clone(), info);
        }
        // Sizes that are all known need no node.
        let made = node.output.iter().map(|name| tensor(name, &self.known.known.whole(name)?));
        match made.collect::<Option<Vec<TensorProto>>>() {
            Some(tensors) if !tensors.is_empty() => {
                for tensor in tensors {
                    self.constants.insert(&tensor.name.clone().unwrap_or_default(), tensor);
                }
            }
            _ => self.nodes.push(node),
        }
    }

    /// A `Reshape` to a list of sizes with one open one gets a constant list with −1 there.
    fn close_shape(&mut self, node: &mut NodeProto) {
        let (Some("Reshape"), Some(shape)) = (node.op_type.as_deref(), node.input.get(1).cloned()) else {
            return;
        };
        if self.constants.tensors.contains_key(&shape) {
            return;
        }
        let Some(sizes) = self.known.known.sizes(&shape) else { return };
        let open = sizes.iter().filter(|d| !matches!(d, Dim::Size(_))).count();
        if open > 1 || (open == 1 && sizes.contains(&Dim::Size(-1))) {
            return self.close_first(node, &sizes);
        }
        let values: Vec<i64> = sizes.iter().map(|d| d.size().unwrap_or(-1)).collect();
        self.constant_shape(node, &values);
    }

    /// [N, …, −1] with an open N: sizes that stand where the input has them are kept by a 0.
    fn close_first(&mut self, node: &mut NodeProto, sizes: &[Dim]) {
        let Some(dims) =
            node.input.first().and_then(|x| self.known.infos.get(x)).and_then(|i| i.dims.clone())
        else {
            return;
        };
        let kept = |(i, d): (usize, &Dim)| match d {
            Dim::Size(s) => Some(*s),
            Dim::Name(_) if dims.get(i) == Some(d) => Some(0),
            _ => None,
        };
        if let Some(values) = sizes.iter().enumerate().map(kept).collect::<Option<Vec<i64>>>() {
            self.constant_shape(node, &values);
        }
    }

    fn constant_shape(&mut self, node: &mut NodeProto, values: &[i64]) {
        let name = format!("{}_shape", node.output.first().map_or("n", String::as_str));
        self.constant(ints(&name, &[values.len() as i64], values));
        node.input[1] = name;
    }
}

/// Raises the graphs inside a node, which are of the model's operator set as it is.
fn raise_inside(node: &mut NodeProto, version: i64, around: &Inferred, b: &mut Builder) -> Result<()> {
    for body in inner::bodies_mut(node) {
        let mut known = around.clone();
        for value in &body.input {
            known.infos.insert(value.name.clone().unwrap_or_default(), Info::of(value));
        }
        body.initializer.iter().for_each(|tensor| known.constant(tensor));
        let mut nodes = Vec::with_capacity(body.node.len());
        for mut node in std::mem::take(&mut body.node) {
            raise_inside(&mut node, version, &known, b)?;
            raise(&node, version, &known.infos, b)?;
            for tensor in std::mem::take(&mut b.constants) {
                known.constant(&tensor);
                body.initializer.push(tensor);
            }
            for node in std::mem::take(&mut b.nodes) {
                let made = known.node(&node).unwrap_or_default();
                known.infos.extend(node.output.iter().cloned().zip(made));
                nodes.push(node);
            }
        }
        body.node = nodes;
        // Stated shapes may be those of values that are gone.
        body.value_info.clear();
    }
    Ok(())
}

/// Keeps the nodes and constants that the outputs need.
fn live(graph: &mut GraphProto, constants: Constants) {
    let mut needed: HashSet<String> = graph.output.iter().filter_map(|v| v.name.clone()).collect();
    let mut kept = Vec::with_capacity(graph.node.len());
    while let Some(node) = graph.node.pop() {
        if node.output.iter().any(|y| needed.contains(y)) {
            needed.extend(reads(&node).map(str::to_owned));
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    let mut tensors = constants.tensors;
    let order = constants.order.into_iter().filter(|name| needed.contains(name));
    graph.initializer = order.filter_map(|name| tensors.remove(&name)).collect();
}
