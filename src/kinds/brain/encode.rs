//! `brain.encode`

use schemars::JsonSchema;
use science::brain::encode::folds::{by_label, contiguous};
use science::linalg::with_threads;
use serde::{Deserialize, Serialize};

use super::common;
use super::held_out::{Data, ceilings, choices, projected, scores};
use super::pooled::summary;
use super::trained;
use crate::kinds::artefacts::put_table;
use crate::kinds::{columns, interval, wrong};
use crate::stage::{Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, TableFacts};
use crate::table::{self, Frame, Tensor};

/// `brain.encode`: responses from features by a linear map, judged on held-out stimuli.
pub struct Encode;

/// The linear map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Ridge regression, a penalty for every target chosen on the training rows of each fold.
    #[default]
    Ridge,
    /// Partial least squares with `components` components.
    Pls,
    /// Ridge regression in which every column of features is a band with a penalty of its own.
    Banded,
}

/// How penalties are chosen on the training rows of each outer fold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Choose {
    /// By `encode:r2/test-mean` over `inner` folds.
    #[default]
    Folds,
    /// By the squared error of every row left out once.
    LeaveOneOut,
}

/// The precision of the linear map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 64 bits.
    #[default]
    Float64,
    /// 32 bits: about twice as fast, half the memory.
    Float32,
}

/// Fewer features, fitted on training rows alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reduce {
    /// This many principal components of the training rows of each fold.
    Pca(usize),
    /// A sparse random projection to so many, which looks at no data.
    Sparse(usize),
}

/// Parameters of `brain.encode`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The columns of `features`; if none are named, every tensor column.
    #[serde(default)]
    pub features: Vec<String>,
    /// The columns of `responses`; if none are named, every tensor column.
    #[serde(default)]
    pub targets: Vec<String>,
    /// The column that names the stimulus in both tables.
    #[serde(default = "id")]
    pub id: String,
    /// The linear map.
    #[serde(default)]
    pub method: Method,
    /// Penalties to choose from.
    #[serde(default = "alphas")]
    pub alphas: Vec<f64>,
    /// How penalties are chosen.
    #[serde(default)]
    pub choose: Choose,
    /// `banded`: penalties of the bands relative to each other, in the order of `features`, to choose from. Left
    /// out, every combination of 1 and 100.
    #[serde(default)]
    pub ratios: Vec<Vec<f64>>,
    /// `ridge`: the precision of the map.
    #[serde(default)]
    pub precision: Precision,
    /// Components of PLS.
    #[serde(default = "components")]
    pub components: usize,
    /// Outer folds: contiguous blocks of the responses' rows.
    #[serde(default = "folds")]
    pub folds: usize,
    /// A column of `responses` with whole numbers that says which outer fold a row is in.
    #[serde(default)]
    pub fold: Option<String>,
    /// Inner folds that choose the penalty: contiguous blocks of the training rows.
    #[serde(default = "inner")]
    pub inner: usize,
    /// Reduce the features first.
    #[serde(default)]
    pub reduce: Option<Reduce>,
    /// `refits: 0`: bootstrap draws of stimuli.
    #[serde(default = "draws")]
    pub draws: u32,
    /// Do everything again so many times, each without another part of the stimuli (at most once a stimulus), for an
    /// interval over new experiments, in which maps are fitted to other stimuli too. 0: over new stimuli for the maps
    /// as fitted, without the time that refits take; it is too narrow where stimuli are few.
    #[serde(default = "refits")]
    pub refits: u32,
    /// A column of `responses`: rows with the same value depend on each other (of one run, one scene), so that the
    /// interval draws them or leaves them out together.
    #[serde(default)]
    pub cluster: Option<String>,
    /// The level of the interval.
    #[serde(default = "interval::level")]
    pub level: f64,
    /// Of the random projection, the bootstrap and the parts of refits.
    #[serde(default)]
    pub seed: u64,
}

fn id() -> String {
    "id".to_owned()
}

pub(super) fn alphas() -> Vec<f64> {
    (-2..=6).map(|e| 10_f64.powi(e)).collect()
}

fn components() -> usize {
    25
}

pub(super) fn folds() -> usize {
    5
}

pub(super) fn inner() -> usize {
    4
}

fn draws() -> u32 {
    500
}

fn refits() -> u32 {
    20
}

/// Fewest refits that an interval is made of.
pub(super) const LEAST_REFITS: u32 = 5;

/// Refuses penalties that are none.
pub(super) fn check_alphas(alphas: &[f64]) -> Result<(), Complaint> {
    match alphas.iter().position(|a| !(*a > 0.0 && a.is_finite())) {
        None => Ok(()),
        Some(bad) => {
            let text = format!("{} is not a positive number", alphas[bad]);
            Err(Complaint::param(format!("alphas.{bad}"), text))
        }
    }
}

const SUMMARY: &[(&str, &str)] = &[
    ("benchmark", "string"),
    ("metric", "string"),
    ("value", "float64"),
    ("low", "float64"),
    ("high", "float64"),
];
const DRAWS: &[(&str, &str)] = &[("draw", "int64"), ("position", "int64"), ("row", "int64")];
const SCORES: &[(&str, &str)] = &[
    ("target", "string"),
    ("benchmark", "string"),
    ("metric", "string"),
    ("fold", "int64"),
    ("value", "float64"),
];
const PROJECTION: &[(&str, &str)] = &[("feature", "string"), ("component", "int64"), ("weight", "float64")];
const FOLDS: &[(&str, &str)] = &[("id", "string"), ("fold", "int64")];
/// With refits.
const PARTS: &[(&str, &str)] = &[("id", "string"), ("fold", "int64"), ("part", "int64")];
const CHOICES: &[(&str, &str)] = &[("target", "string"), ("fold", "int64"), ("alpha", "float64")];
const BANDS: &[(&str, &str)] =
    &[("target", "string"), ("fold", "int64"), ("band", "string"), ("alpha", "float64")];

impl Params {
    fn check(&self, features: &TableFacts, responses: &TableFacts) -> Result<[Vec<String>; 2], Complaint> {
        columns::exists(features, &self.id, "id")?;
        columns::exists(responses, &self.id, "id")?;
        if let Some(fold) = &self.fold {
            columns::exists(responses, fold, "fold")?;
        }
        if let Some(cluster) = &self.cluster {
            columns::exists(responses, cluster, "cluster")?;
        }
        let x = columns::chosen(features, &self.features, "features")?;
        self.check_bands(x.len())?;
        Ok([x, columns::chosen(responses, &self.targets, "targets")?])
    }

    fn read(&self, io: &Io) -> Result<Data, Failure> {
        let features = table::read(io.input("features")?, None)?;
        let responses = table::read(io.input("responses")?, None)?;
        let [own, targets] =
            self.check(&features.facts(), &responses.facts()).map_err(|c| Failure::new(c.message))?;
        let (_, places) = columns::by_id(&features, &self.id)?;
        let (ids, _) = columns::by_id(&responses, &self.id)?;
        let rows = common::with_features(&ids, &places)?;
        let all: Vec<usize> = (0..ids.len()).collect();
        let folds = match &self.fold {
            Some(fold) => by_label(&responses.i64s(fold)?),
            None => contiguous(&all, self.folds),
        };
        let clusters: Vec<Vec<usize>> = match &self.cluster {
            Some(cluster) => common::groups(&responses.strings(cluster)?).into_values().collect(),
            None => all.iter().map(|row| vec![*row]).collect(),
        };
        if self.cluster.is_some() && clusters.len() < LEAST_REFITS as usize {
            let text = format!(
                "{} clusters are too few for an interval, which takes {LEAST_REFITS}",
                clusters.len()
            );
            return Err(Failure::new(text).hint("leave out `cluster`, if rows do not depend on each other"));
        }
        let facts = features.facts();
        let width = |name: &String| {
            facts.column(name).and_then(|c| c.shape.as_ref()).map_or(1, |s| s.iter().product())
        };
        let band = own.iter().enumerate().flat_map(|(b, name)| std::iter::repeat_n(b, width(name))).collect();
        Ok(Data {
            x: columns::matrix(&features.take(&rows)?, &own)?,
            features: columns::names(&features, &own),
            band,
            bands: own,
            y: columns::matrix(&responses, &targets)?,
            targets: columns::names(&responses, &targets),
            folds: folds.map_err(wrong)?,
            clusters,
            ids,
        })
    }
}

impl Kind for Encode {
    type Params = Params;

    const NAME: &'static str = "brain.encode";
    const REVISION: u32 = 3;
    const ABOUT: &'static str = "\
Predicts responses from features by a linear map and judges it on stimuli that were held out.

Rows are joined by their id. For each outer fold the penalty of every target is chosen by inner folds of \
the training rows alone (or, with `choose: leave_one_out`, by leaving out one of them after the other), and \
reductions of the features are fitted on them alone. Features are not standardised; the intercept is free of \
the penalty. With `method: banded` each column of `features` has a penalty of its own, chosen from `ratios` \
times `alphas` for every target.

`scores` has one row a target, metric and outer fold: `encode:r:fold` is Pearson's correlation, \
`encode:r2/test-mean:fold` is \
1 − Σ(y − ŷ)² ÷ Σ(y − ȳ)² with ȳ the mean of the held-out rows. `predictions`, `folds`, `choices` and, \
with `reduce: sparse`, `projection` hold everything behind them. `benchmark` is a digest of responses, folds, metric and the code's revision.

Where `ceiling` is bound, `encode:norm:r/sqrt(sb:mean-of-splits):fold` is r ÷ √reliability; a target whose \
reliability is not positive has no such row. \
`summary` then has a second row, `encode:norm:r/sqrt(sb:mean-of-splits):pooled:target-mean`, the mean over the targets \
that have one.

`summary` has the correlation of all held-out predictions with the responses, the mean over targets \
(`encode:r:pooled:target-mean`), with its interval: over new experiments, in which maps are fitted to other stimuli \
too, Student's t with the variance of a delete-a-group jackknife of `refits` parts (they are in `folds`); or, with \
`refits: 0`, over new stimuli for the maps as they were fitted, percentiles of a bootstrap, whose rows are in `draws`. \
Stimuli count as independent of each other, or their clusters with `cluster`.

Rows that a model before learned from are refused by name: see the port `trained`.";
    const EXAMPLE: &'static str = "\
encode:
  uses: brain.encode
  in: { features: activations, responses: brain }
  with: { features: [hidden], targets: [voxels], folds: 5 }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new("features", PortType::Table, "Features: one row a stimulus."),
                Port::new("responses", PortType::Table, "Responses: one row a stimulus."),
                trained::port(),
                Port::new("ceiling", PortType::Table, "Reliability, from brain.ceiling.").optional(),
            ],
            outputs: vec![
                Port::new("scores", PortType::Table, "One row a target, metric and fold."),
                Port::new("summary", PortType::Table, "The mean over targets with its interval."),
                Port::new("draws", PortType::Table, "The rows of every bootstrap draw; empty with refits."),
                Port::new("predictions", PortType::Table, "Held-out predictions: a tensor a row."),
                Port::new("folds", PortType::Table, "The fold of every row."),
                Port::new(
                    "choices",
                    PortType::Table,
                    "The penalty of every target and fold (and band); empty for PLS.",
                ),
                Port::new(
                    "projection",
                    PortType::Table,
                    "The entries of the sparse projection that are not 0; empty without one.",
                ),
            ],
            ..Ports::default()
        }
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        check_alphas(&params.alphas)?;
        let few = [
            ("alphas", params.alphas.len(), 1),
            ("folds", params.folds, 2),
            ("inner", params.inner, 2),
            ("components", params.components, 1),
            ("draws", params.draws as usize, 20),
        ];
        if let Some((param, value, least)) = few.into_iter().find(|(_, value, least)| value < least) {
            return Err(Complaint::param(param, format!("{value} is fewer than {least}")));
        }
        if (1..LEAST_REFITS).contains(&params.refits) {
            let text = format!("{} refits tell little: 0 or at least {LEAST_REFITS}", params.refits);
            return Err(Complaint::param("refits", text));
        }
        params.check_method()?;
        trained::check(context, &params.id, "responses")?;
        if let (Some(x), Some(y)) = (context.input("features").table(), context.input("responses").table()) {
            params.check(x, y)?;
        }
        let outputs = [
            ("scores", SCORES),
            ("summary", SUMMARY),
            ("draws", DRAWS),
            ("folds", if params.refits > 0 { PARTS } else { FOLDS }),
            ("projection", PROJECTION),
            ("choices", if params.method == Method::Banded { BANDS } else { CHOICES }),
        ];
        Ok(outputs.into_iter().map(|(port, columns)| (port.to_owned(), columns::facts(columns))).collect())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let data = params.read(io)?;
        trained::refuse(io, &params.id, &data.ids)?;
        let projection = params.projection(&data).map_err(wrong)?;
        put_table(io, "projection", projected(&data, projection.as_ref())?)?;
        let ceilings = ceilings(io, &data.targets)?;
        let cancel = io.cancel.clone();
        let predict = || params.predict(&data, projection.as_ref(), &cancel);
        let found = with_threads(io.threads, predict).and_then(|answer| answer);
        io.check_cancelled()?;
        let (predictions, penalties) = found.map_err(wrong)?;
        put_table(io, "scores", scores(&data, &predictions, &ceilings)?)?;
        // Behind the scores: what cannot be scored is told before everything is done again.
        let progress = io.progress;
        let refit = || params.refit(&data, projection.as_ref(), &cancel, progress);
        let refits = with_threads(io.threads, refit).and_then(|refits| refits);
        io.check_cancelled()?;
        let refits = refits.map_err(wrong)?;
        let asked = (params.draws, params.level, params.seed);
        let (summary, draws) = summary(asked, &data, &predictions, &refits, &ceilings, io)?;
        put_table(io, "summary", summary)?;
        put_table(io, "draws", draws)?;

        let mut fold_of = vec![0; data.ids.len()];
        data.folds
            .iter()
            .enumerate()
            .for_each(|(f, held)| held.iter().for_each(|row| fold_of[*row] = f as i64));
        let mut folds = Frame::new();
        folds.push_strings("id", &data.ids)?;
        folds.push_i64s("fold", fold_of)?;
        let mut table = folds.clone();
        let values = (0..predictions.nrows()).flat_map(|i| (0..predictions.ncols()).map(move |j| (i, j)));
        let values = values.map(|at| predictions[at] as f32).collect();
        table.push_tensor_f32("prediction", Tensor { row_shape: vec![predictions.ncols()], values })?;
        put_table(io, "predictions", table)?;
        if params.refits > 0 {
            folds.push_i64s("part", refits.part_of)?;
        }
        put_table(io, "folds", folds)?;

        put_table(io, "choices", choices(&data, &penalties, params.method == Method::Banded)?)
    }
}

#[cfg(test)]
mod tests;
