//! Outputs in the project: are they there, and putting them back from the store.

use std::time::Duration;

use super::Session;
use super::resolve::{Outputs, Resolver};
use crate::plan::StepId;
use crate::stage::{Digest, Failure, PortType};
use crate::store::{Held, Moment, Output};

/// Makes a known step's outputs appear in the project where they are missing or different.
pub(super) fn restore_outputs(
    resolver: &Resolver,
    id: StepId,
    outputs: &Outputs,
    moment: Moment,
) -> Result<(), Failure> {
    let (plan, session) = (resolver.plan, resolver.session);
    for (port, out) in plan.steps[id].outputs.iter().zip(outputs.iter()) {
        let path = plan.output_path(id, port);
        if in_place(session, out, path.as_str(), moment) {
            continue;
        }
        // Another run may be putting the same path back, or be done with it and read it already.
        let _held = lock_path(session, path.as_str())?;
        if in_place(session, out, path.as_str(), Moment::Now) {
            continue;
        }
        if out.ty == PortType::Dir {
            session.store.place_tree(&out.object, path.as_str(), &session.index)?;
        } else {
            session.store.place(&out.object, out.bytes, path.as_str(), false, &session.index)?;
        }
    }
    Ok(())
}

/// Waits until no other process puts this path back.
fn lock_path<'s>(session: &'s Session, path: &str) -> Result<Held<'s>, Failure> {
    let name = Digest::of(format!("restore {}/{path}", session.root.display()).as_bytes());
    loop {
        match session.store.try_lock(&name)? {
            Ok(held) => return Ok(held),
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Does the project have this output at `path`, byte for byte?
pub fn in_place(session: &Session, out: &Output, path: &str, moment: Moment) -> bool {
    if out.ty != PortType::Dir {
        return session.index.look(path, moment).is_ok_and(|digest| digest == out.object);
    }
    let tree = session.store.tree(&out.object).unwrap_or_default();
    let same = |(name, digest, _, _): &(String, Digest, u64, bool)| {
        session.index.look(&format!("{path}/{name}"), moment).is_ok_and(|d| d == *digest)
    };
    let files = walkdir::WalkDir::new(session.root.join(path)).into_iter().flatten();
    let count = files.filter(|e| !e.file_type().is_dir()).count();
    count == tree.files.len() && tree.files.iter().all(same)
}
