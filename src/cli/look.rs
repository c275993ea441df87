//! What most commands begin with: the project opened, the workflow planned, every wanted step looked at.

use super::context::Context;
use super::past::Past;
use super::run::warm;
use super::{CliError, Global, WorkflowArgs};
use crate::exec::{Memory, Preview, Quiet, Resolver, Session, preview};
use crate::plan::{Plan, StepId, ancestors, select};
use crate::store::Index;

/// An open project.
pub struct Opened<'a> {
    /// The request.
    pub context: &'a Context,
    /// The plan.
    pub plan: &'a Plan,
    /// Store and index.
    pub session: &'a Session<'a>,
    /// What the last run remembered.
    pub memory: &'a Memory,
    /// What the last run gave.
    pub past: Past<'a>,
    /// The steps asked for, in order.
    pub targets: Vec<StepId>,
}

impl Opened<'_> {
    /// The name of a step.
    pub fn name(&self, id: StepId) -> &str {
        &self.plan.steps[id].name
    }
}

/// Opens the project and plans its workflow.
///
/// # Errors
/// Every mistake in the request or the workflow, and those of `then`.
pub fn open<T>(
    global: &Global,
    args: &WorkflowArgs,
    then: impl FnOnce(&Opened) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let context = Context::new(global, args)?;
    open_with(global, &context, context.memory(), context.index()?, then)
}

/// As [`open`], where memory and index were read before; files that the index has seen are not looked at again.
///
/// # Errors
/// Every mistake in the workflow, and those of `then`.
pub fn open_with<T>(
    global: &Global,
    context: &Context,
    memory: Memory,
    index: Index,
    then: impl FnOnce(&Opened) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let plan = context.plan_with(&|path| index.seen(path).is_some())?;
    let host = super::runtime::host(global);
    let session = context.session(global, index, plan.workflow.env.clone(), host.as_deref())?;
    let targets = select(&plan, &context.targets)?;
    let past = Past::new(context, &memory, &session.store);
    let done = then(&Opened { context, plan: &plan, session: &session, memory: &memory, past, targets });
    // The process is about to end: freeing a plan of ten thousand steps is a tenth of its time.
    std::mem::forget((memory, session, plan));
    done
}

/// Every wanted step, with all that it reads, as a run would find it.
pub struct Look<'a> {
    /// Computes keys.
    pub resolver: Resolver<'a>,
    /// The steps looked at, in order.
    pub steps: Vec<StepId>,
    /// What a run would do.
    pub seen: Preview,
}

/// Looks at the steps asked for; those in `force` run whatever is known.
///
/// # Errors
/// If a file cannot be read, or an execution provider does not work here.
pub fn look<'a>(opened: &'a Opened<'a>, force: &dyn Fn(StepId) -> bool) -> Result<Look<'a>, CliError> {
    let steps = ancestors(opened.plan, &opened.targets);
    warm(opened.plan, &steps, opened.session);
    let resolver = Resolver::new(opened.plan, opened.session, opened.memory);
    let seen = preview(&resolver, &steps, force, &Quiet)
        .map_err(|(id, failure)| CliError::from(failure.context(format!("stage `{}`", opened.name(id)))))?;
    let _ = opened.session.index.save();
    Ok(Look { resolver, steps, seen })
}
