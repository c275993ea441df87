//! Kinds that stand for several stages. A stage `x` of such a kind is written out as stages `x/a`, `x/b`, … before
//! the workflow is planned, so that each of them is cached, shown and explained as any other.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::definition::Definition;
use crate::spec::suggest;
use crate::spec::{
    Cell, Diagnostic, Input, InputSource, Key, Node, Reference, Scope, StageDecl, Workflow, Yaml, fragment,
};

/// A kind and the file that defines it.
pub(super) struct Several {
    pub(super) definition: Definition,
    pub(super) node: Node,
}

/// A workflow has at most this many steps once they are written out: a kind that uses itself has no end.
const MOST: usize = 1 << 20;

/// What became of a stage: what a reference to each of its ports means, and its inner stages.
struct Written {
    ports: Vec<(String, Reference)>,
    stages: Vec<String>,
}

/// Writes out every stage whose kind is among `kinds`.
///
/// # Errors
/// Every mistake in the use of these kinds or in their stages.
pub(super) fn write_out(
    workflow: &mut Workflow,
    kinds: &BTreeMap<String, Several>,
) -> Result<(), Vec<Diagnostic>> {
    let mut cells: Vec<Vec<Cell>> = workflow.stages.iter().map(|_| Vec::new()).collect();
    for cell in std::mem::take(&mut workflow.cells) {
        cells[cell.stage].push(cell);
    }
    let mut written = HashMap::new();
    for (decl, cells) in std::mem::take(&mut workflow.stages).into_iter().zip(cells) {
        if workflow.cells.len() > MOST {
            let message = format!("the workflow has more than {MOST} steps");
            return Err(vec![Diagnostic::at(decl.uses.1, message)]);
        }
        match kinds.get(&decl.uses.0) {
            Some(kind) => drop(written.insert(decl.name.name.clone(), one(workflow, kind, &decl, cells)?)),
            None => add(workflow, decl, cells),
        }
    }
    let mut out = Vec::new();
    for cell in &mut workflow.cells {
        for (_, bound) in &mut cell.inputs {
            bound.iter_mut().for_each(|input| redirect(input, &written, &mut out));
        }
        let needs = std::mem::take(&mut cell.needs);
        cell.needs = needs
            .into_iter()
            .flat_map(|(name, span)| match written.get(&name) {
                Some(stage) => stage.stages.iter().map(|inner| (inner.clone(), span)).collect(),
                None => vec![(name, span)],
            })
            .collect();
    }
    if out.is_empty() { Ok(()) } else { Err(out) }
}

fn add(workflow: &mut Workflow, decl: StageDecl, cells: Vec<Cell>) {
    let stage = workflow.stages.len();
    workflow.stages.push(decl);
    workflow.cells.extend(cells.into_iter().map(|cell| Cell { stage, ..cell }));
}

/// Writes out one stage, cell by cell; the inner stages have the axes of the stage before their own.
fn one(
    workflow: &mut Workflow,
    kind: &Several,
    decl: &StageDecl,
    cells: Vec<Cell>,
) -> Result<Written, Vec<Diagnostic>> {
    let outer = &decl.name.name;
    let mut stages: Vec<(StageDecl, Vec<Cell>)> = Vec::new();
    for (number, cell) in cells.into_iter().enumerate() {
        ports_fit(kind, decl, &cell).map_err(|diagnostic| vec![diagnostic])?;
        let with = filled(kind, decl, &cell).map_err(|diagnostic| vec![diagnostic])?;
        let scope = Scope { env: workflow.env.clone(), with: Some(with), ..Scope::default() };
        let inner = kind.node.get("stages").unwrap_or(&kind.node);
        let (decls, inner) = fragment(inner, scope, &cell.options)?;
        if number == 0 {
            stages.extend(decls.into_iter().map(|inner| {
                let name = format!("{outer}/{}", inner.name.name);
                let axes = [decl.axes.clone(), inner.axes.clone()].concat();
                (StageDecl { name: Key { name, ..inner.name }, axes, ..inner }, Vec::new())
            }));
        }
        for mut inner in inner {
            let shared = inner.axes.iter().find(|(axis, _)| decl.axes.contains(axis));
            if let Some((axis, _)) = shared {
                let message =
                    format!("the axis `{axis}` is one of `{outer}` and of a stage that it stands for");
                return Err(vec![Diagnostic::at(decl.name.span, message).hint("rename one of them")]);
            }
            inner.axes = [cell.axes.clone(), inner.axes].concat();
            bind(&mut inner, outer, kind, &cell).map_err(|diagnostic| vec![diagnostic])?;
            if let Some((_, cells)) = stages.get_mut(inner.stage) {
                cells.push(inner);
            }
        }
    }
    let names: Vec<String> = stages.iter().map(|(decl, _)| decl.name.name.clone()).collect();
    let ports = outputs(kind, outer, &names).map_err(|diagnostic| vec![diagnostic])?;
    stages.into_iter().for_each(|(decl, cells)| add(workflow, decl, cells));
    Ok(Written { ports, stages: names })
}

/// The parameters, checked, with defaults filled in.
fn filled(kind: &Several, decl: &StageDecl, cell: &Cell) -> Result<Map<String, Value>, Diagnostic> {
    let with = if matches!(cell.with.value, Yaml::Null) { Value::Null } else { cell.with.to_json() };
    kind.definition.fill(&with).map_err(|complaint| {
        let place = complaint.at.as_deref().map(|at| cell.with.find(at));
        let span = place.filter(|node| !matches!(node.value, Yaml::Null)).map_or(decl.name.span, |n| n.span);
        Diagnostic::at(span, format!("stage `{}`: {}", decl.name.name, complaint.message))
            .maybe_hint(complaint.hint)
    })
}

/// Is every port bound that must be, and no other?
fn ports_fit(kind: &Several, decl: &StageDecl, cell: &Cell) -> Result<(), Diagnostic> {
    let ports = kind.definition.input_ports();
    let name = &kind.definition.kind;
    for (key, bound) in &cell.inputs {
        let Some(port) = ports.iter().find(|port| port.name == key.name) else {
            let hint = suggest::hint(&key.name, ports.iter().map(|port| port.name.as_str()));
            let message = format!("`{name}` has no input port `{}`", key.name);
            return Err(Diagnostic::at(key.span, message).hint(hint));
        };
        if bound.len() > 1 && !port.many {
            return Err(Diagnostic::at(
                key.span,
                format!("the port `{}` of `{name}` takes one input", key.name),
            ));
        }
    }
    let missing = ports.iter().find(|port| {
        !port.optional && !cell.inputs.iter().any(|(key, bound)| key.name == port.name && !bound.is_empty())
    });
    match missing {
        Some(port) => {
            let message = format!("the stage `{}` binds nothing to `{}`", decl.name.name, port.name);
            let hint = format!("`{name}` needs a {} there: in: {{ {}: … }}", port.ty.name(), port.name);
            Err(Diagnostic::at(decl.name.span, message).hint(hint))
        }
        None => Ok(()),
    }
}

/// Binds the ports of an inner cell: `in.port` is what the stage binds there, other names are inner stages.
fn bind(inner: &mut Cell, outer: &str, kind: &Several, cell: &Cell) -> Result<(), Diagnostic> {
    // An optional input that the stage leaves out is left out within; an empty list that is written says something.
    let mut left_out = Vec::new();
    for (key, bound) in &mut inner.inputs {
        let mut all = Vec::new();
        let mut given_any = bound.is_empty();
        for mut input in std::mem::take(bound) {
            match &mut input.source {
                InputSource::Stage(reference) if reference.stage == "in" => {
                    let port = reference.port.clone().unwrap_or_default();
                    if !kind.definition.inputs.contains_key(&port) {
                        let hint = suggest::hint(&port, kind.definition.inputs.keys().map(String::as_str));
                        let message = format!("`{}` declares no input `{port}`", kind.definition.kind);
                        return Err(Diagnostic::at(input.span, message).hint(hint));
                    }
                    let given: Vec<_> = cell.inputs.iter().filter(|(key, _)| key.name == port).collect();
                    given_any |= !given.is_empty();
                    all.extend(given.into_iter().flat_map(|(_, given)| given).map(|given| Input {
                        name: input.name.clone().or_else(|| given.name.clone()),
                        ..given.clone()
                    }));
                }
                InputSource::Stage(reference) => {
                    reference.stage = format!("{outer}/{}", reference.stage);
                    all.push(input);
                }
                InputSource::File(_) | InputSource::Url { .. } => all.push(input),
            }
        }
        if all.is_empty() && !given_any {
            left_out.push(key.name.clone());
        }
        *bound = all;
    }
    inner.inputs.retain(|(key, _)| !left_out.contains(&key.name));
    inner.needs.iter_mut().for_each(|(name, _)| *name = format!("{outer}/{name}"));
    inner.needs.extend(cell.needs.iter().cloned());
    Ok(())
}

/// What a reference to each output means.
fn outputs(kind: &Several, outer: &str, stages: &[String]) -> Result<Vec<(String, Reference)>, Diagnostic> {
    let mut out = Vec::new();
    for (port, output) in &kind.definition.outputs {
        let span = kind.node.find(&format!("out.{port}.from")).span;
        let from = output.from.as_deref().unwrap_or_default();
        let mut reference = Reference::parse(from).map_err(|message| Diagnostic::at(span, message))?;
        reference.stage = format!("{outer}/{}", reference.stage);
        if !stages.contains(&reference.stage) {
            let names = stages.iter().filter_map(|name| name.rsplit('/').next());
            let message = format!("the output `{port}` is from `{from}`, and there is no such stage");
            return Err(Diagnostic::at(span, message).hint(suggest::known(names)));
        }
        out.push((port.clone(), reference));
    }
    Ok(out)
}

/// A reference to a stage that was written out becomes one to the inner stage that makes the output.
fn redirect(input: &mut Input, written: &HashMap<String, Written>, out: &mut Vec<Diagnostic>) {
    let InputSource::Stage(reference) = &mut input.source else { return };
    let Some(stage) = written.get(&reference.stage) else { return };
    let names = || stage.ports.iter().map(|(name, _)| name.as_str());
    let found = match &reference.port {
        Some(port) => stage.ports.iter().find(|(name, _)| name == port),
        None => stage.ports.first().filter(|_| stage.ports.len() == 1),
    };
    match found {
        Some((_, inner)) => {
            reference.stage.clone_from(&inner.stage);
            reference.port.clone_from(&inner.port);
        }
        None => {
            let message = match &reference.port {
                Some(port) => format!("the stage `{}` has no output `{port}`", reference.stage),
                None => format!("the stage `{}` has several outputs", reference.stage),
            };
            out.push(Diagnostic::at(input.span, message).hint(suggest::known(names())));
        }
    }
}
