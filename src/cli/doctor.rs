//! `sulcus doctor`: what works here.

use std::path::Path;

use serde_json::json;

use super::context::{project_root, working_folder};
use super::runtime::runtime_report;
use super::ui::{Ui, bytes};
use super::{CliError, Exit, Global, git};
use crate::store::Store;

/// One line of the report.
struct Finding {
    what: String,
    /// What was found.
    text: String,
    /// What to do about it, if something needed is broken.
    broken: Option<String>,
}

/// Runs the command.
pub fn doctor(global: &Global, ui: &Ui) -> Result<Exit, CliError> {
    let folder = working_folder(global)?;
    let root = project_root(&folder);
    let mut findings = vec![
        fine("version", format!("sulcus {}", env!("CARGO_PKG_VERSION"))),
        fine("features", features()),
        fine("project", root.display().to_string()),
    ];
    let path = global.store.as_deref().map_or(root.join(".sulcus"), |store| folder.join(store));
    findings.extend(store(&path, &root));
    findings.push(match (git::version(), git::root(&root)) {
        (Some(version), Some(repository)) => fine("git", format!("{version}, repository {repository}")),
        (Some(version), None) => fine("git", format!("{version}, no repository here")),
        (None, _) => fine("git", "not found; only `sulcus diff` needs it".to_owned()),
    });
    match runtime_report(global) {
        None => findings.push(fine("runtime", "this build runs no models".to_owned())),
        Some(report) => {
            findings.extend(report.lines.into_iter().map(|(what, text)| fine(&what, text)));
            if let Some(broken) = report.broken {
                let text = "models cannot run here".to_owned();
                findings.push(Finding { what: "runtime".to_owned(), text, broken: Some(broken) });
            }
        }
    }
    let width = findings.iter().map(|f| f.what.len()).max().unwrap_or(0);
    for Finding { what, text, broken } in &findings {
        if ui.json() {
            ui.data_json(&json!({"what": what, "text": text, "broken": broken}));
            continue;
        }
        let sign = if broken.is_some() { "✗" } else { "✓" };
        ui.data(&format!("{sign} {what:width$}  {text}"));
        if let Some(next) = broken {
            ui.data(&format!("  {:width$}  hint: {next}", ""));
        }
    }
    let broken = findings.iter().filter(|f| f.broken.is_some()).count();
    if broken > 0 {
        ui.warn("Doctor", &format!("{broken} of {} things do not work", findings.len()));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

fn fine(what: &str, text: String) -> Finding {
    Finding { what: what.to_owned(), text, broken: None }
}

fn features() -> String {
    let all = [("tables", cfg!(feature = "tables")), ("models", cfg!(feature = "models"))];
    let on: Vec<&str> = all.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    if on.is_empty() { "none: the engine alone".to_owned() } else { on.join(", ") }
}

/// Tries in the store and the project what a run does there.
fn store(path: &Path, root: &Path) -> Vec<Finding> {
    let broken =
        |text: String, next: &str| Finding { what: "store".to_owned(), text, broken: Some(next.to_owned()) };
    let store = match Store::open(path) {
        Ok(store) => store,
        Err(error) => {
            return vec![broken(
                error.to_string(),
                "make the folder writable, or name another with `--store`",
            )];
        }
    };
    let used: u64 = store.objects().map(|all| all.iter().map(|o| o.bytes).sum()).unwrap_or(0);
    let mut out = Vec::new();
    out.push(fine("store", format!("{}, {}", path.display(), bytes(used))));
    match store.probe(root) {
        Ok(probe) => {
            let free = bytes(probe.free);
            let low = probe.free < 100 << 20;
            let text = format!("{}, {free} free", probe.file_system);
            let next = low.then(|| "free some space: `sulcus gc` lists what nobody needs".to_owned());
            out.push(Finding { what: "disk".to_owned(), text, broken: next });
            let how = match (probe.reflink, probe.hard_link) {
                (true, _) => "reflinks work: results take no space of their own",
                (false, true) => "no reflinks; hard links work: large results take no space of their own",
                (false, false) => "neither reflinks nor hard links to the project: results are copied",
            };
            out.push(fine("links", how.to_owned()));
        }
        Err(error) => out.push(broken(error.to_string(), "a run cannot keep results there")),
    }
    let key = crate::stage::Digest::of(format!("doctor {}", std::process::id()).as_bytes());
    out.push(match store.try_lock(&key) {
        Ok(_) => fine("locks", "work".to_owned()),
        Err(error) => Finding {
            what: "locks".to_owned(),
            text: error.to_string(),
            broken: Some("put the store on a file system with POSIX locks, by `--store`".to_owned()),
        },
    });
    out
}
