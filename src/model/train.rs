//! Drives a training graph: batches in a reproducible order, many steps a call.

use std::collections::BTreeMap;

use onnx_graph::model::Model;
use onnx_graph::random::Random;
use onnx_graph::train::{State, Training, with_parameters};
use serde::{Deserialize, Serialize};

use super::runtime::Runtime;
use super::session::{Array, Session, Values};
use crate::stage::Failure;

/// Steps of one call into the runtime, so that progress shows and a stop is heard.
const STEPS_A_CALL: usize = 256;

/// How the learning rate changes over the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It falls to zero along half a cosine.
    Cosine,
}

/// What to do.
pub struct Request<'a> {
    /// The training graph.
    pub training: &'a Training,
    /// Rows of data: shape of one row, and all values.
    pub data: (Vec<i64>, Vec<f32>),
    /// Targets: shape of one row (empty for labels), and all values.
    pub target: (Vec<i64>, Values),
    /// Rows of a batch; a last batch with fewer rows is left out of each epoch.
    pub batch_size: usize,
    /// Passes over the data.
    pub epochs: usize,
    /// The learning rate at the beginning.
    pub learning_rate: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// Seed of the order of the rows: each epoch is a new permutation.
    pub seed: u64,
}

/// How far a run is.
pub struct Progress<'a> {
    /// Steps done.
    pub step: usize,
    /// Of so many.
    pub steps: usize,
    /// Loss of each step of the last call.
    pub losses: &'a [f32],
    /// Parameters now, in the order of the states; only at the end of an epoch.
    pub epoch: Option<(usize, &'a [Vec<f32>])>,
}

/// The result: parameters in the order of the states.
pub struct Trained {
    /// The parameters.
    pub parameters: Vec<Vec<f32>>,
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

/// Trains; `tell` hears of every call and may stop the run.
///
/// # Errors
/// If the batches are larger than the data, the graph fails, or the loss is no number any more.
pub fn train(
    runtime: &'static Runtime,
    request: &Request,
    providers: &[String],
    threads: usize,
    tell: &mut dyn FnMut(&Progress) -> Result<(), Failure>,
) -> Result<Trained, Failure> {
    let rows = request.data.1.len() / request.data.0.iter().product::<i64>().max(1) as usize;
    let batches = rows / request.batch_size.max(1);
    if batches == 0 {
        return Err(Failure::new(format!(
            "a batch of {} rows does not fit into {rows} rows of data",
            request.batch_size
        ))
        .hint("lower `batch_size`"));
    }
    let steps = batches * request.epochs;
    let mut session = Session::new(runtime, &request.training.model.to_bytes(), providers, threads)?;
    let mut state = first_state(&request.training.states);
    let mut random = Random::new(request.seed);
    let shaped = |row: &[i64]| std::iter::once(rows as i64).chain(row.iter().copied()).collect::<Vec<i64>>();
    let mut step = 0;
    for epoch in 1..=request.epochs {
        let order = random.permutation(rows);
        for chunk in order[..batches * request.batch_size].chunks(STEPS_A_CALL * request.batch_size) {
            let count = chunk.len() / request.batch_size;
            let rates = (step..step + count).map(|s| rate(request, s, steps)).collect();
            let mut inputs: Vec<(String, Array)> = state.into_iter().collect();
            let order: Vec<i64> = chunk.iter().map(|r| *r as i64).collect();
            inputs.push(("data".to_owned(), (shaped(&request.data.0), Values::F32(request.data.1.clone()))));
            inputs.push(("target".to_owned(), (shaped(&request.target.0), request.target.1.clone())));
            inputs.push((
                "order".to_owned(),
                (vec![count as i64, request.batch_size as i64], Values::I64(order)),
            ));
            inputs.push(("learning_rate".to_owned(), (vec![count as i64], Values::F32(rates))));
            let mut outputs = session.run(inputs)?;
            let losses = match outputs.remove("losses") {
                Some((_, Values::F32(losses))) => losses,
                _ => return Err(Failure::new("the training graph gave no losses")),
            };
            if let Some(bad) = losses.iter().position(|l| !l.is_finite()) {
                return Err(Failure::new(format!(
                    "the loss is no number any more at step {}",
                    step + bad + 1
                ))
                .hint("lower `learning_rate`"));
            }
            state = next_state(&request.training.states, outputs)?;
            step += count;
            tell(&Progress { step, steps, losses: &losses, epoch: None })?;
        }
        let parameters = parameters(&request.training.states, &state)?;
        tell(&Progress { step, steps, losses: &[], epoch: Some((epoch, &parameters)) })?;
    }
    Ok(Trained { parameters: parameters(&request.training.states, &state)?, provider: session.provider() })
}

fn rate(request: &Request, step: usize, steps: usize) -> f32 {
    let factor = match request.schedule {
        Schedule::Constant => 1.0,
        Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos()),
    };
    (request.learning_rate * factor) as f32
}

type Carried = BTreeMap<String, Array>;

fn first_state(states: &[State]) -> Carried {
    let mut carried = Carried::new();
    for state in states {
        carried.insert(state.value.0.clone(), (state.dims.clone(), Values::F32(state.values.clone())));
        if let Some((name, _)) = &state.velocity {
            carried.insert(name.clone(), (state.dims.clone(), Values::F32(vec![0.0; state.values.len()])));
        }
    }
    carried
}

fn next_state(states: &[State], mut outputs: BTreeMap<String, Array>) -> Result<Carried, Failure> {
    let names = states.iter().flat_map(|s| std::iter::once(&s.value).chain(&s.velocity));
    let mut carried = Carried::new();
    for (input, output) in names {
        let array = outputs
            .remove(output)
            .ok_or_else(|| Failure::new(format!("the training graph gave no `{output}`")))?;
        carried.insert(input.clone(), array);
    }
    Ok(carried)
}

fn parameters(states: &[State], carried: &Carried) -> Result<Vec<Vec<f32>>, Failure> {
    let value = |state: &State| match carried.get(&state.value.0) {
        Some((_, Values::F32(values))) => Ok(values.clone()),
        _ => Err(Failure::new(format!("the parameter `{}` was lost", state.parameter))),
    };
    states.iter().map(value).collect()
}
