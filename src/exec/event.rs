//! What happens during a run, for whoever shows it.

use crate::plan::StepId;
use crate::store::Holder;

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step begins to execute.
    Started(StepId),
    /// A step is `done` of `total` units far.
    Advanced {
        /// The step.
        step: StepId,
        /// `rows`, `steps`, ….
        unit: &'a str,
        /// So many are done.
        done: u64,
        /// Of so many, if known.
        total: Option<u64>,
    },
    /// The latest value of something worth watching.
    Metric {
        /// The step.
        step: StepId,
        /// `loss`, ….
        name: &'a str,
        /// Its value.
        value: f64,
    },
    /// A step said something.
    Said {
        /// The step.
        step: StepId,
        /// One line.
        line: &'a str,
    },
    /// Another process executes the same step; its result will be used.
    Waiting(StepId, &'a Holder),
    /// A step's result was known.
    Cached(StepId),
    /// A step was executed.
    Executed {
        /// The step.
        step: StepId,
        /// Seconds it took.
        seconds: f64,
        /// True if its output is what it was before: nothing behind it runs because of it.
        unchanged: bool,
    },
    /// An object of a step's earlier result is missing or not what its name says; the step runs again.
    Damaged {
        /// The step.
        step: StepId,
        /// What was found.
        what: &'a str,
    },
    /// A step failed and is tried again.
    Retrying {
        /// The step.
        step: StepId,
        /// Which try comes next, from 2.
        attempt: u64,
        /// Why the last one failed.
        message: &'a str,
    },
    /// A step failed.
    Failed {
        /// The step.
        step: StepId,
        /// What happened.
        message: &'a str,
        /// What to do next.
        hint: Option<&'a str>,
        /// The end of what it printed.
        log: &'a str,
    },
    /// A step cannot run because one before it failed.
    Blocked(StepId),
    /// A step was stopped.
    Stopped(StepId),
}

/// Whoever shows what happens. Called from several threads.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event);
}

/// Shows nothing.
pub struct Quiet;

impl Observer for Quiet {
    fn event(&self, _event: Event) {}
}
