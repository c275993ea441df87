//! `design.select`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use science::design::search::{self, Criterion};
use science::design::{cover, sample};
use science::linalg::{Mat, with_threads};
use serde::{Deserialize, Serialize};

use super::predictions::{self, Link, Predictions};
pub use super::selection::Method;
use super::selection::{Judge, Material, Measure, Needs, Scores, judge};
use super::stoppable::Stoppable;
use crate::kinds::artefacts::put_table;
use crate::kinds::columns;
use crate::kinds::wrong;
use crate::stage::{
    Cancel, Column, Complaint, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads,
    TableFacts,
};
use crate::table::{self, Frame};

/// `design.select`: which stimuli to show next.
pub struct Select;

/// Parameters of `design.select`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// How stimuli are chosen.
    pub method: Method,
    /// How many.
    pub n: usize,
    /// The column that names the stimulus in all tables.
    #[serde(default = "id")]
    pub id: String,
    /// The columns of `pool` with features; if none are named, every tensor column.
    #[serde(default)]
    pub features: Vec<String>,
    /// The column of `pool` with the groups of `stratified`.
    #[serde(default)]
    pub group: Option<String>,
    /// `k_center`: the first stimulus; if not given the one nearest to the pool's mean.
    #[serde(default)]
    pub start: Option<String>,
    /// `d_optimal`, `a_optimal`, `information`: the penalty λ of the ridge regression, which is the variance of
    /// the noise ÷ that of the weights.
    #[serde(default = "ridge")]
    pub ridge: f64,
    /// The column of `predictions` with the models' outputs; if not given `logits`, else the only tensor column.
    #[serde(default)]
    pub outputs: Option<String>,
    /// `controversial`: how outputs become probabilities.
    #[serde(default)]
    pub link: Link,
    /// `controversial`: how disagreement is measured.
    #[serde(default)]
    pub measure: Measure,
    /// `controversial`: the standard deviation of the noise of a measured response, where outputs are predicted
    /// responses and no classes; `link` is not used then.
    #[serde(default)]
    pub noise: Option<f64>,
    /// `drive`, `suppress`: which of the outputs, from 0.
    #[serde(default)]
    pub unit: usize,
    /// `drive`, `suppress`: the weight of differences among the chosen, against the response in standard
    /// deviations.
    #[serde(default)]
    pub diversity: f64,
    /// Random sets from which the exchange begins besides the greedy one, where there are too many sets to try
    /// all.
    #[serde(default = "starts")]
    pub starts: u32,
    /// Another seed gives other random choices.
    #[serde(default)]
    pub seed: u64,
}

fn id() -> String {
    "id".to_owned()
}

fn ridge() -> f64 {
    1.0
}

fn starts() -> u32 {
    4
}

/// Random sets that a choice is compared with.
const COMPARED: u64 = 200;

const SUMMARY: &[(&str, &str)] = &[
    ("method", "string"),
    ("criterion", "string"),
    ("n", "int64"),
    ("pool", "int64"),
    ("value", "float64"),
    ("random_mean", "float64"),
    ("random_best", "float64"),
];

impl Params {
    /// The columns of features, where the method reads any.
    fn columns(&self, pool: &TableFacts) -> Result<Vec<String>, Complaint> {
        columns::exists(pool, &self.id, "id")?;
        if let Some(group) = &self.group {
            columns::exists(pool, group, "group")?;
        }
        let driven = matches!(self.method, Method::Drive | Method::Suppress) && self.diversity > 0.0;
        if self.method.needs() == Needs::Features || driven {
            return columns::chosen(pool, &self.features, "features");
        }
        Ok(Vec::new())
    }

    fn check(&self, context: &InferContext) -> Result<(), Complaint> {
        let method = self.method.name();
        if self.n == 0 {
            return Err(Complaint::param("n", "no stimulus is asked for"));
        }
        if !(self.ridge > 0.0 && self.ridge.is_finite()) {
            return Err(Complaint::param(
                "ridge",
                format!("the ridge penalty {} is not positive", self.ridge),
            ));
        }
        if !(self.diversity >= 0.0 && self.diversity.is_finite()) {
            let text = format!("the diversity {} is not 0 or more", self.diversity);
            return Err(Complaint::param("diversity", text));
        }
        if self.noise.is_some_and(|noise| !(noise > 0.0 && noise.is_finite())) {
            return Err(Complaint::param("noise", "the noise must be more than 0"));
        }
        if self.noise.is_some() && self.measure != Measure::ErrorBound {
            return Err(Complaint::param("noise", "only `measure: error_bound` takes predicted responses")
                .hint("leave `noise` out where outputs are classes"));
        }
        if self.method == Method::Stratified && self.group.is_none() {
            return Err(Complaint::param("group", "`stratified` needs the column with the groups"));
        }
        let (pool, any) = (context.inputs.contains_key("pool"), context.inputs.contains_key("predictions"));
        let why = match self.method.needs() {
            Needs::Features => "looks at features",
            Needs::Names if self.method == Method::Stratified => "looks at groups",
            Needs::Models(_) if self.diversity > 0.0 => "with `diversity` looks at features",
            Needs::Names if !any => "chooses from a pool",
            _ => "",
        };
        if !pool && !why.is_empty() {
            return Err(Complaint::port("pool", format!("`{method}` {why}: bind `pool`")));
        }
        let least = if let Needs::Models(least) = self.method.needs() { least } else { 0 };
        let why = if least > 1 { "compares models" } else { "goes by a prediction" };
        predictions::check(context, self.outputs.as_deref(), &self.id, least, &format!("`{method}` {why}"))?;
        if let Some(table) = context.input("pool").table() {
            self.columns(table)?;
            if table.rows.is_some_and(|rows| (self.n as u64) > rows) {
                let text = format!("{} stimuli of a pool of {}", self.n, table.rows.unwrap_or(0));
                return Err(Complaint::param("n", text));
            }
        }
        if let Some(measured) = context.input("measured").table() {
            columns::exists(measured, &self.id, "id")?;
        }
        Ok(())
    }
}

/// The pool: names, features, groups, and who was measured.
struct Pool {
    frame: Frame,
    ids: Vec<String>,
    features: Option<Mat<f64>>,
    predictions: Option<Predictions>,
    measured: Vec<usize>,
}

impl Pool {
    fn read(params: &Params, io: &Io) -> Result<Self, Failure> {
        let bounds = io.many("predictions");
        let source = io.optional("pool").or(bounds.first());
        let source = source.ok_or_else(|| Failure::new("there is no pool"))?;
        let frame = table::read(source, None)?;
        let (ids, places) = columns::by_id(&frame, &params.id)?;
        let wanted = if io.optional("pool").is_some() {
            params.columns(&frame.facts()).map_err(|c| Failure::new(c.message))?
        } else {
            Vec::new()
        };
        let features = if wanted.is_empty() { None } else { Some(columns::matrix(&frame, &wanted)?) };
        let predictions = if matches!(params.method.needs(), Needs::Models(_)) {
            Some(Predictions::read(bounds, params.outputs.as_deref(), &params.id, Some(&ids))?)
        } else {
            None
        };
        let mut measured = Vec::new();
        if let Some(bound) = io.optional("measured") {
            let other = table::read(bound, None)?;
            for id in other.strings(&params.id)? {
                let place = places.get(&id).copied();
                let text = || Failure::new(format!("the measured stimulus {id} is not in the pool"));
                measured.push(place.ok_or_else(text)?);
            }
            measured.sort_unstable();
            measured.dedup();
        }
        Ok(Pool { frame, ids, features, predictions, measured })
    }

    fn barred(&self) -> Vec<bool> {
        let mut barred = vec![false; self.ids.len()];
        self.measured.iter().for_each(|row| barred[*row] = true);
        barred
    }

    fn free(&self) -> Vec<usize> {
        self.barred().iter().enumerate().filter(|(_, b)| !**b).map(|(row, _)| row).collect()
    }
}

/// What was chosen: rows of the pool with their scores, and the set's value beside those of random sets.
struct Chosen {
    rows: Vec<(usize, f64)>,
    value: Option<Value>,
}

struct Value {
    criterion: &'static str,
    own: f64,
    random_mean: f64,
    random_best: f64,
}

fn choose(params: &Params, pool: &Pool, cancel: &Cancel) -> Result<Chosen, Failure> {
    let (free, barred) = (pool.free(), pool.barred());
    let material = Material {
        features: pool.features.as_ref(),
        predictions: pool.predictions.as_ref(),
        measured: &pool.measured,
    };
    let set = |number| sample::random(&free, params.n, params.seed, number).map_err(wrong);
    let Some(judge) = judge(params, &material)? else {
        let rows = if let Some(column) = params.group.as_ref().filter(|_| params.method == Method::Stratified)
        {
            let groups = pool.frame.strings(column)?;
            sample::stratified(&free, &groups, params.n, params.seed).map_err(wrong)?
        } else {
            let chance = params.n as f64 / free.len().max(1) as f64;
            set(0)?.into_iter().map(|row| (row, chance)).collect()
        };
        return Ok(Chosen { rows, value: None });
    };
    let Judge { criterion, name, sign, scores } = judge;
    let criterion = Stoppable { criterion: &*criterion, cancel };
    let chosen = if params.method == Method::KCenter {
        farthest_first(params, pool, &barred)?
    } else {
        let starts = (0..u64::from(params.starts)).map(set).collect::<Result<Vec<_>, _>>()?;
        search::best(&criterion, params.n, &barred, &starts).map_err(wrong)?
    };
    let score = |place: usize| match &scores {
        Scores::UpTo => sign * criterion.value(&chosen[..=place]),
        Scores::Own(values) => values[chosen[place]],
        Scores::Whole => sign * criterion.value(&chosen),
    };
    let rows = chosen.iter().enumerate().map(|(place, row)| (*row, score(place))).collect();
    // Sets that no search began with.
    let mut values = Vec::new();
    for number in 0..COMPARED {
        values.push(criterion.value(&set(u64::from(params.starts) + number)?));
    }
    values.retain(|v| v.is_finite());
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let best = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let own = sign * criterion.value(&chosen);
    let (random_mean, random_best) = (sign * mean, sign * best);
    Ok(Chosen { rows, value: Some(Value { criterion: name, own, random_mean, random_best }) })
}

fn farthest_first(params: &Params, pool: &Pool, barred: &[bool]) -> Result<Vec<usize>, Failure> {
    let features = pool.features.as_ref().ok_or_else(|| Failure::new("`k_center` needs features"))?;
    let start = match &params.start {
        None => cover::central(features.as_ref()),
        Some(id) => {
            let place = pool.ids.iter().position(|own| own == id);
            place.ok_or_else(|| Failure::new(format!("`start`: there is no stimulus {id} in the pool")))?
        }
    };
    Ok(cover::k_center(features.as_ref(), params.n, start, barred).map_err(wrong)?.0)
}

impl Kind for Select {
    type Params = Params;

    const NAME: &'static str = "design.select";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "\
Chooses the stimuli to show next from a pool.

`table` has the `id` of each chosen stimulus, its `rank` from 1 and a `score`; `summary` compares the set's \
value with 200 random sets. Where there are at most 20,000 possible sets all are tried; else the best is \
sought by exchanging single stimuli, from the greedy set and from random ones. Stimuli in `measured` are \
left out, and `d_optimal`, `a_optimal` and `information` count them as known.

| method | looks at | score |\n|---|---|---|\n\
| `random` | `pool` or `predictions` | the chance to be chosen |\n\
| `stratified` | `pool`, `group` | the share of its group that is chosen |\n\
| `k_center` | `pool` | the pool's largest distance from the set so far |\n\
| `coverage` | `pool` | the pool's mean distance from the set so far |\n\
| `d_optimal` | `pool` | log det (λ I + FᵀF) of the set so far |\n\
| `a_optimal` | `pool` | tr (λ I + FᵀF)⁻¹ of the set so far |\n\
| `information` | `pool` | bits that the set so far tells about the weights |\n\
| `controversial` | `predictions` | bound on the error of naming a model after the set so far; with other \
measures the stimulus's own |\n\
| `rdm_decorrelated` | `predictions` | mean correlation of the models' RDMs over the set |\n\
| `drive`, `suppress` | `predictions`; with `diversity` `pool` too | the predicted response |\n\n\
Features are taken as they are: bring them to one scale first where they have several.";
    const EXAMPLE: &'static str = "\
next:
  uses: design.select
  in: { pool: images, predictions: \"answers[*]\" }
  with: { method: controversial, n: 20 }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new("pool", PortType::Table, "Candidates: one row a stimulus.").optional(),
                Port::new("predictions", PortType::Table, "Outputs of models for the candidates.")
                    .many()
                    .optional(),
                Port::new("measured", PortType::Table, "Stimuli that have been shown.").optional(),
            ],
            outputs: vec![
                Port::new("table", PortType::Table, "The chosen stimuli in order."),
                Port::new("summary", PortType::Table, "The set's value and that of random sets."),
            ],
            ..Ports::default()
        }
    }

    fn reads(params: &Params, context: &InferContext) -> BTreeMap<String, Reads> {
        let Some(pool) = context.input("pool").table() else { return BTreeMap::new() };
        let Ok(columns) = params.columns(pool) else { return BTreeMap::new() };
        let all = columns.into_iter().chain(params.group.clone()).chain([params.id.clone()]);
        BTreeMap::from([("pool".to_owned(), Reads::columns(all))])
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        params.check(context)?;
        let mut outputs = Outputs::from([("summary".to_owned(), columns::facts(SUMMARY))]);
        let first = context.inputs.get("predictions").and_then(|all| all.first());
        let source = context.input("pool").table().or_else(|| first.and_then(|f| f.facts.table()));
        if let Some(id) = source.and_then(|t| t.column(&params.id)) {
            let id = id.without_digest();
            let columns = vec![id, Column::new("rank", "int64"), Column::new("score", "float64")];
            outputs.insert("table".to_owned(), Facts::columns(columns));
        }
        Ok(outputs)
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let pool = Pool::read(params, io)?;
        let cancel = io.cancel.clone();
        let found = with_threads(io.threads, || choose(params, &pool, &cancel)).map_err(wrong)?;
        io.check_cancelled()?;
        let chosen = found?;
        let rows: Vec<usize> = chosen.rows.iter().map(|(row, _)| *row).collect();
        let mut out = Frame::new();
        out.push_column_of(&pool.frame.take(&rows)?, &params.id)?;
        out.push_i64s("rank", (1..=rows.len() as i64).collect())?;
        out.push_f64s("score", chosen.rows.iter().map(|(_, score)| *score).collect())?;
        put_table(io, "table", out)?;
        let values: Vec<Value> = chosen.value.into_iter().collect();
        let mut summary = Frame::new();
        summary.push_strings("method", &vec![params.method.name(); values.len()])?;
        summary.push_strings("criterion", &values.iter().map(|v| v.criterion).collect::<Vec<_>>())?;
        summary.push_i64s("n", vec![params.n as i64; values.len()])?;
        summary.push_i64s("pool", vec![pool.free().len() as i64; values.len()])?;
        summary.push_f64s("value", values.iter().map(|v| v.own).collect())?;
        summary.push_f64s("random_mean", values.iter().map(|v| v.random_mean).collect())?;
        summary.push_f64s("random_best", values.iter().map(|v| v.random_best).collect())?;
        put_table(io, "summary", summary)
    }
}

#[cfg(test)]
pub(super) mod tests;
