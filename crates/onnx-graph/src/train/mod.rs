//! Training as one ONNX graph: K optimizer steps inside a single `Loop` node.
//!
//! The state (parameters, optimizer buffers, running statistics) is carried by the loop; data, labels and
//! the batch order stay outside of it and are read by `Gather`, so that thousands of steps run without
//! leaving the runtime. The same file run with K = 1 again and again gives the same bits.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::model::Model;
use crate::shape::{Dim, Info};
use crate::tensor::DataType;

mod optimizer;
mod parameters;
mod record;
mod running;
mod step;
mod wrap;

pub use optimizer::{Adam, Optimizer, Sgd};
pub use parameters::{trainable, with_inputs, with_parameters};
pub use record::{Quantity, Record, Recorded};

/// From this operator set on, the supported ops mean what they mean today (`Softmax` was the last to change).
const OLDEST_OPSET: i64 = 13;

/// What to build.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What is minimised.
    pub loss: Loss,
    /// How parameters follow their gradients.
    pub optimizer: Optimizer,
    /// Rows of a batch.
    pub batch: usize,
    /// The shape of a row of data, where the model leaves sizes open.
    pub row: Option<Vec<i64>>,
    /// Every step sees all rows in their order: there is no `order`, and `batch` is their number.
    pub whole: bool,
    /// Count the rows whose label is right (not with `MeanSquaredError`).
    pub accuracy: bool,
    /// Factors on the learning rate by parameter; 1 where nothing is said, and 0 freezes it. A
    /// normalisation with frozen scale keeps its running statistics.
    pub rates: BTreeMap<String, f32>,
    /// What to record of the path.
    pub record: Option<Record>,
    /// Stop behind the first step that began where the gradient was shorter than this. With spaced
    /// recording, only recorded steps are asked.
    pub stop: Option<f32>,
}

impl Settings {
    /// Plain training with batches of `batch` rows.
    pub fn new(loss: Loss, optimizer: Optimizer, batch: usize) -> Self {
        Settings {
            loss,
            optimizer,
            batch,
            row: None,
            whole: false,
            accuracy: false,
            rates: BTreeMap::new(),
            record: None,
            stop: None,
        }
    }

    fn rate(&self, parameter: &str) -> f32 {
        self.rates.get(parameter).copied().unwrap_or(1.0)
    }
}

/// A constant of the model that changes, and how it is fed and fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Its name in the model.
    pub parameter: String,
    /// Its shape.
    pub dims: Vec<i64>,
    /// Its first values.
    pub values: Vec<f32>,
    /// Input and output that carry it.
    pub value: (String, String),
    /// Inputs and outputs that carry the optimizer's buffers, zero at first.
    pub slots: Vec<(String, String)>,
}

impl State {
    fn info(&self) -> Info {
        Info::new(DataType::Float, self.dims.iter().map(|d| Dim::Size(*d)).collect())
    }
}

/// A training graph. Inputs, besides the states: `data` [N, …] float32, `target` [N] int64 or [N, …]
/// float32 (none with losses of triplets), `order` [K, B] int64 (rows of each step's batch), `learning_rate` [K] float32, the optimizer's
/// [`Optimizer::scalars`] [K], and what [`Record`] needs. Outputs, besides the states, for each step:
/// `losses` [K] float32 before it, `right` [K] float32 with [`Settings::accuracy`], `gradients` [K] float32
/// (length before the step) with [`Settings::stop`]; and `record.…`, see [`Recorded`].
#[derive(Clone, Debug)]
pub struct Training {
    /// The graph.
    pub model: Model,
    /// The states in the order of their inputs and outputs: trained parameters, then running statistics.
    pub states: Vec<State>,
    /// How many of the states are trained parameters.
    pub trained: usize,
    /// Multiplications of one row's forward pass: what decides how many threads pay.
    pub work: u64,
    /// What is recorded.
    pub recorded: Vec<Recorded>,
}

impl Training {
    /// Elements of all trained parameters: the length P of the vectors of [`Record`].
    pub fn elements(&self) -> usize {
        self.states.iter().take(self.trained).map(|s| s.values.len()).sum()
    }
}

/// Builds the training graph of `model`, whose only input is the data and whose first output is trained.
///
/// # Errors
/// If an op cannot be differentiated, or a parameter does not reach the loss.
pub fn training(model: &Model, settings: &Settings) -> Result<Training> {
    known_operators(model)?;
    if settings.batch == 0 || !settings.batch.is_multiple_of(settings.loss.group()) {
        let group = settings.loss.group();
        return Err(Error::new(format!("a batch has {group} rows or a multiple of it, and at least one")));
    }
    let step = step::Step::build(model, settings, settings.record.as_ref())?;
    match &settings.record {
        Some(record) if record.spaced => {
            let between = step::Step::build(model, settings, None)?;
            wrap::spaced(model, settings, step, between)
        }
        _ => wrap::every(model, settings, step),
    }
}

/// The step is written in this crate's operator set: what meant something else in an older one would
/// change its meaning silently.
fn known_operators(model: &Model) -> Result<()> {
    let standard = |d: &Option<String>| matches!(d.as_deref(), None | Some("" | "ai.onnx"));
    match model.0.opset_import.iter().find(|o| standard(&o.domain)).and_then(|o| o.version) {
        Some(version) if version >= OLDEST_OPSET => Ok(()),
        found => Err(Error::new(format!(
            "the model is written in operator set {}; training needs {OLDEST_OPSET} or newer: convert it first",
            found.unwrap_or(1)
        ))),
    }
}
