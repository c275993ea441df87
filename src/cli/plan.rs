//! `sulcus plan`: what a run would do.

use serde_json::json;

use super::context::Context;
use super::look::{look, open_with};
use super::run::check;
use super::ui::Ui;
use super::world::is_current;
use super::{CliError, Exit, Global, WorkflowArgs};
use crate::exec::Status;
use crate::plan::StepId;

/// Runs the command.
pub fn plan(global: &Global, args: &WorkflowArgs, ui: &Ui) -> Result<Exit, CliError> {
    show(global, args, false, ui)
}

/// Prints one line a step; executes nothing.
pub fn show(global: &Global, args: &WorkflowArgs, force: bool, ui: &Ui) -> Result<Exit, CliError> {
    let context = Context::new(global, args)?;
    let (memory, index) = (context.memory(), context.index()?);
    if !force && is_current(global, &context, &memory, &context.request(), &index) {
        let steps = memory.wanted.iter();
        print(&steps.map(|(kind, name)| (&**name, &**kind, Status::Cached)).collect::<Vec<_>>(), ui);
        return Ok(Exit::Done);
    }
    open_with(global, &context, memory, index, |opened| {
        let forced = |id: StepId| force && opened.targets.contains(&id);
        let look = look(opened, &forced)?;
        check(opened.plan, &look.steps, &look.seen)?;
        let step =
            |id: &StepId| (opened.name(*id), opened.plan.steps[*id].kind.name(), look.seen.status(*id));
        print(&look.steps.iter().map(step).collect::<Vec<_>>(), ui);
        Ok(Exit::Done)
    })
}

/// One line a step, given by name, kind and status, and their counts.
fn print(steps: &[(&str, &str, Status)], ui: &Ui) {
    let width = steps.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0).min(40);
    let line = |(name, kind, status): &(&str, &str, Status)| {
        if ui.json() {
            json!({"step": name, "kind": kind, "status": status.words()}).to_string()
        } else {
            format!("{name:width$}  {}", status.words())
        }
    };
    let lines: Vec<String> = steps.iter().map(line).collect();
    if !lines.is_empty() {
        ui.data(&lines.join("\n"));
    }
    let count = |wanted: Status| steps.iter().filter(|(.., status)| *status == wanted).count();
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
}
