//! Executes one step and records what it made.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::resolve::{Outputs, Resolved, Resolver};
use super::{Event, Observer, Session};
use crate::plan::{Source, StepId};
use crate::stage::{
    Bound, Cancel, Chunks, Digest, Facts, Failure, FileIn, Io, Made, Port, PortType, Progress,
};
use crate::store::{Output, Record};

/// Results of steps that took longer are synced to disk at once. Shorter ones are left to the system:
/// a power cut costs less than the sync, and what it damages is found by its digest.
const WORTH_A_SYNC: Duration = Duration::from_secs(1);
/// More of what a step prints is dropped from its middle.
const LOG_BYTES: usize = 256 << 10;

/// A failed try.
pub(super) struct Failed {
    pub(super) failure: Failure,
    pub(super) log: String,
}

/// Executes a step whose upstream results are all in `outputs`, and keeps its record. `afresh` looks up nothing
/// that was made before.
pub(super) fn perform(
    resolver: &Resolver,
    id: StepId,
    resolved: &Resolved,
    afresh: bool,
    upstream: &dyn Fn(StepId) -> Option<Outputs>,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<(Outputs, f64), Failed> {
    let progress = StepProgress { step: id, observer, log: Mutex::default(), last: Mutex::new(None) };
    let chunks = KeptChunks { session: resolver.session, afresh };
    let around = Around { cancel, progress: &progress, chunks: &chunks };
    let result = execute(resolver, id, resolved, upstream, resolver.session, &around);
    let log = progress.log.into_inner().unwrap_or_else(PoisonError::into_inner);
    match result {
        Ok((outputs, seconds, notes)) => {
            let kept = super::steady::check(resolver, id, resolved, upstream)
                .and_then(|()| keep_record(resolver, id, resolved, &outputs, seconds, notes, &log));
            match kept {
                Ok(()) => {
                    resolver.session.store.drop_checkpoints(&resolved.key);
                    Ok((outputs, seconds))
                }
                Err(failure) => Err(Failed { failure, log }),
            }
        }
        Err(failure) => Err(Failed { failure, log }),
    }
}

/// Outputs, seconds and notes of an executed step.
pub(super) type Executed = (Outputs, f64, BTreeMap<String, serde_json::Value>);

/// What a running step is in touch with.
pub(super) struct Around<'a> {
    pub(super) cancel: &'a Cancel,
    pub(super) progress: &'a dyn Progress,
    pub(super) chunks: &'a dyn Chunks,
}

/// Runs the kind on the project's inputs; what it makes is kept in `into`, the project or a copy of it.
pub(super) fn execute(
    resolver: &Resolver,
    id: StepId,
    resolved: &Resolved,
    outputs: &dyn Fn(StepId) -> Option<Outputs>,
    into: &Session,
    around: &Around,
) -> Result<Executed, Failure> {
    let step = &resolver.plan.steps[id];
    let key = &resolved.key;
    let writes_in_project = step.outputs.iter().any(|p| p.path.is_some());
    let scratch = if writes_in_project { None } else { Some(into.store.scratch(key)?) };
    for path in step.outputs.iter().filter_map(|p| p.path.as_deref()) {
        into.index.root().remove(path)?;
        into.index.root().parent(path)?;
    }
    let mut io = Io {
        inputs: bound(resolver, id, outputs)?,
        files: named_files(resolver, id),
        root: into.root.clone(),
        scratch: scratch.as_ref().map_or_else(|| into.root.clone(), |s| s.path().to_owned()),
        checkpoints: into.store.checkpoints(key),
        chunks: around.chunks,
        beside_rows: step.kind.row_wise().map_or(*key, |port| resolved.manifest.without(port).key()),
        threads: usize::try_from(step.options.threads.unwrap_or(1)).unwrap_or(1),
        providers: step.providers.clone(),
        library: match into.host {
            Some(host) if step.kind.uses_runtime() => Some(host.library()?),
            _ => None,
        },
        env: resolver.env(id).into_iter().collect(),
        progress: around.progress,
        cancel: around.cancel.clone(),
        made: BTreeMap::new(),
        notes: BTreeMap::new(),
    };
    let begun = Instant::now();
    let ran = catch_unwind(AssertUnwindSafe(|| step.kind.run(&step.params, &mut io)));
    match ran {
        Ok(result) => result?,
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            let message = format!(
                "`{}` stopped at an internal error: {}",
                step.kind.name(),
                text.unwrap_or("no message")
            );
            return Err(
                Failure::new(message).hint("this is a mistake in sulcus: please report it with the workflow")
            );
        }
    }
    let elapsed = begun.elapsed();
    let outputs = keep_outputs(resolver, id, &io.made, into, elapsed >= WORTH_A_SYNC)?;
    Ok((Arc::new(outputs), elapsed.as_secs_f64(), io.notes))
}

/// The artefacts bound to the step's ports, where their bytes are.
fn bound(
    resolver: &Resolver,
    id: StepId,
    outputs: &dyn Fn(StepId) -> Option<Outputs>,
) -> Result<BTreeMap<String, Vec<Bound>>, Failure> {
    let plan = resolver.plan;
    let mut all = BTreeMap::new();
    for (port, bindings) in &plan.steps[id].inputs {
        let mut list = Vec::with_capacity(bindings.len());
        for binding in bindings {
            let (path, facts) = match &binding.from {
                Source::File(path) => (path.below(&plan.root), Facts::Opaque),
                Source::Url(url, digest) => {
                    (super::download::fetch(resolver.session, url, digest)?, Facts::Opaque)
                }
                Source::Step(source, name) => {
                    let found = outputs(*source).and_then(|o| o.iter().find(|o| o.port == *name).cloned());
                    let out = found.ok_or_else(|| {
                        Failure::new(format!("`{}` has no output `{name}`", plan.steps[*source].name))
                    })?;
                    (artefact(resolver, *source, &out), out.facts)
                }
            };
            list.push(Bound { path, facts, axes: binding.axes.clone() });
        }
        all.insert(port.clone(), list);
    }
    Ok(all)
}

/// Where an output's bytes are: in the store, or in the project if the store does not keep it as one file.
fn artefact(resolver: &Resolver, source: StepId, out: &Output) -> PathBuf {
    let plan = resolver.plan;
    let step = &plan.steps[source];
    let in_project = step.options.cache == Some(false) || out.ty == PortType::Dir;
    match step.outputs.iter().find(|p| p.name == out.port).filter(|_| in_project) {
        Some(port) => plan.output_path(source, port).below(&plan.root),
        None => resolver.session.store.object(&out.object),
    }
}

fn named_files(resolver: &Resolver, id: StepId) -> BTreeMap<String, Vec<FileIn>> {
    let plan = resolver.plan;
    let named = plan.steps[id].files.iter().map(|binding| {
        let files = binding
            .found
            .iter()
            .map(|file| FileIn { name: binding.name_of(file).to_owned(), path: file.path.below(&plan.root) });
        (binding.param.clone(), files.collect())
    });
    named.collect()
}

/// Moves what the step made into the store, and checks that it made everything.
fn keep_outputs(
    resolver: &Resolver,
    id: StepId,
    made: &BTreeMap<String, Made>,
    session: &Session,
    durable: bool,
) -> Result<Vec<Output>, Failure> {
    let plan = resolver.plan;
    let step = &plan.steps[id];
    let mut outputs = Vec::with_capacity(step.outputs.len());
    for port in &step.outputs {
        let (object, bytes, ty, facts) = if let Some(path) = port.path.as_deref() {
            let (ty, object, bytes) = keep_path(session, path, durable)?;
            (object, bytes, ty, Facts::Opaque)
        } else {
            let made = made.get(&port.name).ok_or_else(|| {
                Failure::new(format!("`{}` did not make its output `{}`", step.kind.name(), port.name))
            })?;
            let (object, bytes) = keep_made(resolver, id, port, made, session, durable)?;
            (object, bytes, port.ty, made.facts.clone())
        };
        outputs.push(Output { port: port.name.clone(), ty, object, bytes, facts });
    }
    if step.options.cache != Some(false) {
        for (port, out) in step.outputs.iter().zip(&outputs).filter(|(p, _)| p.path.is_none()) {
            let path = plan.output_path(id, port);
            session.store.place(&out.object, out.bytes, path.as_str(), false, &session.index)?;
        }
    }
    Ok(outputs)
}

fn keep_made(
    resolver: &Resolver,
    id: StepId,
    port: &Port,
    made: &Made,
    session: &Session,
    durable: bool,
) -> Result<(Digest, u64), Failure> {
    if resolver.plan.steps[id].options.cache == Some(false) {
        let path = resolver.plan.output_path(id, port);
        session.index.root().remove(path.as_str())?;
        session.index.root().parent(path.as_str())?;
        let full = path.below(&session.root);
        crate::fs::Context::at(
            std::fs::rename(&made.path, &full).or_else(|_| std::fs::copy(&made.path, &full).map(drop)),
            "write",
            &full,
        )?;
        let (digest, stat) = session.index.digest(path.as_str())?;
        return Ok((digest, stat.size));
    }
    Ok(session.store.take(&made.path, &session.index, durable)?)
}

/// Keeps what a command wrote at a path of the project.
fn keep_path(session: &Session, path: &str, durable: bool) -> Result<(PortType, Digest, u64), Failure> {
    let Some(stat) = session.index.root().stat_nofollow(path) else {
        return Err(Failure::new(format!("the command did not write `{path}`"))
            .hint("`writes` lists what the command makes"));
    };
    if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() {
        let (digest, bytes) = session.store.adopt_folder(path, &session.index, durable)?;
        return Ok((PortType::Dir, digest, bytes));
    }
    let (digest, bytes) = session.store.adopt(path, &session.index, durable)?;
    Ok((PortType::File, digest, bytes))
}

fn keep_record(
    resolver: &Resolver,
    id: StepId,
    resolved: &Resolved,
    outputs: &Outputs,
    seconds: f64,
    notes: BTreeMap<String, serde_json::Value>,
    log: &str,
) -> Result<(), Failure> {
    let step = &resolver.plan.steps[id];
    if step.options.cache == Some(false) {
        return Ok(());
    }
    let record = Record {
        step: step.name.clone(),
        manifest: resolved.manifest.text(),
        outputs: outputs.to_vec(),
        seconds,
        finished: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        notes: notes.into_iter().collect(),
        log: log.to_owned(),
    };
    Ok(resolver.session.store.keep_record(&resolved.key, &record)?)
}

/// Chunks in the store of a session.
struct KeptChunks<'a> {
    session: &'a Session<'a>,
    /// Finds none of them.
    afresh: bool,
}

impl Chunks for KeptChunks<'_> {
    fn find(&self, key: &Digest) -> Option<PathBuf> {
        let session = self.session;
        if self.afresh { None } else { session.store.chunk(key, &session.index) }
    }

    fn keep(&self, key: &Digest, file: &Path) {
        // What is not kept is made again.
        let _ = self.session.store.keep_chunk(key, file, &self.session.index);
    }
}

/// Passes a step's progress on, at most some thirty times a second, and gathers its log.
struct StepProgress<'a> {
    step: StepId,
    observer: &'a dyn Observer,
    log: Mutex<String>,
    last: Mutex<Option<Instant>>,
}

impl StepProgress<'_> {
    fn is_due(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|at| at.elapsed() >= Duration::from_millis(33));
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

impl Progress for StepProgress<'_> {
    fn advance(&self, unit: &str, done: u64, total: Option<u64>) {
        if total == Some(done) || self.is_due() {
            self.observer.event(Event::Advanced { step: self.step, unit, done, total });
        }
    }

    fn metric(&self, name: &str, value: f64) {
        self.observer.event(Event::Metric { step: self.step, name, value });
    }

    fn log(&self, line: &str) {
        self.observer.event(Event::Said { step: self.step, line });
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(line);
        log.push('\n');
        if log.len() > LOG_BYTES {
            let half = |at: usize, log: &str| {
                (at..log.len()).find(|i| log.is_char_boundary(*i)).unwrap_or(log.len())
            };
            let (head, tail) = (half(LOG_BYTES / 4, &log), half(log.len() - LOG_BYTES / 2, &log));
            *log = format!("{}\n…\n{}", &log[..head], &log[tail..]);
        }
    }
}
