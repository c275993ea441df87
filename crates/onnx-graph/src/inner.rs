//! The graphs inside a node (`If`, `Loop`, `Scan`): what they read of the graph around them, and its shapes in them.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::proto::{GraphProto, NodeProto, ValueInfoProto};
use crate::shape::{Dim, Inferred, Info};
use crate::tensor::DataType;

/// The graphs inside a node.
fn bodies(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs))
}

/// As [`bodies`], to be changed.
pub(crate) fn bodies_mut(node: &mut NodeProto) -> impl Iterator<Item = &mut GraphProto> {
    node.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs))
}

/// Does the node have graphs inside?
pub(crate) fn has_bodies(node: &NodeProto) -> bool {
    bodies(node).next().is_some()
}

/// The values that a node reads: its inputs, and what the graphs inside it take from around them.
pub(crate) fn reads(node: &NodeProto) -> impl Iterator<Item = &str> {
    let mut captured = Vec::new();
    bodies(node).for_each(|body| captures(body, &mut captured));
    node.input.iter().map(String::as_str).filter(|name| !name.is_empty()).chain(captured)
}

/// What a graph reads and does not make.
fn captures<'g>(graph: &'g GraphProto, found: &mut Vec<&'g str>) {
    let mut own: HashSet<&str> = graph.input.iter().filter_map(|v| v.name.as_deref()).collect();
    own.extend(graph.initializer.iter().filter_map(|t| t.name.as_deref()));
    let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref());
    own.extend(sparse.filter_map(|t| t.name.as_deref()));
    for node in &graph.node {
        found.extend(reads(node).filter(|name| !own.contains(name)));
        own.extend(node.output.iter().map(String::as_str));
    }
    found.extend(graph.output.iter().filter_map(|v| v.name.as_deref()).filter(|name| !own.contains(name)));
}

/// Renames every value of a node, those of the graphs inside it too: names of nested graphs must differ from those
/// around them, so what a body makes goes by the same rule as what it takes.
pub(crate) fn rename(node: &mut NodeProto, new: &mut dyn FnMut(&mut String)) {
    node.input.iter_mut().chain(&mut node.output).filter(|name| !name.is_empty()).for_each(&mut *new);
    for body in bodies_mut(node) {
        body.node.iter_mut().for_each(|inner| rename(inner, new));
        let values = body.input.iter_mut().chain(&mut body.output).chain(&mut body.value_info);
        values.filter_map(|v| v.name.as_mut()).for_each(&mut *new);
        let sparse = body.sparse_initializer.iter_mut().filter_map(|s| s.values.as_mut());
        body.initializer.iter_mut().chain(sparse).filter_map(|t| t.name.as_mut()).for_each(&mut *new);
    }
}

/// Gives a graph's values other names where theirs are taken.
///
/// # Errors
/// If a constant has such a name: it is called by it from outside.
pub(crate) fn apart(graph: &mut GraphProto, taken: &dyn Fn(&str) -> bool) -> Result<()> {
    let constants = graph.initializer.iter().filter_map(|t| t.name.as_deref());
    if let Some(name) = constants.into_iter().find(|n| taken(n)) {
        return Err(Error::new(format!("needs the name `{name}` for itself: rename the constant")));
    }
    let mut new = |name: &mut String| {
        if taken(name) {
            *name = format!("model.{name}");
        }
    };
    graph.node.iter_mut().for_each(|node| rename(node, &mut new));
    let values = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    values.filter_map(|v| v.name.as_mut()).for_each(new);
    Ok(())
}

/// Types and shapes of the outputs of `If` and `Loop`, from the graphs inside; nothing if these do not say the rank
/// of each.
pub(crate) fn outputs(around: &Inferred, node: &NodeProto) -> Option<Vec<Info>> {
    let made = match node.op_type.as_deref()? {
        "If" => branches(around, node)?,
        "Loop" => repeated(around, node)?,
        _ => return None,
    };
    (made.len() == node.output.len() && made.iter().all(|info| info.dims.is_some())).then_some(made)
}

/// What a graph inside makes.
fn of_body(around: &Inferred, body: &GraphProto, inputs: &[Info]) -> Option<Vec<Info>> {
    let mut inside = around.clone();
    let name = |v: &ValueInfoProto| v.name.clone().unwrap_or_default();
    let given = body.input.iter().zip(inputs);
    inside.infos.extend(given.map(|(v, info)| (name(v), info.clone())));
    inside.walk(body).ok()?;
    body.output.iter().map(|v| inside.infos.get(&name(v)).cloned()).collect()
}

/// What both branches agree on.
fn branches(around: &Inferred, node: &NodeProto) -> Option<Vec<Info>> {
    let mut all = bodies(node).map(|body| of_body(around, body, &[]));
    let mut made = all.next()??;
    for other in all {
        let other = other?;
        if other.len() != made.len() {
            return None;
        }
        for (a, b) in made.iter_mut().zip(other) {
            *a = agreed(a, &b)?;
        }
    }
    Some(made)
}

fn agreed(a: &Info, b: &Info) -> Option<Info> {
    let (x, y) = (a.dims.as_ref()?, b.dims.as_ref()?);
    let both = |(x, y): (&Dim, &Dim)| if x == y { x.clone() } else { Dim::Unknown };
    (a.ty == b.ty && x.len() == y.len()).then(|| Info::new(a.ty, x.iter().zip(y).map(both).collect()))
}

/// Carried values whose shape the body keeps, and what it stacks along a new first axis.
fn repeated(around: &Inferred, node: &NodeProto) -> Option<Vec<Info>> {
    let scalar = |ty| Info::new(ty, Vec::new());
    let given = around.inputs(node).ok()?;
    let carried = given.get(2..)?;
    let inputs: Vec<Info> = [scalar(DataType::Int64), scalar(DataType::Bool)]
        .into_iter()
        .chain(carried.iter().cloned())
        .collect();
    let made = of_body(around, bodies(node).next()?, &inputs)?;
    let (kept, stacked) = made.get(1..)?.split_at_checked(carried.len())?;
    let stack = |info: &Info| {
        let dims = info.dims.as_ref()?;
        Some(Info::new(info.ty, std::iter::once(Dim::Unknown).chain(dims.iter().cloned()).collect()))
    };
    let stacked: Option<Vec<Info>> = stacked.iter().map(stack).collect();
    (kept == carried).then_some(())?;
    Some(kept.iter().cloned().chain(stacked?).collect())
}
