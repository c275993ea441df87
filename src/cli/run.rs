//! `sulcus run`: brings steps up to date.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::Mistake;
use super::ui::{Ui, seconds};
use super::{CliError, Exit, Global, WorkflowArgs, world};
use crate::exec::{Memory, Options, Preview, Resolver, Session, Summary, preview, run as execute};
use crate::parallel::cores;
use crate::plan::{Plan, StepId, ancestors, infer_step, select};
use crate::stage::{Cancel, Digest, Facts};
use crate::store::{LockEntry, LockFile, RunLine};

/// Arguments of `sulcus run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    workflow: WorkflowArgs,
    /// Run at most N steps (or threads of steps) at once [default: the number of cores]
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    /// Say what would run, and run nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// After a failure go on with the steps that do not depend on it
    #[arg(short, long)]
    keep_going: bool,
    /// Execute the named stages (or all) even if their results are known
    #[arg(short, long)]
    force: bool,
    /// An amount of a named resource that may be in use at once: `--resource gpu=2`
    #[arg(long, value_name = "NAME=AMOUNT")]
    resource: Vec<String>,
}

/// Runs the command.
pub fn run(global: &Global, args: &RunArgs, ui: &Ui) -> Result<Exit, CliError> {
    if args.dry_run {
        return super::plan::show(global, &args.workflow, args.force, ui);
    }
    let begun = Instant::now();
    let context = Context::new(global, &args.workflow)?;
    let memory = context.memory();
    let request = context.request();
    let index = context.index()?;
    if !args.force && world::is_current(global, &context, &memory, &request, &index) {
        report_current(&memory, begun, ui);
        return Ok(Exit::Done);
    }
    let plan = context.plan_with(&|path| index.seen(path).is_some())?;
    let host = super::runtime::host(global);
    let session = context.session(global, index, plan.workflow.env.clone(), host.as_deref())?;
    let targets = select(&plan, &context.targets)?;
    let steps = ancestors(&plan, &targets);
    let forced: HashSet<StepId> = if args.force { targets.iter().copied().collect() } else { HashSet::new() };
    let force = |id: StepId| forced.contains(&id);
    warm(&plan, &steps, &session);
    let resolver = Resolver::new(&plan, &session, &memory);
    let total = steps.len();
    let watch = ui.watch(&plan, total);
    resolver.check_providers(&steps).map_err(|(id, failure)| named(&plan, id, failure))?;
    let seen =
        preview(&resolver, &steps, &force, &watch).map_err(|(id, failure)| named(&plan, id, failure))?;
    check(&plan, &steps, &seen)?;
    let cancel = Cancel::default();
    stop_on_signals(&cancel)?;
    let options = Options {
        jobs: args.jobs.unwrap_or_else(cores),
        keep_going: args.keep_going,
        resources: resources(&plan, &args.resource)?,
    };
    let summary = execute(&resolver, &steps, seen, &force, &options, &cancel, &watch);
    watch.finish();
    leave_behind(&context, &plan, &steps, &session, &summary, &memory, &request)?;
    note_run(&context, &summary, begun);
    let exit = report(&plan, &targets, &summary, begun, ui);
    // The process ends now: to free what thousands of steps hold, piece by piece, takes longer than the report.
    std::mem::forget((resolver, summary));
    std::mem::forget((memory, session, plan));
    Ok(exit)
}

/// A step that cannot even be planned here: nothing was run.
fn named(plan: &Plan, id: StepId, failure: crate::stage::Failure) -> CliError {
    let error = CliError::from(failure.context(format!("stage `{}`", plan.steps[id].name)));
    CliError { exit: Exit::Wrong, ..error }
}

fn report_current(memory: &Memory, begun: Instant, ui: &Ui) {
    if ui.json() {
        let names: Vec<&String> = memory.wanted.iter().map(|(_, name)| name).collect();
        ui.data_json(&json!({"executed": [], "cached": names, "failed": []}));
    }
    let taken = seconds(begun.elapsed().as_secs_f64());
    ui.say("Finished", &format!("0 executed, {} cached in {taken}", memory.wanted.len()));
}

/// Hashes the source files that are not known yet, on all cores.
pub fn warm(plan: &Plan, steps: &[StepId], session: &Session) {
    let files = steps.iter().flat_map(|id| &plan.steps[*id].files).flat_map(|f| &f.found);
    let sources: Vec<&str> = files.filter(|f| f.producer.is_none()).map(|f| f.path.as_str()).collect();
    session.index.warm(&sources, cores());
}

/// Checks every step that is not cached against what is known of its inputs, before anything runs.
pub fn check(plan: &Plan, steps: &[StepId], seen: &Preview) -> Result<(), CliError> {
    let mut known: BTreeMap<StepId, BTreeMap<String, Facts>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for &id in steps {
        if let Some((_, outputs)) = seen.cached.get(&id) {
            known.insert(id, outputs.iter().map(|o| (o.port.clone(), o.facts.clone())).collect());
            continue;
        }
        let facts = |source: StepId, port: &str| {
            known.get(&source).and_then(|ports| ports.get(port)).cloned().unwrap_or(Facts::Opaque)
        };
        match infer_step(plan, id, &facts) {
            Ok(outputs) => drop(known.insert(id, outputs)),
            Err(diagnostic) => {
                let mistake = Mistake::of(&diagnostic, &plan.workflow.sources);
                // Cells of one stage make the same mistake at the same place: say it once.
                if !wrong.iter().any(|other: &Mistake| other.is_at_the_place_of(&mistake)) {
                    wrong.push(mistake);
                }
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(CliError { mistakes: wrong, exit: Exit::Wrong }) }
}

fn resources(plan: &Plan, flags: &[String]) -> Result<BTreeMap<String, f64>, CliError> {
    let mut all: BTreeMap<String, f64> = plan.workflow.resources.iter().cloned().collect();
    for flag in flags {
        let parsed =
            flag.split_once('=').and_then(|(name, amount)| Some((name, amount.parse::<f64>().ok()?)));
        let parsed = parsed.filter(|(_, amount)| amount.is_finite() && *amount >= 0.0);
        let Some((name, amount)) = parsed else {
            return Err(
                CliError::wrong(format!("`--resource {flag}` is no amount")).hint("write `--resource gpu=2`")
            );
        };
        all.insert(name.to_owned(), amount);
    }
    Ok(all)
}

/// The first Ctrl-C (or SIGTERM) stops cleanly, the second at once.
pub fn stop_on_signals(cancel: &Cancel) -> Result<(), CliError> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let cannot = |error: std::io::Error| CliError::failed(format!("cannot listen for signals: {error}"));
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).map_err(cannot)?;
    let cancel = cancel.clone();
    let listen = move || {
        for _ in signals.forever() {
            if cancel.is_cancelled() {
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
            cancel.cancel();
        }
    };
    std::thread::Builder::new().spawn(listen).map_err(cannot)?;
    Ok(())
}

/// Writes lock, memory and index. What was executed stays even if one of these cannot be written.
fn leave_behind(
    context: &Context,
    plan: &Plan,
    steps: &[StepId],
    session: &Session,
    summary: &Summary,
    before: &Memory,
    request: &Digest,
) -> Result<(), CliError> {
    let mut lock = LockFile::default();
    let mut memory = Memory::default();
    if summary.results.len() < plan.steps.len() {
        // Steps that this run did not bring up to date keep what is said of them.
        lock = LockFile::read(&context.lock_path());
        let names: HashSet<&str> = plan.steps.iter().map(|s| s.name.as_str()).collect();
        lock.0.retain(|name, _| names.contains(name.as_str()));
        for step in &plan.steps {
            if let (Some(key), Some(outputs)) = (before.key(&step.name), before.last(&step.name)) {
                memory.remember(step.name.clone(), key, outputs);
            }
        }
    }
    for (id, (key, outputs)) in &summary.results {
        let name = &plan.steps[*id].name;
        let digests = outputs.iter().map(|o| (o.port.clone(), o.content())).collect();
        lock.0.insert(name.clone(), LockEntry { key: *key, outputs: digests });
        memory.remember(name.clone(), *key, Arc::clone(outputs));
    }
    let complete = steps.iter().all(|id| summary.results.contains_key(id));
    let cacheable = steps.iter().all(|id| plan.steps[*id].options.cache != Some(false));
    std::thread::scope(|scope| {
        let saved = scope.spawn(|| {
            lock.write(&context.lock_path())?;
            session.index.save()
        });
        if complete
            && cacheable
            && let Some(world) = world::note(context, plan, steps, session, summary)
        {
            memory.request = Some(*request);
            (memory.paths, memory.objects, memory.probes) = world;
            let named = |id: &StepId| (plan.steps[*id].kind.name().to_owned(), plan.steps[*id].name.clone());
            memory.wanted = steps.iter().map(named).collect();
        }
        saved.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    // Last: once this says that nothing changed, nobody looks at the lock again.
    memory.write(&context.memory_path())?;
    Ok(())
}

/// Adds the run to the journal if it did something. A project that cannot be written has no journal.
fn note_run(context: &Context, summary: &Summary, begun: Instant) {
    if summary.executed.is_empty() && summary.failed.is_empty() {
        return;
    }
    let line = RunLine {
        finished: super::time::now(),
        workflow: context.relative(),
        executed: summary.executed.len(),
        cached: summary.cached.len(),
        failed: summary.failed.len(),
        seconds: begun.elapsed().as_secs_f64(),
    };
    let _ = line.append(&context.journal_path());
}

fn report(plan: &Plan, targets: &[StepId], summary: &Summary, begun: Instant, ui: &Ui) -> Exit {
    let names = |ids: &[StepId]| ids.iter().map(|id| plan.steps[*id].name.as_str()).collect::<Vec<_>>();
    if ui.json() {
        let mut end = json!({
            "executed": names(&summary.executed),
            "cached": names(&summary.cached),
            "failed": names(&summary.failed),
        });
        if !summary.blocked.is_empty() {
            end["blocked"] = json!(names(&summary.blocked));
        }
        ui.data_json(&end);
    }
    let counts = format!("{} executed, {} cached", summary.executed.len(), summary.cached.len());
    let taken = seconds(begun.elapsed().as_secs_f64());
    let failed = &summary.failed;
    if summary.cancelled {
        ui.warn("Stopped", &format!("{counts} in {taken}; what finished is kept"));
        return Exit::Interrupted;
    }
    if !failed.is_empty() {
        let blocked = if summary.blocked.is_empty() {
            String::new()
        } else {
            format!(", {} not run", summary.blocked.len())
        };
        ui.warn("Finished", &format!("{counts}, {} failed{blocked} in {taken}", failed.len()));
        return Exit::Failed;
    }
    ui.say("Finished", &format!("{counts} in {taken}"));
    if !summary.executed.is_empty() {
        show_results(plan, targets, summary, ui);
    }
    Exit::Done
}

/// Where the results lie that no other step reads.
fn show_results(plan: &Plan, targets: &[StepId], summary: &Summary, ui: &Ui) {
    const SHOWN: usize = 8;
    let read: HashSet<StepId> = plan.steps.iter().flat_map(|s| s.upstream.iter().copied()).collect();
    let last = targets.iter().filter(|id| !read.contains(id) && summary.results.contains_key(id));
    let paths: Vec<String> = last
        .flat_map(|id| {
            plan.steps[*id].outputs.iter().map(|port| plan.output_path(*id, port).as_str().to_owned())
        })
        .collect();
    for (index, path) in paths.iter().take(SHOWN).enumerate() {
        ui.say(if index == 0 { "Results" } else { "" }, path);
    }
    if paths.len() > SHOWN {
        ui.say("", &format!("… and {} more", paths.len() - SHOWN));
    }
}
