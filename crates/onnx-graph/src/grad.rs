//! Reverse-mode differentiation: walks a graph backward and emits plain ONNX nodes.
//!
//! The walk does broadcasting, accumulation and error context; each op gives only its own rule.

use std::collections::{HashMap, HashSet};

use crate::build::{Attr, Builder};
use crate::error::{Error, Result};
use crate::inner::reads;
use crate::known::Values;
use crate::model::node_label;
use crate::ops::{self, Gradient, Spread};
use crate::proto::{GraphProto, NodeProto};
use crate::shape::{Dim, Inferred, Info, inferred};

/// The backward part of a graph.
#[derive(Debug)]
pub struct Backward {
    /// The forward nodes, with outputs added that the backward part needs.
    pub forward: Vec<NodeProto>,
    /// The backward nodes, in order.
    pub nodes: Vec<NodeProto>,
    /// Constants of the backward nodes.
    pub constants: Vec<crate::proto::TensorProto>,
    /// For each value asked for, the name of its gradient.
    pub gradients: Vec<String>,
}

/// Differentiates `graph` from `seeds` (value → name of its gradient) back to the values `wrt`.
///
/// # Errors
/// The node that cannot be differentiated, or a value that nothing depends on.
pub fn backward(
    graph: &GraphProto,
    seeds: &[(&str, &str)],
    wrt: &[&str],
    builder: Builder,
) -> Result<Backward> {
    let (back, gradients) = reached(graph, seeds, wrt, builder)?;
    if let Some((value, _)) = wrt.iter().zip(&gradients).find(|(_, gradient)| gradient.is_none()) {
        return Err(Error::new(format!("the loss does not depend on `{value}`")));
    }
    Ok(back)
}

/// As [`backward`]; for each value of `wrt` the name of its gradient, or nothing if no seed depends on it.
///
/// # Errors
/// The node that cannot be differentiated.
pub fn reached(
    graph: &GraphProto,
    seeds: &[(&str, &str)],
    wrt: &[&str],
    builder: Builder,
) -> Result<(Backward, Vec<Option<String>>)> {
    let known = inferred(graph)?;
    let mut walk = Walk { b: builder, known: &known, sums: HashMap::new() };
    for (value, gradient) in seeds {
        walk.sums.entry((*value).to_owned()).or_default().push((*gradient).to_owned());
    }
    let needed = depends(graph, wrt);
    let mut forward = graph.node.clone();
    for node in forward.iter_mut().rev() {
        if node.output.iter().any(|y| needed.contains(y)) {
            walk.node(node, &needed)
                .map_err(|e| Error::new(format!("gradient of {}: {e}", node_label(node))))?;
        }
    }
    let found: Vec<Option<String>> = wrt.iter().map(|value| walk.sum(value)).collect();
    let gradients: Vec<String> = found.iter().flatten().cloned().collect();
    let nodes = live(walk.b.nodes, &gradients);
    let read: HashSet<&str> =
        nodes.iter().flat_map(|n| &n.input).chain(&gradients).map(String::as_str).collect();
    let constants = walk.b.constants.into_iter().filter(|t| read.contains(t.name.as_deref().unwrap_or("")));
    Ok((Backward { forward, constants: constants.collect(), nodes, gradients }, found))
}

/// The nodes that `wanted` needs, in their order. Ops give the gradient of every input, asked for or
/// not, and the runtime computes every node that it is given: without this, the first layer's gradient
/// at the data costs a third of a step.
pub(crate) fn live(mut nodes: Vec<NodeProto>, wanted: &[String]) -> Vec<NodeProto> {
    let mut needed: HashSet<String> = wanted.iter().cloned().collect();
    let mut kept = Vec::with_capacity(nodes.len());
    while let Some(node) = nodes.pop() {
        if node.output.iter().any(|y| needed.contains(y)) {
            needed.extend(reads(&node).map(str::to_owned));
            kept.push(node);
        }
    }
    kept.reverse();
    kept
}

/// The values that depend on one of `wrt`, and these themselves.
pub(crate) fn depends(graph: &GraphProto, wrt: &[&str]) -> HashSet<String> {
    let mut found: HashSet<String> = wrt.iter().map(|v| (*v).to_owned()).collect();
    for node in &graph.node {
        if reads(node).any(|x| found.contains(x)) {
            found.extend(node.output.iter().cloned());
        }
    }
    found
}

struct Walk<'a> {
    b: Builder,
    known: &'a Inferred,
    /// Gradients that arrived at a value from those that read it.
    sums: HashMap<String, Vec<String>>,
}

impl Walk<'_> {
    fn node(&mut self, node: &mut NodeProto, needed: &HashSet<String>) -> Result<()> {
        let dys: Vec<Option<String>> = node.output.clone().iter().map(|y| self.sum(y)).collect();
        if dys.iter().all(Option::is_none) {
            return Ok(());
        }
        let names = node.input.clone();
        let wanted = |name: &str| needed.contains(name);
        let gradients = node_gradients(&mut self.b, node, self.known, &dys, &wanted)?;
        for (x, gradient) in names.into_iter().zip(gradients) {
            if let Some(gradient) = gradient {
                self.sums.entry(x).or_default().push(gradient);
            }
        }
        Ok(())
    }

    /// The sum of all gradients that arrived at a value.
    fn sum(&mut self, value: &str) -> Option<String> {
        let parts = self.sums.get(value)?.clone();
        let (first, others) = parts.split_first()?;
        // `Sum` runs on one thread, `Add` on all.
        let add = |sum: String, part: &String| self.b.node("Add", &[&sum, part], []);
        let total = others.iter().fold(first.clone(), add);
        self.sums.insert(value.to_owned(), vec![total.clone()]);
        Some(total)
    }
}

/// Emits the gradients at a node's inputs from those at its outputs, with the shapes of the inputs; only
/// for inputs that are `wanted`.
///
/// # Errors
/// If the op is not known or this use of it cannot be differentiated.
pub(crate) fn node_gradients(
    b: &mut Builder,
    node: &mut NodeProto,
    known: &Inferred,
    dys: &[Option<String>],
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<Option<String>>> {
    let op = ops::find(node)?;
    let inputs = known.inputs(node)?;
    let names = node.input.clone();
    let values = Values::of(node, &known.known);
    let output = node.output.first().and_then(|y| known.infos.get(y)).cloned();
    let dy = dys.first().and_then(Option::as_deref).unwrap_or("");
    let made = op.gradient(&mut Gradient { b, node, inputs: &inputs, values: &values, dy, dys })?;
    let mut gradients = Vec::with_capacity(names.len());
    for (i, ((x, info), gradient)) in names.iter().zip(&inputs).zip(made).enumerate() {
        let gradient = gradient.filter(|_| wanted(x));
        gradients.push(match (gradient, op.spread(i), &output) {
            (None, _, _) => None,
            (found, Spread::Not, _) | (found, _, None) => found,
            (Some(gradient), spread, Some(y)) => Some(unspread(b, &gradient, (x, info), y, spread)?),
        });
    }
    Ok(gradients)
}

/// Sums a gradient over the axes along which its value was broadcast.
fn unspread(
    b: &mut Builder,
    gradient: &str,
    (name, x): (&str, &Info),
    y: &Info,
    spread: Spread,
) -> Result<String> {
    let (from, mut to) = (x.rank(name)?.to_vec(), y.rank("its output")?.to_vec());
    if spread == Spread::Stack {
        // The last two axes of a product are its own.
        to.truncate(to.len().saturating_sub(2));
        to.extend_from_slice(&from[from.len() - 2..]);
    }
    let missing = to.len().checked_sub(from.len());
    let missing = missing.ok_or_else(|| Error::new(format!("`{name}` has more axes than the output")))?;
    let spread = |i: usize| i < missing || (from[i - missing] == Dim::Size(1) && to[i] != Dim::Size(1));
    let axes: Vec<i64> = (0..to.len()).filter(|i| spread(*i)).map(|i| i as i64).collect();
    if axes.is_empty() {
        return Ok(gradient.to_owned());
    }
    let axes = b.ints(&axes);
    let summed = b.node("ReduceSum", &[gradient, &axes], [("keepdims", Attr::Int(1))]);
    if missing == 0 {
        return Ok(summed);
    }
    let lost = b.ints(&(0..missing as i64).collect::<Vec<i64>>());
    Ok(b.node("Squeeze", &[&summed, &lost], []))
}
