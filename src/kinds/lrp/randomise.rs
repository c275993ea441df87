//! `lrp.randomise`: do maps depend on what the model has learned?

use std::collections::BTreeMap;

use onnx_graph::model::Model;
use onnx_graph::passes::normal;
use onnx_graph::proto::GraphProto;
use onnx_graph::relevance::Start;
use onnx_graph::relevance::randomise::{shuffled, weights};
use schemars::JsonSchema;
use science::maps::contrast::{Draws, mean};
use serde::{Deserialize, Serialize};

use super::attribute::Attribute;
use super::compare::{Measure, check_measures, top};
use super::explain::{Explained, Explainer};
use super::graph::{compile, explained_width};
use super::images::{Channels, layout};
use super::mask::{check_resamples, resamples};
use super::{params, with_row_shape};
use crate::kinds::artefacts::{put_table, runtime};
use crate::kinds::columns;
use crate::kinds::model::facts;
use crate::kinds::model::train::row_shape;
use crate::model::{Coming, Session};
use crate::stage::{Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads};
use crate::table::{Frame, Tensor, read};

/// Maps of randomised models.
pub struct Randomise;

/// Parameters of `lrp.randomise`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// How maps are made: the parameters of `lrp.attribute`.
    pub explain: params::Params,
    /// Which weights are shuffled.
    #[serde(default = "orders")]
    pub orders: Vec<Order>,
    /// How maps are compared.
    #[serde(default = "measures")]
    pub measures: Vec<Measure>,
    /// Share of the pixels that counts as a map's top.
    #[serde(default = "top")]
    pub top: f64,
    /// Bootstrap resamples of the images for the intervals.
    #[serde(default = "resamples")]
    pub resamples: usize,
    /// Seed of shuffles and resamples.
    #[serde(default)]
    pub seed: u64,
    /// Which axis of a map holds the channels, which are added up.
    #[serde(default)]
    pub channels: Channels,
}

/// Which weights are shuffled at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Those of the last layer, then of the last two, and so on to the first.
    Cascading,
    /// Those of one layer.
    Independent,
}

impl Order {
    fn name(self) -> &'static str {
        match self {
            Order::Cascading => "cascading",
            Order::Independent => "independent",
        }
    }
}

fn orders() -> Vec<Order> {
    vec![Order::Cascading, Order::Independent]
}

fn measures() -> Vec<Measure> {
    vec![Measure::Spearman, Measure::Ssim]
}

const SIMILARITY: &[(&str, &str)] = &[
    ("order", "string"),
    ("step", "int64"),
    ("weights", "string"),
    ("measure", "string"),
    ("value", "float64"),
    ("low", "float64"),
    ("high", "float64"),
    ("images", "int64"),
];

/// The rows to explain, and what is explained of them.
struct Rows<'a> {
    params: &'a params::Params,
    tensor: Tensor<f32>,
    shape: Vec<i64>,
    /// Start relevance, the same for all models.
    start: Option<Vec<f32>>,
}

impl Rows<'_> {
    fn explained(&self, model: Model, io: &Io) -> Result<Explained, Failure> {
        let start = if self.start.is_some() { Start::Given } else { self.params.target.start() };
        let mut made = compile(self.params, start, model)?;
        let graph = std::mem::replace(&mut made.model, Model::new(GraphProto::default()));
        let session = Session::of(runtime(io)?, graph, &io.providers, io.threads)?;
        let mut explainer = Explainer::new(self.params, &made, Coming::Here(Box::new(session)), &self.shape)?;
        explainer.all(&self.tensor, self.start.as_deref(), 0, io)
    }

    /// Maps summed over channels.
    fn planes(&self, explained: &Explained, channels: Channels) -> Result<Planes, Failure> {
        let layout = layout("relevance", &explained.maps.row_shape, channels)?;
        let maps = explained.maps.values.chunks_exact(layout.values());
        let planes =
            maps.map(|m| layout.plane(m).map_err(|e| Failure::new(e.0))).collect::<Result<_, _>>()?;
        Ok((planes, layout))
    }
}

type Planes = (Vec<Vec<f32>>, science::maps::Layout);

impl Kind for Randomise {
    type Params = Params;
    const NAME: &'static str = "lrp.randomise";
    const REVISION: u32 = 3;
    const USES_RUNTIME: bool = true;
    const ABOUT: &'static str = "Do maps depend on what the model has learned? Maps of models with shuffled weights \
        against the model's own.\n\nWeights are shuffled layer by layer, from the output to the input: cascading \
        (the last layer, the last two, …) and independently, one layer at a time (Adebayo et al. 2018; shuffled \
        weights keep the size of the activations). The class that is explained stays what it was for the model \
        itself.\n\n`similarity` has for each step the mean similarity over images, with a 95 % bootstrap interval; \
        images on which a measure is not defined (a map that is zero or constant) are left out. A method whose maps \
        stay similar shows the image, not the model.";
    const EXAMPLE: &'static str = "\
sanity:
  uses: lrp.randomise
  in: { model: train.model, data: split.test }
  with: { explain: { composite: epsilon_plus_flat } }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new("model", PortType::Model, "a model with one float32 input"),
                Port::new("data", PortType::Table, "rows to explain"),
            ],
            outputs: vec![Port::new("similarity", PortType::Table, "one row an order, step and measure")],
            ..Ports::default()
        }
    }

    fn reads(params: &Params, context: &InferContext) -> BTreeMap<String, Reads> {
        Attribute::reads(&params.explain, context)
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        check_resamples(params.resamples)?;
        check_measures(&params.measures, params.top)?;
        if params.orders.is_empty() {
            return Err(Complaint::param("orders", "there is nothing to measure"));
        }
        let inside = |at: String| if at.starts_with("in.") { at } else { format!("explain.{at}") };
        Attribute::infer(&params.explain, context).map_err(|c| Complaint { at: c.at.map(inside), ..c })?;
        Ok(Outputs::from([("similarity".to_owned(), columns::facts(SIMILARITY))]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let wrong = |e: onnx_graph::error::Error| Failure::new(e.to_string());
        let model = facts::read(io.input("model")?)?;
        let data = io.input("data")?;
        let (input, _, wanted) = params.explain.wanted(data)?;
        let frame = read(data, Some(&wanted.iter().map(String::as_str).collect::<Vec<_>>()))?;
        let tensor = frame.tensor_f32(&input)?;
        let (shape, count) = (row_shape(&model, &tensor)?, tensor.rows());
        let model = normal(&with_row_shape(model, &shape)).map_err(wrong)?;
        let mut rows = Rows { params: &params.explain, tensor, shape, start: None };
        let width = explained_width(&compile(&params.explain, Start::Given, model.clone())?)?;
        rows.start = params.explain.target.given(&frame, count, width)?;
        let own = rows.explained(model.clone(), io)?;
        let (maps, layout) = rows.planes(&own, params.channels)?;
        if params.explain.target.follows_answer() {
            rows.start.get_or_insert_with(|| params.explain.target.held(&own.targets, width));
        }

        let layers = weights(&model).map_err(wrong)?;
        let draws = Draws { count: params.resamples, seed: params.seed };
        let mut found = Similarity::default();
        for (place, order) in params.orders.iter().enumerate() {
            for step in 0..layers.len() {
                io.check_cancelled()?;
                let first = layers.len() - 1 - step;
                let changed = match order {
                    Order::Cascading => &layers[first..],
                    Order::Independent => &layers[first..=first],
                };
                let model = shuffled(&model, changed, params.seed).map_err(wrong)?;
                let other = rows.explained(model, io)?;
                let (others, _) = rows.planes(&other, params.channels)?;
                for measure in &params.measures {
                    let each = maps.iter().zip(&others);
                    let values: Vec<f64> =
                        each.filter_map(|(a, b)| measure.of(a, b, layout, params.top)).collect();
                    found.push([order.name(), &layers[first], measure.name()], step, &values, draws);
                }
                let done = place * layers.len() + step + 1;
                let all = params.orders.len() * layers.len();
                io.progress.advance("models", done as u64, Some(all as u64));
            }
        }
        put_table(io, "similarity", found.table()?)
    }
}

/// Rows of the port `similarity`.
#[derive(Default)]
struct Similarity {
    texts: [Vec<String>; 3],
    steps: Vec<i64>,
    numbers: [Vec<f64>; 3],
    images: Vec<i64>,
}

impl Similarity {
    fn push(&mut self, texts: [&str; 3], step: usize, values: &[f64], draws: Draws) {
        self.texts.iter_mut().zip(texts).for_each(|(column, text)| column.push(text.to_owned()));
        let found = mean(values, draws).map_or([f64::NAN; 3], |e| [e.value, e.low, e.high]);
        self.numbers.iter_mut().zip(found).for_each(|(column, number)| column.push(number));
        self.steps.push(step as i64 + 1);
        self.images.push(values.len() as i64);
    }

    fn table(self) -> Result<Frame, Failure> {
        let [orders, weights, measures] = self.texts;
        let [value, low, high] = self.numbers;
        let mut frame = Frame::new();
        frame.push_strings("order", &orders)?;
        frame.push_i64s("step", self.steps)?;
        frame.push_strings("weights", &weights)?;
        frame.push_strings("measure", &measures)?;
        frame.push_known_f64s("value", value)?;
        frame.push_known_f64s("low", low)?;
        frame.push_known_f64s("high", high)?;
        frame.push_i64s("images", self.images)?;
        Ok(frame)
    }
}
