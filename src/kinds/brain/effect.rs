//! `brain.effect`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use science::brain::{bootstrap, stats};
use serde::{Deserialize, Serialize};

use super::common::{self, Key};
use super::trained;
use crate::kinds::artefacts::put_table;
use crate::kinds::{columns, interval, words, wrong};
use crate::stage::{Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, TableFacts};
use crate::table::{self, Frame};

/// `brain.effect`: a qualitative finding as a test.
pub struct Effect;

/// The size of an effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// Difference of means ÷ pooled standard deviation.
    #[default]
    CohensD,
    /// Difference of means.
    Difference,
    /// (a − b) ÷ (a + b) of the means, which must be positive.
    Selectivity,
    /// Spearman's correlation of value and place in `order`, for any number of groups.
    Order,
}

/// Parameters of `brain.effect`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The columns with the values; their numbers are averaged in every row. If none are named, every
    /// tensor column.
    #[serde(default)]
    pub columns: Vec<String>,
    /// The column that names the model; without it each table is one model, called by its matrix axes.
    #[serde(default)]
    pub model: Option<String>,
    /// The column that names a row, there and in `trained`; read only where `trained` is bound.
    #[serde(default = "id")]
    pub id: String,
    /// The column that says which group a row is in.
    pub group: String,
    /// The declared order of groups from lowest to highest: the effect is that values rise along it. Two
    /// groups, or more for the size `order`. Rows of other groups are left out.
    pub order: Vec<String>,
    /// The size of the effect.
    #[serde(default)]
    pub size: Size,
    /// The effect is there if the whole interval is above this.
    #[serde(default)]
    pub above: f64,
    /// Draws of the bootstrap, and permutations of the groups.
    #[serde(default = "draws")]
    pub draws: u32,
    /// The level of the interval.
    #[serde(default = "interval::level")]
    pub level: f64,
    /// Another seed gives other draws.
    #[serde(default)]
    pub seed: u64,
}

fn id() -> String {
    "id".to_owned()
}

fn draws() -> u32 {
    1000
}

const EFFECTS: &[(&str, &str)] = &[
    ("model", "string"),
    ("benchmark", "string"),
    ("metric", "string"),
    ("value", "float64"),
    ("low", "float64"),
    ("high", "float64"),
    ("p", "float64"),
    ("rows", "int64"),
    ("found", "int64"),
];
const DRAWS: &[(&str, &str)] =
    &[("model", "string"), ("draw", "int64"), ("position", "int64"), ("row", "int64")];
const PERMUTATIONS: &[(&str, &str)] =
    &[("model", "string"), ("permutation", "int64"), ("position", "int64"), ("row", "int64")];

impl Params {
    fn check(&self, table: &TableFacts) -> Result<Vec<String>, Complaint> {
        columns::exists(table, &self.group, "group")?;
        if let Some(model) = &self.model {
            columns::exists(table, model, "model")?;
        }
        columns::chosen(table, &self.columns, "columns")
    }

    fn metric(&self) -> String {
        let name = match self.size {
            Size::CohensD => "cohens-d:pooled-sd",
            Size::Difference => "difference-of-means",
            Size::Selectivity => "selectivity:(a-b)/(a+b)",
            Size::Order => "spearman-of-order",
        };
        format!("effect:{name}:{}", self.order.join("<"))
    }

    /// The size of the effect of values with their places in the order; `None` where it is undefined.
    fn measure(&self, values: &[f64], places: &[usize]) -> Option<f64> {
        if self.size == Size::Order {
            let place: Vec<f64> = places.iter().map(|p| *p as f64).collect();
            return stats::pearson(&stats::ranks(values), &stats::ranks(&place));
        }
        let of = |place: usize| -> Vec<f64> {
            values.iter().zip(places).filter(|(_, p)| **p == place).map(|(v, _)| *v).collect()
        };
        let (low, high) = (of(0), of(1));
        let (a, b) = (stats::mean(&high), stats::mean(&low));
        let found = match self.size {
            Size::Selectivity if a <= 0.0 || b <= 0.0 => return None,
            Size::Selectivity => (a - b) / (a + b),
            Size::CohensD => {
                let weight = |v: &[f64]| (v.len() as f64 - 1.0) * stats::variance(v);
                let pooled = (weight(&high) + weight(&low)) / (values.len() as f64 - 2.0);
                (a - b) / pooled.sqrt()
            }
            _ => a - b,
        };
        found.is_finite().then_some(found)
    }
}

/// What one table shows.
struct Found {
    value: f64,
    interval: (f64, f64),
    p: f64,
    rows: Vec<usize>,
    draws: Vec<Vec<usize>>,
    permutations: Vec<Vec<usize>>,
    key: String,
}

/// The ids of the rows that are in one of the groups.
fn scored(params: &Params, frame: &Frame) -> Result<Vec<String>, Failure> {
    let (groups, ids) = (frame.strings(&params.group)?, frame.strings(&params.id)?);
    let grouped = |(group, _): &(String, String)| params.order.contains(group);
    Ok(groups.into_iter().zip(ids).filter(grouped).map(|(_, id)| id).collect())
}

fn test(params: &Params, frame: &Frame, columns: &[String]) -> Result<Found, Failure> {
    let matrix = columns::matrix(frame, columns)?;
    let groups = frame.strings(&params.group)?;
    let place: BTreeMap<&String, usize> = params.order.iter().zip(0..).collect();
    let rows: Vec<usize> = (0..frame.rows()).filter(|r| place.contains_key(&groups[*r])).collect();
    let places: Vec<usize> = rows.iter().map(|r| place[&groups[*r]]).collect();
    for (name, own) in &place {
        let count = places.iter().filter(|p| *p == own).count();
        if count < 2 {
            let text = format!("group `{name}` of `{}` has {count} rows, an effect needs two", params.group);
            return Err(Failure::new(text));
        }
    }
    let mean = |r: &usize| matrix.row(*r).iter().sum::<f64>() / matrix.ncols() as f64;
    let values: Vec<f64> = rows.iter().map(mean).collect();
    let value = params.measure(&values, &places).ok_or_else(|| {
        Failure::new(format!(
            "`{}` is undefined: values are constant, or means not positive",
            params.metric()
        ))
    })?;
    // Rows are drawn anew within their group.
    let members: Vec<Vec<usize>> =
        (0..params.order.len()).map(|g| (0..rows.len()).filter(|i| places[*i] == g).collect()).collect();
    let mut draws = vec![Vec::new(); params.draws as usize];
    for (group, own) in members.iter().enumerate() {
        let seed = params.seed.wrapping_mul(31).wrapping_add(group as u64);
        let all = bootstrap::draws(bootstrap::Factor::Stimuli, 1, own.len(), draws.len(), seed);
        draws.iter_mut().zip(all).for_each(|(draw, d)| draw.extend(d.stimuli.iter().map(|i| own[*i])));
    }
    let drawn = |draw: &Vec<usize>| {
        let (v, p): (Vec<f64>, Vec<usize>) = draw.iter().map(|i| (values[*i], places[*i])).unzip();
        params.measure(&v, &p)
    };
    let found: Vec<f64> = draws.iter().filter_map(drawn).collect();
    if found.len() * 10 < draws.len() * 9 {
        return Err(Failure::new("the effect is undefined in most bootstrap draws: groups are too small"));
    }
    let interval = bootstrap::percentile_interval(&found, params.level).map_err(wrong)?;
    let permutation = |number: u64| bootstrap::permutation(rows.len(), params.seed, number);
    let permutations: Vec<Vec<usize>> = (0..u64::from(params.draws)).map(permutation).collect();
    let as_large = |order: &&Vec<usize>| {
        let moved: Vec<f64> = order.iter().map(|i| values[*i]).collect();
        params.measure(&moved, &places).is_some_and(|v| v >= value)
    };
    let more = permutations.iter().filter(as_large).count();
    let key =
        Key::new(Effect::NAME, Effect::REVISION).text(&params.metric()).numbers([params.level, params.above]);
    let key = rows.iter().fold(key, |key, row| key.text(&groups[*row]));
    let key = key.numbers(draws.iter().flatten().map(|i| *i as f64)).finish();
    let p = (more as f64 + 1.0) / (f64::from(params.draws) + 1.0);
    Ok(Found { value, interval, p, rows, draws, permutations, key })
}

impl Kind for Effect {
    type Params = Params;

    const NAME: &'static str = "brain.effect";
    const REVISION: u32 = 2;
    const ABOUT: &'static str = "\
Tests a qualitative finding: that values rise along a declared order of groups.

`effects` has one row a model (a table, or a value of the column `model`) with the size of the effect as `value`, \
its interval (percentiles of a bootstrap of rows within groups), `p` (one-sided, by permutation of the \
groups), the number of `rows`, and `found`: 1 if the whole interval is above `above`, else 0. `draws` \
holds the rows of every bootstrap draw, and `permutations` the row whose value each permutation puts in the \
place of a row. A model may show an effect and yet predict responses badly, or \
the reverse: put these scores beside those of `brain.encode`.

Rows that a model before learned from are refused by name: see the port `trained`.";
    const EXAMPLE: &'static str = "\
faces:
  uses: brain.effect
  in: { tables: \"activations[*]\" }
  with: { columns: [unit], group: category, order: [object, face], size: cohens_d }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![Port::new("tables", PortType::Table, "Values and groups.").many(), trained::port()],
            outputs: vec![
                Port::new("effects", PortType::Table, "One row a table."),
                Port::new(
                    "draws",
                    PortType::Table,
                    "The rows of every bootstrap draw, counted within the model.",
                ),
                Port::new(
                    "permutations",
                    PortType::Table,
                    "The row whose value stands in each place in every permutation, counted likewise.",
                ),
            ],
            ..Ports::default()
        }
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        let groups = params.order.len();
        if groups < 2 || (groups > 2 && params.size != Size::Order) {
            let text = format!("{groups} groups: two are compared, more need the size `order`");
            return Err(Complaint::param("order", text));
        }
        if params.order.iter().enumerate().any(|(i, g)| params.order[..i].contains(g)) {
            return Err(Complaint::param("order", "a group stands twice in the order"));
        }
        if params.draws < 20 {
            return Err(Complaint::param("draws", "an interval needs at least 20 draws"));
        }
        interval::check(params.level)?;
        trained::check(context, &params.id, "tables")?;
        for table in context.inputs.get("tables").into_iter().flatten().filter_map(|t| t.facts.table()) {
            params.check(table)?;
        }
        let outputs = [("effects", EFFECTS), ("draws", DRAWS), ("permutations", PERMUTATIONS)];
        Ok(outputs.into_iter().map(|(port, columns)| (port.to_owned(), columns::facts(columns))).collect())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let mut all: Vec<(String, Found)> = Vec::new();
        for (index, bound) in io.many("tables").iter().enumerate() {
            io.check_cancelled()?;
            let name = words::label(&bound.axes, index, "model");
            let frame = table::read(bound, None)?;
            let columns = params.check(&frame.facts()).map_err(|c| Failure::new(c.message))?;
            if trained::bound(io) {
                let named = |f: Failure| f.context(format!("`{name}`"));
                trained::refuse(io, &params.id, &scored(params, &frame)?).map_err(named)?;
            }
            let names = match &params.model {
                Some(model) => frame.strings(model)?,
                None => vec![name; frame.rows()],
            };
            for (name, rows) in common::groups(&names) {
                let found = test(params, &frame.take(&rows)?, &columns);
                all.push((name.to_owned(), found.map_err(|f| f.context(format!("`{name}`")))?));
            }
        }
        let numbers = |of: &dyn Fn(&Found) -> f64| -> Vec<f64> { all.iter().map(|(_, f)| of(f)).collect() };
        let mut effects = Frame::new();
        effects.push_strings("model", &all.iter().map(|(n, _)| n).collect::<Vec<_>>())?;
        effects.push_strings("benchmark", &all.iter().map(|(_, f)| &f.key).collect::<Vec<_>>())?;
        effects.push_strings("metric", &vec![params.metric(); all.len()])?;
        effects.push_f64s("value", numbers(&|f| f.value))?;
        effects.push_f64s("low", numbers(&|f| f.interval.0))?;
        effects.push_f64s("high", numbers(&|f| f.interval.1))?;
        effects.push_f64s("p", numbers(&|f| f.p))?;
        effects.push_i64s("rows", all.iter().map(|(_, f)| f.rows.len() as i64).collect())?;
        let found = all.iter().map(|(_, f)| i64::from(f.interval.0 > params.above));
        effects.push_i64s("found", found.collect())?;
        put_table(io, "effects", effects)?;
        put_table(io, "draws", resampled(&all, "draw", |f| &f.draws)?)?;
        put_table(io, "permutations", resampled(&all, "permutation", |f| &f.permutations)?)
    }
}

/// The rows that every resampling takes, in the order of their places.
fn resampled(
    all: &[(String, Found)],
    what: &str,
    of: impl Fn(&Found) -> &[Vec<usize>],
) -> Result<Frame, Failure> {
    let (mut models, mut number, mut position, mut row) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (name, found) in all {
        for (at, taken) in of(found).iter().enumerate() {
            for (place, index) in taken.iter().enumerate() {
                models.push(name);
                number.push(at as i64);
                position.push(place as i64);
                row.push(found.rows[*index] as i64);
            }
        }
    }
    let mut frame = Frame::new();
    frame.push_strings("model", &models)?;
    frame.push_i64s(what, number)?;
    frame.push_i64s("position", position)?;
    frame.push_i64s("row", row)?;
    Ok(frame)
}

#[cfg(test)]
mod tests;
