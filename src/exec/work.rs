//! What a worker does with a step: find its result or execute it.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::perform::{Failed, perform};
use super::resolve::{Outputs, Resolved, Resolver};
use super::{Event, Observer};
use crate::plan::StepId;
use crate::stage::{Cancel, Digest, Failure};
use crate::store::Moment;

/// What a worker reports.
pub(super) struct Report {
    pub(super) step: StepId,
    pub(super) attempt: u64,
    pub(super) result: Result<Done, Failed>,
}

/// How a step came to its result.
pub(super) enum Done {
    Known(Digest, Outputs),
    Executed(Digest, Outputs, f64),
}

/// Key and outputs of every step that has a result.
pub(super) type Results = RwLock<HashMap<StepId, (Digest, Outputs)>>;

pub(super) fn read(results: &Results, id: StepId) -> Option<(Digest, Outputs)> {
    let guard = results.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    guard.get(&id).map(|(key, outputs)| (*key, Arc::clone(outputs)))
}

pub(super) fn write(results: &Results, id: StepId, value: (Digest, Outputs)) {
    results.write().unwrap_or_else(std::sync::PoisonError::into_inner).insert(id, value);
}

pub(super) fn remove(results: &Results, id: StepId) {
    results.write().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&id);
}

/// A worker: brings up one step after the other until there is nobody who sends more.
pub(super) fn work(
    resolver: &Resolver,
    force: &(dyn Fn(StepId) -> bool + Sync),
    jobs: &std::sync::Mutex<Receiver<(StepId, u64, Cancel)>>,
    to_loop: &Sender<Report>,
    results: &Results,
    observer: &dyn Observer,
) {
    loop {
        let job = jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
        let Ok((step, attempt, cancel)) = job else { return };
        let result = bring_up(resolver, step, attempt, force(step), results, &cancel, observer);
        if to_loop.send(Report { step, attempt, result }).is_err() {
            return;
        }
    }
}

/// Finds the step's result or executes it, under the lock of its key. `force` executes it whatever is known, and
/// looks up no part of it; another `attempt` goes on with the parts that the last one made.
fn bring_up(
    resolver: &Resolver,
    id: StepId,
    attempt: u64,
    force: bool,
    results: &Results,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<Done, Failed> {
    let again = force || attempt > 1;
    let failed = |failure: Failure| Failed { failure, log: String::new() };
    let outputs = |source: StepId| read(results, source).map(|(_, outputs)| outputs);
    let Resolved { key, manifest } = resolver.resolve(id, Moment::Now, &outputs).map_err(failed)?;
    let recall = || {
        let mut damage = |what: String| observer.event(Event::Damaged { step: id, what: &what });
        resolver.recall(id, &key, Moment::Now, &mut damage)
    };
    if !again && let Some(known) = recall() {
        return Ok(Done::Known(key, known));
    }
    let mut told = false;
    let _held = loop {
        match resolver.session.store.try_lock(&key).map_err(|e| failed(e.into()))? {
            Ok(held) => break held,
            Err(holder) => {
                // Another step of this run with the same key is no news.
                if !told && holder.pid != std::process::id().cast_signed() {
                    observer.event(Event::Waiting(id, &holder));
                }
                told = true;
                if cancel.is_cancelled() {
                    return Err(failed(Failure::cancelled()));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    };
    // Another process may have finished it between the first look and the lock.
    if (!again || told)
        && let Some(known) = recall()
    {
        return Ok(Done::Known(key, known));
    }
    observer.event(Event::Started(id));
    let resolved = Resolved { key, manifest };
    let (outputs, seconds) = perform(resolver, id, &resolved, force, &outputs, cancel, observer)?;
    Ok(Done::Executed(key, outputs, seconds))
}
