//! `sulcus kinds`: what a step can do.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::ui::Ui;
use super::{CliError, Exit, Global};
use crate::fs;
use crate::kinds::{KINDS, defined};
use crate::spec::suggest::did_you_mean;
use crate::stage::{Contract, Stage};

mod page;
mod schema;
mod yaml;

pub use page::page;
pub use schema::workflow_schema;
pub use yaml::contract_yaml;

/// Arguments of `sulcus kinds`.
#[derive(Args, Debug)]
pub struct KindsArgs {
    /// A kind: show its contract
    kind: Option<String>,
    /// Write contracts to DIR/stages, pages to DIR/docs/kinds and the schema to DIR/schema.json
    #[arg(long, value_name = "DIR", conflicts_with = "kind")]
    write: Option<PathBuf>,
}

/// Runs the command.
pub fn kinds(global: &Global, args: &KindsArgs, ui: &Ui) -> Result<Exit, CliError> {
    if let Some(folder) = &args.write {
        let folder = super::context::working_folder(global)?.join(folder);
        let count = write(&folder)?;
        ui.say("Wrote", &format!("{count} files below {}", folder.display()));
        return Ok(Exit::Done);
    }
    let root = super::context::project_root(&super::context::working_folder(global)?);
    let all: Vec<&dyn Stage> = KINDS.iter().copied().chain(defined(&root)?).collect();
    let Some(name) = &args.kind else {
        list(&all, ui);
        return Ok(Exit::Done);
    };
    let names = || all.iter().map(|k| k.name());
    let kind = all.iter().find(|k| k.name() == name).ok_or_else(|| {
        let hint = did_you_mean(name, names()).unwrap_or_else(|| "`sulcus kinds` lists the kinds".to_owned());
        CliError::wrong(format!("there is no kind `{name}`")).hint(&hint)
    })?;
    let contract = kind.contract();
    if ui.json() {
        ui.data_json(&json(&contract))
    } else {
        ui.data(page(&contract).trim_end())
    }
    Ok(Exit::Done)
}

fn list(kinds: &[&dyn Stage], ui: &Ui) {
    let contracts = kinds.iter().map(|kind| kind.contract());
    if ui.json() {
        contracts.for_each(|contract| ui.data_json(&json(&contract)));
    } else {
        let row = |contract: Contract| vec![contract.name.to_owned(), contract.first_sentence().to_owned()];
        ui.grid(&contracts.map(row).collect::<Vec<_>>());
    }
}

fn json(contract: &Contract) -> serde_json::Value {
    json!({
        "kind": contract.name,
        "revision": contract.revision,
        "about": contract.about,
        "ports": contract.ports,
        "with": contract.schema,
        "uses_runtime": contract.uses_runtime,
        "example": contract.example,
    })
}

/// Every file that is generated from the kinds: path below the repository and text.
pub fn generated() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for kind in KINDS {
        let contract = kind.contract();
        files.push((Path::new("stages").join(format!("{}.yaml", contract.name)), contract_yaml(&contract)));
        files.push((Path::new("docs/kinds").join(format!("{}.md", contract.name)), page(&contract)));
    }
    let schema = serde_json::to_string_pretty(&workflow_schema(&[])).unwrap_or_default();
    files.push((PathBuf::from("schema.json"), format!("{schema}\n")));
    files
}

fn write(folder: &Path) -> Result<usize, CliError> {
    let files = generated();
    for (path, text) in &files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write_atomic(&path, text.as_bytes())?;
    }
    Ok(files.len())
}
