//! `model.train`: gradient descent inside ONNX Runtime.

mod checkpoint;
mod history;
mod kept;
mod params;
mod rows;
mod told;
mod trajectory;

use std::collections::BTreeMap;

use onnx_graph::model::Model;
use onnx_graph::passes::normal;
use onnx_graph::train::{Settings, Training, trainable, training};

pub use params::{Loss, Params};
pub(in crate::kinds) use rows::{row_shape, some_targets, targets};

use self::checkpoint::Checkpoints;
use self::history::History;
use self::kept::Kept;
use self::rows::{Measure, Rows};
use self::told::Told;
use self::trajectory::{Quantity, Trajectory};
use super::facts;
use crate::kinds::artefacts::{put_model, put_table, runtime};
use crate::model::{Rates, Request, train};
use crate::stage::{
    Complaint, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads, Role,
};
use crate::table::read;

/// Gradient descent inside ONNX Runtime.
pub struct Train;

impl Kind for Train {
    type Params = Params;
    const NAME: &'static str = "model.train";
    const REVISION: u32 = 4;
    const USES_RUNTIME: bool = true;
    const ABOUT: &'static str = "Trains a model by gradient descent inside ONNX Runtime.\n\n\
        The gradient and the optimizer are part of one ONNX graph that does thousands of steps a call. \
        The updates are those of torch's SGD, Adam and AdamW. `seed` alone decides the batches. \
        `history` has for each epoch the mean loss of its steps, the share of right answers in its \
        batches (each counted before its step), and loss and accuracy on `validation` where it is \
        bound. A run that was killed goes on from its latest checkpoint, with the same result. What is trained are the weights of layers; a batch normalisation learns its scale and \
        shift, and its running statistics follow the batches. Nets whose step is small run on one \
        thread whatever `threads` says.\n\n\
        With `checkpoints` the models of these steps are further outputs: `checkpoints: [100, 1000]` gives \
        `step_100` and `step_1000`, which other stages bind as `train.step_100`.\n\n\
        With `record` there is a further output, `trajectory`: one row for each recorded step. \
        docs/training.md says what its columns hold.";
    const EXAMPLE: &'static str = "\
train:
  uses: model.train
  in: { model: net, data: split.train }
  with: { input: image, target: label, epochs: 12, batch_size: 32, learning_rate: 0.05, momentum: 0.9 }
";

    fn ports(params: Option<&Params>) -> Ports {
        let mut ports = Ports {
            inputs: vec![
                Port::new("model", PortType::Model, "the model to train; it has one float32 input"),
                Port::new("data", PortType::Table, "rows to learn from").role(Role::Learns),
                Port::new("validation", PortType::Table, "rows to measure on after each epoch").optional(),
                Port::new(
                    "directions",
                    PortType::Table,
                    "with `record`: a tensor column whose rows are directions among the trained weights",
                )
                .optional(),
                Port::new(
                    "reference",
                    PortType::Model,
                    "with `record`: a model of the same weights to measure the distance from",
                )
                .optional(),
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
        };
        if params.is_none_or(|p| p.record.is_some()) {
            ports.outputs.push(Port::new(
                "trajectory",
                PortType::Table,
                "with `record`: one row a recorded step",
            ));
        }
        ports.outputs.extend(params.into_iter().flat_map(|p| &p.checkpoints).map(|step| {
            Port::new(kept::port(*step), PortType::Model, format!("the model behind step {step}"))
        }));
        ports
    }

    fn reads(params: &Params, context: &InferContext) -> BTreeMap<String, Reads> {
        let port = |port: &str| {
            let columns = context.input(port).table().and_then(|t| params.columns(t).ok())?;
            Some((port.to_owned(), Reads::columns(std::iter::once(columns.0).chain(columns.1))))
        };
        ["data", "validation"].into_iter().filter_map(port).collect()
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        params.check()?;
        let rows = context.input("data").table().and_then(|table| table.rows);
        if rows.is_some() || params.steps.is_some() {
            params.check_checkpoints(rows.unwrap_or(0) as usize)?;
        }
        let input = facts::only_input(context.input("model"))?;
        if let (Some(_), Some(input)) = (params.augment, input)
            && input.shape.len() != 4
        {
            return Err(Complaint::param(
                "augment",
                format!(
                    "it needs images, and the model's input `{}` has {} axes",
                    input.name,
                    input.shape.len()
                ),
            )
            .hint("images have the axes batch, channels, height, width"));
        }
        for port in ["data", "validation"] {
            let Some(table) = context.input(port).table() else { continue };
            let (data, target) = params.columns(table)?;
            if let Some(input) = input {
                facts::check_shape(table, &data, input)?;
            }
            let Some(target) = target else { continue };
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
        if !params.loss.has_targets() && context.inputs.get("validation").is_some_and(|v| !v.is_empty()) {
            return Err(Complaint::port("validation", "triplets are not measured on held-out rows")
                .hint("run `model.infer` on them and compare the outputs"));
        }
        recorded_inputs(params, context)?;
        let Some(model) = context.input("model").model() else { return Ok(Outputs::new()) };
        let kept = params.checkpoints.iter().map(|step| kept::port(*step));
        let ports = std::iter::once("model".to_owned()).chain(kept);
        Ok(ports.map(|port| (port, Facts::Model(model.clone()))).collect())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let wrong = |e: onnx_graph::error::Error| Failure::new(e.to_string());
        // The trained model is stored in this form too: its constants are the parameters.
        let model = normal(&facts::read(io.input("model")?)?).map_err(wrong)?;
        let data = Rows::read(params, io, "data", &model)?
            .ok_or_else(|| Failure::new("input port `data` is not bound"))?;
        let validation = Rows::read(params, io, "validation", &model)?;
        params.check_checkpoints(data.count()).map_err(|complaint| Failure::new(complaint.message))?;
        let (epoch, steps) = params.lengths(data.count());
        let batch = params.batch(data.count());
        let parameters = trainable(model.graph().map_err(wrong)?);
        let (count, directions) = directions(io)?;
        let optimizer = params.graph_optimizer();
        let graph = training(
            &model,
            &Settings {
                row: Some(data.input_shape.clone()),
                whole: params.whole(),
                accuracy: true,
                rates: params.rates(&parameters)?,
                record: params.record.as_ref().map(|r| r.graph(count)),
                stop: params.stop.map(|s| s.gradient_norm as f32),
                ..Settings::new(params.graph_loss(), optimizer, batch)
            },
        )
        .map_err(wrong)?;
        if directions.len() != count * graph.elements() {
            return Err(Failure::new(format!(
                "the directions have {} values a row, and the model has {} trained weights",
                directions.len() / count.max(1),
                graph.elements()
            )));
        }
        let reference = reference(io, &graph)?;
        let runtime = runtime(io)?;
        let rates = Rates {
            first: params.learning_rate,
            schedule: params.schedule,
            warmup: params.warmup,
            epoch,
            steps,
        };
        let record = params.record.as_ref();
        let (progress, cancel, threads, providers) =
            (io.progress, io.cancel.clone(), io.threads, io.providers.clone());
        let measured = validation.as_ref();
        let measure = measured
            .map(|rows| Measure::new(runtime, &providers, threads, (&model, &graph), rows))
            .transpose()?;
        let measure_pause = if measure.is_some() { epoch } else { 0 };
        let trajectory = record.map(|r| Trajectory::new(r, steps, &graph));
        let mut told = Told::new(History::new(epoch, batch), trajectory, measure, rates);
        let mut checkpoints =
            Checkpoints::new(&io.checkpoints, &model, &graph.states, params.checkpoint_steps);
        let mut kept = Kept::new(&io.checkpoints, &params.checkpoints, &model, &graph.states);
        let latest = checkpoints.latest().filter(|(resume, _)| kept.resume(resume.step));
        if latest.is_none() && checkpoints.begin_anew() {
            progress.log("beginning anew: what a run that was stopped kept cannot be read or is not whole");
        }
        let resume = latest.map(|(resume, past)| {
            told.replay(past);
            progress.log(&format!(
                "going on behind step {}, from the checkpoint of a run that was stopped",
                resume.step
            ));
            resume
        });
        let request = Request {
            training: &graph,
            optimizer,
            data: (data.input_shape, data.input.values),
            target: (data.target_shape, data.target),
            batch_size: batch,
            group: params.graph_loss().group(),
            whole: params.whole(),
            sampler: params.sampler,
            augment: params.augment,
            seed: params.seed,
            rates,
            pauses: [measure_pause, params.checkpoint_steps.unwrap_or(0)],
            stops: params.checkpoints.clone(),
            resume,
            record: record.map(|r| r.recording(&graph, steps, directions, reference)),
            stop: params.stop.map(|s| s.gradient_norm as f32),
        };
        let trained = train(runtime, request, &providers, threads, &mut |p| {
            if let Some(lost) = p.lost {
                let kept = checkpoints.keep(p.step, p.states, &told.past())?;
                return Err(checkpoint::lost(lost, kept));
            }
            told.take(p)?;
            progress.advance("steps", p.step as u64, Some(p.steps as u64));
            if let Some(last) = p.losses.last() {
                progress.metric("loss", f64::from(*last));
            }
            if cancel.is_cancelled() {
                return Err(Failure::cancelled());
            }
            kept.offer(p.step, p.states)?;
            if p.ended { Ok(()) } else { checkpoints.offer(p.step, p.states, || told.past()) }
        })?;
        let Told { mut history, trajectory, .. } = told;
        history.end();
        io.note("execution_provider", trained.provider);
        io.note("onnxruntime", runtime.build());
        io.note("steps", trained.steps);
        let last = trained.model(&model, &graph.states)?;
        put_model(io, "model", &last)?;
        kept.put(io, &last)?;
        put_table(io, "history", history.frame(params.loss)?)?;
        if let Some(trajectory) = trajectory {
            put_table(io, "trajectory", trajectory.frame()?)?;
        }
        Ok(())
    }
}

/// `directions` and `reference` are for recording, and the distance needs the reference.
fn recorded_inputs(params: &Params, context: &InferContext) -> Result<(), Complaint> {
    let bound = |port: &str| context.inputs.get(port).is_some_and(|all| !all.is_empty());
    for port in ["directions", "reference"] {
        if bound(port) && params.record.is_none() {
            return Err(Complaint::port(port, format!("`{port}` is for recording"))
                .hint("add `record: { every: 1 }`"));
        }
    }
    let asked = params.record.as_ref().is_some_and(|r| r.quantities.contains(&Quantity::Distance));
    if asked != bound("reference") {
        return Err(Complaint::param(
            "record.quantities",
            "`distance` and a model at the port `reference` need each other",
        ));
    }
    match context.input("directions").table() {
        Some(table) => facts::input_column(table, None, "directions").map(drop),
        None => Ok(()),
    }
}

/// The number of directions, and all their values.
fn directions(io: &Io) -> Result<(usize, Vec<f32>), Failure> {
    let Some(bound) = io.optional("directions") else { return Ok((0, Vec::new())) };
    let table = bound.facts.table().cloned().unwrap_or_default();
    let column = facts::input_column(&table, None, "directions").map_err(|c| Failure::new(c.message))?;
    let tensor = read(bound, Some(&[&column]))?.tensor_f32(&column)?;
    Ok((tensor.rows(), tensor.values))
}

/// The weights of the model at `reference`, in the order of the trained ones.
fn reference(io: &Io, graph: &Training) -> Result<Option<Vec<f32>>, Failure> {
    let Some(bound) = io.optional("reference") else { return Ok(None) };
    let wrong = |e: onnx_graph::error::Error| Failure::new(e.to_string());
    let model: Model = normal(&facts::read(bound)?).map_err(wrong)?;
    let constants = &model.graph().map_err(wrong)?.initializer;
    let mut flat = Vec::new();
    for state in graph.states.iter().take(graph.trained) {
        let found = constants.iter().find(|t| t.name.as_deref() == Some(&state.parameter));
        let found = found.filter(|t| t.dims == state.dims);
        let tensor = found.ok_or_else(|| {
            Failure::new(format!(
                "the reference has no parameter `{}` of shape {:?}",
                state.parameter, state.dims
            ))
        })?;
        flat.extend(onnx_graph::tensor::read_floats(tensor).map_err(wrong)?);
    }
    Ok(Some(flat))
}
