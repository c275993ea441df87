//! Rows that a model learned from must not be scored: where a stage that scores rows stands behind a model, the
//! model's rows are bound to its port for them, as if the workflow had said so.
//!
//! Ids mean the same only within one source. So rows are bound only if the scored rows come from every table, file
//! and download that they come from: rows of digits beside faces may have the ids of other faces.

use std::collections::HashSet;

use super::draft::Draft;
use super::{Binding, Source, Step, StepId};
use crate::stage::{Axes, Port, PortType, Role};

/// Binds to every port of the role [`Role::Learned`] what models before its step learned from, unless the workflow
/// binds an empty list there: that says that somebody knows.
pub(super) fn bind(steps: &mut [Step], drafts: &[Draft]) {
    for id in 0..steps.len() {
        let ports = inputs(steps, drafts, id);
        let Some(place) = in_role(ports, Role::Learned) else { continue };
        let port = &ports[place].name;
        let bound = steps[id].inputs.iter().find(|(name, _)| name == port).map(|(_, bindings)| bindings);
        if bound.is_some_and(Vec::is_empty) {
            continue;
        }
        let mut learned = learned_before(steps, drafts, id);
        learned.retain(|from| bound.is_none_or(|all| all.iter().all(|b| b.from != *from)));
        if learned.is_empty() {
            continue;
        }
        let scored = steps[id].inputs.iter().filter(|(name, _)| name != port).flat_map(|(_, all)| all);
        let sources = sources(steps, scored.map(|b| &b.from));
        learned.retain(|from| self::sources(steps, [from]).is_subset(&sources));
        add(&mut steps[id], ports, place, learned);
    }
}

/// The input ports of a step. Steps that are left out have a draft too.
fn inputs<'a>(steps: &[Step], drafts: &'a [Draft], id: StepId) -> &'a [Port] {
    &drafts[steps[id].cell].checked.ports.inputs
}

/// The place of the port in this role.
fn in_role(ports: &[Port], role: Role) -> Option<usize> {
    ports.iter().position(|port| port.role == Some(role))
}

/// What the steps before `id` learned from, each once, in the order of the steps.
fn learned_before(steps: &[Step], drafts: &[Draft], id: StepId) -> Vec<Source> {
    let (mut seen, mut waiting) = (HashSet::from([id]), vec![id]);
    let mut found = Vec::new();
    while let Some(at) = waiting.pop() {
        waiting.extend(steps[at].upstream.iter().copied().filter(|source| seen.insert(*source)));
        if at != id && in_role(inputs(steps, drafts, at), Role::Learns).is_some() {
            found.push(at);
        }
    }
    found.sort_unstable();
    let of = |step: StepId| {
        let ports = inputs(steps, drafts, step);
        let port = in_role(ports, Role::Learns).map(|place| ports[place].name.as_str());
        let bound = steps[step].inputs.iter().filter(move |(name, _)| Some(name.as_str()) == port);
        bound.flat_map(|(_, all)| all).map(|binding| binding.from.clone())
    };
    let mut once = HashSet::new();
    found.into_iter().flat_map(of).filter(|from| once.insert(from.clone())).collect()
}

/// Where the rows of tables come from in the end: steps that read no table, files and downloads. Models on the way
/// are no rows, so what lies behind them does not count.
fn sources<'a>(steps: &'a [Step], tables: impl IntoIterator<Item = &'a Source>) -> HashSet<Source> {
    let mut waiting: Vec<Source> = tables.into_iter().filter(|from| is_table(steps, from)).cloned().collect();
    let (mut seen, mut ends) = (HashSet::new(), HashSet::new());
    while let Some(from) = waiting.pop() {
        let Source::Step(id, _) = &from else {
            ends.insert(from);
            continue;
        };
        if !seen.insert(*id) {
            continue;
        }
        let bound = steps[*id].inputs.iter().flat_map(|(_, all)| all).map(|binding| &binding.from);
        let before: Vec<Source> = bound.filter(|from| is_table(steps, from)).cloned().collect();
        // A command reads what other steps have written; so does a stage that reads the file of a command.
        let written = steps[*id].files.iter().flat_map(|f| &f.found).filter_map(|f| f.producer.as_ref());
        let written = written.map(|(step, port)| Source::Step(*step, port.clone()));
        let all: Vec<Source> = before.into_iter().chain(written).collect();
        if all.is_empty() {
            // Another output of the same step has the same rows.
            ends.insert(Source::Step(*id, String::new()));
        }
        waiting.extend(all);
    }
    ends
}

fn is_table(steps: &[Step], from: &Source) -> bool {
    match from {
        Source::Step(id, port) => {
            steps[*id].outputs.iter().any(|output| output.name == *port && output.ty == PortType::Table)
        }
        Source::File(_) | Source::Url(..) => true,
    }
}

fn add(step: &mut Step, ports: &[Port], place: usize, learned: Vec<Source>) {
    let port = &ports[place].name;
    step.upstream.extend(learned.iter().filter_map(|from| match from {
        Source::Step(id, _) => Some(*id),
        _ => None,
    }));
    let mut seen = HashSet::new();
    step.upstream.retain(|source| seen.insert(*source));
    let learned = learned.into_iter().map(|from| Binding { from, axes: Axes::new() });
    match step.inputs.iter_mut().find(|(name, _)| name == port) {
        Some((_, bound)) => bound.extend(learned),
        None => {
            // In the order of the ports, as if it had been written: the same key.
            let before = |name: &String| ports[..place].iter().any(|p| p.name == *name);
            let at = step.inputs.iter().take_while(|(name, _)| before(name)).count();
            step.inputs.insert(at, (port.clone(), learned.collect()));
        }
    }
}
