//! `lrp.attribute`: what each input value contributed to an answer, for every row of a table.

use std::collections::BTreeMap;

use onnx_graph::model::Model;
use onnx_graph::proto::GraphProto;

use super::explain::Explainer;
use super::graph::{compile, explained_width};
use super::maps::{conservation, read_of_rows, written};
use super::params::Params;
use super::with_row_shape;
use crate::kinds::artefacts::{put_table, runtime};
use crate::kinds::chunks::RowWise;
use crate::kinds::model::facts;
use crate::kinds::model::train::row_shape;
use crate::model::{Coming, Session};
use crate::stage::{
    Column, Complaint, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads,
};
use crate::table::{Frame, Stream, read};

/// Relevance maps of a model's answers.
pub struct Attribute;

impl Kind for Attribute {
    type Params = Params;
    const NAME: &'static str = "lrp.attribute";
    const REVISION: u32 = 5;
    const USES_RUNTIME: bool = true;
    const ROW_WISE: Option<&'static str> = Some("data");
    const ABOUT: &'static str = "Relevance maps: what each input value contributed to a model's answer, row by row.\n\n\
        Forward pass and relevance are one ONNX graph. The result has the row's `id` (or its number), the columns \
        under `keep`, `target` (the explained class), `logit` (its value), and `relevance`, a tensor of the shape of \
        the input. Relevance starts at 1 or at the logit; rules, composites and the treatment of biases are zennit's. \
        Batch normalisation is merged into the layer before it, exactly. A layer without a rule is an error that \
        names it.\n\nIn a list of entries the first that matches a layer counts: `ops` (names of ops), `names` (of \
        nodes, `*` for any text), `first`, `last`; rules are epsilon, zero, zplus, alpha_beta, gamma, zbox, wsquare, \
        flat, norm, product, softmax, layer_norm, pass and gradient. A name in the list stands for that composite's \
        entries: `[{ ops: [Exp], rule: gradient }, epsilon_plus_flat]`. Layers that none matches: norm for sums and means, pass for activations, the \
        gradient for pooling and reshaping.\n\n`attn_lrp` explains transformers (Achtibat et al. 2024): the variables of \
        a product share evenly, softmax by its Taylor expansion, layer normalisation with a constant deviation; \
        decomposed layer normalisation and GELU are recognised.\n\n`tensor` and `target: { channel: k }` explain a \
        feature of an inner layer: relevance starts at every place of that channel, at 1 or, with `start: logit`, \
        at its value; the column `logit` is the channel's sum. `at` takes the map at an inner tensor.\n\nRows are worked on in chunks that are kept: \
        when the table gets new rows, wherever they stand, only the chunks around them run, and a run that was \
        killed goes on.";
    const EXAMPLE: &'static str = "\
maps:
  uses: lrp.attribute
  in: { model: train.model, data: split.test }
  with: { composite: epsilon_plus_flat, target: predicted }
";

    fn ports(params: Option<&Params>) -> Ports {
        let mut outputs =
            vec![Port::new("table", PortType::Table, "id, kept columns, target, logit, relevance")];
        if params.is_none_or(|p| p.conservation) {
            outputs.push(Port::new(
                "conservation",
                PortType::Table,
                "with `conservation: true`: for each layer the mean relevance at its output and inputs, and what \
                 bias and stabiliser took",
            ));
        }
        Ports {
            inputs: vec![
                Port::new("model", PortType::Model, "a model with one float32 input"),
                Port::new("data", PortType::Table, "rows to explain"),
            ],
            outputs,
            ..Ports::default()
        }
    }

    fn reads(params: &Params, context: &InferContext) -> BTreeMap<String, Reads> {
        let columns = context.input("data").table().and_then(|t| params.all_columns(t).ok());
        columns.map(|c| BTreeMap::from([("data".to_owned(), Reads::columns(c))])).unwrap_or_default()
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        params.check()?;
        let model_input = facts::only_input(context.input("model"))?;
        let Some(table) = context.input("data").table() else { return Ok(Outputs::new()) };
        let (input, kept) = params.columns(table)?;
        if let Some(model_input) = model_input {
            facts::check_shape(table, &input, model_input)?;
        }
        let shape = table.column(&input).and_then(|c| c.shape.clone());
        let Some(shape) = shape.filter(|_| params.at.is_none()) else { return Ok(Outputs::new()) };
        let shape = if params.sum_channels { shape.get(1..).unwrap_or_default().to_vec() } else { shape };
        let mut columns: Vec<Column> = Vec::new();
        if !kept.iter().any(|n| n == "id") {
            columns.push(Column::new("id", "int64"));
        }
        let carried = kept.iter().filter_map(|n| table.column(n));
        columns.extend(carried.map(|c| c.without_digest()));
        columns.push(Column::new("target", "int64"));
        columns.push(Column::new("logit", "float64"));
        columns.push(Column::new("relevance", "tensor(float32)").with_shape(shape));
        if params.completeness {
            columns.push(Column::new("completeness", "float64"));
        }
        Ok(Outputs::from([("table".to_owned(), Facts::columns(columns))]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let model = facts::read(io.input("model")?)?;
        let data = io.input("data")?;
        let (input, kept, wanted) = params.wanted(data)?;
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let rows = RowWise { io, data, columns: &wanted };
        let shape = row_shape(&model, &rows.first()?.tensor_f32(&input)?)?;
        let count = rows.rows()?;
        let mut made = compile(params, params.target.start(), with_row_shape(model, &shape))?;
        // Only the session needs the graph, and takes its weights over one by one.
        let graph = std::mem::replace(&mut made.model, Model::new(GraphProto::default()));
        let width = explained_width(&made)?;
        // Targets are small, and all are looked at before the first row runs.
        let targets = match params.target.column() {
            Some(column) => read(data, Some(&[column]))?,
            None => Frame::new(),
        };
        let given = params.target.given(&targets, count, width)?;
        let start =
            |rows: &Frame, at: usize| given.as_deref().map(|g| &g[at * width..][..rows.rows() * width]);
        let path = io.create("table", "parquet");
        let mut table = Stream::new(&path, count);
        let mut sums = vec![0.0; made.lines.len() * 4];
        let (runtime, providers, threads) = (runtime(io)?, &io.providers, io.threads);
        let provider = std::thread::scope(|scope| -> Result<&str, Failure> {
            // The session is made while rows are read and what is kept of them is found.
            let session = || Session::of(runtime, graph, providers, threads);
            let mut explainer = Explainer::new(params, &made, Coming::of(scope, session), &shape)?;
            rows.each(
                |rows, at| Ok(read_of_rows(params, &rows.tensor_f32(&input)?, start(rows, at), width, at)),
                |rows, at| {
                    written(params, explainer.all(&rows.tensor_f32(&input)?, start(rows, at), at, io)?)
                },
                |rows, maps, at| {
                    if params.conservation {
                        for row in maps.tensor_f32("counts")?.values.chunks_exact(sums.len().max(1)) {
                            sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += f64::from(*v));
                        }
                    }
                    let mut result = Frame::new();
                    if !kept.iter().any(|n| n == "id") {
                        result.push_i64s("id", (at as i64..(at + rows.rows()) as i64).collect())?;
                    }
                    for name in &kept {
                        result.push_column_of(rows, name)?;
                    }
                    for name in ["target", "logit", "relevance"]
                        .into_iter()
                        .chain(params.completeness.then_some("completeness"))
                    {
                        result.push_column_of(maps, name)?;
                    }
                    table.push(&result)
                },
            )?;
            explainer.provider()
        })?;
        let facts = table.finish()?;
        io.note("execution_provider", provider);
        io.note("onnxruntime", runtime.build());
        io.put("table", path, facts);
        if params.conservation {
            let means = sums.iter().map(|sum| sum / count.max(1) as f64).collect::<Vec<f64>>();
            put_table(io, "conservation", conservation(&made, &means)?)?;
        }
        Ok(())
    }
}
