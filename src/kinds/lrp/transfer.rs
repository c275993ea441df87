//! `lrp.transfer`: what each model answers when pixels are masked that matter to each other.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use science::maps::contrast::{Draws, Pairs, mean};
use serde::{Deserialize, Serialize};

use super::images::{Channels, Images, Planes};
use super::mask::{
    check_images, check_resamples, classes, draws, fill, fractions, orders, read_columns, resamples,
};
use super::masking::{Fill, Masking, Measure, Order, areas, curves};
use super::models::{
    Estimates, bound_cells, cells, clusters, estimate_columns, pair, partners, put_stacked, questions,
    stacked, state,
};
use super::scorer::{Answer, Scorer};
use crate::stage::{
    Axes, Column, Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads,
};
use crate::table::Frame;

/// Masks of one model, answers of another.
pub struct Transfer;

/// Parameters of `lrp.transfer`.
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
    /// Resamples for the intervals, and permutations for the tests.
    #[serde(default = "resamples")]
    pub resamples: usize,
    /// The axis whose values repeat a model, such as `seed`: the bootstrap draws them whole.
    #[serde(default = "repeats")]
    pub repeats: String,
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
}

pub(super) fn repeats() -> String {
    "seed".to_owned()
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

const SIDES: (&str, &str) = ("maps", "model");

/// Every ordered pair of cells, the maps' outermost.
fn ordered(cells: &[Axes]) -> Vec<Axes> {
    cells.iter().flat_map(|a| cells.iter().map(move |b| pair(a, b, SIDES))).collect()
}

impl Kind for Transfer {
    type Params = Params;
    const NAME: &'static str = "lrp.transfer";
    const REVISION: u32 = 1;
    const USES_RUNTIME: bool = true;
    const ABOUT: &'static str = "Do maps generalise? What each model answers when pixels are masked that matter to another.\n\n\
        For every pair of models (A, B) the images are masked by A's maps and shown to B, as in `lrp.mask`. Maps and \
        models are matched by their matrix cells.\n\n`matrix` has for each pair, order and fraction the mean \
        `accuracy`, `logit` and `probability` of the true class; the axes of A stand in columns `maps_…`, those of B \
        in `model_…`.\n\nThe other tables tell of the area under each pair's curve ÷ the range of fractions, G[A, B]. \
        `asymmetry` has G[A, B] − G[B, A] for each pair, with a bootstrap over images and a sign-flip test. \
        `contrasts` has, with 95 % intervals from a paired bootstrap over images and over the values of the axis \
        `repeats`, and p from permutations of models: `self - other` (the diagonal against the rest), for each axis \
        `same - different` (pairs of two models which share its value against those which do not), and for each two \
        values the asymmetry `x to y - y to x` (maps of x, models of y, against the reverse).";
    const EXAMPLE: &'static str = "\
transfer:
  uses: lrp.transfer
  in: { models: \"train[*].model\", data: split.test, maps: \"maps[*].table\" }
  with: { orders: [most], fractions: [0.05, 0.1, 0.2], fill: mean }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new("models", PortType::Model, "classifiers with one float32 input").many(),
                Port::new("data", PortType::Table, "images, and their true classes"),
                Port::new("maps", PortType::Table, "for each model its maps").many(),
            ],
            outputs: vec![
                Port::new("matrix", PortType::Table, "means for each pair, order and fraction"),
                Port::new(
                    "asymmetry",
                    PortType::Table,
                    "differences between the two directions of each pair",
                ),
                Port::new("contrasts", PortType::Table, "differences between groups of pairs"),
            ],
            ..Ports::default()
        }
    }

    fn reads(params: &Params, context: &InferContext) -> BTreeMap<String, Reads> {
        read_columns(context, params.input.as_deref(), params.target.as_deref())
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        params.masking().check()?;
        check_resamples(params.resamples)?;
        check_images(context, "models", params.input.as_deref(), params.target.as_deref())?;
        let of = |port: &str| cells(context.inputs.get(port).into_iter().flatten().map(|i| &i.axes));
        let (maps, models) = (of("maps"), of("models"));
        partners(&maps, &models).map_err(|text| {
            Complaint::port("maps", text).hint("gather maps and models of the same matrix cells")
        })?;
        let mut matrix = vec![
            Column::new("order", "string"),
            Column::new("fraction", "float64"),
            Column::new("images", "int64"),
        ];
        matrix.extend(Measure::ALL.map(|m| Column::new(m.name(), "float64")));
        let mut outputs = Outputs::new();
        state(&mut outputs, "matrix", stacked(ordered(&maps), matrix));
        state(&mut outputs, "asymmetry", stacked(ordered(&maps), estimate_columns(&["order", "measure"])));
        let columns = estimate_columns(&["contrast", "order", "measure"]);
        state(&mut outputs, "contrasts", stacked(vec![Axes::new()], columns));
        Ok(outputs)
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let cells = bound_cells(io.many("maps"));
        let partners = partners(&cells, &bound_cells(io.many("models"))).map_err(Failure::new)?;
        let data = io.input("data")?;
        let mut images =
            Images::read(data, params.input.as_deref(), params.target.as_deref(), params.channels)?;
        let layout = images.layout;
        let mut planes: Vec<Vec<Vec<f32>>> = Vec::with_capacity(cells.len());
        let mut truth = Vec::new();
        for (index, bound) in io.many("maps").iter().enumerate() {
            let (maps, _) = Planes::read(bound, |_| Ok(layout))?;
            if index == 0 {
                images = images.ordered(&maps.ids)?;
                truth = classes(&images, &maps)?;
            }
            planes.push(maps.ordered(&images.ids)?);
        }
        if truth.is_empty() {
            return Err(Failure::new("there are no images to mask"));
        }
        let mut models = Vec::with_capacity(partners.len());
        for place in partners {
            let bound = &io.many("models")[place];
            models.push(Scorer::new(bound, params.tensor.as_deref(), &images.tensor.row_shape, io)?);
        }
        let masking = params.masking();
        let mut answers: Vec<Vec<Vec<Answer>>> = Vec::with_capacity(cells.len());
        for (index, planes) in planes.iter().enumerate() {
            let each = masking.answers(&images, planes, &truth, &mut models, &mut |done, total| {
                let (before, all) = (index * total, cells.len() * total);
                io.progress.advance("masked images", (before + done) as u64, Some(all as u64));
                io.check_cancelled()
            })?;
            answers.push(each);
        }
        if let Some(model) = models.first() {
            io.note("execution_provider", model.provider());
        }
        tables(params, &cells, &truth, &answers, io)
    }
}

/// Makes the tables from the answers [maps][model].
fn tables(
    params: &Params,
    cells: &[Axes],
    truth: &[i64],
    answers: &[Vec<Vec<Answer>>],
    io: &mut Io,
) -> Result<(), Failure> {
    let masking = params.masking();
    let count = cells.len();
    let draws = Draws { count: params.resamples, seed: params.seed };
    let repeats = clusters(cells, &params.repeats);
    let questions = questions(cells, true, Some(&params.repeats));
    let mut matrix: Vec<Rows> = (0..count * count).map(|_| Rows::default()).collect();
    let mut asymmetry: Vec<Estimates> = (0..count * count).map(|_| Estimates::default()).collect();
    let mut contrasts = Estimates::default();
    for (index, order) in params.orders.iter().enumerate() {
        for (place, measure) in Measure::ALL.iter().enumerate() {
            let mut images = vec![vec![0.0; count * count]; truth.len()];
            for (cell, answers) in answers.iter().flatten().enumerate() {
                let curves = curves(&masking, index, *measure, truth, answers);
                matrix[cell].push(order.name(), &params.fractions, place, &curves);
                let areas = areas(&params.fractions, &curves);
                images.iter_mut().zip(areas).for_each(|(image, area)| image[cell] = area);
            }
            let pairs = Pairs::new(count, images).ok_or_else(|| Failure::new("there are no models"))?;
            for question in &questions {
                let found = question.answer(&pairs, count, repeats.as_deref(), draws);
                contrasts.add(&[&question.name, order.name(), measure.name()], found);
            }
            for (cell, estimates) in asymmetry.iter_mut().enumerate() {
                let (a, b) = (cell / count, cell % count);
                if a < b {
                    let differences: Vec<f64> =
                        pairs.of(a, b).iter().zip(pairs.of(b, a)).map(|(x, y)| x - y).collect();
                    estimates.add(&[order.name(), measure.name()], mean(&differences, draws));
                }
            }
        }
    }
    let cells = ordered(cells);
    let matrix: Vec<Frame> =
        matrix.into_iter().map(|rows| rows.table(truth.len())).collect::<Result<_, _>>()?;
    let asymmetry: Vec<Frame> =
        asymmetry.iter().map(|e| e.table(&["order", "measure"])).collect::<Result<_, _>>()?;
    put_stacked(io, "matrix", cells.iter().cloned().zip(matrix).collect())?;
    put_stacked(io, "asymmetry", cells.into_iter().zip(asymmetry).collect())?;
    put_stacked(io, "contrasts", vec![(Axes::new(), contrasts.table(&["contrast", "order", "measure"])?)])
}

/// One pair's rows of the port `matrix`.
#[derive(Default)]
struct Rows {
    orders: Vec<&'static str>,
    fractions: Vec<f64>,
    means: [Vec<f64>; 3],
}

impl Rows {
    /// Adds one measure's means of one order.
    fn push(&mut self, order: &'static str, fractions: &[f64], measure: usize, curves: &[Vec<f64>]) {
        if measure == 0 {
            self.orders.extend(fractions.iter().map(|_| order));
            self.fractions.extend(fractions);
        }
        let mean = |place: usize| curves.iter().map(|c| c[place]).sum::<f64>() / curves.len() as f64;
        self.means[measure].extend((0..fractions.len()).map(mean));
    }

    fn table(self, images: usize) -> Result<Frame, Failure> {
        let mut frame = Frame::new();
        let rows = self.orders.len();
        frame.push_strings("order", &self.orders)?;
        frame.push_f64s("fraction", self.fractions)?;
        frame.push_i64s("images", vec![images as i64; rows])?;
        for (measure, means) in Measure::ALL.iter().zip(self.means) {
            frame.push_f64s(measure.name(), means)?;
        }
        Ok(frame)
    }
}
