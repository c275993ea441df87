//! `sulcus plan`: what a run would do.

use serde_json::json;

use super::context::Context;
use super::run::{check, warm, words};
use super::ui::Ui;
use super::{CliError, Exit, Global, WorkflowArgs};
use crate::exec::{Quiet, Resolver, Status, preview};
use crate::plan::{StepId, ancestors, select};

/// Runs the command.
pub fn plan(global: &Global, args: &WorkflowArgs, ui: &Ui) -> Result<Exit, CliError> {
    show(global, args, false, ui)
}

/// Prints one line a step; executes nothing.
pub fn show(global: &Global, args: &WorkflowArgs, force: bool, ui: &Ui) -> Result<Exit, CliError> {
    let context = Context::new(global, args)?;
    let plan = context.plan()?;
    let host = super::runtime::host(global);
    let session = context.session(global, plan.workflow.env.clone(), host.as_deref())?;
    let memory = context.memory();
    let targets = select(&plan, &context.targets)?;
    let steps = ancestors(&plan, &targets);
    warm(&plan, &steps, &session);
    let resolver = Resolver::new(&plan, &session, &memory);
    let forced = |id: StepId| force && targets.contains(&id);
    let seen = preview(&resolver, &steps, &forced, &Quiet).map_err(|(id, failure)| {
        CliError::from(failure.context(format!("stage `{}`", plan.steps[id].name)))
    })?;
    check(&plan, &steps, &seen)?;
    let _ = session.index.save();
    let width = steps.iter().map(|id| plan.steps[*id].name.chars().count()).max().unwrap_or(0).min(40);
    for id in &steps {
        let name = &plan.steps[*id].name;
        if ui.json() {
            ui.data_json(
                &json!({"step": name, "kind": plan.steps[*id].kind.name(), "status": words(&seen, *id)}),
            );
        } else {
            ui.data(&format!("{name:width$}  {}", words(&seen, *id)));
        }
    }
    let count = |status: Status| seen.status.values().filter(|s| **s == status).count();
    ui.say(
        "Planned",
        &format!(
            "{} steps: {} cached, {} run, {} may run",
            steps.len(),
            count(Status::Cached),
            count(Status::Runs),
            count(Status::RunsUnlessUnchanged)
        ),
    );
    Ok(Exit::Done)
}
