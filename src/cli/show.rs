//! `sulcus show`: what a result is.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::context::{is_file_name, working_folder};
use super::look::{Opened, open};
use super::tables::{self, Rows, cell, number};
use super::ui::{Ui, bytes};
use super::{CliError, Exit, Global, WorkflowArgs};
use crate::plan::StepId;
use crate::spec::Reference;
use crate::stage::{Column, Digest, Dim, Facts, ModelFacts, PortType, TableFacts, TensorFacts};
use crate::store::Output;

/// Arguments of `sulcus show`.
#[derive(Args, Debug)]
pub struct ShowArgs {
    #[command(flatten)]
    workflow: WorkflowArgs,
    /// How many rows of a table to show
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    rows: usize,
}

/// Runs the command: `sulcus show [FILE] TARGET…`.
pub fn show(global: &Global, args: &ShowArgs, ui: &Ui) -> Result<Exit, CliError> {
    let folder = working_folder(global)?;
    let targets: Vec<&String> = args.workflow.targets.iter().filter(|target| !is_file_name(target)).collect();
    if targets.is_empty() {
        return Err(CliError::wrong("say what to show")
            .hint("a stage `train`, an output `train.model`, a cell `train[seed=0].model`, or a file"));
    }
    let (files, stages): (Vec<&String>, Vec<&String>) =
        targets.into_iter().partition(|target| folder.join(target).is_file());
    for file in files {
        Found::of_path(&folder.join(file), file)?.print(args.rows, ui)?;
    }
    if stages.is_empty() {
        return Ok(Exit::Done);
    }
    let named = args.workflow.targets.iter().filter(|target| is_file_name(target));
    let wanted: Vec<String> = named.chain(stages.iter().copied()).cloned().collect();
    open(global, &WorkflowArgs { targets: wanted, ..args.workflow.clone() }, |opened| {
        for target in stages {
            show_target(opened, target, args.rows, ui)?;
        }
        Ok(Exit::Done)
    })
}

fn show_target(opened: &Opened, target: &str, rows: usize, ui: &Ui) -> Result<(), CliError> {
    let port = Reference::parse(target).ok().and_then(|r| r.port);
    let ids = crate::plan::select(opened.plan, &[target.to_owned()])?;
    let mut found = Vec::new();
    for id in ids {
        found.extend(results(opened, id, port.as_deref())?);
    }
    match found.as_slice() {
        [one] => one.print(rows, ui),
        many => {
            list(many, ui);
            Ok(())
        }
    }
}

/// The outputs of a step, or the one at `port`.
fn results(opened: &Opened, id: StepId, port: Option<&str>) -> Result<Vec<Found>, CliError> {
    let step = &opened.plan.steps[id];
    if let Some(port) = port.filter(|port| step.outputs.iter().all(|p| p.name != *port)) {
        let names: Vec<&str> = step.outputs.iter().map(|p| p.name.as_str()).collect();
        return Err(CliError::wrong(format!("the stage `{}` has no output `{port}`", step.name))
            .hint(&format!("it has {}", names.join(", "))));
    }
    let outputs = opened.past.outputs(&step.name).ok_or_else(|| {
        CliError::failed(format!("`{}` has no result here", step.name)).hint("`sulcus run` makes it")
    })?;
    let wanted = outputs.iter().filter(|out| port.is_none_or(|port| out.port == port));
    Ok(wanted.map(|out| Found::of_output(opened, id, out)).collect())
}

/// A result.
pub(super) struct Found {
    name: String,
    ty: PortType,
    /// Where it stands in the project.
    shown: String,
    /// Where its bytes are.
    path: PathBuf,
    digest: Digest,
    /// The digest is of a table's values, not of the file's bytes.
    by_value: bool,
    bytes: u64,
    facts: Facts,
    /// The files of a folder.
    files: Vec<(String, u64)>,
}

impl Found {
    fn of_output(opened: &Opened, id: StepId, out: &Output) -> Self {
        let step = &opened.plan.steps[id];
        let port = step.outputs.iter().find(|p| p.name == out.port);
        let place = port.map(|port| opened.plan.output_path(id, port));
        let store = &opened.session.store;
        let object = store.object(&out.object);
        let in_project = place.as_ref().map(|p| p.below(&opened.plan.root));
        let path = if object.exists() { object } else { in_project.unwrap_or(object) };
        let tree = if out.ty == PortType::Dir { store.tree(&out.object) } else { None };
        Found {
            name: format!("{}.{}", step.name, out.port),
            ty: out.ty,
            shown: place.map_or_else(String::new, |p| p.to_string()),
            path,
            digest: out.content(),
            by_value: out.content() != out.object,
            bytes: out.bytes,
            facts: out.facts.clone(),
            files: tree.unwrap_or_default().files.into_iter().map(|f| (f.0, f.2)).collect(),
        }
    }

    fn of_path(path: &Path, shown: &str) -> Result<Self, CliError> {
        let mut hasher = blake3::Hasher::new();
        let hashed = crate::fs::Context::at(hasher.update_mmap_rayon(path), "read", path)?;
        let ty = match path.extension().and_then(|e| e.to_str()) {
            Some("parquet") => PortType::Table,
            Some("onnx") => PortType::Model,
            _ => PortType::File,
        };
        Ok(Found {
            name: shown.to_owned(),
            ty,
            shown: shown.to_owned(),
            path: path.to_owned(),
            digest: hashed.finalize().into(),
            by_value: false,
            bytes: hashed.count(),
            facts: Facts::Opaque,
            files: Vec::new(),
        })
    }

    fn print(&self, rows: usize, ui: &Ui) -> Result<(), CliError> {
        let table = if self.ty == PortType::Table { tables::rows(&self.path, rows)? } else { None };
        let model = if self.ty == PortType::Model { tables::model(&self.path)? } else { None };
        if ui.json() {
            let mut value = self.json();
            if let Some(table) = &table {
                value["facts"] = json!(Facts::Table(table.facts.clone()));
                value["rows"] = json!(table.rows);
            }
            if let Some(model) = &model {
                value["facts"] = json!(Facts::Model(model.facts.clone()));
                value["ops"] = json!(model.ops.iter().cloned().collect::<std::collections::BTreeMap<_, _>>());
                value["parameters"] = json!(model.parameters);
            }
            ui.data_json(&value);
            return Ok(());
        }
        ui.data(&format!("{}: {}, {}", self.name, self.ty.name(), bytes(self.bytes)));
        ui.grid(&[
            vec!["  path".to_owned(), self.shown.clone()],
            vec![format!("  {}", if self.by_value { "values" } else { "digest" }), self.digest.to_string()],
        ]);
        let facts = match (&table, &model) {
            (Some(table), _) => Facts::Table(table.facts.clone()),
            (_, Some(model)) => Facts::Model(model.facts.clone()),
            _ => self.facts.clone(),
        };
        match &facts {
            Facts::Table(table) => schema(table, ui),
            Facts::Model(model) => signature(model, ui),
            Facts::Opaque => {}
        }
        if let Some(table) = table.filter(|table| !table.rows.is_empty()) {
            first_rows(&table, ui);
        }
        if let Some(model) = model {
            let ops: Vec<String> = model.ops.iter().map(|(op, count)| format!("{op} {count}")).collect();
            ui.data(&format!("  {} parameters", model.parameters));
            ui.data(&format!("  ops: {}", ops.join(", ")));
        }
        let files: Vec<Vec<String>> =
            self.files.iter().map(|(name, size)| vec![format!("  {name}"), bytes(*size)]).collect();
        ui.grid(&files);
        Ok(())
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.ty.name(),
            "path": self.shown,
            "object": self.path,
            "digest": self.digest,
            "bytes": self.bytes,
            "facts": self.facts,
            "files": self.files,
        })
    }
}

fn schema(table: &TableFacts, ui: &Ui) {
    let rows = table.rows.map_or_else(|| "?".to_owned(), |rows| rows.to_string());
    ui.data(&format!("  {rows} rows, {} columns", table.columns.len()));
    let row = |column: &Column| {
        let shape = column.shape.as_ref().map_or_else(String::new, |shape| format!(" {shape:?}"));
        vec![format!("  {}", column.name), format!("{}{shape}", column.dtype)]
    };
    ui.grid(&table.columns.iter().map(row).collect::<Vec<_>>());
}

fn first_rows(table: &Rows, ui: &Ui) {
    let names = table.facts.columns.iter().map(|column| cell(&column.name)).collect();
    let rows = table.rows.iter().map(|row| row.iter().map(|text| cell(&number(text))).collect());
    let mut all: Vec<Vec<String>> = [names].into_iter().chain(rows).collect();
    for row in &mut all {
        if let Some(first) = row.first_mut() {
            first.insert_str(0, "  ");
        }
    }
    ui.data("");
    ui.grid(&all);
}

fn signature(model: &ModelFacts, ui: &Ui) {
    let side = |title: &str, tensors: &[TensorFacts]| {
        let row = |t: &TensorFacts| {
            vec![format!("  {title}"), t.name.clone(), format!("{} {}", t.dtype, dims(&t.shape))]
        };
        tensors.iter().map(row).collect::<Vec<_>>()
    };
    ui.grid(&[side("input", &model.inputs), side("output", &model.outputs)].concat());
}

fn dims(shape: &[Dim]) -> String {
    let dim = |dim: &Dim| match dim {
        Dim::Size(size) => size.to_string(),
        Dim::Name(name) => name.clone(),
    };
    format!("[{}]", shape.iter().map(dim).collect::<Vec<_>>().join(", "))
}

/// Several results, a line each.
fn list(found: &[Found], ui: &Ui) {
    if ui.json() {
        return found.iter().for_each(|one| ui.data_json(&one.json()));
    }
    let row = |one: &Found| {
        let about = match &one.facts {
            Facts::Table(table) => {
                format!("{} rows, {} columns", table.rows.unwrap_or_default(), table.columns.len())
            }
            _ => String::new(),
        };
        vec![one.name.clone(), one.ty.name().to_owned(), bytes(one.bytes), one.shown.clone(), about]
    };
    ui.grid(&found.iter().map(row).collect::<Vec<_>>());
}
