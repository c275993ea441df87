//! `sulcus diff`: which results differ from those of a git revision.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::context::{Context, is_file_name};
use super::ui::Ui;
use super::{CliError, Exit, Global, WorkflowArgs, git};
use crate::store::{LockEntry, LockFile};

/// Runs the command: `sulcus diff [FILE] [REV]`.
pub fn diff(global: &Global, args: &WorkflowArgs, ui: &Ui) -> Result<Exit, CliError> {
    let (files, revisions): (Vec<String>, Vec<String>) =
        args.targets.iter().cloned().partition(|target| is_file_name(target));
    if revisions.len() > 1 || files.len() > 1 {
        return Err(CliError::wrong("`sulcus diff` compares with one revision")
            .hint("write `sulcus diff pipelines/digits.yaml HEAD~1`"));
    }
    let revision = revisions.first().map_or("HEAD", String::as_str);
    let context = Context::new(global, &WorkflowArgs { targets: files, ..args.clone() })?;
    let path = context.lock_path();
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = path.parent().unwrap_or(&context.root);
    let before = git::file_at(folder, revision, &name)?;
    if before.is_none() {
        ui.warn("Diff", &format!("{revision} has no {name}: every step is new"));
    }
    let before = LockFile::parse(before.as_deref().unwrap_or_default());
    let now = LockFile::read(&path);
    let changes = compare(&before, &now);
    for change in &changes {
        if ui.json() { ui.data_json(&change.json()) } else { ui.data(&change.text()) }
    }
    let counts = |wanted: &str| changes.iter().filter(|c| c.what() == wanted).count();
    ui.say(
        "Compared",
        &format!(
            "with {revision}: {} steps, {} added, {} removed, {} changed",
            now.0.len(),
            counts("added"),
            counts("removed"),
            counts("changed")
        ),
    );
    Ok(Exit::Done)
}

/// What became of a step.
struct StepChange<'a> {
    step: &'a str,
    before: Option<&'a LockEntry>,
    now: Option<&'a LockEntry>,
}

impl StepChange<'_> {
    fn what(&self) -> &'static str {
        match (self.before, self.now) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(before), Some(now)) if before.outputs == now.outputs => "same outputs",
            _ => "changed",
        }
    }

    /// The ports whose outputs differ.
    fn ports(&self) -> Vec<&str> {
        let (Some(before), Some(now)) = (self.before, self.now) else { return Vec::new() };
        let ports: BTreeSet<&String> = before.outputs.keys().chain(now.outputs.keys()).collect();
        ports
            .into_iter()
            .filter(|p| before.outputs.get(*p) != now.outputs.get(*p))
            .map(String::as_str)
            .collect()
    }

    fn text(&self) -> String {
        match self.what() {
            "changed" => format!("~ {}: {} changed", self.step, self.ports().join(", ")),
            "added" => format!("+ {}", self.step),
            "removed" => format!("- {}", self.step),
            other => format!("= {}: another key, {other}", self.step),
        }
    }

    fn json(&self) -> Value {
        json!({"step": self.step, "change": self.what(), "outputs": self.ports()})
    }
}

/// The steps whose entries differ, by name.
fn compare<'a>(before: &'a LockFile, now: &'a LockFile) -> Vec<StepChange<'a>> {
    let names: BTreeSet<&String> = before.0.keys().chain(now.0.keys()).collect();
    let change = |step: &'a String| StepChange { step, before: before.0.get(step), now: now.0.get(step) };
    names.into_iter().map(change).filter(|c| c.before != c.now).collect()
}
