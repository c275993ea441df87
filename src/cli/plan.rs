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
        let line = |id: &StepId| {
            let (name, status) = (opened.name(*id), words(&look.seen, *id));
            if ui.json() {
                let kind = opened.plan.steps[*id].kind.name();
                json!({"step": name, "kind": kind, "status": status}).to_string()
            } else {
                format!("{name:width$}  {status}")
            }
        };
        let lines: Vec<String> = look.steps.iter().map(line).collect();
        if !lines.is_empty() {
            ui.data(&lines.join("\n"));
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
