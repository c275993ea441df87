//! `sulcus log`: the runs of the project, or what a stage printed.

use serde_json::json;

use super::look::{Opened, open};
use super::ui::{Ui, seconds};
use super::{CliError, Exit, Global, WorkflowArgs, time};
use crate::exec::{FailedStep, FailedSteps};
use crate::plan::StepId;
use crate::store::{Record, RunLine};

/// Runs the command.
pub fn log(global: &Global, args: &WorkflowArgs, ui: &Ui) -> Result<Exit, CliError> {
    if args.targets.iter().all(|t| super::context::is_file_name(t)) {
        return runs(global, args, ui);
    }
    open(global, args, |opened| {
        let failed = FailedSteps::open(opened.plan);
        for &id in &opened.targets {
            step(opened, id, failed.get(opened.name(id)).as_ref(), ui);
        }
        Ok(Exit::Done)
    })
}

fn runs(global: &Global, args: &WorkflowArgs, ui: &Ui) -> Result<Exit, CliError> {
    let folder = super::context::working_folder(global)?;
    let root = super::context::project_root(&folder);
    let mut runs = RunLine::read(&root.join(".sulcus").join("runs.jsonl"));
    if let Some(file) = args.targets.first() {
        let wanted = folder.join(file);
        runs.retain(|run| wanted.canonicalize().is_ok_and(|w| w == root.join(&run.workflow)));
    }
    if runs.is_empty() {
        ui.say("Log", "nothing was executed here yet");
        return Ok(Exit::Done);
    }
    if ui.json() {
        runs.iter().for_each(|run| ui.data_json(&json!(run)));
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            let failed = if run.failed > 0 { format!(", {} failed", run.failed) } else { String::new() };
            let counts = format!("{} executed, {} cached{failed}", run.executed, run.cached);
            vec![time::utc(run.finished), run.workflow.clone(), counts, seconds(run.seconds)]
        })
        .collect();
    ui.grid(&rows);
    Ok(Exit::Done)
}

/// What a step printed: when it failed last, if it has no result since; and when it was executed.
fn step(opened: &Opened, id: StepId, failed: Option<&FailedStep>, ui: &Ui) {
    let name = opened.name(id);
    let record = opened.past.record(name);
    if ui.json() {
        let executed = record.map(|r| {
            json!({"finished": r.finished, "seconds": r.seconds, "version": r.version, "notes": r.notes, "log": r.log})
        });
        return ui.data_json(&json!({"step": name, "executed": executed, "failed": failed}));
    }
    if let Some(failed) = failed {
        let when = format!("{} ({})", time::utc(failed.finished), time::ago(failed.finished));
        ui.data(&format!("{name}: failed {when}: {}", failed.message));
        if let Some(hint) = &failed.hint {
            ui.data(&format!("  hint: {hint}"));
        }
        printed(&failed.log, ui);
    }
    match record {
        Some(record) => executed(name, &record, ui),
        None if failed.is_none() => ui.say("Log", &format!("`{name}` was not executed here")),
        None => {}
    }
}

fn executed(name: &str, record: &Record, ui: &Ui) {
    let when = format!("{} ({})", time::utc(record.finished), time::ago(record.finished));
    // Another step with the same key may have made the result.
    let by = if record.step == name { String::new() } else { format!(" as `{}`", record.step) };
    ui.data(&format!("{name}: executed {when} in {}{by}", seconds(record.seconds)));
    for (note, value) in &record.notes {
        ui.data(&format!("  {note}: {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    }
    printed(&record.log, ui);
}

fn printed(log: &str, ui: &Ui) {
    log.lines().for_each(|line| ui.data(&format!("  | {line}")));
}
