//! `sulcus verify`: executes steps again beside the project and compares; or re-hashes the store.

use std::collections::VecDeque;
use std::sync::Mutex;

use clap::Args;
use serde_json::{Value, json};

use super::look::{Look, Opened, look, open};
use super::run::stop_on_signals;
use super::ui::{Ui, bytes};
use super::{CliError, Exit, Global, WorkflowArgs, tables, weights};
use crate::exec::{Event, Observer, Outputs, Session, reexecute};
use crate::parallel::cores;
use crate::plan::StepId;
use crate::stage::{Cancel, Failure, PortType};
use crate::store::{Damage, Index, Output, Store};

/// Arguments of `sulcus verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    #[command(flatten)]
    workflow: WorkflowArgs,
    /// Re-hash every object and record of the store instead
    #[arg(long)]
    objects: bool,
    /// With --objects: put aside what is damaged, so that its steps run again
    #[arg(long, requires = "objects")]
    repair: bool,
}

/// Runs the command.
pub fn verify(global: &Global, args: &VerifyArgs, ui: &Ui) -> Result<Exit, CliError> {
    if args.objects {
        return objects(global, args, ui);
    }
    open(global, &args.workflow, |opened| {
        let look = look(opened, &|_| false)?;
        let cancel = Cancel::default();
        stop_on_signals(&cancel)?;
        let (mut equal, mut different, mut skipped) = (0, 0, 0);
        for &id in &opened.targets {
            let Some((_, recorded)) = look.seen.cached.get(&id) else {
                skipped += 1;
                report(ui, opened.name(id), "not up to date", &[]);
                continue;
            };
            match again(opened, &look, id, recorded, &cancel)? {
                Verdict::Equal => {
                    equal += 1;
                    report(ui, opened.name(id), "equal", &[]);
                }
                Verdict::Differs(how) => {
                    different += 1;
                    report(ui, opened.name(id), "differs", &how);
                }
            }
            if cancel.is_cancelled() {
                return Ok(Exit::Interrupted);
            }
        }
        let not_run =
            if skipped > 0 { format!(", {skipped} not up to date (run first)") } else { String::new() };
        let text = format!("{equal} equal, {different} different{not_run}");
        if different > 0 {
            ui.warn("Verified", &text);
            return Ok(Exit::Failed);
        }
        if equal == 0 && skipped > 0 {
            return Err(CliError::wrong("there is nothing to compare with: these steps are not up to date")
                .hint("`sulcus run` first, then `sulcus verify`"));
        }
        ui.say("Verified", &text);
        Ok(Exit::Done)
    })
}

enum Verdict {
    Equal,
    /// In words, a sentence an output.
    Differs(Vec<String>),
}

/// Executes a step again in a folder and a store of its own, and compares what it gives.
fn again(
    opened: &Opened,
    look: &Look,
    id: StepId,
    recorded: &Outputs,
    cancel: &Cancel,
) -> Result<Verdict, CliError> {
    let folder = opened.session.store.scratch(&crate::stage::Digest::of(opened.name(id).as_bytes()))?;
    let (checkout, scratch) = (folder.path().join("project"), folder.path().join("store"));
    crate::fs::create_dir_all(checkout.join(".sulcus"))?;
    let session = opened.session;
    let beside = Session::open(Index::open(&checkout)?, Some(&scratch), session.host, session.env.clone())?;
    let said = Said::default();
    let outputs = |source: StepId| look.seen.cached.get(&source).map(|(_, outputs)| Outputs::clone(outputs));
    match reexecute(&look.resolver, id, &outputs, &beside, cancel, &said) {
        Ok(made) => {
            let pairs = recorded.iter().zip(made.iter());
            let different = pairs.filter(|(before, now)| before.content() != now.content());
            let how: Vec<String> = different
                .flat_map(|(before, now)| difference(&session.store, &beside.store, before, now))
                .collect();
            Ok(if how.is_empty() { Verdict::Equal } else { Verdict::Differs(how) })
        }
        Err(Failure { cancelled: true, .. }) => Ok(Verdict::Differs(vec!["stopped".to_owned()])),
        Err(failure) => {
            let mut how = vec![format!("executed again it failed: {}", failure.message)];
            let log = said.0.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            how.extend(log.iter().map(|line| format!("| {line}")));
            if opened.plan.steps[id].kind.runs_command() {
                how.push("it ran beside the project with what it declares under `reads` only".to_owned());
            }
            Ok(Verdict::Differs(how))
        }
    }
}

/// How an output differs from the recorded one, in words.
fn difference(recorded: &Store, beside: &Store, before: &Output, now: &Output) -> Vec<String> {
    let (old, new) = (recorded.object(&before.object), beside.object(&now.object));
    let said = match before.ty {
        PortType::Table => tables::differences(&old, &new),
        PortType::Model => weights::differences(&old, &new),
        _ => None,
    };
    if let Some(said) = said {
        return said.into_iter().map(|text| format!("{}: {text}", before.port)).collect();
    }
    let size = if before.bytes == now.bytes {
        format!("the same size ({}), other bytes", bytes(now.bytes))
    } else {
        format!("{} before, {} now", bytes(before.bytes), bytes(now.bytes))
    };
    vec![format!("{}: {size}", before.port)]
}

fn report(ui: &Ui, step: &str, verdict: &str, how: &[String]) {
    if ui.json() {
        return ui.data_json(&json!({"step": step, "result": verdict, "differences": how}));
    }
    ui.data(&format!("{step}: {verdict}"));
    how.iter().for_each(|line| ui.data(&format!("  {line}")));
}

/// Last lines of what a step prints that are shown.
const SHOWN: usize = 5;

/// Keeps them.
#[derive(Default)]
struct Said(Mutex<VecDeque<String>>);

impl Observer for Said {
    fn event(&self, event: Event) {
        if let Event::Said { line, .. } = event {
            let mut lines = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            lines.push_back(line.to_owned());
            if lines.len() > SHOWN {
                lines.pop_front();
            }
        }
    }
}

fn objects(global: &Global, args: &VerifyArgs, ui: &Ui) -> Result<Exit, CliError> {
    let folder = super::context::working_folder(global)?;
    let own = super::context::project_root(&folder).join(".sulcus");
    let path = global.store.as_deref().map_or(own, |store| folder.join(store));
    if !path.join("objects").is_dir() {
        return Err(CliError::wrong(format!("there is no store at {}", path.display()))
            .hint("`sulcus run` makes one; `-C DIR` works in another folder"));
    }
    let store = Store::open(&path)?;
    let audit = store.audit(cores())?;
    for damage in &audit.damage {
        let (line, text) = describe(damage);
        if ui.json() { ui.data_json(&line) } else { ui.data(&text) }
    }
    let looked = format!("{} objects ({}), {} records", audit.objects, bytes(audit.bytes), audit.records);
    if audit.damage.is_empty() {
        ui.say("Verified", &format!("{looked}: all sound"));
        return Ok(Exit::Done);
    }
    if args.repair {
        store.repair(&audit.damage)?;
        ui.say("Repaired", "what is damaged lies in quarantine; the next run executes its steps again");
    }
    let hint = if args.repair { "" } else { "; `--repair` puts it aside, and the steps run again" };
    ui.warn("Verified", &format!("{looked}: {} damaged{hint}", audit.damage.len()));
    Ok(Exit::Failed)
}

fn describe(damage: &Damage) -> (Value, String) {
    match damage {
        Damage::Object(digest) => (
            json!({"object": digest, "damage": "corrupt"}),
            format!("object {}: its bytes are not those of its name", digest.short()),
        ),
        Damage::Record(key) => {
            (json!({"record": key, "damage": "corrupt"}), format!("record {}: it is not whole", key.short()))
        }
        Damage::Missing { object, key, step } => (
            json!({"object": object, "damage": "missing", "record": key, "step": step}),
            format!("object {}: missing, and the record of `{step}` names it", object.short()),
        ),
    }
}
