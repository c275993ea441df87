//! `sulcus diff`: which results differ from those of a git revision.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::context::{Context, is_file_name};
use super::tables::{Rows, number};
use super::ui::Ui;
use super::{CliError, Exit, Global, WorkflowArgs, git, metrics};
use crate::store::{LockEntry, LockFile, Store};

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
    let own = context.root.join(".sulcus");
    let path = global.store.as_deref().unwrap_or(&own);
    let store = path.join("objects").is_dir().then(|| Store::open(path)).transpose()?;
    for change in &changes {
        let metrics = store.as_ref().and_then(|store| change.metrics(store));
        if ui.json() {
            let mut line = change.json();
            if let Some(metrics) = &metrics {
                line["metrics"] = json!(metrics);
            }
            ui.data_json(&line);
            continue;
        }
        ui.data(&change.text());
        let row =
            |m: &Metric| vec![format!("    {}", m.name), number(&m.before), "→".to_owned(), number(&m.now)];
        ui.grid(&metrics.unwrap_or_default().iter().map(row).collect::<Vec<_>>());
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

    /// The metrics that differ, where the store has both tables.
    fn metrics(&self, store: &Store) -> Option<Vec<Metric>> {
        let read = |entry: Option<&LockEntry>| {
            let record = store.record(&entry?.key)?;
            metrics::read(store, metrics::find(&record.outputs)?).ok()
        };
        if self.what() != "changed" {
            return None;
        }
        Some(side_by_side(&read(self.before)?, &read(self.now)?))
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

/// One number of a table of metrics, before and now; empty where it is not there.
#[derive(Debug, PartialEq, Serialize)]
struct Metric {
    /// The column and, before it, what tells its row from the others: `accuracy`, `recall 3`.
    name: String,
    before: String,
    now: String,
}

/// The numbers that differ. Rows are matched by their columns that are not floating-point.
fn side_by_side(before: &Rows, now: &Rows) -> Vec<Metric> {
    let (old, new) = (numbers(before), numbers(now));
    let find = |all: &[(String, String)], name: &str| {
        all.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let gone = old.iter().filter(|(name, _)| new.iter().all(|(n, _)| n != name));
    let names = new.iter().chain(gone).map(|(name, _)| name);
    let metric =
        |name: &String| Metric { name: name.clone(), before: find(&old, name), now: find(&new, name) };
    names.map(metric).filter(|m| m.before != m.now).collect()
}

/// Every number of a table of metrics with its name.
fn numbers(table: &Rows) -> Vec<(String, String)> {
    let columns = &table.facts.columns;
    let is_float = |at: usize| columns[at].dtype.starts_with("float");
    let several = (0..columns.len()).filter(|at| is_float(*at)).count() > 1;
    let mut out = Vec::new();
    for row in &table.rows {
        let tells = row.iter().enumerate().filter(|(at, text)| !is_float(*at) && *text != "null");
        let label: Vec<&str> = tells.map(|(_, text)| text.as_str()).collect();
        for (at, text) in row.iter().enumerate().filter(|(at, _)| is_float(*at)) {
            let mut name = label.join(" ");
            if several || name.is_empty() {
                name = format!("{name} {}", columns[at].name).trim_start().to_owned();
            }
            out.push((name, text.clone()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{Column, TableFacts};

    #[test]
    fn metrics_are_matched_by_what_names_their_rows() {
        let columns = [("metric", "string"), ("class", "int64"), ("value", "float64")];
        let columns = columns.map(|(name, dtype)| Column::new(name, dtype)).to_vec();
        let table = |rows: &[[&str; 3]]| Rows {
            facts: TableFacts { rows: None, columns: columns.clone() },
            rows: rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect(),
        };
        let before = table(&[["accuracy", "null", "0.9"], ["recall", "3", "0.5"], ["loss", "null", "0.1"]]);
        let now = table(&[["recall", "3", "0.5"], ["accuracy", "null", "0.95"], ["recall", "4", "1.0"]]);
        let shown: Vec<String> = side_by_side(&before, &now)
            .iter()
            .map(|m| format!("{}: {} → {}", m.name, m.before, m.now))
            .collect();
        assert_eq!(shown, ["accuracy: 0.9 → 0.95", "recall 4:  → 1.0", "loss: 0.1 → "]);
    }
}
