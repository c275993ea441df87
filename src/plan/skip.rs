//! `when: false`: the steps that are left out, and with them those that have nothing to read.

use super::{Binding, Source, Step};

/// Which steps `when: false` leaves out, with those that depend on nothing else any more.
pub(super) fn left_out(steps: &[Step]) -> Vec<bool> {
    let mut out: Vec<bool> = steps.iter().map(|s| s.options.when == Some(false)).collect();
    let mut more = out.contains(&true);
    while more {
        more = false;
        for id in 0..steps.len() {
            if !out[id] && starves(&steps[id], &out) {
                out[id] = true;
                more = true;
            }
        }
    }
    out
}

/// Takes these steps out.
pub(super) fn leave_out(steps: Vec<Step>, out: &[bool]) -> (Vec<Step>, Vec<String>) {
    if !out.contains(&true) {
        return (steps, Vec::new());
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
