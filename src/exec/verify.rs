//! Executes a step a second time, beside the project, to see whether it gives the same.

use super::perform::{Around, execute};
use super::resolve::{Outputs, Resolver};
use super::{Event, Observer, Session};
use crate::fs::Context;
use crate::plan::StepId;
use crate::stage::{Cancel, Failure, NoChunks, PortType, Progress};
use crate::store::Moment;

/// Executes a step on the recorded outputs of those that it reads. What it makes goes into `beside`, a
/// session on an empty folder with a store of its own; a command runs there, with copies of the files
/// that it declares.
///
/// # Errors
/// What stopped it.
pub fn reexecute(
    resolver: &Resolver,
    id: StepId,
    outputs: &dyn Fn(StepId) -> Option<Outputs>,
    beside: &Session,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<Outputs, Failure> {
    let resolved = resolver.resolve(id, Moment::Now, outputs)?;
    if resolver.plan.steps[id].kind.runs_command() {
        check_out(resolver, id, outputs, beside)?;
    }
    let said = Said { step: id, observer };
    let around = Around { cancel, progress: &said, chunks: &NoChunks };
    let (made, _, _) = execute(resolver, id, &resolved, outputs, beside, &around)?;
    Ok(made)
}

/// Copies the files that a step declares into `beside`.
fn check_out(
    resolver: &Resolver,
    id: StepId,
    outputs: &dyn Fn(StepId) -> Option<Outputs>,
    beside: &Session,
) -> Result<(), Failure> {
    let store = &resolver.session.store;
    for file in resolver.plan.steps[id].files.iter().flat_map(|binding| &binding.found) {
        let path = file.path.as_str();
        let Some((source, port)) = &file.producer else {
            copy_source(resolver.session, path, beside)?;
            continue;
        };
        let out = outputs(*source).and_then(|all| all.iter().find(|o| o.port == *port).cloned());
        let out = out.ok_or_else(|| Failure::new(format!("`{path}` has no recorded result")))?;
        // A file below a folder that another stage writes comes with the whole folder.
        let place = if out.ty == PortType::Dir { out.port.as_str() } else { path };
        if beside.index.root().stat_nofollow(place).is_some() {
            continue;
        }
        match out.ty {
            PortType::Dir => store.place_tree(&out.object, place, &beside.index)?,
            _ => store.place(&out.object, out.bytes, place, false, &beside.index)?,
        }
    }
    Ok(())
}

fn copy_source(project: &Session, path: &str, beside: &Session) -> Result<(), Failure> {
    let from = project.index.root().open(path)?;
    beside.index.root().parent(path)?;
    let to = beside.root.join(path);
    let mode = from.metadata().at("read", project.root.join(path))?.permissions();
    let mut target = std::fs::File::create(&to).at("create", &to)?;
    std::io::copy(&mut &from, &mut target).at("copy to", &to)?;
    target.set_permissions(mode).at("set permissions of", &to)?;
    Ok(())
}

/// Passes on what the step prints; how far it is interests nobody.
struct Said<'a> {
    step: StepId,
    observer: &'a dyn Observer,
}

impl Progress for Said<'_> {
    fn advance(&self, _unit: &str, _done: u64, _total: Option<u64>) {}

    fn metric(&self, _name: &str, _value: f64) {}

    fn log(&self, line: &str) {
        self.observer.event(Event::Said { step: self.step, line });
    }
}
