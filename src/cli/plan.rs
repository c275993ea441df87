//! `sulcus plan`: what a run would do.

use serde_json::json;

use super::look::{look, open};
use super::run::{check, words};
use super::ui::Ui;
use super::{CliError, Exit, Global, WorkflowArgs};
use crate::exec::Status;
use crate::plan::StepId;

/// Runs the command.
pub fn plan(global: &Global, args: &WorkflowArgs, ui: &Ui) -> Result<Exit, CliError> {
    show(global, args, false, ui)
}

/// Prints one line a step; executes nothing.
pub fn show(global: &Global, args: &WorkflowArgs, force: bool, ui: &Ui) -> Result<Exit, CliError> {
    open(global, args, |opened| {
        let forced = |id: StepId| force && opened.targets.contains(&id);
        let look = look(opened, &forced)?;
        check(opened.plan, &look.steps, &look.seen)?;
        let width = look.steps.iter().map(|id| opened.name(*id).chars().count()).max().unwrap_or(0).min(40);
        for &id in &look.steps {
            let (name, status) = (opened.name(id), words(&look.seen, id));
            if ui.json() {
                let kind = opened.plan.steps[id].kind.name();
                ui.data_json(&json!({"step": name, "kind": kind, "status": status}));
            } else {
                ui.data(&format!("{name:width$}  {status}"));
            }
        }
        let count = |status: Status| look.seen.status.values().filter(|s| **s == status).count();
        ui.say(
            "Planned",
            &format!(
                "{} steps: {} cached, {} run, {} may run",
                look.steps.len(),
                count(Status::Cached),
                count(Status::Runs),
                count(Status::RunsUnlessUnchanged)
            ),
        );
        Ok(Exit::Done)
    })
}
