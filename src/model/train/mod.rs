//! Drives a training graph: batches in a reproducible order, many steps a call.

mod augment;
mod order;
mod schedule;

use onnx_graph::model::Model;
use onnx_graph::train::{Optimizer, State, Training, with_parameters};

pub use augment::Augment;
pub use order::{Order, Sampler};
pub use schedule::{Rates, Schedule};

use self::augment::Images;
use super::runtime::Runtime;
use super::session::{Array, Held, Session, Values};
use crate::stage::Failure;

/// Multiplications of one call into the runtime, about: some tenths of a second, so that progress shows
/// and a stop is heard.
const WORK_A_CALL: u64 = 4_000_000_000;
/// Steps of one call at most.
const STEPS_A_CALL: u64 = 4096;
/// Below so many multiplications of a forward pass a second thread costs more than it brings.
const WORK_FOR_THREADS: u64 = 8_000_000;
/// From so many multiplications of a forward pass on memory is not planned ahead: the plan's block stands beside
/// what the first step left, 1.7 GB in place of 0.9 GB for a ResNet-18 with batches of 128, and saves no time that
/// could be measured.
const WORK_WITHOUT_PLAN: u64 = 1_000_000_000;
/// Recorded elements of one call at most.
const RECORDED_A_CALL: usize = 1 << 24;
/// Values of augmented images of one call at most.
const AUGMENTED_A_CALL: usize = 1 << 24;

/// What to do.
pub struct Request<'a> {
    /// The training graph.
    pub training: &'a Training,
    /// The optimizer that it was built with.
    pub optimizer: Optimizer,
    /// Rows of data: shape of one row, and all values.
    pub data: (Vec<i64>, Vec<f32>),
    /// Targets: shape of one row (empty for labels), and all values.
    pub target: (Vec<i64>, Values),
    /// Rows of a batch.
    pub batch_size: usize,
    /// Rows that belong together: they are drawn as one.
    pub group: usize,
    /// Every step sees all rows.
    pub whole: bool,
    /// How batches are drawn.
    pub sampler: Sampler,
    /// What is done to the images of each batch; rows are then [channels, height, width].
    pub augment: Option<Augment>,
    /// Seed of the order of the rows.
    pub seed: u64,
    /// The learning rates; they know the number of steps.
    pub rates: Rates,
    /// The run pauses at the multiples of these (the ends of epochs, checkpoints); 0 for never.
    pub pauses: [usize; 2],
    /// It pauses behind these steps, too; they rise.
    pub stops: Vec<usize>,
    /// Where to go on, if not at the beginning.
    pub resume: Option<Resume>,
    /// What is recorded, if the graph records.
    pub record: Option<Recording>,
    /// The gradient's length below which the graph stops.
    pub stop: Option<f32>,
}

/// The moment behind a step, from which a run goes on as if it had never stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Resume {
    /// Steps done.
    pub step: usize,
    /// The states and the optimizer's buffers, by the names of their inputs.
    pub states: Vec<(String, Vec<f32>)>,
}

/// What a recording graph is fed, and which steps count.
pub struct Recording {
    /// The recorded steps, counted from 1, rising; empty for every step.
    pub times: Vec<usize>,
    /// Inputs by name: reference, directions, bucket, sign.
    pub inputs: Vec<(String, Array)>,
}

/// How far a run is.
pub struct Progress<'a> {
    /// Steps done.
    pub step: usize,
    /// Of so many.
    pub steps: usize,
    /// Loss of each step of the last call.
    pub losses: &'a [f32],
    /// Rows of each of these steps whose label was right; empty if the graph does not count them.
    pub right: &'a [f32],
    /// The recorded steps of the last call, and for each recorded value those of all these steps.
    pub recorded: &'a [usize],
    /// See `recorded`.
    pub values: &'a [Vec<f32>],
    /// The states now, by the names of their inputs.
    pub states: &'a [(String, Held)],
    /// The step whose loss is no number, and that loss; all else is then as before the call.
    pub lost: Option<(usize, f32)>,
    /// The gradient became short enough: this was the last call.
    pub ended: bool,
}

/// The result: the states' values in their order.
pub struct Trained {
    /// The values.
    pub parameters: Vec<Vec<f32>>,
    /// Steps done: fewer than asked for if the gradient became short enough.
    pub steps: usize,
    /// The execution provider that ran.
    pub provider: &'static str,
}

impl Trained {
    /// The model with these parameters.
    ///
    /// # Errors
    /// If they are not those of the model.
    pub fn model(&self, model: &Model, states: &[State]) -> Result<Model, Failure> {
        with_parameters(model, states, &self.parameters).map_err(|e| Failure::new(e.to_string()))
    }
}

/// Threads that pay for a step of so many rows: one for small nets, whatever was asked for.
pub fn threads(work: u64, rows: usize, asked: usize) -> usize {
    if work.saturating_mul(rows as u64) < WORK_FOR_THREADS { 1 } else { asked }
}

/// Trains; `tell` hears of every call and may stop the run.
///
/// # Errors
/// If the batches are larger than the data, the graph fails, or the loss is no number any more.
pub fn train(
    runtime: &'static Runtime,
    request: Request,
    providers: &[String],
    asked: usize,
    tell: &mut dyn FnMut(&Progress) -> Result<(), Failure>,
) -> Result<Trained, Failure> {
    let training = request.training;
    let (row, values) = request.data;
    let width = row.iter().product::<i64>().max(1) as usize;
    let rows = values.len() / width;
    if request.batch_size == 0 || rows < request.batch_size {
        return Err(Failure::new(format!(
            "a batch of {} rows does not fit into {rows} rows of data",
            request.batch_size
        ))
        .hint("lower `batch_size`"));
    }
    let threads = threads(training.work, request.batch_size, asked);
    let work = training.work.saturating_mul(request.batch_size as u64);
    let planned = work < WORK_WITHOUT_PLAN;
    let mut session = Session::for_steps(runtime, &training.model.to_bytes(), providers, threads, planned)?;
    let shaped = |row: &[i64]| std::iter::once(rows as i64).chain(row.iter().copied()).collect::<Vec<i64>>();
    let mut fixed = Vec::new();
    let images = match request.augment {
        Some(augment) => Some(Images { augment, row, values, target: request.target, seed: request.seed }),
        None => {
            fixed.push(("data".to_owned(), Held::new((shaped(&row), Values::F32(values)))?));
            let targets = (shaped(&request.target.0), request.target.1);
            fixed.push(("target".to_owned(), Held::new(targets)?));
            None
        }
    };
    let record = request.record.unwrap_or(Recording { times: Vec::new(), inputs: Vec::new() });
    let spaced = !record.times.is_empty();
    for (name, array) in record.inputs {
        fixed.push((name, Held::new(array)?));
    }
    let taken = session.inputs();
    fixed.retain(|(name, _)| taken.iter().any(|(known, ..)| known == name));
    let names = Names::of(training, request.stop.is_some());
    let most = steps_a_call(training, request.batch_size);
    let mut calls = Calls {
        steps: request.rates.steps,
        most: match &images {
            Some(_) => most.min(AUGMENTED_A_CALL / (width * request.batch_size).max(1)).max(1),
            None => most,
        },
        pauses: request.pauses,
        stops: request.stops,
        times: spaced.then_some(record.times),
        held: RECORDED_A_CALL / training.recorded.iter().map(|r| r.held).sum::<usize>().max(1),
    };
    let group = request.group.max(1);
    let mut order = Order::new(request.sampler, rows / group, request.batch_size / group, request.seed);
    let mut states = first_states(&training.states, request.resume.as_ref())?;
    let mut step = request.resume.map_or(0, |r| r.step);
    order.skip(step);
    while let Some(call) = calls.next(step) {
        let count = call.steps;
        let mut fed = Vec::new();
        if !request.whole {
            let shape = vec![count as i64, request.batch_size as i64];
            let mut rows = together(order.next(count), group);
            if let Some(images) = &images {
                for (name, array) in images.of(&rows, (step, request.batch_size))? {
                    if taken.iter().any(|(known, ..)| known == name) {
                        fed.push((name, Held::new(array)?));
                    }
                }
                rows = (0..rows.len() as i64).collect();
            }
            fed.push(("order", Held::new((shape, Values::I64(rows)))?));
        }
        let each = |f: &dyn Fn(usize) -> f32| {
            Held::new((vec![count as i64], Values::F32((step..step + count).map(f).collect())))
        };
        fed.push(("learning_rate", each(&|s| request.rates.at(s))?));
        for (i, (name, _)) in request.optimizer.scalars(1).into_iter().enumerate() {
            let value = |s: usize| request.optimizer.scalars(s as u64 + 1).get(i).map_or(0.0, |v| v.1);
            fed.push((name, each(&value)?));
        }
        if spaced {
            let gaps: Vec<i64> = call.gaps(step);
            fed.push(("segments", Held::new((vec![gaps.len() as i64], Values::I64(gaps)))?));
        }
        let mut inputs: Vec<(&str, &Held)> =
            states.iter().map(|(name, held)| (name.as_str(), held)).collect();
        inputs.extend(fixed.iter().map(|(name, held)| (name.as_str(), held)));
        inputs.extend(fed.iter().map(|(name, held)| (*name, held)));
        let mut outputs = session.run_held(&inputs, &names.outputs())?.into_iter();
        let after: Vec<Held> = outputs.by_ref().take(states.len()).collect();
        let mut numbers = Vec::new();
        for (name, held) in names.numbers.iter().zip(outputs) {
            match held.array(name)? {
                (_, Values::F32(values)) => numbers.push(values),
                (_, Values::I64(_)) => return Err(Failure::new(format!("`{name}` is not float32"))),
            }
        }
        let values = numbers.split_off(names.records);
        let losses = numbers.first().map(Vec::as_slice).unwrap_or_default();
        let done = losses.len();
        if let Some(bad) = losses.iter().position(|l| !l.is_finite()) {
            let (at, loss) = (step + bad + 1, losses[bad]);
            tell(&Progress {
                step,
                steps: calls.steps,
                losses: &[],
                right: &[],
                recorded: &[],
                values: &[],
                states: &states,
                lost: Some((at, loss)),
                ended: true,
            })?;
            return Err(
                Failure::new(format!("the loss is {loss} at step {at}")).hint("lower `learning_rate`")
            );
        }
        for ((_, held), new) in states.iter_mut().zip(after) {
            *held = new;
        }
        let recorded: Vec<usize> =
            call.recorded(step).into_iter().take_while(|t| *t <= step + done).collect();
        step += done;
        let length = numbers.last().and_then(|n| n.last());
        let ended = done < count || request.stop.zip(length).is_some_and(|(stop, length)| *length < stop);
        tell(&Progress {
            step,
            steps: calls.steps,
            losses,
            right: if names.right { numbers.get(1).map(Vec::as_slice).unwrap_or_default() } else { &[] },
            recorded: &recorded,
            values: &values,
            states: &states,
            lost: None,
            ended,
        })?;
        if ended {
            break;
        }
    }
    Ok(Trained {
        parameters: parameters(&training.states, &states)?,
        steps: step,
        provider: session.provider(),
    })
}

/// The rows of groups of `group` rows.
fn together(groups: Vec<i64>, group: usize) -> Vec<i64> {
    let group = group as i64;
    groups.into_iter().flat_map(|g| g * group..(g + 1) * group).collect()
}

/// Steps of one call: by the work of a step alone, so that a run is cut in the same places everywhere.
fn steps_a_call(training: &Training, rows: usize) -> usize {
    let work = training.work.saturating_mul(3 * rows as u64).max(1);
    (WORK_A_CALL / work).clamp(1, STEPS_A_CALL) as usize
}

/// The graph's outputs: those of the states, then numbers of each step, then what is recorded.
struct Names {
    states: Vec<String>,
    numbers: Vec<String>,
    /// Where in `numbers` what is recorded begins.
    records: usize,
    right: bool,
}

impl Names {
    fn of(training: &Training, stops: bool) -> Self {
        let states = training.states.iter();
        let states = states.flat_map(|s| std::iter::once(&s.value).chain(&s.slots)).map(|(_, to)| to.clone());
        let outputs = training.model.outputs();
        let right = outputs.iter().any(|(name, _)| name == "right");
        let mut numbers = vec!["losses".to_owned()];
        numbers.extend(right.then(|| "right".to_owned()));
        numbers.extend(stops.then(|| "gradients".to_owned()));
        let records = numbers.len();
        numbers.extend(training.recorded.iter().map(onnx_graph::train::Recorded::output));
        Names { states: states.collect(), numbers, records, right }
    }

    fn outputs(&self) -> Vec<&str> {
        self.states.iter().chain(&self.numbers).map(String::as_str).collect()
    }
}

/// Cuts a run into calls.
struct Calls {
    steps: usize,
    most: usize,
    pauses: [usize; 2],
    stops: Vec<usize>,
    times: Option<Vec<usize>>,
    /// Recorded steps of one call at most.
    held: usize,
}

/// One call: so many steps, and the recorded ones among them (with the call's last) if there are others
/// between.
struct Call {
    steps: usize,
    ends: Option<Vec<usize>>,
}

impl Calls {
    fn next(&mut self, step: usize) -> Option<Call> {
        let mut end = self.steps.min(step + self.most);
        let held = self.held.max(1);
        end = end.min(match &self.times {
            Some(times) => {
                times.get(times.partition_point(|t| *t <= step) + held - 1).copied().unwrap_or(end)
            }
            None => step + held,
        });
        for pause in self.pauses.into_iter().filter(|p| *p > 0) {
            end = end.min((step / pause + 1).saturating_mul(pause));
        }
        if let Some(stop) = self.stops.get(self.stops.partition_point(|s| *s <= step)) {
            end = end.min(*stop);
        }
        let ends = self.times.as_ref().map(|times| {
            let from = times.partition_point(|t| *t <= step);
            let to = times.partition_point(|t| *t <= end);
            let mut ends = times[from..to.max(from)].to_vec();
            if ends.last() != Some(&end) {
                ends.push(end);
            }
            ends
        });
        (end > step).then_some(Call { steps: end - step, ends })
    }
}

impl Call {
    /// For each segment the steps before its recorded one.
    fn gaps(&self, step: usize) -> Vec<i64> {
        let ends = self.ends.iter().flatten();
        let mut before = step;
        ends.map(|end| (end - std::mem::replace(&mut before, *end) - 1) as i64).collect()
    }

    /// The steps of which the graph gives values.
    fn recorded(&self, step: usize) -> Vec<usize> {
        self.ends.clone().unwrap_or_else(|| (step + 1..=step + self.steps).collect())
    }
}

/// The states that a run begins with: the model's and empty buffers, or those of an earlier moment.
fn first_states(states: &[State], resume: Option<&Resume>) -> Result<Vec<(String, Held)>, Failure> {
    let mut held = Vec::new();
    let mut push = |name: &String, dims: &[i64], first: Vec<f32>| {
        let earlier = resume.and_then(|r| r.states.iter().find(|(known, _)| known == name));
        let values = earlier.map_or(first, |(_, values)| values.clone());
        held.push((name.clone(), Held::new((dims.to_vec(), Values::F32(values)))?));
        Ok::<(), Failure>(())
    };
    for state in states {
        push(&state.value.0, &state.dims, state.values.clone())?;
        for (name, _) in &state.slots {
            push(name, &state.dims, vec![0.0; state.values.len()])?;
        }
    }
    Ok(held)
}

/// The values of `states` among those that a run holds, in their order.
///
/// # Errors
/// If one of them is not there.
pub fn parameters(states: &[State], held: &[(String, Held)]) -> Result<Vec<Vec<f32>>, Failure> {
    let value = |state: &State| {
        let found = held.iter().find(|(name, _)| *name == state.value.0);
        match found.map(|(name, held)| held.array(name)).transpose()? {
            Some((_, Values::F32(values))) => Ok(values),
            _ => Err(Failure::new(format!("the parameter `{}` was lost", state.parameter))),
        }
    };
    states.iter().map(value).collect()
}
