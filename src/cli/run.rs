//! `sulcus run`: brings steps up to date.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::ui::{Ui, seconds};
use super::{CliError, Exit, Global, WorkflowArgs};
use crate::exec::{Memory, Options, Preview, Resolver, Session, Status, Summary, preview, run as execute};
use crate::plan::{Plan, StepId, ancestors, infer_step, select};
use crate::spec::render;
use crate::stage::{Cancel, Digest, Facts, FileForm, PortType};
use crate::store::{Index, LockEntry, LockFile, RunLine, Stat};

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
    if !args.force && is_current(global, &context, &memory, &request)? {
        report_current(&memory, begun, ui);
        return Ok(Exit::Done);
    }
    let plan = context.plan()?;
    let host = super::runtime::host(global);
    let session = context.session(global, plan.workflow.env.clone(), host.as_deref())?;
    let targets = select(&plan, &context.targets)?;
    let steps = ancestors(&plan, &targets);
    let forced: HashSet<StepId> = if args.force { targets.iter().copied().collect() } else { HashSet::new() };
    let force = |id: StepId| forced.contains(&id);
    warm(&plan, &steps, &session);
    let resolver = Resolver::new(&plan, &session, &memory);
    let total = steps.len();
    let watch = ui.watch(&plan, total);
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
    Ok(report(&plan, &targets, &summary, begun, ui))
}

/// The number of cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn named(plan: &Plan, id: StepId, failure: crate::stage::Failure) -> CliError {
    CliError::from(failure.context(format!("stage `{}`", plan.steps[id].name)))
}

/// The fast way: the same request, and every path that it depends on unchanged.
fn is_current(
    global: &Global,
    context: &Context,
    memory: &Memory,
    request: &Digest,
) -> Result<bool, CliError> {
    if memory.request.as_ref() != Some(request) {
        return Ok(false);
    }
    let own = context.root.join(".sulcus");
    let index = Index::open(&context.root, own.join("index"))?;
    let host = super::runtime::host(global);
    let ask = |probe: &str| answer(probe, context, host.as_deref());
    let current = memory.is_current(request, &index, &ask);
    if current {
        // What had to be hashed again is noted, so that the next run needs not.
        let _ = index.save();
    }
    Ok(current)
}

/// The answer to a question that the memory asks of the world.
fn answer(probe: &str, context: &Context, host: Option<&dyn crate::stage::RuntimeHost>) -> Option<Digest> {
    let (what, rest) = probe.split_once(' ')?;
    match what {
        "env" => Some(Digest::of(std::env::var(rest).ok()?.as_bytes())),
        "runtime" => {
            let providers: Vec<String> = rest.split(',').map(str::to_owned).collect();
            Some(Digest::of(host?.identity(&providers).ok()?.as_bytes()))
        }
        "files" => crate::plan::list_digest(&context.root, rest),
        _ => None,
    }
}

fn report_current(memory: &Memory, begun: Instant, ui: &Ui) {
    if ui.json() {
        ui.data_json(&json!({"executed": [], "cached": memory.wanted, "failed": []}));
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
                let text = render(&diagnostic, &plan.workflow.sources);
                // Cells of one stage make the same mistake at the same place: say it once.
                let place = |t: &str| t.lines().nth(1).map(str::to_owned);
                if !wrong.iter().any(|w: &String| place(w).is_some() && place(w) == place(&text)) {
                    wrong.push(text);
                }
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(CliError { texts: wrong, exit: Exit::Wrong }) }
}

fn resources(plan: &Plan, flags: &[String]) -> Result<BTreeMap<String, f64>, CliError> {
    let mut all: BTreeMap<String, f64> = plan.workflow.resources.iter().cloned().collect();
    for flag in flags {
        let parsed =
            flag.split_once('=').and_then(|(name, amount)| Some((name, amount.parse::<f64>().ok()?)));
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
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if cancel.is_cancelled() {
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
            cancel.cancel();
        }
    });
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
    let mut lock = LockFile::read(&context.lock_path());
    let names: HashSet<&str> = plan.steps.iter().map(|s| s.name.as_str()).collect();
    lock.0.retain(|name, _| names.contains(name.as_str()));
    let mut memory = Memory::default();
    for step in &plan.steps {
        if let (Some(key), Some(outputs)) = (before.key(&step.name), before.last(&step.name)) {
            memory.remember(step.name.clone(), key, outputs);
        }
    }
    for (id, (key, outputs)) in &summary.results {
        let name = &plan.steps[*id].name;
        let digests = outputs.iter().map(|o| (o.port.clone(), o.content())).collect();
        lock.0.insert(name.clone(), LockEntry { key: *key, outputs: digests });
        memory.remember(name.clone(), *key, Arc::clone(outputs));
    }
    lock.write(&context.lock_path())?;
    session.index.save()?;
    let complete = steps.iter().all(|id| summary.results.contains_key(id));
    let cacheable = steps.iter().all(|id| plan.steps[*id].options.cache != Some(false));
    if complete && cacheable {
        memory.request = Some(*request);
        memory.wanted = steps.iter().map(|id| plan.steps[*id].name.clone()).collect();
        note_world(context, plan, steps, session, summary, &mut memory);
    }
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

/// Notes every path that the steps depend on or wrote, and every question that they asked.
fn note_world(
    context: &Context,
    plan: &Plan,
    steps: &[StepId],
    session: &Session,
    summary: &Summary,
    memory: &mut Memory,
) {
    let mut paths: HashSet<String> = plan.workflow.sources.iter().map(|s| s.name.clone()).collect();
    let mut probes: HashSet<String> = plan.workflow.env.keys().map(|name| format!("env {name}")).collect();
    for &id in steps {
        let step = &plan.steps[id];
        if step.kind.uses_runtime() {
            probes.insert(format!("runtime {}", step.providers.join(",")));
        }
        for binding in &step.files {
            let sources = binding.found.iter().filter(|f| f.producer.is_none());
            paths.extend(sources.map(|f| f.path.as_str().to_owned()));
            let single = binding.found.len() == 1
                && binding.found[0].path.as_str() == binding.pattern.trim_start_matches("./");
            if binding.form == FileForm::Folder || !single {
                probes.insert(format!("files {}", binding.pattern));
            }
        }
        let bound = step.inputs.iter().flat_map(|(_, bindings)| bindings);
        paths.extend(bound.filter_map(|b| match &b.from {
            crate::plan::Source::File(path) => Some(path.as_str().to_owned()),
            _ => None,
        }));
        let outputs = summary.results.get(&id).map(|(_, o)| o.as_slice()).unwrap_or_default();
        for (port, out) in step.outputs.iter().zip(outputs) {
            let path = plan.output_path(id, port);
            if out.ty == PortType::Dir {
                let tree = session.store.tree(&out.object).unwrap_or_default();
                paths.extend(tree.files.iter().map(|f| format!("{path}/{}", f.0)));
            } else {
                paths.insert(path.as_str().to_owned());
            }
        }
    }
    let state = |path: String| {
        let stat = Stat::of(&session.index.root().stat(&path).ok()?);
        let (digest, _) = session.index.digest(&path).ok()?;
        Some((path, stat, digest))
    };
    memory.paths = paths.into_iter().filter_map(state).collect();
    memory.paths.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let host = session.host;
    memory.probes = probes.into_iter().filter_map(|p| answer(&p, context, host).map(|d| (p, d))).collect();
    memory.probes.sort_unstable();
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

/// The words of a preview for one step.
pub fn words(seen: &Preview, id: StepId) -> &'static str {
    seen.status.get(&id).map_or(Status::Runs.words(), |s| s.words())
}
