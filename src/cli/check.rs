//! `sulcus check`: finds the mistakes of a workflow without running it.

use serde_json::json;

use super::look::{look, open};
use super::run::check as check_steps;
use super::ui::Ui;
use super::{CliError, Exit, Global, WorkflowArgs};
use crate::exec::Preview;
use crate::plan::ancestors;

/// Runs the command.
pub fn check(global: &Global, args: &WorkflowArgs, ui: &Ui) -> Result<Exit, CliError> {
    open(global, args, |opened| {
        match look(opened, &|_| false) {
            Ok(look) => check_steps(opened.plan, &look.steps, &look.seen)?,
            // What this machine lacks (a provider, a runtime) is no mistake of the workflow.
            Err(error) => {
                check_steps(opened.plan, &ancestors(opened.plan, &opened.targets), &Preview::default())?;
                ui.warn("Here", error.mistakes.first().map_or("", |mistake| &mistake.text));
            }
        }
        let (stages, steps) = (opened.plan.workflow.stages.len(), opened.plan.steps.len());
        if ui.json() {
            ui.data_json(&json!({"workflow": opened.plan.workflow.name, "stages": stages, "steps": steps}));
        } else {
            ui.data(&format!(
                "{}: {}, {}: fine",
                opened.context.relative(),
                count(stages, "stage"),
                count(steps, "step")
            ));
        }
        if !opened.plan.skipped.is_empty() {
            ui.say("Left out", &format!("{} by `when`", opened.plan.skipped.join(", ")));
        }
        Ok(Exit::Done)
    })
}

fn count(count: usize, unit: &str) -> String {
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
