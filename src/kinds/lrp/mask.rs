//! `lrp.mask`: what a model answers when the most, or the least, relevant pixels are masked.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use science::maps::contrast::{Draws, mean};
use serde::{Deserialize, Serialize};

use super::images::{Channels, Images, Planes, check_maps, columns};
use super::masking::{Fill, Masking, Measure, NamedFill, Order, areas, curves};
use super::models::{Estimates, MOST_RESAMPLES, estimate_columns};
use super::scorer::Scorer;
use crate::kinds::artefacts::put_table;
use crate::kinds::model::facts;
use crate::stage::{
    Column, Complaint, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads,
};
use crate::table::{Frame, Tensor};

/// Masking curves.
pub struct Mask;

/// Parameters of `lrp.mask`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Which pixels are masked first.
    #[serde(default = "orders")]
    pub orders: Vec<Order>,
    /// Shares of the pixels that are masked, rising.
    #[serde(default = "fractions")]
    pub fractions: Vec<f64>,
    /// What stands in place of masked pixels: `zero`, `mean` (of the image), `dataset_mean`, `noise`,
    /// `{ value: v }` or `{ blur: pixels }`.
    #[serde(default = "fill")]
    pub fill: Fill,
    /// Random orders of each image, averaged.
    #[serde(default = "draws")]
    pub draws: usize,
    /// Seed of random orders, noise and resamples.
    #[serde(default)]
    pub seed: u64,
    /// Bootstrap resamples of the images for the intervals.
    #[serde(default = "resamples")]
    pub resamples: usize,
    /// Column of images; if not given `input`, else the only tensor column.
    #[serde(default)]
    pub input: Option<String>,
    /// Column of true classes; if not given `label`, `labels`, `target` or `class`, else what the maps
    /// explain.
    #[serde(default)]
    pub target: Option<String>,
    /// The tensor with the logits, by its name in the graph; if not given the first output, or what stands
    /// before its softmax.
    #[serde(default)]
    pub tensor: Option<String>,
    /// Which axis of an image holds the channels.
    #[serde(default)]
    pub channels: Channels,
    /// Also write the table `masked`: the images, masked up to one fraction.
    #[serde(default)]
    pub masked: Option<MaskedImages>,
}

/// Which masked images are written.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaskedImages {
    /// Which pixels are masked first.
    #[serde(default = "most")]
    pub order: Order,
    /// Share of the pixels that is masked.
    pub fraction: f64,
}

fn most() -> Order {
    Order::Most
}

pub(super) fn orders() -> Vec<Order> {
    vec![Order::Most, Order::Least, Order::Random]
}

pub(super) fn fractions() -> Vec<f64> {
    vec![0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5]
}

pub(super) fn fill() -> Fill {
    Fill::Named(NamedFill::Zero)
}

pub(super) fn draws() -> usize {
    3
}

pub(super) fn resamples() -> usize {
    1000
}

impl Params {
    fn masking(&self) -> Masking<'_> {
        Masking {
            orders: &self.orders,
            fractions: &self.fractions,
            fill: self.fill,
            draws: self.draws,
            seed: self.seed,
        }
    }
}

impl MaskedImages {
    /// The masking that makes them: filled and drawn as those of the curves.
    fn masking<'a>(&'a self, params: &Params) -> Masking<'a> {
        Masking {
            orders: std::slice::from_ref(&self.order),
            fractions: std::slice::from_ref(&self.fraction),
            draws: 1,
            fill: params.fill,
            seed: params.seed,
        }
    }
}

/// Refuses too many resamples.
pub(super) fn check_resamples(resamples: usize) -> Result<(), Complaint> {
    if (1..=MOST_RESAMPLES).contains(&resamples) {
        return Ok(());
    }
    Err(Complaint::param("resamples", format!("there must be 1 to {MOST_RESAMPLES} resamples")))
}

/// Checks the images against the models that see them.
pub(super) fn check_images(
    context: &InferContext,
    models: &str,
    input: Option<&str>,
    target: Option<&str>,
) -> Result<(), Complaint> {
    for maps in context.inputs.get("maps").into_iter().flatten() {
        maps.facts.table().map_or(Ok(()), check_maps)?;
    }
    let Some(images) = context.input("data").table() else { return Ok(()) };
    let (input, _) = columns(images, input, target)?;
    for model in context.inputs.get(models).into_iter().flatten() {
        let only = facts::only_input(&model.facts)
            .map_err(|c| Complaint { at: Some(format!("in.{models}")), ..c })?;
        only.map_or(Ok(()), |wanted| facts::check_shape(images, &input, wanted))?;
    }
    Ok(())
}

/// The columns read of images and maps.
pub(super) fn read_columns(
    context: &InferContext,
    input: Option<&str>,
    target: Option<&str>,
) -> BTreeMap<String, Reads> {
    let mut reads = BTreeMap::from([("maps".to_owned(), Reads::columns(["id", "target", "relevance"]))]);
    if let Some(Ok((input, target))) = context.input("data").table().map(|t| columns(t, input, target)) {
        let names = [Some("id".to_owned()), Some(input), target];
        reads.insert("data".to_owned(), Reads::columns(names.into_iter().flatten()));
    }
    reads
}

/// True classes: those of the images, else those that the maps explain.
pub(super) fn classes(images: &Images, maps: &Planes) -> Result<Vec<i64>, Failure> {
    images.classes.clone().or_else(|| maps.targets.clone()).ok_or_else(|| {
        Failure::new("neither the images nor the maps say which classes are true")
            .hint("name the column with the classes: `target: …`")
    })
}

impl Kind for Mask {
    type Params = Params;
    const NAME: &'static str = "lrp.mask";
    const REVISION: u32 = 1;
    const USES_RUNTIME: bool = true;
    const ABOUT: &'static str = "What a model still answers when the most relevant pixels are masked.\n\n\
        The pixels of each image are ranked by its map, summed over channels (of equal ones the first in row-major \
        order comes first). For each order and fraction the first ⌊fraction × pixels + ½⌋ are replaced in all \
        channels, and the model runs on the result. Maps and images are matched by `id`; images without maps are \
        left out.\n\n`curve` has for each order and fraction the mean over images of `accuracy`, `logit` and \
        `probability` of the true class, with 95 % bootstrap intervals (`accuracy_low`, …). `area` has the area \
        under each curve ÷ the range of fractions, with interval. `cases` has one row for each masked image. `masked` has the images of one order and fraction, \
        such as `{ order: least, fraction: 0.8 }`, all but the most relevant fifth: what a model makes of them is a \
        matter of model.infer, with the same column as the whole images.";
    const EXAMPLE: &'static str = "\
masked:
  uses: lrp.mask
  in: { model: train.model, data: split.test, maps: maps }
  with: { orders: [most, least, random], fractions: [0, 0.05, 0.1, 0.2], fill: mean }
";

    fn ports(params: Option<&Params>) -> Ports {
        let mut outputs = vec![
            Port::new("curve", PortType::Table, "means for each order and fraction"),
            Port::new("area", PortType::Table, "areas under the curves"),
            Port::new("cases", PortType::Table, "one row for each masked image"),
        ];
        if params.is_none_or(|p| p.masked.is_some()) {
            let what = "with `masked`: id, the masked image in the column of the images, target";
            outputs.push(Port::new("masked", PortType::Table, what));
        }
        Ports {
            inputs: vec![
                Port::new("model", PortType::Model, "a classifier with one float32 input"),
                Port::new("data", PortType::Table, "images, and their true classes"),
                Port::new("maps", PortType::Table, "relevance of their pixels"),
            ],
            outputs,
            ..Ports::default()
        }
    }

    fn reads(params: &Params, context: &InferContext) -> BTreeMap<String, Reads> {
        read_columns(context, params.input.as_deref(), params.target.as_deref())
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        params.masking().check()?;
        if let Some(images) = params.masked.filter(|m| !(0.0..=1.0).contains(&m.fraction)) {
            let text = format!("the fraction must be from 0 to 1, not {}", images.fraction);
            return Err(Complaint::param("masked.fraction", text));
        }
        check_resamples(params.resamples)?;
        check_images(context, "model", params.input.as_deref(), params.target.as_deref())?;
        let mut curve = vec![
            Column::new("order", "string"),
            Column::new("fraction", "float64"),
            Column::new("images", "int64"),
        ];
        for measure in Measure::ALL {
            curve.extend(
                ["", "_low", "_high"].map(|end| Column::new(format!("{}{end}", measure.name()), "float64")),
            );
        }
        let mut outputs = Outputs::new();
        let mut add = |port: &str, columns: Vec<Column>| {
            outputs.insert(port.to_owned(), Facts::columns(columns));
        };
        add("curve", curve);
        add("area", estimate_columns(&["order", "measure"]));
        let images = context.input("data").table().filter(|_| params.masked.is_some());
        if let Some(Ok((input, _))) =
            images.map(|t| columns(t, params.input.as_deref(), params.target.as_deref()))
        {
            let shape = images.and_then(|t| t.column(&input)?.shape.clone()).unwrap_or_default();
            add(
                "masked",
                vec![
                    Column::new("id", "string"),
                    Column::new(&input, "tensor(float32)").with_shape(shape),
                    Column::new("target", "int64"),
                ],
            );
        }
        Ok(outputs)
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let data = io.input("data")?;
        let images = Images::read(data, params.input.as_deref(), params.target.as_deref(), params.channels)?;
        let layout = images.layout;
        let (maps, _) = Planes::read(io.input("maps")?, |_| Ok(layout))?;
        let images = images.ordered(&maps.ids)?;
        let classes = classes(&images, &maps)?;
        if classes.is_empty() {
            return Err(Failure::new("there are no images to mask"));
        }
        let row_shape = &images.tensor.row_shape;
        let mut models = [Scorer::new(io.input("model")?, params.tensor.as_deref(), row_shape, io)?];
        let masking = params.masking();
        let answers = masking.answers(&images, &maps.planes, &classes, &mut models, &mut |done, total| {
            io.progress.advance("masked images", done as u64, Some(total as u64));
            io.check_cancelled()
        })?;
        let answers = answers.into_iter().next().unwrap_or_default();
        let draws = Draws { count: params.resamples, seed: params.seed };

        let mut curve = Curve::default();
        let mut estimates = Estimates::default();
        for (index, order) in params.orders.iter().enumerate() {
            let each = Measure::ALL.map(|measure| curves(&masking, index, measure, &classes, &answers));
            for (place, fraction) in params.fractions.iter().enumerate() {
                curve.push(order.name(), *fraction, &each, place, draws);
            }
            for (measure, curves) in Measure::ALL.iter().zip(&each) {
                let area = mean(&areas(&params.fractions, curves), draws);
                estimates.add(&[order.name(), measure.name()], area);
            }
        }
        let mut ids = Frame::new();
        ids.push_strings("id", &images.ids)?;
        if let Some(masked) = &params.masked {
            let values = masked.masking(params).images(&images, &maps.planes);
            let mut frame = ids.clone();
            frame.push_tensor_f32(&images.column, Tensor { row_shape: row_shape.clone(), values })?;
            frame.push_i64s("target", classes.clone())?;
            put_table(io, "masked", frame)?;
        }
        let tables = [
            ("curve", curve.table(classes.len())?),
            ("area", estimates.table(&["order", "measure"])?),
            ("cases", masking.table(&ids, &classes, &answers)?),
        ];
        io.note("execution_provider", models[0].provider());
        for (port, table) in tables {
            put_table(io, port, table)?;
        }
        Ok(())
    }
}

/// Rows of the port `curve`.
#[derive(Default)]
struct Curve {
    orders: Vec<&'static str>,
    fractions: Vec<f64>,
    /// Value, low and high of each measure.
    numbers: [[Vec<f64>; 3]; 3],
}

impl Curve {
    fn push(
        &mut self,
        order: &'static str,
        fraction: f64,
        curves: &[Vec<Vec<f64>>; 3],
        place: usize,
        draws: Draws,
    ) {
        self.orders.push(order);
        self.fractions.push(fraction);
        for (numbers, curves) in self.numbers.iter_mut().zip(curves) {
            let values: Vec<f64> = curves.iter().map(|curve| curve[place]).collect();
            let found = mean(&values, draws).map_or([f64::NAN; 3], |e| [e.value, e.low, e.high]);
            numbers.iter_mut().zip(found).for_each(|(column, number)| column.push(number));
        }
    }

    fn table(self, images: usize) -> Result<Frame, Failure> {
        let mut frame = Frame::new();
        let rows = self.orders.len();
        frame.push_strings("order", &self.orders)?;
        frame.push_f64s("fraction", self.fractions)?;
        frame.push_i64s("images", vec![images as i64; rows])?;
        for (measure, numbers) in Measure::ALL.iter().zip(self.numbers) {
            for (end, column) in ["", "_low", "_high"].iter().zip(numbers) {
                frame.push_f64s(&format!("{}{end}", measure.name()), column)?;
            }
        }
        Ok(frame)
    }
}
