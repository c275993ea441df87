//! Whether anything that a run went by has changed since: the fast way through a run with nothing to do.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::Global;
use super::context::Context;
use crate::exec::{Memory, Session, Summary};
use crate::plan::{FileBinding, Plan, Source, StepId, list_digest, list_sources};
use crate::stage::{Digest, FileForm, PortType};
use crate::store::{Index, Moment, Stat, Store, Tree};

/// The fast way: the same request, and every path that it depends on unchanged. What was seen on the way
/// is left in `index`.
pub fn is_current(
    global: &Global,
    context: &Context,
    memory: &Memory,
    request: &Digest,
    index: &Index,
) -> bool {
    let own = context.root.join(".sulcus");
    let store = global.store.as_deref().unwrap_or(&own);
    let object = |digest: &Digest| Store::object_in(store, digest);
    let host = super::runtime::host(global);
    let ask = |probe: &str| answer(probe, context, host.as_deref());
    let current = memory.is_current(request, index, &object, &ask);
    if current {
        // What had to be hashed again is noted, so that the next run needs not.
        let _ = index.save();
    }
    current
}

/// The answer to a question that the memory asks of the world.
fn answer(probe: &str, context: &Context, host: Option<&dyn crate::stage::RuntimeHost>) -> Option<Digest> {
    let (what, rest) = probe.split_once(' ')?;
    match what {
        "env" => {
            let value = std::env::var(rest).map_or_else(|_| "unset".to_owned(), |value| format!("={value}"));
            Some(Digest::of(value.as_bytes()))
        }
        "runtime" => {
            let providers: Vec<String> = rest.split(',').map(str::to_owned).collect();
            Some(Digest::of(host?.identity(&providers).ok()?.as_bytes()))
        }
        "files" => list_digest(&context.root, rest),
        _ => None,
    }
}

/// Paths, objects and questions, as [`Memory`] has them.
type World = (Vec<(String, Stat, Digest)>, Vec<(Digest, Stat)>, Vec<(String, Digest)>);

/// Notes every path that the steps depend on or wrote, every object, and every question that they
/// asked: each path in the state that the run went by, so that a later change is seen. `None` if the run
/// itself saw something change: then the next run has to look closely.
pub fn note(
    context: &Context,
    plan: &Plan,
    steps: &[StepId],
    session: &Session,
    summary: &Summary,
) -> Option<World> {
    let index = &session.index;
    let mut paths: Vec<(String, Stat, Digest)> = Vec::new();
    for source in &plan.workflow.sources {
        let (digest, stat) = index.digest(&source.name).ok()?;
        if digest != Digest::of(source.text.as_bytes()) {
            return None;
        }
        paths.push((source.name.clone(), stat, digest));
    }
    let mut objects: BTreeMap<Digest, Stat> = BTreeMap::new();
    let mut object = |digest: Digest| {
        let path = session.store.object(&digest);
        index.look_outside(&path, Moment::First).ok()?;
        let seen = index.seen(&path.to_string_lossy());
        seen.filter(|(_, found)| *found == digest).map(|(stat, _)| objects.insert(digest, stat))
    };
    let mut probes: BTreeSet<String> = plan.workflow.env.keys().map(|name| format!("env {name}")).collect();
    let written = Written::of(plan);
    for &id in steps {
        let step = &plan.steps[id];
        if step.kind.uses_runtime() {
            probes.insert(format!("runtime {}", step.providers.join(",")));
        }
        for binding in &step.files {
            for file in binding.found.iter().filter(|f| f.producer.is_none()) {
                let (stat, digest) = index.seen(file.path.as_str())?;
                paths.push((file.path.as_str().to_owned(), stat, digest));
            }
            if is_list(binding) {
                if !written.same_list(plan, binding) {
                    return None;
                }
                probes.insert(format!("files {}", binding.pattern));
            }
        }
        for binding in step.inputs.iter().flat_map(|(_, bindings)| bindings) {
            if let Source::File(path) = &binding.from {
                let (stat, digest) = index.seen(path.as_str())?;
                paths.push((path.as_str().to_owned(), stat, digest));
            }
        }
        let (_, outputs) = summary.results.get(&id)?;
        for (port, out) in step.outputs.iter().zip(outputs.iter()) {
            let path = plan.output_path(id, port);
            object(out.object)?;
            if out.ty == PortType::Dir {
                let tree = session.store.tree(&out.object)?;
                if !same_folder(plan, path.as_str(), &tree) {
                    return None;
                }
                probes.insert(format!("files {path}"));
                for (name, digest, _, _) in tree.files {
                    object(digest)?;
                    let name = format!("{path}/{name}");
                    let (stat, _) = index.seen(&name).filter(|(_, found)| *found == digest)?;
                    paths.push((name, stat, digest));
                }
            } else {
                let (stat, digest) = index.seen(path.as_str()).filter(|(_, found)| *found == out.object)?;
                paths.push((path.as_str().to_owned(), stat, digest));
            }
        }
    }
    let probe = |probe: String| answer(&probe, context, session.host).map(|digest| (probe, digest));
    let probes = probes.into_iter().map(probe).collect::<Option<Vec<_>>>()?;
    paths.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    paths.dedup_by(|a, b| a.0 == b.0);
    Some((paths, objects.into_iter().collect(), probes))
}

/// Could other files come under this pattern?
fn is_list(binding: &FileBinding) -> bool {
    let single = binding.found.len() == 1
        && binding.found[0].path.as_str() == binding.pattern.trim_start_matches("./");
    binding.form == FileForm::Folder || !single
}

/// Does the folder at `path` list the files of the tree and no others?
fn same_folder(plan: &Plan, path: &str, tree: &Tree) -> bool {
    let Some(now) = list_sources(&plan.root, path) else { return false };
    let shown = |name: &&String| !name.split('/').any(|part| part.starts_with('.'));
    let names = tree.files.iter().map(|(name, ..)| name);
    let kept: BTreeSet<String> = names.filter(shown).map(|name| format!("{path}/{name}")).collect();
    now.len() == kept.len() && now.iter().all(|file| kept.contains(file.path.as_str()))
}

/// The paths that steps write.
struct Written(HashSet<String>);

impl Written {
    fn of(plan: &Plan) -> Self {
        let ids = 0..plan.steps.len();
        let paths =
            ids.flat_map(|id| plan.steps[id].outputs.iter().map(move |port| plan.output_path(id, port)));
        Written(paths.map(|path| path.as_str().to_owned()).collect())
    }

    fn has(&self, path: &str) -> bool {
        std::iter::successors(Some(path), |p| p.rsplit_once('/').map(|(folder, _)| folder))
            .any(|p| self.0.contains(p))
    }

    /// Does the pattern name the same sources as when the plan was made?
    fn same_list(&self, plan: &Plan, binding: &FileBinding) -> bool {
        let Some(now) = list_sources(&plan.root, &binding.pattern) else { return false };
        let now = now.iter().map(|f| f.path.as_str()).filter(|path| !self.has(path));
        let then = binding.found.iter().map(|f| f.path.as_str()).filter(|path| !self.has(path));
        now.eq(then)
    }
}
