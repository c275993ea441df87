//! `design.synthesize`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use science::design::sample;
use science::maps::Layout;
use serde::{Deserialize, Serialize};

use super::goal::{Goal, Target};
use super::study::{Judged, Study, judge};
use crate::kinds::artefacts::put_table;
use crate::kinds::columns;
use crate::kinds::model::facts;
use crate::kinds::wrong;
use crate::stage::{
    Axes, Column, Complaint, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads,
};
use crate::table::{Frame, Tensor};

/// `design.synthesize`: stimuli by gradient ascent.
pub struct Synthesize;

/// What is changed to make an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Parametrisation {
    /// Each value.
    Pixel,
    /// Amplitudes of frequencies, high ones less than low ones.
    #[default]
    Fourier,
}

/// Parameters of `design.synthesize`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// What stimuli are made for.
    pub goal: Goal,
    /// The tensor of the models that is looked at, by its name in the graph; if not given the first output, or
    /// what stands before its softmax.
    #[serde(default)]
    pub tensor: Option<String>,
    /// `excite`: the units to drive, from 0; if none are named, every one.
    #[serde(default)]
    pub units: Vec<usize>,
    /// `controversial`: the matrix axis whose values are the sides, each of all models that share one; if not
    /// given every model is a side.
    #[serde(default)]
    pub sides: Option<String>,
    /// `controversial`: pairs of classes, what the first side is to see and what the second; if none are named,
    /// different ones by the seed.
    #[serde(default)]
    pub classes: Vec<(usize, usize)>,
    /// Stimuli for each unit or pair of models; for `metamer` all stimuli, each with a reference from the pool.
    #[serde(default = "one")]
    pub n: usize,
    /// The column of `pool` with images; if not given `input`, else the only tensor column.
    #[serde(default)]
    pub input: Option<String>,
    /// Smallest and largest value of an image; if not given those of the pool.
    #[serde(default)]
    pub bounds: Option<(f64, f64)>,
    /// What is changed to make an image.
    #[serde(default)]
    pub parametrisation: Parametrisation,
    /// Steps of gradient ascent (Adam).
    #[serde(default = "steps")]
    pub steps: usize,
    /// The length of a step.
    #[serde(default = "learning_rate")]
    pub learning_rate: f64,
    /// Pixels by which the image is shifted at random in every step, so that no single one matters; not for
    /// `metamer`.
    #[serde(default)]
    pub jitter: usize,
    /// The weight of the image's total variation, which is taken off the value.
    #[serde(default)]
    pub total_variation: f64,
    /// Another seed gives other beginnings.
    #[serde(default)]
    pub seed: u64,
}

fn one() -> usize {
    1
}

fn steps() -> usize {
    200
}

fn learning_rate() -> f64 {
    0.5
}

/// Forward passes that a step costs: one, and one with a backward pass, which costs about two.
const PASSES: usize = 4;
/// Images that climb at once.
const BATCH: usize = 64;

const TRANSFER: &[(&str, &str)] = &[
    ("id", "int64"),
    ("target", "string"),
    ("judge", "string"),
    ("value", "float64"),
    ("pool_best", "float64"),
    ("pool_chosen", "float64"),
    ("above_best_sd", "float64"),
    ("above_chosen_sd", "float64"),
    ("passes", "int64"),
    ("pool_rows", "int64"),
];
const HISTORY: &[(&str, &str)] =
    &[("id", "int64"), ("target", "string"), ("step", "int64"), ("value", "float64")];
const PIXELS: &[(&str, &str)] = &[
    ("id", "int64"),
    ("target", "string"),
    ("channel", "int64"),
    ("row", "int64"),
    ("column", "int64"),
    ("value", "float64"),
];

impl Params {
    fn check(&self, context: &InferContext) -> Result<(), Complaint> {
        if self.goal == Goal::Controversial {
            let sides = |port: &str| {
                let axes = context.inputs.get(port).into_iter().flatten().map(|i| &i.axes);
                self.grouped(axes).map_err(|text| Complaint::param("sides", text))
            };
            let (own, others) = (sides("models")?, sides("unseen")?);
            if own.len() < 2 {
                return Err(Complaint::port("models", "two models, or sides, are needed to disagree"));
            }
            if !others.is_empty() && own.len() != others.len() {
                let text = format!(
                    "{} stand in for {}: each needs its counterpart, in order",
                    others.len(),
                    own.len()
                );
                return Err(Complaint::port("unseen", text));
            }
        }
        if self.n == 0 || self.steps == 0 {
            return Err(Complaint::param("n", "a stimulus and a step are needed"));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return Err(Complaint::param("learning_rate", "the step is not longer than 0"));
        }
        if !(self.total_variation >= 0.0 && self.total_variation.is_finite()) {
            return Err(Complaint::param("total_variation", "the weight must be 0 or more"));
        }
        if self.goal == Goal::Metamer && self.jitter > 0 {
            let text = "a metamer is compared with its reference where it is, not shifted";
            return Err(Complaint::param("jitter", text).hint("leave `jitter` out"));
        }
        if self.classes.iter().any(|(u, w)| u == w) {
            return Err(Complaint::param("classes", "both models are to see the same class"));
        }
        match self.bounds {
            Some((low, high)) if !(low < high && low.is_finite() && high.is_finite()) => {
                Err(Complaint::param("bounds", format!("{low} is not below {high}")))
            }
            _ => Ok(()),
        }
    }
}

impl Params {
    /// The models of each side, in the order in which sides appear.
    pub fn grouped<'a>(&self, models: impl Iterator<Item = &'a Axes>) -> Result<Vec<Vec<usize>>, String> {
        let Some(axis) = &self.sides else { return Ok(models.enumerate().map(|(m, _)| vec![m]).collect()) };
        let mut found: Vec<(&serde_json::Value, Vec<usize>)> = Vec::new();
        for (model, axes) in models.enumerate() {
            let Some((_, value)) = axes.iter().find(|(name, _)| name == axis) else {
                return Err(format!("the models are not gathered over an axis `{axis}`"));
            };
            match found.iter_mut().find(|(own, _)| *own == value) {
                Some((_, members)) => members.push(model),
                None => found.push((value, vec![model])),
            }
        }
        Ok(found.into_iter().map(|(_, members)| members).collect())
    }
}

impl Kind for Synthesize {
    type Params = Params;

    const NAME: &'static str = "design.synthesize";
    const REVISION: u32 = 1;
    const USES_RUNTIME: bool = true;
    const ABOUT: &'static str = "\
Makes stimuli by gradient ascent through models, and says how far they pass the best of a pool of equal cost.

An image begins as weak noise within `bounds` and climbs the gradient of its value, which ONNX Runtime computes. The \
value is, for `excite` the unit's mean over the models; for `controversial`, for every pair of models (or of \
sides) and two classes u and w, −log(1 ÷ a[u] + 1 ÷ b[w]) of the probabilities that the models give them, \
geometric means where a side has several; for `metamer` minus the mean over \
models of the squared distance from the reference's tensor, relative to its square.

`stimuli` has the images, under the name of the pool's column. `transfer` compares the value with that of rows of the \
pool, chosen at random, as many as forward passes that the ascent cost (4 a step; or all, if there are fewer): \
`pool_best` is the best by this judge, `pool_chosen` what the judge says of the row that the models of `models` find \
best; both differences are given in standard deviations over those rows. Models in `unseen`, which no gradient went \
through, judge as `unseen`; for `controversial` they stand in for those of `models`, in order. `history` has the value \
before every step, of the shifted image where there is `jitter`. `pixels` has an image's values row by row, for \
figures. Images are [channels, height, width], [height, width] or rows of features.";
    const EXAMPLE: &'static str = "\
best:
  uses: design.synthesize
  in: { models: \"train[seed=0].model\", unseen: \"train[seed=1].model\", pool: images }
  with: { goal: excite, units: [3, 8], steps: 200, jitter: 1 }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new("models", PortType::Model, "Models that the gradient goes through.").many(),
                Port::new("pool", PortType::Table, "Images to compare with; metamers are made of some."),
                Port::new("unseen", PortType::Model, "Models that only judge.").many().optional(),
            ],
            outputs: vec![
                Port::new("stimuli", PortType::Table, "id, target, models, value, and the image."),
                Port::new("transfer", PortType::Table, "One row a stimulus and judge."),
                Port::new("history", PortType::Table, "One row a stimulus and step."),
                Port::new("pixels", PortType::Table, "One row a stimulus and value of its image."),
            ],
            ..Ports::default()
        }
    }

    fn reads(params: &Params, context: &InferContext) -> BTreeMap<String, Reads> {
        let column =
            context.input("pool").table().map(|t| facts::input_column(t, params.input.as_deref(), "input"));
        let reads = column.and_then(Result::ok).map(|c| Reads::columns([c, "id".to_owned()]));
        reads.map(|r| BTreeMap::from([("pool".to_owned(), r)])).unwrap_or_default()
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        params.check(context)?;
        let tables = [("transfer", TRANSFER), ("history", HISTORY), ("pixels", PIXELS)];
        let mut outputs: Outputs =
            tables.into_iter().map(|(port, columns)| (port.to_owned(), columns::facts(columns))).collect();
        let Some(table) = context.input("pool").table() else { return Ok(outputs) };
        let input = facts::input_column(table, params.input.as_deref(), "input")?;
        let bound = |port: &str| context.inputs.get(port).into_iter().flatten().map(|i| &i.facts);
        for model in bound("models").chain(bound("unseen")) {
            if let Some(takes) = facts::only_input(model)? {
                facts::check_shape(table, &input, takes)?;
            }
        }
        if let Some(shape) = table.column(&input).and_then(|c| c.shape.clone()) {
            let Facts::Table(mut known) = columns::facts(STIMULI) else { return Ok(outputs) };
            known.columns.push(Column::new(input, "tensor(float32)").with_shape(shape));
            outputs.insert("stimuli".to_owned(), Facts::Table(known));
        }
        Ok(outputs)
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let mut study = Study::read(params, io)?;
        let total = study.seen.targets.len();
        let (mut images, mut history) = (Vec::new(), Vec::new());
        while history.len() < total {
            let climbed = study.climb(params, history.len(), BATCH.min(total - history.len()), io)?;
            images.extend(climbed.images);
            history.extend(climbed.history);
        }
        let passes = PASSES * params.steps;
        let rows: Vec<usize> = (0..study.ids.len()).collect();
        let compared = sample::random(&rows, passes.min(rows.len()), params.seed, 1).map_err(wrong)?;
        let lines = judge(&mut study, &images, &compared)?;
        if let Some(seer) = study.seen.seers.first() {
            io.note("execution_provider", seer.provider());
        }
        let targets = &study.seen.targets;
        let name = |stimulus: usize| targets[stimulus].name.as_str();

        let mut frame = Frame::new();
        let seen = |l: &&Judged| l.judge == "seen";
        let models =
            |t: &Target| t.models.iter().map(|m| study.names[*m].as_str()).collect::<Vec<_>>().join(" ");
        frame.push_i64s("id", (0..total as i64).collect())?;
        frame.push_strings("target", &targets.iter().map(|t| &t.name).collect::<Vec<_>>())?;
        frame.push_strings("models", &targets.iter().map(models).collect::<Vec<_>>())?;
        frame.push_f64s("value", lines.iter().filter(seen).map(|l| l.value).collect())?;
        let row_shape = study.tensor.row_shape.clone();
        frame.push_tensor_f32(&study.column, Tensor { row_shape, values: images.clone() })?;
        put_table(io, "stimuli", frame)?;

        let mut frame = Frame::new();
        let numbers = |of: &dyn Fn(&Judged) -> f64| lines.iter().map(of).collect::<Vec<f64>>();
        frame.push_i64s("id", lines.iter().map(|l| l.stimulus as i64).collect())?;
        frame.push_strings("target", &lines.iter().map(|l| name(l.stimulus)).collect::<Vec<_>>())?;
        frame.push_strings("judge", &lines.iter().map(|l| l.judge).collect::<Vec<_>>())?;
        frame.push_f64s("value", numbers(&|l| l.value))?;
        frame.push_f64s("pool_best", numbers(&|l| l.best))?;
        frame.push_f64s("pool_chosen", numbers(&|l| l.chosen))?;
        frame.push_f64s("above_best_sd", numbers(&|l| (l.value - l.best) / l.spread))?;
        frame.push_f64s("above_chosen_sd", numbers(&|l| (l.value - l.chosen) / l.spread))?;
        frame.push_i64s("passes", vec![passes as i64; lines.len()])?;
        frame.push_i64s("pool_rows", vec![compared.len() as i64; lines.len()])?;
        put_table(io, "transfer", frame)?;

        let mut frame = Frame::new();
        let each = |of: &dyn Fn(usize, usize) -> i64| -> Vec<i64> {
            (0..total).flat_map(|s| (0..params.steps).map(move |t| (s, t))).map(|(s, t)| of(s, t)).collect()
        };
        let names: Vec<&str> = (0..total).flat_map(|s| vec![name(s); params.steps]).collect();
        frame.push_i64s("id", each(&|s, _| s as i64))?;
        frame.push_strings("target", &names)?;
        frame.push_i64s("step", each(&|_, t| t as i64))?;
        frame.push_f64s("value", history.concat())?;
        put_table(io, "history", frame)?;
        let pixels = pixels(&study.layout, targets, &images)?;
        put_table(io, "pixels", pixels)
    }
}

const STIMULI: &[(&str, &str)] =
    &[("id", "int64"), ("target", "string"), ("models", "string"), ("value", "float64")];

fn pixels(layout: &Layout, targets: &[Target], images: &[f32]) -> Result<Frame, Failure> {
    let values = layout.values();
    let places: Vec<(usize, usize)> =
        (0..layout.channels).flat_map(|c| (0..layout.pixels()).map(move |p| (c, p))).collect();
    let rows: Vec<(usize, usize, usize)> =
        (0..targets.len()).flat_map(|s| places.iter().map(move |(c, p)| (s, *c, *p))).collect();
    let whole = |of: &dyn Fn(&(usize, usize, usize)) -> usize| rows.iter().map(|r| of(r) as i64).collect();
    let mut frame = Frame::new();
    frame.push_i64s("id", whole(&|r| r.0))?;
    frame.push_strings("target", &rows.iter().map(|r| targets[r.0].name.as_str()).collect::<Vec<_>>())?;
    frame.push_i64s("channel", whole(&|r| r.1))?;
    frame.push_i64s("row", whole(&|r| r.2 / layout.width))?;
    frame.push_i64s("column", whole(&|r| r.2 % layout.width))?;
    let value = |r: &(usize, usize, usize)| f64::from(images[r.0 * values + layout.at(r.1, r.2)]);
    frame.push_f64s("value", rows.iter().map(value).collect())?;
    Ok(frame)
}
