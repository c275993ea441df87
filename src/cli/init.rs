//! `sulcus init`: a first workflow that runs at once.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::context::working_folder;
use super::kinds::workflow_schema;
use super::ui::Ui;
use super::{CliError, Exit, Global};
use crate::fs::{self, Context};
use crate::kinds::defined;

const WORKFLOW: &str = "sulcus.yaml";
const SCHEMA: &str = ".sulcus/schema.json";
const IGNORED: [&str; 2] = [".sulcus/", "results/"];

/// Arguments of `sulcus init`.
#[derive(Args, Debug)]
pub struct InitArgs {
    /// The folder, made if it is not there
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
    /// Only write the JSON Schema for editors, and print where it is
    #[arg(long)]
    schema: bool,
}

/// Runs the command. It never overwrites a file, the schema apart, which is nobody's work.
pub fn init(global: &Global, args: &InitArgs, ui: &Ui) -> Result<Exit, CliError> {
    let folder = working_folder(global)?.join(&args.folder);
    fs::create_dir_all(folder.join(".sulcus"))?;
    let schema = serde_json::to_string_pretty(&workflow_schema(&defined(&folder)?)).unwrap_or_default();
    fs::write_atomic(folder.join(SCHEMA), format!("{schema}\n").as_bytes())?;
    if args.schema {
        ui.data(SCHEMA);
        return Ok(Exit::Done);
    }
    let mut wrote = vec![SCHEMA];
    for (name, text) in FILES {
        if write_new(&folder.join(name), text)? {
            ui.say("Wrote", name);
            wrote.push(name);
        } else {
            ui.say("Kept", &format!("{name}, which is there already"));
        }
    }
    if ignore(&folder.join(".gitignore"))? {
        ui.say("Wrote", ".gitignore");
        wrote.push(".gitignore");
    }
    if ui.json() {
        ui.data_json(&json!({"wrote": wrote}));
    }
    let place =
        if args.folder == Path::new(".") { String::new() } else { format!(" -C {}", args.folder.display()) };
    ui.say("Next", &format!("`sulcus{place} run`"));
    Ok(Exit::Done)
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, text: &str) -> Result<bool, CliError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match std::fs::OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).at("write", path)?;
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).at("create", path).map_err(CliError::from),
    }
}

/// Adds what git should not see and does not ignore yet.
fn ignore(path: &Path) -> Result<bool, CliError> {
    let there = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).at("read", path).map_err(CliError::from),
    };
    let known = |line: &str| there.lines().any(|l| l.trim().trim_start_matches('/') == line);
    let missing: Vec<&str> = IGNORED.into_iter().filter(|line| !known(line)).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    let gap = if there.is_empty() || there.ends_with('\n') { "" } else { "\n" };
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).at("open", path)?;
    file.write_all(format!("{gap}{}\n", missing.join("\n")).as_bytes()).at("write", path)?;
    Ok(true)
}

/// What a first project has.
const FILES: &[(&str, &str)] = &[
    ("data/fruit.csv", "fruit,grams\napple,182\npear,178\nplum,66\napple,175\nplum,70\n"),
    (WORKFLOW, FIRST),
];

#[cfg(feature = "tables")]
const FIRST: &str = "\
# yaml-language-server: $schema=.sulcus/schema.json
name: first
about: The mean weight of each sort of fruit. `sulcus run` brings it up to date, `sulcus show means` shows it.
params: { heavier_than: 0 }

stages:
  fruit:
    uses: ingest.table
    with: { path: data/fruit.csv }
  means:
    uses: table.sql
    in: { fruit: fruit }
    with:
      query: >
        SELECT fruit, COUNT(*) AS count, AVG(grams) AS grams
        FROM fruit WHERE grams > ${params.heavier_than}
        GROUP BY fruit ORDER BY fruit
";

#[cfg(not(feature = "tables"))]
const FIRST: &str = "\
# yaml-language-server: $schema=.sulcus/schema.json
name: first
about: Counts the fruit of each sort. `sulcus run` brings it up to date.

stages:
  names:
    uses: command
    with:
      run: tail -n +2 data/fruit.csv | cut -d, -f1 | sort > out/names.txt
      reads: data/fruit.csv
      writes: out/names.txt
  counts:
    uses: command
    with:
      run: uniq -c out/names.txt > out/counts.txt
      reads: out/names.txt
      writes: out/counts.txt
";
