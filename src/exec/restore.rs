//! Outputs in the project: are they there, and putting them back from the store.

use super::Session;
use super::resolve::{Outputs, Resolver};
use crate::plan::StepId;
use crate::stage::{Digest, Failure, PortType};
use crate::store::Output;

/// Makes a known step's outputs appear in the project where they are missing or different.
pub(super) fn restore_outputs(resolver: &Resolver, id: StepId, outputs: &Outputs) -> Result<(), Failure> {
    let (plan, session) = (resolver.plan, resolver.session);
    for (port, out) in plan.steps[id].outputs.iter().zip(outputs.iter()) {
        let path = plan.output_path(id, port);
        if in_place(session, out, path.as_str()) {
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

/// Does the project have this output at `path`, byte for byte?
pub fn in_place(session: &Session, out: &Output, path: &str) -> bool {
    if out.ty != PortType::Dir {
        return session.index.digest(path).is_ok_and(|(digest, _)| digest == out.object);
    }
    let tree = session.store.tree(&out.object).unwrap_or_default();
    let same = |(name, digest, _, _): &(String, Digest, u64, bool)| {
        session.index.digest(&format!("{path}/{name}")).is_ok_and(|(d, _)| d == *digest)
    };
    let files = walkdir::WalkDir::new(session.root.join(path)).into_iter().flatten();
    let count = files.filter(|e| !e.file_type().is_dir()).count();
    count == tree.files.len() && tree.files.iter().all(same)
}
