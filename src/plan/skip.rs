//! `when: false`: the steps that are left out, and with them those that have nothing to read.

use super::{Binding, Source, Step, StepId};

/// Takes out the steps that `when: false` leaves out, and those that depend on nothing else any more.
pub(super) fn leave_out(steps: Vec<Step>) -> (Vec<Step>, Vec<String>) {
    if steps.iter().all(|s| s.options.when != Some(false)) {
        return (steps, Vec::new());
    }
    let mut out: Vec<bool> = steps.iter().map(|s| s.options.when == Some(false)).collect();
    loop {
        let more: Vec<StepId> =
            (0..steps.len()).filter(|id| !out[*id] && starves(&steps[*id], &out)).collect();
        if more.is_empty() {
            break;
        }
        more.into_iter().for_each(|id| out[id] = true);
    }
    let mut renumber = vec![0; steps.len()];
    let mut kept = Vec::new();
    let mut skipped = Vec::new();
    for (id, step) in steps.into_iter().enumerate() {
        if out[id] {
            skipped.push(step.name);
        } else {
            renumber[id] = kept.len();
            kept.push(step);
        }
    }
    for step in &mut kept {
        step.upstream.retain(|id| !out[*id]);
        step.upstream.iter_mut().for_each(|id| *id = renumber[*id]);
        for (_, bindings) in &mut step.inputs {
            bindings.retain(|b| !matches!(&b.from, Source::Step(id, _) if out[*id]));
            for binding in bindings.iter_mut() {
                if let Source::Step(id, _) = &mut binding.from {
                    *id = renumber[*id];
                }
            }
        }
        for producer in step.files.iter_mut().flat_map(|f| &mut f.found).filter_map(|f| f.producer.as_mut()) {
            producer.0 = renumber[producer.0];
        }
    }
    (kept, skipped)
}

/// Has a port lost everything bound to it, or a file parameter one of its files?
fn starves(step: &Step, out: &[bool]) -> bool {
    let gone = |binding: &Binding| matches!(&binding.from, Source::Step(id, _) if out[*id]);
    let port = step.inputs.iter().any(|(_, bindings)| !bindings.is_empty() && bindings.iter().all(gone));
    let file =
        step.files.iter().flat_map(|f| &f.found).any(|f| f.producer.as_ref().is_some_and(|(id, _)| out[*id]));
    port || file
}
