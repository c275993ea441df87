//! Parameters of `model.train`.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use onnx_graph::loss::Loss as GraphLoss;
use onnx_graph::train::{Adam, Optimizer as GraphOptimizer, Sgd};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::facts;
use super::trajectory::Record;
use crate::model::{Augment, Sampler, Schedule};
use crate::stage::{Complaint, Failure, TableFacts};

/// What is minimised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Softmax cross-entropy; targets are class indices.
    #[default]
    CrossEntropy,
    /// Mean squared error; targets are numbers or tensors.
    MeanSquaredError,
    /// Rows come in threes, two that were judged alike and then the odd one; there are no targets. Mean of
    /// −log softmax over the three pairs' products of outputs, at the first pair.
    OddOneOut,
    /// Rows come in threes: an anchor, one like it, one unlike it; there are no targets. Mean of
    /// max(0, distance to the first − distance to the second + `margin`).
    Triplet,
}

/// Each is an output of the stage.
const MOST_CHECKPOINTS: usize = 1_000;
/// torch's.
const MARGIN: f64 = 1.0;

impl Loss {
    /// The loss of a graph; `margin` is that of triplets.
    pub fn graph(self, margin: f64) -> GraphLoss {
        match self {
            Loss::CrossEntropy => GraphLoss::CrossEntropy,
            Loss::MeanSquaredError => GraphLoss::MeanSquaredError,
            Loss::OddOneOut => GraphLoss::OddOneOut,
            Loss::Triplet => GraphLoss::Triplet { margin: margin as f32 },
        }
    }

    /// Is each row held against a target?
    pub fn has_targets(self) -> bool {
        self.graph(MARGIN).has_targets()
    }
}

/// How parameters follow their gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Stochastic gradient descent.
    #[default]
    Sgd,
    /// Adam.
    Adam,
    /// Adam with decoupled weight decay.
    AdamW,
}

/// Rows of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum BatchSize {
    /// So many.
    Rows(usize),
    /// `all`: every step sees all rows.
    Whole(Whole),
}

/// All rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Whole {
    /// All rows.
    All,
}

/// When to stop early.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Stop behind the first step that began where the gradient of what is minimised (weight decay
    /// included) was shorter than this.
    pub gradient_norm: f64,
}

/// Parameters of `model.train`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Column that feeds the model; if not given `input`, else the only tensor column.
    #[serde(default)]
    pub input: Option<String>,
    /// Column with the targets; if not given the first of label, labels, target, class.
    #[serde(default)]
    pub target: Option<String>,
    /// What is minimised.
    #[serde(default)]
    pub loss: Loss,
    /// By how much the unlike row of a triplet is to be farther away; 1 if not given (`triplet`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// Passes over the data; or say `steps`.
    #[serde(default)]
    pub epochs: Option<usize>,
    /// Optimizer steps; or say `epochs`.
    #[serde(default)]
    pub steps: Option<usize>,
    /// Rows of a batch, or `all`. A last batch with fewer rows is left out of each epoch.
    #[serde(default = "thirty_two")]
    pub batch_size: BatchSize,
    /// How batches are drawn: `epoch` (each epoch visits the rows in a new order), `replacement` (each row
    /// is drawn from all rows) or `subset` (each batch is a fresh subset of the rows).
    #[serde(default)]
    pub sampler: Sampler,
    /// Shift and mirror the images of each batch; `validation` is measured on plain ones.
    #[serde(default)]
    pub augment: Option<Augment>,
    /// How parameters follow their gradients.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// The learning rate (at the beginning, if it is scheduled).
    pub learning_rate: f64,
    /// How the learning rate changes over the run.
    #[serde(default)]
    pub schedule: Schedule,
    /// Steps over which the learning rate first rises in equal parts.
    #[serde(default)]
    pub warmup: usize,
    /// Momentum of the velocity, 0 to below 1 (`sgd`).
    #[serde(default)]
    pub momentum: f64,
    /// What the gradient loses on its way into the velocity, 0 to 1 (`sgd`).
    #[serde(default)]
    pub dampening: f64,
    /// Look ahead along the velocity; needs momentum (`sgd`).
    #[serde(default)]
    pub nesterov: bool,
    /// How long the mean gradient and the mean square remember (`adam`, `adamw`).
    #[serde(default = "betas")]
    pub betas: [f64; 2],
    /// Keeps the denominator from zero (`adam`, `adamw`).
    #[serde(default = "epsilon")]
    pub epsilon: f64,
    /// Pull of the weights towards zero.
    #[serde(default)]
    pub weight_decay: f64,
    /// Parameters that stay as they are: patterns such as `conv*` or `layer1.**`.
    #[serde(default)]
    pub freeze: Vec<String>,
    /// Factors on the learning rate by pattern; of several that fit, the last holds.
    #[serde(default)]
    pub learning_rates: IndexMap<String, f64>,
    /// Seed of the batches.
    #[serde(default)]
    pub seed: u64,
    /// What to record of the path: see `trajectory`.
    #[serde(default)]
    pub record: Option<Record>,
    /// When to stop early.
    #[serde(default)]
    pub stop: Option<Stop>,
    /// Steps, rising, behind which the model is kept as an output of its own, `step_<n>`; 0 is the model that
    /// the run begins with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoints: Vec<usize>,
    /// Keep a checkpoint every so many steps; if not given, when ten seconds have gone by. A killed run
    /// goes on from the latest.
    #[serde(default)]
    pub checkpoint_steps: Option<usize>,
}

fn thirty_two() -> BatchSize {
    BatchSize::Rows(32)
}

fn betas() -> [f64; 2] {
    [0.9, 0.999]
}

fn epsilon() -> f64 {
    1e-8
}

impl Params {
    /// The optimizer of the graph.
    pub fn graph_optimizer(&self) -> GraphOptimizer {
        let weight_decay = self.weight_decay as f32;
        let adam = |decoupled| {
            GraphOptimizer::Adam(Adam {
                beta1: self.betas[0] as f32,
                beta2: self.betas[1] as f32,
                epsilon: self.epsilon as f32,
                weight_decay,
                decoupled,
            })
        };
        match self.optimizer {
            Optimizer::Sgd => GraphOptimizer::Sgd(Sgd {
                momentum: self.momentum as f32,
                dampening: self.dampening as f32,
                weight_decay,
                nesterov: self.nesterov,
            }),
            Optimizer::Adam => adam(false),
            Optimizer::AdamW => adam(true),
        }
    }

    /// The loss of the graph.
    pub fn graph_loss(&self) -> GraphLoss {
        self.loss.graph(self.margin.unwrap_or(MARGIN))
    }

    /// Does every step see all rows?
    pub fn whole(&self) -> bool {
        self.batch_size == BatchSize::Whole(Whole::All)
    }

    /// Rows of a batch, of so many rows.
    pub fn batch(&self, rows: usize) -> usize {
        match self.batch_size {
            BatchSize::Rows(batch) => batch,
            BatchSize::Whole(_) => rows,
        }
    }

    /// Steps of an epoch and of the run, of so many rows.
    pub fn lengths(&self, rows: usize) -> (usize, usize) {
        let epoch = (rows / self.batch(rows).max(1)).max(1);
        (epoch, self.steps.unwrap_or_else(|| self.epochs.unwrap_or(1).saturating_mul(epoch)))
    }

    /// Are the steps of `checkpoints` among those of a run on so many rows?
    pub fn check_checkpoints(&self, rows: usize) -> Result<(), Complaint> {
        let (_, steps) = self.lengths(rows);
        match self.checkpoints.last().filter(|last| **last > steps) {
            Some(last) => Err(Complaint::param(
                "checkpoints",
                format!("step {last} is to be kept, and the run has {steps} steps"),
            )),
            None => Ok(()),
        }
    }

    /// The columns of data and, where the loss has them, of targets.
    pub fn columns(&self, table: &TableFacts) -> Result<(String, Option<String>), Complaint> {
        let input = facts::input_column(table, self.input.as_deref(), "input")?;
        if !self.loss.has_targets() {
            return Ok((input, None));
        }
        Ok((input, Some(facts::target_column(table, self.target.as_deref())?)))
    }

    /// Factors on the learning rate of these parameters, where there are any.
    pub fn rates(&self, parameters: &[String]) -> Result<BTreeMap<String, f32>, Failure> {
        let frozen = self.freeze.iter().map(|pattern| (pattern, 0.0));
        let factors = self.learning_rates.iter().map(|(pattern, factor)| (pattern, *factor));
        let mut rates = BTreeMap::new();
        for (pattern, factor) in factors.chain(frozen) {
            let glob = matcher(pattern).map_err(Failure::new)?;
            let fitting: Vec<&String> = parameters.iter().filter(|p| glob.is_match(p)).collect();
            if fitting.is_empty() {
                let known = parameters.iter().map(String::as_str);
                return Err(Failure::new(format!("no parameter of the model fits `{pattern}`"))
                    .hint(crate::spec::suggest::hint(pattern, known)));
            }
            rates.extend(fitting.into_iter().map(|p| (p.clone(), factor as f32)));
        }
        Ok(rates)
    }

    /// Checks what can be known without the inputs.
    pub fn check(&self) -> Result<(), Complaint> {
        let wrong = |param: &str, message: &str| Err(Complaint::param(param, message));
        let part = |v: f64| (0.0..1.0).contains(&v);
        let sgd = self.optimizer == Optimizer::Sgd;
        match () {
            () if self.epochs.is_some() == self.steps.is_some() => {
                wrong("epochs", "say either `epochs` or `steps`")
            }
            () if self.epochs == Some(0) => wrong("epochs", "at least one epoch is needed"),
            () if self.steps == Some(0) => wrong("steps", "at least one step is needed"),
            () if self.checkpoint_steps == Some(0) => {
                wrong("checkpoint_steps", "at least one step lies between checkpoints")
            }
            () if !self.checkpoints.is_sorted_by(|a, b| a < b) => {
                wrong("checkpoints", "the steps rise, each stands once")
            }
            () if self.checkpoints.len() > MOST_CHECKPOINTS => {
                wrong("checkpoints", "at most 1,000 steps are kept")
            }
            () if self.batch_size == BatchSize::Rows(0) => {
                wrong("batch_size", "a batch has at least one row")
            }
            () if matches!(self.batch_size, BatchSize::Rows(n) if !n.is_multiple_of(self.graph_loss().group())) => {
                wrong("batch_size", "triplets are rows in threes: the batch is a multiple of 3")
            }
            () if self.margin.is_some() && self.loss != Loss::Triplet => {
                wrong("margin", "only `loss: triplet` has a margin")
            }
            () if self.margin.is_some_and(|m| !(m >= 0.0 && m.is_finite())) => {
                wrong("margin", "the margin is 0 or above")
            }
            () if self.whole() && self.sampler != Sampler::Epoch => {
                wrong("sampler", "a batch of all rows is not drawn")
            }
            () if self.whole() && self.augment.is_some() => {
                wrong("augment", "a batch of all rows is not augmented")
            }
            () if self.augment.is_some_and(|a| a.crop > 1 << 16) => wrong("augment.crop", "at most 65536"),
            () if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) => {
                wrong("learning_rate", "the learning rate is above 0")
            }
            () if !part(self.momentum) => wrong("momentum", "momentum lies from 0 to below 1"),
            () if !(0.0..=1.0).contains(&self.dampening) => wrong("dampening", "dampening lies from 0 to 1"),
            () if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) => {
                wrong("weight_decay", "weight decay is not negative")
            }
            () if self.nesterov && (self.momentum == 0.0 || self.dampening != 0.0) => {
                wrong("nesterov", "nesterov needs momentum and no dampening")
            }
            () if !sgd && (self.momentum != 0.0 || self.nesterov || self.dampening != 0.0) => {
                wrong("optimizer", "momentum, dampening and nesterov belong to `sgd`")
            }
            () if !self.betas.into_iter().all(part) => wrong("betas", "betas lie from 0 to below 1"),
            () if self.epsilon.is_nan() || self.epsilon <= 0.0 => wrong("epsilon", "epsilon is above 0"),
            () if matches!(self.schedule, Schedule::Step { every: 0, .. }) => {
                wrong("schedule", "the rate falls after at least one epoch")
            }
            () if self.learning_rates.values().any(|f| !(*f >= 0.0 && f.is_finite())) => {
                wrong("learning_rates", "factors are not negative")
            }
            () if self.stop.is_some_and(|s| s.gradient_norm.is_nan() || s.gradient_norm <= 0.0) => {
                wrong("stop.gradient_norm", "the length is above 0")
            }
            () => Ok(()),
        }?;
        for (list, patterns) in [
            ("freeze", self.freeze.iter().collect::<Vec<_>>()),
            ("learning_rates", self.learning_rates.keys().collect()),
        ] {
            for pattern in patterns {
                matcher(pattern).map_err(|message| Complaint::param(list, message))?;
            }
        }
        self.record.as_ref().map_or(Ok(()), Record::check)
    }
}

fn matcher(pattern: &str) -> Result<globset::GlobMatcher, String> {
    let glob = globset::Glob::new(pattern).map_err(|e| format!("`{pattern}` is no pattern: {}", e.kind()))?;
    Ok(glob.compile_matcher())
}
