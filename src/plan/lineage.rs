//! Rows that a model learned from must not be scored: where a stage that scores rows stands behind a model, the
//! model's rows are bound to its port for them, as if the workflow had said so.
//!
//! Ids mean the same only within one source. So rows are bound only if they and the scored rows come from a file, a
//! download or a step in common.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::draft::Draft;
use super::{Binding, ProjectPath, Source, Step, StepId};
use crate::stage::{Axes, Digest, Port, PortType, Role};

/// Binds to every port of the role [`Role::Learned`] what models before its step learned from, unless the workflow
/// binds an empty list there: that says that somebody knows. `order` has every step after those that it reads; it
/// stays right, for what is bound lies before the step already. True if anything was bound.
pub(super) fn bind(steps: &mut [Step], drafts: &[Draft], order: &[StepId]) -> bool {
    let inputs = |step: &Step| drafts[step.cell].checked.ports.inputs.as_slice();
    let any = |role| steps.iter().any(|step| in_role(inputs(step), role).is_some());
    if !any(Role::Learns) || !any(Role::Learned) {
        return false;
    }
    let mut past =
        Past { learned: vec![Rc::default(); steps.len()], sources: vec![Rc::default(); steps.len()] };
    let mut bound_any = false;
    for &id in order {
        let step = &steps[id];
        let ports = inputs(step);
        let any_input = drafts[step.cell].checked.ports.any_input;
        past.learned[id] = past.learned_by(step, ports);
        past.sources[id] = past.sources_of(id, steps, ports, any_input);
        let Some(place) = in_role(ports, Role::Learned) else { continue };
        let port = &ports[place].name;
        let bound = step.inputs.iter().find(|(name, _)| name == port).map(|(_, bindings)| bindings);
        if bound.is_some_and(Vec::is_empty) {
            continue;
        }
        let by_hand = |from: &Source| bound.is_some_and(|all| all.iter().any(|b| b.from == *from));
        let shared = |from: &Source| !past.of(from).is_disjoint(&past.sources[id]);
        let learned: Vec<Source> =
            past.learned[id].iter().filter(|from| !by_hand(from) && shared(from)).cloned().collect();
        if !learned.is_empty() {
            add(&mut steps[id], ports, place, learned);
            bound_any = true;
        }
    }
    bound_any
}

/// The place of the port in this role.
fn in_role(ports: &[Port], role: Role) -> Option<usize> {
    ports.iter().position(|port| port.role == Some(role))
}

/// Where rows come from in the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    File(ProjectPath),
    Url(Digest),
    /// A step that makes them of nothing.
    Step(StepId),
}

/// What lies before each step, known for those before it in the order.
struct Past {
    /// What models on the way learned from.
    learned: Vec<Rc<BTreeSet<Source>>>,
    /// Where the step's rows come from. Models on the way are no rows: what lies behind them does not count.
    sources: Vec<Rc<BTreeSet<End>>>,
}

impl Past {
    fn learned_by(&self, step: &Step, ports: &[Port]) -> Rc<BTreeSet<Source>> {
        let bound = step.inputs.iter().flat_map(|(_, all)| all).filter_map(|b| step_of(&b.from));
        let before: Vec<&Rc<BTreeSet<Source>>> = bound
            .chain(written(step))
            .map(|source| &self.learned[source])
            .filter(|set| !set.is_empty())
            .collect();
        let own = in_role(ports, Role::Learns).map(|place| ports[place].name.as_str());
        let own = step.inputs.iter().filter(|(name, _)| Some(name.as_str()) == own);
        let own: Vec<&Source> = own.flat_map(|(_, all)| all).map(|b| &b.from).collect();
        match (before.as_slice(), own.as_slice()) {
            ([], []) => Rc::default(),
            ([one], []) => Rc::clone(one),
            _ => Rc::new(before.iter().flat_map(|set| set.iter()).chain(own).cloned().collect()),
        }
    }

    fn sources_of(
        &self,
        id: StepId,
        steps: &[Step],
        ports: &[Port],
        any: Option<PortType>,
    ) -> Rc<BTreeSet<End>> {
        let step = &steps[id];
        let mut before: Vec<Rc<BTreeSet<End>>> = written(step).map(|s| Rc::clone(&self.sources[s])).collect();
        for (name, bindings) in &step.inputs {
            let port = ports.iter().find(|port| port.name == *name);
            let rows = port.map(|port| port.ty).or(any).is_some_and(|ty| ty != PortType::Model);
            // What must not be scored is not what is scored.
            if rows && port.is_none_or(|port| port.role != Some(Role::Learned)) {
                let bound = bindings.iter().map(|binding| &binding.from);
                before.extend(bound.filter(|from| !is_model(steps, from)).map(|from| self.of(from)));
            }
        }
        let found = step.files.iter().flat_map(|f| &f.found).filter(|file| file.producer.is_none());
        let own: Vec<End> = found.map(|file| End::File(file.path.clone())).collect();
        // Most steps have the sources of the one before them, which may be many files.
        before.dedup_by(|a, b| Rc::ptr_eq(a, b));
        match (before.as_slice(), own.is_empty()) {
            ([], true) => Rc::new(BTreeSet::from([End::Step(id)])),
            ([one], true) => Rc::clone(one),
            _ => Rc::new(before.iter().flat_map(|set| set.iter().cloned()).chain(own).collect()),
        }
    }

    /// Where the rows of what is bound come from.
    fn of(&self, from: &Source) -> Rc<BTreeSet<End>> {
        match from {
            Source::Step(id, _) => Rc::clone(&self.sources[*id]),
            Source::File(path) => Rc::new(BTreeSet::from([End::File(path.clone())])),
            Source::Url(_, digest) => Rc::new(BTreeSet::from([End::Url(*digest)])),
        }
    }
}

fn step_of(from: &Source) -> Option<StepId> {
    match from {
        Source::Step(id, _) => Some(*id),
        Source::File(_) | Source::Url(..) => None,
    }
}

/// A port for files takes a model too.
fn is_model(steps: &[Step], from: &Source) -> bool {
    match from {
        Source::Step(id, port) => {
            steps[*id].outputs.iter().any(|output| output.name == *port && output.ty == PortType::Model)
        }
        Source::File(_) | Source::Url(..) => false,
    }
}

/// The steps that write files which `step` reads by their paths.
fn written(step: &Step) -> impl Iterator<Item = StepId> {
    step.files.iter().flat_map(|f| &f.found).filter_map(|f| f.producer.as_ref()).map(|(id, _)| *id)
}

fn add(step: &mut Step, ports: &[Port], place: usize, learned: Vec<Source>) {
    let port = &ports[place].name;
    for source in learned.iter().filter_map(step_of) {
        if !step.upstream.contains(&source) {
            step.upstream.push(source);
        }
    }
    let learned = learned.into_iter().map(|from| Binding { from, axes: Axes::new() });
    match step.inputs.iter_mut().find(|(name, _)| name == port) {
        Some((_, bound)) => bound.extend(learned),
        None => {
            // In the order of the ports, as if it had been written.
            let before = |name: &String| ports[..place].iter().any(|p| p.name == *name);
            let at = step.inputs.iter().take_while(|(name, _)| before(name)).count();
            step.inputs.insert(at, (port.clone(), learned.collect()));
        }
    }
}
