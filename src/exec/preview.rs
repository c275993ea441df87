//! What a run would do, without doing it.

use std::collections::HashMap;
use std::sync::Arc;

use super::resolve::{Outputs, Resolver};
use super::{Event, Observer};
use crate::plan::StepId;
use crate::stage::{Digest, Failure};
use crate::store::Moment;

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
    /// What the steps that are not cached gave the last time: the guess under which a step behind
    /// a running one may still be known.
    pub guessed: HashMap<StepId, Outputs>,
    /// The keys of steps whose result is known if those before them give what is guessed.
    pub assumed: HashMap<StepId, Digest>,
}

impl Preview {
    /// The status of a step; one that was not looked at runs.
    pub fn status(&self, id: StepId) -> Status {
        self.status.get(&id).copied().unwrap_or(Status::Runs)
    }

    /// The outputs of a step: known, or as they were the last time.
    pub fn outputs(&self, id: StepId) -> Option<Outputs> {
        self.cached.get(&id).map(|(_, o)| o).or_else(|| self.guessed.get(&id)).map(Arc::clone)
    }
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
    for &id in steps {
        let step = &plan.steps[id];
        let certain = step.upstream.iter().all(|s| out.cached.contains_key(s));
        let guessed = step.upstream.iter().all(|s| out.outputs(*s).is_some());
        let mut status = Status::Runs;
        if certain || guessed {
            let resolved =
                resolver.resolve(id, Moment::First, &|s| out.outputs(s)).map_err(|failure| (id, failure))?;
            let mut damage = |what: String| observer.event(Event::Damaged { step: id, what: &what });
            let known = resolver.recall(id, &resolved.key, Moment::First, &mut damage);
            if certain {
                out.keys.insert(id, resolved.key);
            }
            match known {
                Some(outputs) if certain && !force(id) => {
                    status = Status::Cached;
                    out.cached.insert(id, (resolved.key, outputs));
                }
                Some(outputs) => {
                    if !force(id) {
                        status = Status::RunsUnlessUnchanged;
                        out.assumed.insert(id, resolved.key);
                    }
                    out.guessed.insert(id, outputs);
                }
                None => {}
            }
        }
        if out.outputs(id).is_none()
            && let Some(outputs) = resolver.memory.last(&step.name)
        {
            out.guessed.insert(id, outputs);
        }
        out.status.insert(id, status);
    }
    Ok(out)
}
