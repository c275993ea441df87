//! `sulcus status`: which steps are up to date, and for the others why not.

use serde_json::json;

use super::look::{Look, Opened, look, open};
use super::reason::why;
use super::ui::Ui;
use super::{CliError, Exit, Global, WorkflowArgs};
use crate::exec::{Status, in_place};
use crate::plan::StepId;
use crate::store::Moment;

/// Runs the command; with `--quiet` it only answers by its exit code.
pub fn status(global: &Global, args: &WorkflowArgs, ui: &Ui) -> Result<Exit, CliError> {
    open(global, args, |opened| {
        let look = look(opened, &|_| false)?;
        let mut rows = Vec::new();
        let mut stale = 0;
        for &id in &look.steps {
            let (state, reasons) = state(opened, &look, id)?;
            stale += usize::from(state != UP_TO_DATE);
            let name = opened.name(id);
            if ui.json() {
                ui.data_json(&json!({"step": name, "status": state, "reasons": reasons}));
            } else {
                rows.push(vec![name.to_owned(), line(state, &reasons)]);
            }
        }
        if global.quiet {
            return Ok(if stale == 0 { Exit::Done } else { Exit::Failed });
        }
        if stale > 0 {
            ui.grid(&rows);
            ui.warn("Status", &format!("{stale} of {} steps are not up to date", look.steps.len()));
        } else {
            ui.grid(&rows);
            ui.say("Status", &format!("all {} steps are up to date", look.steps.len()));
        }
        Ok(Exit::Done)
    })
}

const UP_TO_DATE: &str = "up to date";

/// The state of a step in three words, and why.
fn state(opened: &Opened, look: &Look, id: StepId) -> Result<(&'static str, Vec<String>), CliError> {
    let step = &opened.plan.steps[id];
    let Some((key, outputs)) = look.seen.cached.get(&id) else {
        let may = look.seen.status.get(&id) == Some(&Status::RunsUnlessUnchanged);
        let state = if may { "may be out of date" } else { "out of date" };
        return Ok((state, why(opened, look, id)?.reasons));
    };
    let paths = step.outputs.iter().map(|port| opened.plan.output_path(id, port));
    let absent: Vec<String> = paths
        .zip(outputs.iter())
        .filter(|(path, out)| !in_place(opened.session, out, path.as_str(), Moment::First))
        .map(|(path, _)| {
            let there = opened.session.index.root().stat_nofollow(path.as_str()).is_some();
            format!("{path} {}", if there { "was changed" } else { "is missing" })
        })
        .collect();
    if !absent.is_empty() {
        return Ok(("to restore", absent));
    }
    let locked = opened.past.lock.0.get(&step.name);
    let same = |entry: &crate::store::LockEntry| {
        entry.key == *key
            && outputs.iter().all(|o| entry.outputs.get(&o.port) == Some(&o.content()))
            && entry.outputs.len() == outputs.len()
    };
    match locked {
        Some(entry) if same(entry) => Ok((UP_TO_DATE, Vec::new())),
        Some(_) => Ok(("lock differs", vec!["the lock has another result".to_owned()])),
        None => Ok(("lock differs", vec!["the lock does not have it".to_owned()])),
    }
}

fn line(state: &str, reasons: &[String]) -> String {
    match reasons {
        [] => state.to_owned(),
        [one] => format!("{state}: {one}"),
        [first, rest @ ..] => format!("{state}: {first} (and {} more)", rest.len()),
    }
}
