//! `model.train`: stochastic gradient descent inside ONNX Runtime.

use std::collections::BTreeMap;

use onnx_graph::loss::Loss as GraphLoss;
use onnx_graph::model::Model;
use onnx_graph::passes::normal;
use onnx_graph::train::{Sgd, Training, training, with_parameters};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::argmax;
use super::facts;
use super::infer::forward;
use crate::model::{Request, Runtime, Schedule, Session, Values, train};
use crate::stage::{
    Complaint, Dim, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads, TableFacts,
};
use crate::table::{Frame, Tensor, read, write};

/// Stochastic gradient descent inside ONNX Runtime.
pub struct Train;

/// What is minimised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Softmax cross-entropy; targets are class indices.
    #[default]
    CrossEntropy,
    /// Mean squared error; targets are numbers or tensors.
    MeanSquaredError,
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
    /// Passes over the data.
    pub epochs: usize,
    /// Rows of a batch. A last batch with fewer rows is left out of each epoch.
    #[serde(default = "thirty_two")]
    pub batch_size: usize,
    /// The learning rate (at the beginning, if it is scheduled).
    pub learning_rate: f64,
    /// How the learning rate changes over the run.
    #[serde(default = "constant")]
    pub schedule: Schedule,
    /// Momentum of the velocity, 0 to below 1.
    #[serde(default)]
    pub momentum: f64,
    /// Pull of the weights towards zero.
    #[serde(default)]
    pub weight_decay: f64,
    /// Look ahead along the velocity; needs momentum.
    #[serde(default)]
    pub nesterov: bool,
    /// Seed of the order of the rows.
    #[serde(default)]
    pub seed: u64,
}

fn thirty_two() -> usize {
    32
}

fn constant() -> Schedule {
    Schedule::Constant
}

impl Params {
    fn sgd(&self) -> Sgd {
        Sgd {
            momentum: self.momentum as f32,
            weight_decay: self.weight_decay as f32,
            nesterov: self.nesterov,
        }
    }

    fn graph_loss(&self) -> GraphLoss {
        match self.loss {
            Loss::CrossEntropy => GraphLoss::CrossEntropy,
            Loss::MeanSquaredError => GraphLoss::MeanSquaredError,
        }
    }

    fn columns(&self, table: &TableFacts) -> Result<(String, String), Complaint> {
        Ok((
            facts::input_column(table, self.input.as_deref(), "input")?,
            facts::target_column(table, self.target.as_deref())?,
        ))
    }

    fn check(&self) -> Result<(), Complaint> {
        let wrong = |param: &str, message: &str| Err(Complaint::param(param, message));
        match () {
            () if self.epochs == 0 => wrong("epochs", "at least one epoch is needed"),
            () if self.batch_size == 0 => wrong("batch_size", "a batch has at least one row"),
            () if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) => {
                wrong("learning_rate", "the learning rate is above 0")
            }
            () if !(0.0..1.0).contains(&self.momentum) => {
                wrong("momentum", "momentum lies from 0 to below 1")
            }
            () if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) => {
                wrong("weight_decay", "weight decay is not negative")
            }
            () if self.nesterov && self.momentum == 0.0 => wrong("nesterov", "nesterov needs momentum"),
            () => Ok(()),
        }
    }
}

impl Kind for Train {
    type Params = Params;
    const NAME: &'static str = "model.train";
    const REVISION: u32 = 1;
    const USES_RUNTIME: bool = true;
    const ABOUT: &'static str = "Trains a model by stochastic gradient descent inside ONNX Runtime.\n\n\
        The gradient and the optimizer are part of one ONNX graph that does hundreds of steps a call. \
        The update is that of torch's SGD with dampening 0. Each epoch visits the rows in a new \
        order that `seed` alone decides. `history` has the mean loss of each epoch and, for \
        classification, the accuracy on the training data and on `validation` where it is bound.";
    const EXAMPLE: &'static str = "\
train:
  uses: model.train
  in: { model: net, data: split.train }
  with: { input: image, target: label, epochs: 12, batch_size: 32, learning_rate: 0.05, momentum: 0.9 }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new("model", PortType::Model, "the model to train; it has one float32 input"),
                Port::new("data", PortType::Table, "rows to learn from"),
                Port::new("validation", PortType::Table, "rows to measure on after each epoch").optional(),
            ],
            outputs: vec![
                Port::new("model", PortType::Model, "the trained model"),
                Port::new(
                    "history",
                    PortType::Table,
                    "epoch, step, loss, accuracy, validation_loss, validation_accuracy",
                ),
            ],
            ..Ports::default()
        }
    }

    fn reads(params: &Params, context: &InferContext) -> BTreeMap<String, Reads> {
        let port = |port: &str| {
            let columns = context.input(port).table().and_then(|t| params.columns(t).ok())?;
            Some((port.to_owned(), Reads::columns([columns.0, columns.1])))
        };
        ["data", "validation"].into_iter().filter_map(port).collect()
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        params.check()?;
        let input = facts::only_input(context.input("model"))?;
        for port in ["data", "validation"] {
            let Some(table) = context.input(port).table() else { continue };
            let (data, target) = params.columns(table)?;
            if let Some(input) = input {
                facts::check_shape(table, &data, input)?;
            }
            let dtype = table.column(&target).map_or("", |c| c.dtype.as_str());
            if params.loss == Loss::CrossEntropy && !dtype.contains("int") && dtype != "bool" {
                return Err(Complaint::param(
                    "target",
                    format!(
                        "the column `{target}` is {dtype}; cross-entropy needs class indices (whole numbers)"
                    ),
                )
                .hint("use `loss: mean_squared_error`, or number the classes with `table.sql`"));
            }
        }
        Ok(match context.input("model").model() {
            Some(model) => Outputs::from([("model".to_owned(), Facts::Model(model.clone()))]),
            None => Outputs::new(),
        })
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        // The trained model is stored in this form too: its constants are the parameters.
        let model = normal(&facts::read(io.input("model")?)?).map_err(|e| Failure::new(e.to_string()))?;
        let graph =
            training(&model, params.graph_loss(), params.sgd()).map_err(|e| Failure::new(e.to_string()))?;
        let data = Rows::read(params, io, "data", &model)?
            .ok_or_else(|| Failure::new("input port `data` is not bound"))?;
        let validation = Rows::read(params, io, "validation", &model)?;
        let library = io.library.clone().ok_or_else(|| Failure::new("ONNX Runtime is not here"))?;
        let runtime = Runtime::load(&library)?;
        let request = Request {
            training: &graph,
            data: (data.input_shape.clone(), data.input.values.clone()),
            target: (data.target_shape.clone(), data.target.clone()),
            batch_size: params.batch_size,
            epochs: params.epochs,
            learning_rate: params.learning_rate,
            schedule: params.schedule,
            seed: params.seed,
        };
        let mut history = History::default();
        let (progress, cancel, threads, providers) =
            (io.progress, io.cancel.clone(), io.threads, io.providers.clone());
        let measure =
            Measure { params, model: &model, graph: &graph, runtime, providers: &providers, threads };
        let trained = train(runtime, &request, &providers, threads, &mut |p| {
            if cancel.is_cancelled() {
                return Err(Failure::cancelled());
            }
            history.losses.extend(p.losses.iter().map(|l| f64::from(*l)));
            progress.advance("steps", p.step as u64, Some(p.steps as u64));
            if let Some(last) = p.losses.last() {
                progress.metric("loss", f64::from(*last));
            }
            if let Some((epoch, parameters)) = p.epoch {
                let train = measure.rows(&data, parameters)?;
                let held_out = validation.as_ref().map(|rows| measure.rows(rows, parameters)).transpose()?;
                history.end_epoch(epoch, p.step, train, held_out);
            }
            Ok(())
        })?;
        io.note("execution_provider", trained.provider);
        io.note("onnxruntime", runtime.build());
        let model = trained.model(&model, &graph.states)?;
        let path = io.create("model", "onnx");
        crate::fs::write_atomic(&path, &model.to_bytes())?;
        io.put("model", path, Facts::Model(facts::of(&model)));
        let path = io.create("history", "parquet");
        let facts = write(&mut history.frame(params.loss)?, &path)?;
        io.put("history", path, facts);
        Ok(())
    }
}

/// The rows of a table as the training graph takes them.
struct Rows {
    input_shape: Vec<i64>,
    input: Tensor<f32>,
    target_shape: Vec<i64>,
    target: Values,
}

impl Rows {
    fn read(params: &Params, io: &Io, port: &str, model: &Model) -> Result<Option<Self>, Failure> {
        let Some(bound) = io.optional(port) else { return Ok(None) };
        let schema = bound.facts.table().cloned().unwrap_or_default();
        let (input, target) = params.columns(&schema).map_err(|c| Failure::new(c.message))?;
        let frame = read(bound, Some(&[&input, &target]))?;
        let tensor = frame.tensor_f32(&input)?;
        let (target_shape, target) = match params.loss {
            Loss::CrossEntropy => (Vec::new(), Values::I64(labels(&frame, &target, model)?)),
            Loss::MeanSquaredError => {
                let tensor = frame.tensor_f32(&target)?;
                let shape: Vec<i64> = tensor.row_shape.iter().map(|d| *d as i64).collect();
                (if shape.is_empty() { vec![1] } else { shape }, Values::F32(tensor.values))
            }
        };
        Ok(Some(Rows { input_shape: row_shape(model, &tensor)?, input: tensor, target_shape, target }))
    }
}

/// The shape of one row as the model's input states it; the values are the same in any shape.
pub(in crate::kinds) fn row_shape(model: &Model, tensor: &Tensor<f32>) -> Result<Vec<i64>, Failure> {
    let signature = facts::of(model);
    let own: Vec<i64> = tensor.row_shape.iter().map(|d| *d as i64).collect();
    let Some(input) = signature.inputs.first() else { return Ok(own) };
    let size = |d: &Dim| if let Dim::Size(s) = d { Some(*s as i64) } else { None };
    let Some(wanted) = input.shape.iter().skip(1).map(size).collect::<Option<Vec<i64>>>() else {
        return Ok(own);
    };
    let count = |shape: &[i64]| shape.iter().product::<i64>();
    if count(&wanted) == count(&own) {
        return Ok(wanted);
    }
    Err(Failure::new(format!(
        "rows of shape {own:?} do not fit the model's input `{}` of shape {wanted:?}",
        input.name
    )))
}

fn labels(frame: &Frame, column: &str, model: &Model) -> Result<Vec<i64>, Failure> {
    let labels = frame.i64s(column)?;
    let signature = facts::of(model);
    if let Some(Dim::Size(classes)) = signature.outputs.first().and_then(|o| o.shape.last())
        && let Some(row) = labels.iter().position(|l| *l < 0 || *l >= *classes as i64)
    {
        return Err(Failure::new(format!(
            "the column `{column}` holds the class {} in row {row}, and the model has the classes 0 to {}",
            labels[row],
            classes - 1
        ))
        .hint("raise `classes` of `model.build`, or number the classes from 0"));
    }
    Ok(labels)
}

/// Measures loss and accuracy of parameters on rows.
struct Measure<'a> {
    params: &'a Params,
    model: &'a Model,
    graph: &'a Training,
    runtime: &'static Runtime,
    providers: &'a [String],
    threads: usize,
}

impl Measure<'_> {
    fn rows(&self, rows: &Rows, parameters: &[Vec<f32>]) -> Result<(f64, f64), Failure> {
        let model = with_parameters(self.model, &self.graph.states, parameters)
            .map_err(|e| Failure::new(e.to_string()))?;
        let mut session = Session::new(self.runtime, &model.to_bytes(), self.providers, self.threads)?;
        let outputs = forward(&mut session, &rows.input_shape, &rows.input.values, &mut |_, _| Ok(()))?;
        let (shape, values) = outputs
            .into_iter()
            .next()
            .map(|(_, v)| v)
            .ok_or_else(|| Failure::new("the model has no output"))?;
        let width = shape.iter().skip(1).product::<i64>().max(1) as usize;
        Ok(match (&rows.target, self.params.loss) {
            (Values::I64(labels), _) => classify(&values, width, labels),
            (Values::F32(target), _) => {
                let total: f64 = values.iter().zip(target).map(|(a, b)| f64::from(a - b).powi(2)).sum();
                (total / values.len().max(1) as f64, f64::NAN)
            }
        })
    }
}

/// Mean cross-entropy and accuracy of logits, `width` a row.
fn classify(logits: &[f32], width: usize, labels: &[i64]) -> (f64, f64) {
    let (mut loss, mut right) = (0.0, 0usize);
    for (row, label) in logits.chunks_exact(width).zip(labels) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f64 = row.iter().map(|l| f64::from(l - largest).exp()).sum();
        let own = row.get(*label as usize).copied().unwrap_or(f32::NEG_INFINITY);
        loss += total.ln() - f64::from(own - largest);
        right += usize::from(argmax(row) as i64 == *label);
    }
    let rows = labels.len().max(1) as f64;
    (loss / rows, right as f64 / rows)
}

/// Epoch, step, mean loss, accuracy, and loss and accuracy on held-out rows.
type Epoch = (usize, usize, f64, f64, Option<(f64, f64)>);

#[derive(Default)]
struct History {
    losses: Vec<f64>,
    epochs: Vec<Epoch>,
}

impl History {
    fn end_epoch(
        &mut self,
        epoch: usize,
        step: usize,
        (_, accuracy): (f64, f64),
        held_out: Option<(f64, f64)>,
    ) {
        let mean = self.losses.iter().sum::<f64>() / self.losses.len().max(1) as f64;
        self.losses.clear();
        self.epochs.push((epoch, step, mean, accuracy, held_out));
    }

    fn frame(&self, loss: Loss) -> Result<Frame, Failure> {
        let mut frame = Frame::new();
        frame.push_i64s("epoch", self.epochs.iter().map(|e| e.0 as i64).collect())?;
        frame.push_i64s("step", self.epochs.iter().map(|e| e.1 as i64).collect())?;
        frame.push_f64s("loss", self.epochs.iter().map(|e| e.2).collect())?;
        let classified = loss == Loss::CrossEntropy;
        if classified {
            frame.push_f64s("accuracy", self.epochs.iter().map(|e| e.3).collect())?;
        }
        if self.epochs.iter().any(|e| e.4.is_some()) {
            let held_out = || self.epochs.iter().map(|e| e.4.unwrap_or((f64::NAN, f64::NAN)));
            frame.push_f64s("validation_loss", held_out().map(|h| h.0).collect())?;
            if classified {
                frame.push_f64s("validation_accuracy", held_out().map(|h| h.1).collect())?;
            }
        }
        Ok(frame)
    }
}
