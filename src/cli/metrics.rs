//! `sulcus metrics`: the metrics of all stages as one table.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::look::{Opened, open};
use super::tables::{Rows, cell, number, rows};
use super::ui::Ui;
use super::{CliError, Exit, Global, WorkflowArgs};
use crate::plan::StepId;
use crate::spec::label;
use crate::stage::{Axes, PortType};
use crate::store::{Output, Store};

/// The port whose tables are metrics.
pub const PORT: &str = "metrics";
/// More rows are not metrics but data.
const MOST: usize = 10_000;

/// Runs the command.
pub fn metrics(global: &Global, args: &WorkflowArgs, ui: &Ui) -> Result<Exit, CliError> {
    open(global, args, |opened| {
        let stages: Vec<StepId> =
            opened.targets.iter().copied().filter(|id| has_metrics(opened, *id)).collect();
        if stages.is_empty() {
            ui.say("Metrics", &format!("no stage has a table at a port called `{PORT}`"));
            return Ok(Exit::Done);
        }
        let mut all = Table::default();
        for id in stages {
            let step = &opened.plan.steps[id];
            let Some(out) = opened.past.outputs(&step.name).and_then(|o| find(&o).cloned()) else {
                ui.warn("Missing", &format!("`{}` has no result yet; `sulcus run` makes it", step.name));
                continue;
            };
            let rows = read(&opened.session.store, &out)?;
            all.add(opened.plan.stage_name(id), &step.axes, &rows);
        }
        if ui.json() {
            all.rows.iter().for_each(|row| ui.data_json(&Value::Object(row.clone())));
        } else if !all.rows.is_empty() {
            ui.grid(&all.shown());
        }
        Ok(Exit::Done)
    })
}

fn has_metrics(opened: &Opened, id: StepId) -> bool {
    opened.plan.steps[id].outputs.iter().any(|p| p.name == PORT && p.ty == PortType::Table)
}

/// The metrics among a step's outputs.
pub fn find(outputs: &[Output]) -> Option<&Output> {
    outputs.iter().find(|out| out.port == PORT && out.ty == PortType::Table)
}

/// The rows of a table of metrics in the store.
///
/// # Errors
/// If it is not there, or this build has no tables.
pub fn read(store: &Store, out: &Output) -> Result<Rows, CliError> {
    let path: PathBuf = store.object(&out.object);
    if !path.exists() {
        return Err(CliError::failed(format!("the object {} is not in the store", out.object.short()))
            .hint("`sulcus run` makes it again"));
    }
    rows(&path, MOST)?.ok_or_else(|| {
        CliError::wrong("this build reads no tables")
            .hint("build with the default features: `cargo install --path .`")
    })
}

/// Rows of several tables under the columns of all of them, in the order of their first appearance.
#[derive(Default)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Map<String, Value>>,
}

impl Table {
    fn add(&mut self, stage: &str, axes: &Axes, table: &Rows) {
        for row in &table.rows {
            let mut fields = Map::new();
            fields.insert("stage".to_owned(), json!(stage));
            fields.extend(axes.iter().cloned());
            for (column, text) in table.facts.columns.iter().zip(row) {
                fields.insert(column.name.clone(), value(text, &column.dtype));
            }
            for name in fields.keys() {
                if !self.columns.contains(name) {
                    self.columns.push(name.clone());
                }
            }
            self.rows.push(fields);
        }
    }

    /// A line of names, then a line a row.
    fn shown(&self) -> Vec<Vec<String>> {
        let text = |value: &Value| match value {
            Value::Null => String::new(),
            other => cell(&number(&label(other))),
        };
        let line = |row: &Map<String, Value>| {
            self.columns.iter().map(|column| row.get(column).map_or_else(String::new, text)).collect()
        };
        [self.columns.clone()].into_iter().chain(self.rows.iter().map(line)).collect()
    }
}

/// A cell with its type.
fn value(text: &str, dtype: &str) -> Value {
    let numeric = ["int", "uint", "float"].iter().any(|prefix| dtype.starts_with(prefix));
    match text {
        "null" => Value::Null,
        "true" | "false" if dtype == "bool" => Value::Bool(text == "true"),
        _ if numeric => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        _ => Value::String(text.to_owned()),
    }
}
