//! `lrp.attribute`: what each input value contributed to an answer, for every row of a table.

use std::collections::BTreeMap;

use onnx_graph::model::Model;
use onnx_graph::relevance::{Attribution, Options, Start, attribution};
use onnx_graph::shape::Dim;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::composite::{Bound, Composite, bounds};
use super::explain::Explainer;
use super::precision::Precision;
use super::target::{Named, Target};
use super::with_row_shape;
use crate::kinds::artefacts::{put_table, runtime};
use crate::kinds::chunks::{RowWise, row_digests};
use crate::kinds::model::facts;
use crate::kinds::model::train::row_shape;
use crate::model::Session;
use crate::stage::{
    Column, Complaint, Digest, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads,
    TableFacts,
};
use crate::table::{Frame, Stream, Tensor, read};

/// Relevance maps of a model's answers.
pub struct Attribute;

/// Parameters of `lrp.attribute`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Which rule explains which layer: a name, or a list of `{ ops, names, first, last, rule, … }` and names.
    pub composite: Composite,
    /// Smallest and largest value of the input, each for all channels or one for each; the box rule needs it.
    #[serde(default, rename = "box")]
    pub bounds: Option<(Bound, Bound)>,
    /// What is explained: `predicted`, `runner_up`, `contrast`, `label`, `{ class: k }`, `{ channel: k }` (of an
    /// inner `tensor`, at all its places) or `{ column: name }` (class indices, or vectors of start relevance).
    #[serde(default = "predicted")]
    pub target: Target,
    /// Relevance starts at 1, or at the explained value itself.
    #[serde(default)]
    pub start: StartAt,
    /// Column that feeds the model; if not given `input`, else the only tensor column.
    #[serde(default)]
    pub input: Option<String>,
    /// The explained tensor, by its name in the graph; if not given the first output, or what stands before
    /// its softmax.
    #[serde(default)]
    pub tensor: Option<String>,
    /// Where the map is taken, by its name in the graph; if not given the model's input.
    #[serde(default)]
    pub at: Option<String>,
    /// Leave biases out of the rules, so that relevance is conserved.
    #[serde(default)]
    pub zero_bias: bool,
    /// Whether the small number that keeps denominators from zero takes their sign, as in zennit, or is simply
    /// added, as AttnLRP's authors do.
    #[serde(default)]
    pub stabiliser: Stabiliser,
    /// Add up the channels (the first axis) of each map.
    #[serde(default)]
    pub sum_channels: bool,
    /// Digits that the maps keep. `float16`: the 11 significant bits of half precision, with the range of
    /// float32. The column stays float32 and compresses to two thirds of the size.
    #[serde(default)]
    pub precision: Precision,
    /// Columns of the table to carry over, such as the label.
    #[serde(default)]
    pub keep: Vec<String>,
    /// Copies of each input for `smooth_grad` and `integrated_gradients`.
    #[serde(default = "samples")]
    pub samples: usize,
    /// Noise of `smooth_grad`, as a share of an image's range of values.
    #[serde(default = "noise")]
    pub noise: f32,
    /// Seed of the noise.
    #[serde(default)]
    pub seed: u64,
    /// Also write the column `completeness`: |sum of the map − relevance at the start| ÷ |relevance at the start|.
    /// For `gradient_x_input` and `integrated_gradients` the explained value takes the place of the start.
    #[serde(default)]
    pub completeness: bool,
    /// Also write the table `conservation`: what each layer passes on, and what its bias and stabiliser take.
    #[serde(default)]
    pub conservation: bool,
}

/// Where relevance starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StartAt {
    /// At 1.
    #[default]
    One,
    /// At the explained value.
    Logit,
}

/// How denominators are kept from zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stabiliser {
    /// d + ε sign(d).
    #[default]
    Signed,
    /// d + ε.
    Unsigned,
}

fn predicted() -> Target {
    Target::Named(Named::Predicted)
}

fn samples() -> usize {
    32
}

fn noise() -> f32 {
    0.1
}

impl Params {
    /// The input column, and the columns that are read besides.
    pub(super) fn columns(&self, table: &TableFacts) -> Result<(String, Vec<String>), Complaint> {
        let input = facts::input_column(table, self.input.as_deref(), "input")?;
        let kept = facts::kept(table, &self.keep)?;
        if let Some(column) = self.target.column() {
            facts::column(table, column, "target")?;
        }
        Ok((input, kept))
    }

    pub(super) fn all_columns(&self, table: &TableFacts) -> Result<Vec<String>, Complaint> {
        let (input, mut all) = self.columns(table)?;
        for name in [Some(input.as_str()), self.target.column()].into_iter().flatten() {
            if !all.iter().any(|n| n == name) {
                all.push(name.to_owned());
            }
        }
        Ok(all)
    }

    /// The input column, the columns that are carried over, and all that are read.
    pub(super) fn wanted(
        &self,
        data: &crate::stage::Bound,
    ) -> Result<(String, Vec<String>, Vec<String>), Failure> {
        let schema = data.facts.table().cloned().unwrap_or_default();
        let refused = |c: Complaint| Failure::new(c.message);
        let (input, kept) = self.columns(&schema).map_err(refused)?;
        Ok((input, kept, self.all_columns(&schema).map_err(refused)?))
    }

    fn check(&self) -> Result<(), Complaint> {
        let composite = self.composite.compiled()?;
        let bounds = bounds(self.bounds.as_ref())?;
        if composite.needs_box() && bounds.is_none() {
            return Err(Complaint::param("composite", "the box rule needs the bounds of the input")
                .hint("add `box: [low, high]`, for example `box: [0.0, 1.0]`"));
        }
        if self.samples == 0 || self.samples >= 1 << 20 {
            return Err(Complaint::param("samples", "there must be 1 to 1048575 samples"));
        }
        if !self.noise.is_finite() || self.noise < 0.0 {
            return Err(Complaint::param("noise", "the noise must be 0 or more"));
        }
        if self.at.is_some() && self.composite.is("integrated_gradients") {
            let message = "integrated gradients follow a path of inputs, and have no map at an inner tensor";
            return Err(Complaint::param("at", message)
                .hint("leave `at` out, or use `gradient_x_input` or `smooth_grad` there"));
        }
        Ok(())
    }
}

impl Kind for Attribute {
    type Params = Params;
    const NAME: &'static str = "lrp.attribute";
    const REVISION: u32 = 3;
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
        let made = compile(params, params.target.start(), with_row_shape(model, &shape))?;
        let width = explained_width(&made)?;
        // Targets are small, and all are looked at before the first row runs.
        let targets = match params.target.column() {
            Some(column) => read(data, Some(&[column]))?,
            None => Frame::new(),
        };
        let given = params.target.given(&targets, count, width)?;
        let start =
            |rows: &Frame, at: usize| given.as_deref().map(|g| &g[at * width..][..rows.rows() * width]);
        let mut explainer = explainer(params, &made, &shape, io)?;
        let provider = explainer.session.provider();
        let path = io.create("table", "parquet");
        let mut table = Stream::new(&path, count);
        let mut sums = vec![0.0; made.lines.len() * 4];
        rows.each(
            |rows, at| Ok(read_of_rows(params, &rows.tensor_f32(&input)?, start(rows, at), width, at)),
            |rows, at| {
                let result = explainer.all(&rows.tensor_f32(&input)?, start(rows, at), at, io)?;
                let completeness = params.completeness.then(|| completeness(&result.maps, &result.whole));
                let mut maps = summed(result.maps, params.sum_channels);
                params.precision.round(&mut maps.values);
                let mut frame = Frame::new();
                frame.push_i64s("target", result.targets)?;
                frame.push_f64s("logit", result.logits)?;
                frame.push_tensor_f32("relevance", maps)?;
                if let Some(column) = completeness {
                    frame.push_f64s("completeness", column)?;
                }
                if params.conservation {
                    let row_shape = vec![made.lines.len() * 4];
                    frame.push_tensor_f32("counts", Tensor { row_shape, values: result.counts })?;
                }
                Ok(frame)
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
        let facts = table.finish()?;
        io.note("execution_provider", provider);
        io.note("onnxruntime", runtime(io)?.build());
        io.put("table", path, facts);
        if params.conservation {
            let means = sums.iter().map(|sum| sum / count.max(1) as f64).collect::<Vec<f64>>();
            put_table(io, "conservation", conservation(&made, &means)?)?;
        }
        Ok(())
    }
}

/// Digests of all that is read of each row: its input, the start relevance that it gives, and, where noise is
/// drawn by the number of the row, that number. The first row has the number `at`.
fn read_of_rows(
    params: &Params,
    tensor: &Tensor<f32>,
    given: Option<&[f32]>,
    width: usize,
    at: usize,
) -> Vec<Digest> {
    let mut rows = row_digests(tensor);
    let noisy = params.composite.is("smooth_grad");
    if given.is_none() && !noisy {
        return rows;
    }
    for (number, row) in rows.iter_mut().enumerate() {
        let start = given.map_or(&[][..], |g| &g[number * width..][..width]);
        let mut bytes = row.bytes().to_vec();
        bytes.extend(start.iter().flat_map(|v| v.to_le_bytes()));
        if noisy {
            bytes.extend(((at + number) as u64).to_le_bytes());
        }
        *row = Digest::of(&bytes);
    }
    rows
}

/// The graph made ready to run.
pub(super) fn explainer<'a>(
    params: &'a Params,
    made: &'a Attribution,
    shape: &'a [i64],
    io: &Io,
) -> Result<Explainer<'a>, Failure> {
    let session = Session::new(runtime(io)?, &made.model.to_bytes(), &io.providers, io.threads)?;
    Ok(Explainer { params, made, session, shape, width: explained_width(made)? })
}

/// The graph of forward pass and relevance, which starts at `start`.
pub(super) fn compile(params: &Params, start: Start, model: Model) -> Result<Attribution, Failure> {
    let mut composite = params.composite.compiled().map_err(|c| Failure::new(c.message))?;
    composite.unsigned = params.stabiliser == Stabiliser::Unsigned;
    let averaged = params.composite.is("smooth_grad") || params.composite.is("integrated_gradients");
    let options = Options {
        tensor: params.tensor.clone(),
        at: params.at.clone(),
        // Changed copies of an input are explained for what decided the input itself.
        start: if averaged && params.target.follows_answer() { Start::Given } else { start },
        from_logit: params.start == StartAt::Logit,
        bounds: bounds(params.bounds.as_ref()).map_err(|c| Failure::new(c.message))?,
        zero_bias: params.zero_bias,
        conservation: params.conservation,
        ..Options::default()
    };
    attribution(&model, &composite, &options).map_err(|e| Failure::new(e.to_string()))
}

/// Values of the explained tensor in one row.
pub(super) fn explained_width(made: &Attribution) -> Result<usize, Failure> {
    let dims = made.explained_info.dims.as_deref().unwrap_or_default();
    let mut sizes =
        dims.iter().skip(1).map(|d| if let Dim::Size(s) = d { usize::try_from(*s).ok() } else { None });
    match sizes.try_fold(1_usize, |product, size| product.checked_mul(size?)) {
        Some(width) if !dims.is_empty() => Ok(width),
        _ => {
            Err(Failure::new(format!("the shape of the explained tensor `{}` is not known", made.explained))
                .hint("name another one with `tensor`"))
        }
    }
}

/// How far the sum of each map is from what a complete one sums to, as a share of that; no number where that is
/// nought, as a contrast's start is but for rounding.
fn completeness(maps: &Tensor<f32>, whole: &[f64]) -> Vec<f64> {
    let sum = |map: &[f32]| map.iter().map(|v| f64::from(*v)).sum::<f64>();
    let sums = maps.values.chunks(maps.row_size().max(1)).map(sum);
    let share = |(sum, whole): (f64, &f64)| {
        if whole.abs() < 1e-6 { f64::NAN } else { (sum - whole).abs() / whole.abs() }
    };
    sums.zip(whole).map(share).collect()
}

/// Adds up the first axis of each map.
fn summed(maps: Tensor<f32>, channels: bool) -> Tensor<f32> {
    let (Some((count, rest)), true) = (maps.row_shape.split_first(), channels) else { return maps };
    let plane = rest.iter().product::<usize>().max(1);
    let add = |map: &[f32]| -> Vec<f32> {
        let pixel = |p: usize| (0..*count).map(|c| f64::from(map[c * plane + p])).sum::<f64>() as f32;
        (0..plane).map(pixel).collect()
    };
    let values = maps.values.chunks_exact(count * plane).flat_map(add).collect();
    Tensor { row_shape: rest.to_vec(), values }
}

/// The table of what each layer passed on, from means over rows, four a layer.
fn conservation(made: &Attribution, means: &[f64]) -> Result<Frame, Failure> {
    let mut frame = Frame::new();
    let text =
        |pick: fn(&onnx_graph::relevance::Line) -> &String| made.lines.iter().map(pick).collect::<Vec<_>>();
    frame.push_i64s("order", (0..made.lines.len() as i64).collect())?;
    frame.push_strings("node", &text(|l| &l.node))?;
    frame.push_strings("op", &text(|l| &l.op))?;
    frame.push_strings("rule", &text(|l| &l.rule))?;
    let names = ["relevance_out", "relevance_in", "absorbed_by_bias", "absorbed_by_stabiliser"];
    for (k, name) in names.into_iter().enumerate() {
        let column = means.chunks_exact(4).map(|line| line[k]).collect();
        frame.push_f64s(name, column)?;
    }
    Ok(frame)
}
