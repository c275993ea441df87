//! Did what a step reads stay as it was while the step ran?
//!
//! A step's key is made before it runs, and a command opens its files when it likes. If one of them is
//! edited in between, nobody knows which bytes the result comes from, so it gets no record.

use super::resolve::{Outputs, Resolved, Resolver};
use super::restore::in_place;
use crate::key::diff;
use crate::plan::{Source, StepId};
use crate::stage::Failure;
use crate::store::Moment;

/// Compares what the step reads in the project with what its key says.
///
/// # Errors
/// Names a file that is another now.
pub(super) fn check(
    resolver: &Resolver,
    id: StepId,
    resolved: &Resolved,
    outputs: &dyn Fn(StepId) -> Option<Outputs>,
) -> Result<(), Failure> {
    let step = &resolver.plan.steps[id];
    let binds_files =
        step.inputs.iter().flat_map(|(_, bindings)| bindings).any(|b| matches!(b.from, Source::File(_)));
    if step.files.is_empty() && !binds_files {
        return Ok(());
    }
    let changed = |what: &str| {
        Err(Failure::new(format!("{what} changed while the step ran, so its result is not kept"))
            .hint("run it again when nothing else writes there"))
    };
    let now = match resolver.resolve(id, Moment::Now, outputs) {
        Ok(now) => now,
        Err(failure) => return changed(&format!("what it reads ({})", failure.message)),
    };
    if now.key != resolved.key {
        let differences = diff(&resolved.manifest, &now.manifest);
        // A file's line is its name in quotes and its digest.
        let name = differences.iter().find_map(|c| c.now.as_deref().or(c.before.as_deref()));
        return changed(name.map_or("what it reads", |line| line.rsplit_once(' ').map_or(line, |(n, _)| n)));
    }
    let produced = step.files.iter().flat_map(|binding| &binding.found).filter_map(|f| f.producer.as_ref());
    for (source, port) in produced {
        let found = outputs(*source).and_then(|all| all.iter().find(|o| o.port == *port).cloned());
        let path = resolver.plan.steps[*source].outputs.iter().find(|p| p.name == *port);
        if let (Some(out), Some(path)) = (found, path) {
            let path = resolver.plan.output_path(*source, path);
            if !in_place(resolver.session, &out, path.as_str(), Moment::Now) {
                return changed(&format!("`{path}`"));
            }
        }
    }
    Ok(())
}
