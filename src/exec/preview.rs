//! What a run would do, without doing it.

use std::collections::HashMap;
use std::sync::Arc;

use super::resolve::{Outputs, Resolver};
use super::{Event, Observer};
use crate::plan::StepId;
use crate::stage::{Digest, Failure};

/// What a run would do with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its result is known.
    Cached,
    /// It is executed.
    Runs,
    /// It is executed unless the steps before it give what they gave the last time.
    RunsUnlessUnchanged,
}

impl Status {
    /// The words that `run --dry-run` prints.
    pub fn words(self) -> &'static str {
        match self {
            Status::Cached => "cached",
            Status::Runs => "runs",
            Status::RunsUnlessUnchanged => "runs unless upstream's output is unchanged",
        }
    }
}

/// What is known of every wanted step before a run.
#[derive(Debug, Default)]
pub struct Preview {
    /// By step.
    pub status: HashMap<StepId, Status>,
    /// Key and outputs of the cached steps.
    pub cached: HashMap<StepId, (Digest, Outputs)>,
    /// Keys of the steps that run, where they are known already.
    pub keys: HashMap<StepId, Digest>,
}

/// Looks at `steps` (in order, with all that they read); those in `force` run whatever is known.
///
/// # Errors
/// If a source file cannot be read, or an execution provider does not work here: with the step.
pub fn preview(
    resolver: &Resolver,
    steps: &[StepId],
    force: &dyn Fn(StepId) -> bool,
    observer: &dyn Observer,
) -> Result<Preview, (StepId, Failure)> {
    let plan = resolver.plan;
    let mut out = Preview::default();
    // What the steps gave the last time: the guess under which a step behind a running one may still be known.
    let mut before: HashMap<StepId, Outputs> = HashMap::new();
    for &id in steps {
        let step = &plan.steps[id];
        let certain = step.upstream.iter().all(|s| out.cached.contains_key(s));
        let guessed = step.upstream.iter().all(|s| before.contains_key(s));
        let mut status = Status::Runs;
        if certain || guessed {
            let outputs =
                |s: StepId| out.cached.get(&s).map(|(_, o)| o).or_else(|| before.get(&s)).map(Arc::clone);
            let resolved = resolver.resolve(id, &outputs).map_err(|failure| (id, failure))?;
            let mut damage = |what: String| observer.event(Event::Damaged { step: id, what: &what });
            let known = resolver.recall(id, &resolved.key, &mut damage);
            if certain {
                out.keys.insert(id, resolved.key);
            }
            match known {
                Some(outputs) if !force(id) => {
                    before.insert(id, Arc::clone(&outputs));
                    if certain {
                        status = Status::Cached;
                        out.cached.insert(id, (resolved.key, outputs));
                    } else {
                        status = Status::RunsUnlessUnchanged;
                    }
                }
                Some(outputs) => drop(before.insert(id, outputs)),
                None => {}
            }
        }
        if status == Status::Runs
            && !before.contains_key(&id)
            && let Some(outputs) = resolver.memory.last(&step.name)
        {
            before.insert(id, outputs);
        }
        out.status.insert(id, status);
    }
    Ok(out)
}
