//! `model.infer`: outputs and inner tensors of a model on every row of a table.

use std::collections::BTreeMap;

use onnx_graph::model::Model;
use onnx_graph::shape::{Info, infer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pool::Pool;
use super::train::row_shape;
use super::{argmax, facts};
use crate::kinds::artefacts::runtime;
use crate::kinds::chunks::{RowWise, row_digests};
use crate::model::{Session, Values};
use crate::stage::{
    Column, Complaint, Dim, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads,
    TableFacts, TensorFacts,
};
use crate::table::{Frame, Stream, Tensor};

/// Outputs and inner tensors of a model on every row of a table.
pub struct Infer;

/// Parameters of `model.infer`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Column that feeds the model; if not given `input`, else the only tensor column.
    #[serde(default)]
    pub input: Option<String>,
    /// Inner tensors to keep beside the outputs, by their names in the graph.
    #[serde(default)]
    pub tensors: Vec<String>,
    /// Outputs and inner tensors of which each channel is kept as one number: `{ conv3: mean }`, or `max`, over
    /// all axes behind the channels, which are the first axis of a row.
    #[serde(default)]
    pub pool: BTreeMap<String, Pool>,
    /// Columns of the table to carry over, such as the label.
    #[serde(default)]
    pub keep: Vec<String>,
}

impl Params {
    /// The columns that are read: `id` where there is one, those kept, and the input.
    fn columns(&self, table: &TableFacts) -> Result<(String, Vec<String>), Complaint> {
        let input = facts::input_column(table, self.input.as_deref(), "input")?;
        Ok((input, facts::kept(table, &self.keep)?))
    }

    /// Refuses to pool what is not kept, or what is known to have nothing behind its channels.
    fn check_pool(&self, outputs: &[TensorFacts]) -> Result<(), Complaint> {
        for name in self.pool.keys() {
            let at = format!("pool.{name}");
            let output = outputs.iter().find(|o| o.name == *name);
            if output.is_none() && !self.tensors.contains(name) {
                let known = outputs.iter().map(|o| &o.name).chain(&self.tensors).map(String::as_str);
                let text = format!("`{name}` is neither an output of the model nor named under `tensors`");
                return Err(Complaint::param(at, text).hint(crate::spec::suggest::hint(name, known)));
            }
            if output.is_some_and(|o| matches!(o.shape.len(), 1 | 2)) {
                return Err(Complaint::param(at, flat(name)));
            }
        }
        Ok(())
    }
}

/// Why a tensor cannot be pooled.
fn flat(name: &str) -> String {
    format!("`{name}` has nothing behind its channels: there is nothing to pool")
}

impl Kind for Infer {
    type Params = Params;
    const NAME: &'static str = "model.infer";
    const REVISION: u32 = 2;
    const USES_RUNTIME: bool = true;
    const ROW_WISE: Option<&'static str> = Some("data");
    const ABOUT: &'static str = "Outputs and inner tensors of a model on every row of a table.\n\n\
        The result has the row's `id`, the columns named under `keep`, a tensor column for each output \
        and inner tensor, and, where the first output is [N, classes], its largest entry as \
        `prediction`. Under `pool`, a map of shape [channels, height, width] becomes [channels].\n\n\
        Rows are worked on in chunks that are kept: when the table gets new rows, wherever they stand, \
        only the chunks around them run, and a run that was killed goes on.";
    const EXAMPLE: &'static str = "\
answers:
  uses: model.infer
  in: { model: train.model, data: split.test }
  with: { input: image, keep: [label], tensors: [features.3], pool: { features.3: mean } }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new("model", PortType::Model, "a model with one float32 input"),
                Port::new("data", PortType::Table, "rows to run"),
            ],
            outputs: vec![Port::new("table", PortType::Table, "id, kept columns, outputs, prediction")],
            ..Ports::default()
        }
    }

    fn reads(params: &Params, context: &InferContext) -> BTreeMap<String, Reads> {
        let columns = context.input("data").table().and_then(|t| params.columns(t).ok());
        let reads = columns.map(|(input, kept)| Reads::columns(kept.into_iter().chain([input])));
        reads.map(|r| BTreeMap::from([("data".to_owned(), r)])).unwrap_or_default()
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        let model_input = facts::only_input(context.input("model"))?;
        let Some(table) = context.input("data").table() else { return Ok(Outputs::new()) };
        let (input, kept) = params.columns(table)?;
        if let Some(model_input) = model_input {
            facts::check_shape(table, &input, model_input)?;
        }
        let Some(model) = context.input("model").model() else { return Ok(Outputs::new()) };
        params.check_pool(&model.outputs)?;
        if !params.tensors.is_empty() {
            return Ok(Outputs::new());
        }
        let mut columns: Vec<Column> =
            kept.iter().filter_map(|n| table.column(n)).map(|c| c.without_digest()).collect();
        for output in &model.outputs {
            let size = |d: &Dim| if let Dim::Size(s) = d { Some(*s as usize) } else { None };
            // Pooled, a row has as many values as channels, however large its map.
            let axes = if params.pool.contains_key(&output.name) { 1 } else { output.shape.len() };
            let shape = output.shape.iter().skip(1).take(axes).map(size);
            let Some(shape) = shape.collect::<Option<Vec<usize>>>() else {
                return Ok(Outputs::new());
            };
            columns.push(Column::new(&output.name, format!("tensor({})", output.dtype)).with_shape(shape));
        }
        if model.outputs.first().is_some_and(|o| o.shape.len() == 2) {
            columns.push(Column::new("prediction", "int64"));
        }
        Ok(Outputs::from([("table".to_owned(), Facts::columns(columns))]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let mut model = facts::read(io.input("model")?)?;
        let first = model.outputs().into_iter().next().map(|(name, _)| name).unwrap_or_default();
        params.check_pool(&facts::of(&model).outputs).map_err(|c| {
            let failure = Failure::new(c.message);
            c.hint.into_iter().fold(failure, Failure::hint)
        })?;
        expose(&mut model, &params.tensors)?;
        let bound = io.input("data")?;
        let schema = bound.facts.table().cloned().unwrap_or_default();
        let (input, kept) = params.columns(&schema).map_err(|c| Failure::new(c.message))?;
        let wanted: Vec<&str> = kept
            .iter()
            .map(String::as_str)
            .chain((!kept.contains(&input)).then_some(input.as_str()))
            .collect();
        let rows = RowWise { io, data: bound, columns: &wanted };
        let shape = row_shape(&model, &rows.first()?.tensor_f32(&input)?)?;
        let runtime = runtime(io)?;
        let mut session = Session::ready(runtime, model, &io.providers, io.threads)?;
        let path = io.create("table", "parquet");
        let mut table = Stream::new(&path, rows.rows()?);
        rows.each(
            |rows, _| Ok(row_digests(&rows.tensor_f32(&input)?)),
            |rows, _| {
                let values = rows.tensor_f32(&input)?.values;
                answers(&first, &params.pool, forward(&mut session, &shape, values)?)
            },
            |rows, made, _| {
                let mut result = Frame::new();
                for name in &kept {
                    result.push_column_of(rows, name)?;
                }
                for name in made.names() {
                    result.push_column_of(made, name)?;
                }
                table.push(&result)
            },
        )?;
        let facts = table.finish()?;
        io.put("table", path, facts);
        io.note("execution_provider", session.provider());
        io.note("onnxruntime", runtime.build());
        Ok(())
    }
}

/// Outputs as columns, pooled if asked; the largest entry of the `first` as `prediction` where it is a vector.
fn answers(first: &str, pool: &BTreeMap<String, Pool>, outputs: Vec<Output>) -> Result<Frame, Failure> {
    let mut result = Frame::new();
    let mut prediction = None;
    for (name, (dims, values)) in outputs {
        let row: Vec<usize> = dims.iter().skip(1).map(|d| *d as usize).collect();
        if name == first && row.len() == 1 {
            prediction =
                Some(values.chunks_exact(row[0].max(1)).map(|r| argmax(r) as i64).collect::<Vec<i64>>());
        }
        let tensor = Tensor { row_shape: row, values };
        let tensor = match pool.get(&name) {
            Some(pool) => pool.apply(&tensor).ok_or_else(|| Failure::new(flat(&name)))?,
            None => tensor,
        };
        result.push_tensor_f32(&name, tensor)?;
    }
    if let Some(prediction) = prediction {
        result.push_i64s("prediction", prediction)?;
    }
    Ok(result)
}

/// Adds inner tensors to the outputs of a model.
fn expose(model: &mut Model, tensors: &[String]) -> Result<(), Failure> {
    if tensors.is_empty() {
        return Ok(());
    }
    let wrong = |e: onnx_graph::error::Error| Failure::new(e.to_string());
    let graph = model.graph().map_err(wrong)?;
    let infos = infer(graph).map_err(wrong)?;
    let made: Vec<&str> = graph.node.iter().flat_map(|n| &n.output).map(String::as_str).collect();
    let mut extra = Vec::new();
    for name in tensors {
        if !made.contains(&name.as_str()) {
            let hint = crate::spec::suggest::hint(name, made.iter().copied());
            return Err(Failure::new(format!("the model has no inner tensor `{name}`")).hint(hint));
        }
        let info =
            infos.get(name).cloned().unwrap_or(Info { ty: onnx_graph::tensor::DataType::Float, dims: None });
        extra.push(info.value(name));
    }
    if let Some(graph) = model.0.graph.as_mut() {
        extra.retain(|value| !graph.output.iter().any(|o| o.name == value.name));
        graph.output.extend(extra);
    }
    Ok(())
}

type Output = (String, (Vec<i64>, Vec<f32>));

/// Runs a model on rows; every float32 output in the order of the graph.
fn forward(session: &mut Session, row_shape: &[i64], values: Vec<f32>) -> Result<Vec<Output>, Failure> {
    let (input, ..) =
        session.inputs().into_iter().next().ok_or_else(|| Failure::new("the model has no input"))?;
    let width = row_shape.iter().product::<i64>().max(1) as usize;
    let rows = (values.len() / width) as i64;
    let shape = std::iter::once(rows).chain(row_shape.iter().copied()).collect();
    let mut outputs = session.run(vec![(input, (shape, Values::F32(values)))])?;
    let one_a_row = |name: String| match outputs.remove(&name) {
        Some((dims, Values::F32(values))) if dims.first() == Some(&rows) => Ok((name, (dims, values))),
        Some((dims, Values::F32(_))) => {
            Err(Failure::new(format!("the output `{name}` of shape {dims:?} does not have one entry a row")))
        }
        _ => Err(Failure::new(format!("the output `{name}` is not float32"))),
    };
    session.outputs().into_iter().map(one_a_row).collect()
}
