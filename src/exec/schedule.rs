//! The loop: start what is ready, wait for what ends, until nothing is left.
//!
//! A step goes `waiting → ready → running → done | failed`, or `waiting → blocked` when one before it
//! failed. Only this thread changes states; workers execute steps and report back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use super::perform::Failed;
use super::resolve::{Outputs, Resolver};
use super::restore::restore_outputs;
use super::work::{Done, Report, Results, read, remove, work, write};
use super::{Event, FailedSteps, Observer, Preview};
use crate::plan::StepId;
use crate::stage::{Cancel, Digest, Failure};
use crate::store::Moment;

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Steps (or threads of steps) at once.
    pub jobs: usize,
    /// After a failure, go on with what does not depend on it.
    pub keep_going: bool,
    /// Amounts of named resources.
    pub resources: BTreeMap<String, f64>,
}

/// How a run ended.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Steps that were executed, in the order of their end.
    pub executed: Vec<StepId>,
    /// Steps whose result was known.
    pub cached: Vec<StepId>,
    /// Steps that failed.
    pub failed: Vec<StepId>,
    /// Steps that could not run because one before them failed.
    pub blocked: Vec<StepId>,
    /// True if the run was stopped.
    pub cancelled: bool,
    /// Key and outputs of every step that has a result.
    pub results: HashMap<StepId, (Digest, Outputs)>,
}

/// Brings `steps` (in order, with all that they read) up to date. `force` names steps that are
/// executed whatever is known.
pub fn run(
    resolver: &Resolver,
    steps: &[StepId],
    preview: Preview,
    force: &(dyn Fn(StepId) -> bool + Sync),
    options: &Options,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Summary {
    let Preview { cached, guessed, assumed, .. } = preview;
    let results: Results = RwLock::new(cached);
    std::thread::scope(|scope| {
        let (to_workers, jobs) = channel::<(StepId, u64, Cancel)>();
        let jobs = Arc::new(std::sync::Mutex::new(jobs));
        let (to_loop, reports) = channel::<Report>();
        let mut state = Loop::new(resolver, steps, options, &results, observer);
        (state.guessed, state.assumed) = (guessed, assumed);
        for number in 0..options.jobs.max(1) {
            let (jobs, to_loop, results) = (Arc::clone(&jobs), to_loop.clone(), &results);
            let work = move || work(resolver, force, &jobs, &to_loop, results, observer);
            match (std::thread::Builder::new().spawn_scoped(scope, work), number) {
                (Ok(_), _) => {}
                (Err(error), 0) => state.refuse(&format!("cannot start a thread: {error}")),
                // Fewer threads do the same work.
                (Err(_), _) => break,
            }
        }
        state.run(&to_workers, &reports, cancel);
        state.summary
    })
    .with_results(results)
}

impl Summary {
    fn with_results(mut self, results: Results) -> Self {
        self.results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        self
    }
}

struct Running {
    cancel: Cancel,
    slots: usize,
    deadline: Option<Instant>,
    timed_out: bool,
}

struct Loop<'a> {
    resolver: &'a Resolver<'a>,
    options: &'a Options,
    results: &'a Results,
    /// What the plan guessed, and which keys hold if it guessed right.
    guessed: HashMap<StepId, Outputs>,
    assumed: HashMap<StepId, Digest>,
    observer: &'a dyn Observer,
    waiting: HashMap<StepId, usize>,
    downstream: HashMap<StepId, Vec<StepId>>,
    ready: BTreeSet<(usize, StepId)>,
    place: HashMap<StepId, usize>,
    running: HashMap<StepId, Running>,
    free: usize,
    resources: BTreeMap<String, f64>,
    stopping: bool,
    failures: FailedSteps,
    summary: Summary,
}

impl<'a> Loop<'a> {
    fn new(
        resolver: &'a Resolver,
        steps: &[StepId],
        options: &'a Options,
        results: &'a Results,
        observer: &'a dyn Observer,
    ) -> Self {
        let mut state = Loop {
            resolver,
            options,
            results,
            guessed: HashMap::new(),
            assumed: HashMap::new(),
            observer,
            waiting: HashMap::with_capacity(steps.len()),
            downstream: HashMap::with_capacity(steps.len()),
            ready: BTreeSet::new(),
            place: steps.iter().enumerate().map(|(place, id)| (*id, place)).collect(),
            running: HashMap::new(),
            free: options.jobs.max(1),
            resources: options.resources.clone(),
            stopping: false,
            failures: FailedSteps::open(resolver.plan),
            summary: Summary::default(),
        };
        for &id in steps {
            if read(results, id).is_some() {
                if !state.restore(id, Moment::First) {
                    remove(results, id);
                }
                continue;
            }
            let open = resolver.plan.steps[id].upstream.iter().filter(|s| read(results, **s).is_none());
            let mut count = 0;
            for &source in open {
                state.downstream.entry(source).or_default().push(id);
                count += 1;
            }
            state.waiting.insert(id, count);
            if count == 0 {
                state.ready.insert((state.place[&id], id));
            }
        }
        state
    }

    fn run(&mut self, workers: &Sender<(StepId, u64, Cancel)>, reports: &Receiver<Report>, cancel: &Cancel) {
        loop {
            if cancel.is_cancelled() && !self.summary.cancelled {
                self.summary.cancelled = true;
                self.stopping = true;
                self.running.values().for_each(|r| r.cancel.cancel());
            }
            if !self.stopping {
                self.start_ready(workers);
            }
            if self.running.is_empty() {
                break;
            }
            let patience = self.running.values().filter_map(|r| r.deadline).min();
            let patience = patience.map_or(Duration::from_millis(50), |d| {
                d.saturating_duration_since(Instant::now()).min(Duration::from_millis(50))
            });
            match reports.recv_timeout(patience) {
                Ok(report) => self.end(report, workers),
                Err(RecvTimeoutError::Timeout) => self.stop_late(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let mut left: Vec<StepId> = self.waiting.keys().copied().collect();
        left.sort_by_key(|id| self.place[id]);
        for id in left {
            if !self.summary.failed.contains(&id) && !self.summary.blocked.contains(&id) {
                self.summary.blocked.push(id);
                if !self.summary.cancelled {
                    self.observer.event(Event::Blocked(id));
                }
            }
        }
    }

    /// Starts every ready step for which slots and resources are free.
    fn start_ready(&mut self, workers: &Sender<(StepId, u64, Cancel)>) {
        let candidates: Vec<(usize, StepId)> =
            self.ready.iter().copied().take(self.free.max(1) * 64).collect();
        for (place, id) in candidates {
            if self.free == 0 {
                break;
            }
            let options = &self.resolver.plan.steps[id].options;
            let slots =
                usize::try_from(options.threads.unwrap_or(1)).unwrap_or(1).min(self.options.jobs.max(1));
            if slots > self.free || !self.fits(id) {
                continue;
            }
            self.ready.remove(&(place, id));
            self.free -= slots;
            self.take(id, -1.0);
            let cancel = Cancel::default();
            let deadline = options.timeout.map(|t| Instant::now() + t);
            self.running.insert(id, Running { cancel: cancel.clone(), slots, deadline, timed_out: false });
            let _ = workers.send((id, 1, cancel));
        }
    }

    fn fits(&self, id: StepId) -> bool {
        self.resolver.plan.steps[id].options.resources.iter().all(|(name, amount)| {
            let total = self.options.resources.get(name).copied().unwrap_or(f64::INFINITY);
            let free = self.resources.get(name).copied().unwrap_or(f64::INFINITY);
            // A step that asks for more than there is runs alone rather than never.
            *amount <= free + 1e-9 || (*amount > total && free >= total - 1e-9)
        })
    }

    fn take(&mut self, id: StepId, sign: f64) {
        for (name, amount) in &self.resolver.plan.steps[id].options.resources {
            if let (Some(free), Some(total)) =
                (self.resources.get_mut(name), self.options.resources.get(name))
            {
                *free += sign * amount.min(*total);
            }
        }
    }

    fn stop_late(&mut self) {
        let now = Instant::now();
        for running in self.running.values_mut().filter(|r| r.deadline.is_some_and(|d| d <= now)) {
            running.timed_out = true;
            running.deadline = None;
            running.cancel.cancel();
        }
    }

    fn end(&mut self, report: Report, workers: &Sender<(StepId, u64, Cancel)>) {
        let Report { step: id, attempt, result } = report;
        let options = &self.resolver.plan.steps[id].options;
        let timed_out = self.running.get(&id).is_some_and(|r| r.timed_out);
        let result = match result {
            Err(failed) if timed_out => {
                let seconds = options.timeout.unwrap_or_default().as_secs_f64();
                let failure = Failure::new(format!("stopped after its timeout of {seconds} s"))
                    .hint("raise `timeout`, or give it less to do");
                Err(Failed { failure, log: failed.log })
            }
            other => other,
        };
        if let Err(failed) = &result
            && !failed.failure.cancelled
            && attempt <= options.retries.unwrap_or(0)
            && !self.stopping
        {
            self.observer.event(Event::Retrying {
                step: id,
                attempt: attempt + 1,
                message: &failed.failure.message,
            });
            let cancel = Cancel::default();
            if let Some(running) = self.running.get_mut(&id) {
                running.cancel = cancel.clone();
                running.timed_out = false;
                running.deadline = options.timeout.map(|t| Instant::now() + t);
            }
            let _ = workers.send((id, attempt + 1, cancel));
            return;
        }
        if let Some(running) = self.running.remove(&id) {
            self.free += running.slots;
            self.take(id, 1.0);
        }
        self.waiting.remove(&id);
        match result {
            Ok(Done::Known(key, outputs)) => {
                write(self.results, id, (key, outputs));
                if self.restore(id, Moment::Now) {
                    self.release(id);
                } else {
                    remove(self.results, id);
                }
            }
            Ok(Done::Executed(key, outputs, seconds)) => {
                let before = self.resolver.memory.last(&self.resolver.plan.steps[id].name);
                let same = |b: &Outputs| {
                    b.len() == outputs.len()
                        && b.iter().zip(outputs.iter()).all(|(x, y)| x.content() == y.content())
                };
                let unchanged = before.as_ref().is_some_and(same);
                write(self.results, id, (key, outputs));
                self.failures.clear(&self.resolver.plan.steps[id].name);
                self.summary.executed.push(id);
                self.observer.event(Event::Executed { step: id, seconds, unchanged });
                self.release(id);
            }
            Err(failed) => self.fail(id, &failed),
        }
    }

    /// Nothing can run: the first step that was to run fails, and with it all.
    fn refuse(&mut self, message: &str) {
        if let Some((_, id)) = self.ready.first().copied() {
            self.fail(id, &Failed { failure: Failure::new(message), log: String::new() });
        }
        self.stopping = true;
    }

    fn fail(&mut self, id: StepId, failed: &Failed) {
        if failed.failure.cancelled {
            self.observer.event(Event::Stopped(id));
            self.summary.blocked.push(id);
            return;
        }
        self.summary.failed.push(id);
        // A project that cannot be written loses the log, not the run.
        let _ = self.failures.keep(&self.resolver.plan.steps[id].name, &failed.failure, &failed.log);
        let Failure { message, hint, .. } = &failed.failure;
        self.observer.event(Event::Failed { step: id, message, hint: hint.as_deref(), log: &failed.log });
        if !self.options.keep_going {
            self.stopping = true;
        }
    }

    /// A known result: its outputs appear in the project if they are not there. If they cannot, the step
    /// failed, and nothing may run on what stands in their place.
    fn restore(&mut self, id: StepId, moment: Moment) -> bool {
        let Some((_, outputs)) = read(self.results, id) else { return false };
        match restore_outputs(self.resolver, id, &outputs, moment) {
            Ok(()) => {
                self.failures.clear(&self.resolver.plan.steps[id].name);
                self.summary.cached.push(id);
                self.observer.event(Event::Cached(id));
                true
            }
            Err(failure) => {
                self.fail(id, &Failed { failure, log: String::new() });
                false
            }
        }
    }

    /// The steps behind a finished one become ready, or are known at once: not by recursion, for a chain
    /// may be long.
    fn release(&mut self, id: StepId) {
        let mut finished = vec![id];
        while let Some(id) = finished.pop() {
            for next in self.downstream.remove(&id).unwrap_or_default() {
                let Some(count) = self.waiting.get_mut(&next) else { continue };
                *count -= 1;
                if *count > 0 {
                    continue;
                }
                let Some(known) = self.as_guessed(next) else {
                    self.ready.insert((self.place[&next], next));
                    continue;
                };
                self.waiting.remove(&next);
                write(self.results, next, known);
                if self.restore(next, Moment::First) {
                    finished.push(next);
                } else {
                    remove(self.results, next);
                }
            }
        }
    }

    /// Key and outputs of a step that the plan found known if those before it give what they gave the last
    /// time, and they did.
    fn as_guessed(&self, id: StepId) -> Option<(Digest, Outputs)> {
        let (key, outputs) = (self.assumed.get(&id)?, self.guessed.get(&id)?);
        let right = |source: &StepId| {
            let now = read(self.results, *source).map(|(_, outputs)| outputs);
            // What the plan did not have to guess it knew.
            now.is_some_and(|now| self.guessed.get(source).is_none_or(|guess| *guess == now))
        };
        self.resolver.plan.steps[id].upstream.iter().all(right).then(|| (*key, Arc::clone(outputs)))
    }
}
