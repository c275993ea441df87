//! `sulcus why`: what makes a step run, or since when it is known.

use serde_json::{Value, json};

use super::look::{Look, Opened, look, open};
use super::reason::why as reasons;
use super::ui::{Ui, seconds};
use super::{CliError, Exit, Global, WorkflowArgs, time};
use crate::plan::StepId;

/// Runs the command.
pub fn why(global: &Global, args: &WorkflowArgs, ui: &Ui) -> Result<Exit, CliError> {
    open(global, args, |opened| {
        let look = look(opened, &|_| false)?;
        for &id in &opened.targets {
            tell(opened, &look, id, ui)?;
        }
        Ok(Exit::Done)
    })
}

fn tell(opened: &Opened, look: &Look, id: StepId, ui: &Ui) -> Result<(), CliError> {
    let name = opened.name(id);
    let why = reasons(opened, look, id)?;
    let cached = look.seen.cached.get(&id);
    let record = cached.and_then(|(key, _)| opened.session.store.record(key));
    if ui.json() {
        let changes: Vec<Value> =
            why.changes.iter().map(|c| json!({"field": c.field, "before": c.before, "now": c.now})).collect();
        let mut line = json!({"step": name, "status": look.seen.status(id).words(), "reasons": why.reasons, "changes": changes});
        if let Some((key, _)) = cached {
            line["key"] = json!(key);
        }
        if let Some(record) = record {
            line["executed"] =
                json!({"finished": record.finished, "seconds": record.seconds, "notes": record.notes});
        }
        ui.data_json(&line);
        return Ok(());
    }
    match record {
        Some(record) => ui.data(&format!(
            "{name}: cached, executed {} ({}) in {}",
            time::utc(record.finished),
            time::ago(record.finished),
            seconds(record.seconds)
        )),
        None => ui.data(&format!("{name}: {}", look.seen.status(id).words())),
    }
    why.reasons.iter().for_each(|reason| ui.data(&format!("  {reason}")));
    Ok(())
}
