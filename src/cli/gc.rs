//! `sulcus gc`: removes from the store what no workflow of the project needs any more.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use walkdir::WalkDir;

use super::context::{project_root, working_folder};
use super::ui::{Ui, bytes};
use super::{CliError, Exit, Global, git, time};
use crate::exec::Memory;
use crate::stage::Digest;
use crate::store::{Garbage, LockFile, Roots, Store};

/// Arguments of `sulcus gc`.
#[derive(Args, Debug)]
pub struct GcArgs {
    /// Remove it; without this flag it is only listed
    #[arg(short, long)]
    yes: bool,
    /// Keep whatever was made or used within this time: 90s, 15m, 12h, 7d
    #[arg(long, default_value = "1d", value_name = "TIME", value_parser = time::span)]
    grace: Duration,
    /// Also keep what the workflows of this project need (a store that projects share)
    #[arg(long, value_name = "DIR")]
    also: Vec<PathBuf>,
}

/// Runs the command.
pub fn gc(global: &Global, args: &GcArgs, ui: &Ui) -> Result<Exit, CliError> {
    let folder = working_folder(global)?;
    let root = project_root(&folder);
    let own = root.join(".sulcus");
    let path = global.store.as_deref().map_or(own.clone(), |store| folder.join(store));
    let shared = path.canonicalize().ok() != own.canonicalize().ok();
    if shared && args.also.is_empty() {
        return Err(CliError::wrong(format!("other projects may use the store {}", path.display()))
            .hint("name those that do: `sulcus gc --also DIR`; `--also .` if there are none"));
    }
    if !path.join("objects").is_dir() {
        ui.say("Clean", &format!("there is no store at {}", path.display()));
        return Ok(Exit::Done);
    }
    let store = Store::open(&path)?;
    let mut roots = Roots::default();
    let mut stale = gather(&store, &root, &mut roots);
    for other in &args.also {
        let other = folder
            .join(other)
            .canonicalize()
            .map_err(|e| CliError::wrong(format!("cannot read the project {}: {e}", other.display())))?;
        stale.extend(gather(&store, &project_root(&other), &mut roots));
    }
    let garbage = store.garbage(&roots, args.grace)?;
    list(&store, &garbage, &roots, ui);
    if garbage.count() == 0 {
        ui.say("Clean", "nothing to remove");
        return Ok(Exit::Done);
    }
    let total = bytes(garbage.bytes());
    if !args.yes {
        ui.say(
            "Would free",
            &format!("{total} in {} things; `sulcus gc --yes` removes them", garbage.count()),
        );
        return Ok(Exit::Done);
    }
    let (count, freed) = store.collect(&garbage, &roots, args.grace)?;
    for memory in stale {
        let _ = std::fs::remove_file(memory);
    }
    ui.say("Freed", &format!("{} in {count} things", bytes(freed)));
    Ok(Exit::Done)
}

fn list(store: &Store, garbage: &Garbage, roots: &Roots, ui: &Ui) {
    if ui.json() {
        for record in &garbage.records {
            let step = store.record(&record.name).map(|r| r.step);
            ui.data_json(
                &json!({"record": record.name, "step": step, "bytes": record.bytes, "used": record.used}),
            );
        }
        for object in &garbage.objects {
            ui.data_json(&json!({"object": object.name, "bytes": object.bytes, "used": object.used}));
        }
        for (path, size) in &garbage.leftovers {
            ui.data_json(&json!({"leftover": path, "bytes": size}));
        }
        return;
    }
    let mut rows = Vec::new();
    for record in &garbage.records {
        let step = store.record(&record.name).map_or_else(|| "(unreadable)".to_owned(), |r| r.step);
        rows.push(vec![
            "record".to_owned(),
            record.name.short(),
            bytes(record.bytes),
            format!("{step}, {}", time::ago(record.used)),
        ]);
    }
    for object in &garbage.objects {
        rows.push(vec![
            "object".to_owned(),
            object.name.short(),
            bytes(object.bytes),
            time::ago(object.used),
        ]);
    }
    for (path, size) in &garbage.leftovers {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        rows.push(vec!["leftover".to_owned(), name, bytes(*size), String::new()]);
    }
    ui.grid(&rows);
    ui.say("Kept", &format!("{} results that workflows of this project name", roots.keys.len()));
}

/// Notes what the workflows of a project need: by their locks here and at the tips of all branches and
/// tags, and by what the last runs remember. Returns the memories of workflows that are gone.
fn gather(store: &Store, root: &Path, roots: &mut Roots) -> Vec<PathBuf> {
    let mut workflows = HashSet::new();
    let skipped = |name: &str| matches!(name, ".git" | ".sulcus" | "results");
    let walk = WalkDir::new(root).into_iter().filter_entry(|e| !skipped(&e.file_name().to_string_lossy()));
    for entry in walk.flatten().filter(|e| e.file_type().is_file()) {
        let path = entry.path();
        match path.extension().and_then(|e| e.to_str()) {
            Some("lock") => keep(&LockFile::read(path), roots),
            Some("yaml" | "yml") => {
                let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
                workflows.insert(Digest::of(name.as_bytes()).short());
            }
            _ => {}
        }
    }
    git::locks(root).iter().for_each(|text| keep(&LockFile::parse(text), roots));
    let memories = std::fs::read_dir(root.join(".sulcus").join("memory")).into_iter().flatten().flatten();
    let mut stale = Vec::new();
    for memory in memories {
        if !workflows.contains(memory.file_name().to_string_lossy().as_ref()) {
            stale.push(memory.path());
            continue;
        }
        for (key, outputs) in Memory::read(&memory.path()).results() {
            roots.keys.insert(*key);
            roots.objects.extend(outputs.iter().flat_map(|out| store.with_tree(out.ty, out.object)));
        }
    }
    stale
}

fn keep(lock: &LockFile, roots: &mut Roots) {
    roots.keys.extend(lock.0.values().map(|entry| entry.key));
}
