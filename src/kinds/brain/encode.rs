//! `brain.encode`

use schemars::JsonSchema;
use science::brain::encode::folds::{by_label, contiguous, without};
use science::brain::encode::nested::nested;
use science::brain::encode::pls::Pls;
use science::brain::encode::project::{Pca, sparse};
use science::brain::encode::ridge::Ridge;
use science::linalg::{Mat, product, with_threads};
use serde::{Deserialize, Serialize};

use super::held_out::{Data, ceilings, choices, refuse_trained, scores, summary};
use crate::kinds::artefacts::put_table;
use crate::kinds::{columns, interval, words, wrong};
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
    /// Bootstrap draws of stimuli.
    #[serde(default = "draws")]
    pub draws: u32,
    /// The level of the interval.
    #[serde(default = "interval::level")]
    pub level: f64,
    /// Of the random projection and the bootstrap.
    #[serde(default)]
    pub seed: u64,
}

fn id() -> String {
    "id".to_owned()
}

fn alphas() -> Vec<f64> {
    (-2..=6).map(|e| 10_f64.powi(e)).collect()
}

fn components() -> usize {
    25
}

fn folds() -> usize {
    5
}

fn inner() -> usize {
    4
}

fn draws() -> u32 {
    500
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
const FOLDS: &[(&str, &str)] = &[("id", "string"), ("fold", "int64")];
const CHOICES: &[(&str, &str)] = &[("target", "string"), ("fold", "int64"), ("alpha", "float64")];

/// Predictions for every row, and the penalty of every fold and target.
type Answer = (Mat<f64>, Option<Mat<f64>>);

impl Params {
    fn check(&self, features: &TableFacts, responses: &TableFacts) -> Result<[Vec<String>; 2], Complaint> {
        columns::exists(features, &self.id, "id")?;
        columns::exists(responses, &self.id, "id")?;
        if let Some(fold) = &self.fold {
            columns::exists(responses, fold, "fold")?;
        }
        let x = columns::chosen(features, &self.features, "features")?;
        Ok([x, columns::chosen(responses, &self.targets, "targets")?])
    }

    fn read(&self, io: &Io) -> Result<Data, Failure> {
        let features = table::read(io.input("features")?, None)?;
        let responses = table::read(io.input("responses")?, None)?;
        let [own, targets] =
            self.check(&features.facts(), &responses.facts()).map_err(|c| Failure::new(c.message))?;
        let (_, places) = columns::by_id(&features, &self.id)?;
        let (ids, _) = columns::by_id(&responses, &self.id)?;
        let missing: Vec<&str> =
            ids.iter().filter(|id| !places.contains_key(*id)).map(String::as_str).collect();
        if !missing.is_empty() {
            let text = format!(
                "{} stimuli have responses but no features: {}",
                missing.len(),
                words::listed(&missing)
            );
            return Err(Failure::new(text).hint("join the tables with table.sql"));
        }
        let rows: Vec<usize> = ids.iter().map(|id| places[id]).collect();
        let all: Vec<usize> = (0..ids.len()).collect();
        let folds = match &self.fold {
            Some(fold) => by_label(&responses.i64s(fold)?),
            None => contiguous(&all, self.folds),
        };
        Ok(Data {
            x: columns::matrix(&features.take(&rows)?, &own)?,
            y: columns::matrix(&responses, &targets)?,
            targets: columns::names(&responses, &targets),
            folds: folds.map_err(wrong)?,
            ids,
        })
    }

    /// Predictions for all rows, each from fits that never saw its fold.
    fn predict(&self, data: &Data) -> science::error::Result<Answer> {
        let projected = match self.reduce {
            Some(Reduce::Sparse(count)) => {
                let projection = sparse(data.x.ncols(), count, self.seed)?;
                Some(product(data.x.as_ref(), projection.as_ref()))
            }
            _ => None,
        };
        let x = projected.as_ref().unwrap_or(&data.x);
        let pca = match self.reduce {
            Some(Reduce::Pca(count)) => Some(count),
            _ => None,
        };
        if self.method == Method::Ridge && pca.is_none() {
            let ridge = Ridge::new(x.as_ref(), data.y.as_ref())?;
            let found = nested(&ridge, &data.folds, self.inner, &self.alphas)?;
            return Ok((found.predictions, Some(found.alphas)));
        }
        let mut predictions = Mat::zeros(data.y.nrows(), data.y.ncols());
        let mut alphas = Mat::zeros(data.folds.len(), data.y.ncols());
        let all: Vec<usize> = (0..data.y.nrows()).collect();
        for (fold, held) in data.folds.iter().enumerate() {
            let train = without(&all, held);
            let take =
                |m: &Mat<f64>, rows: &[usize]| Mat::from_fn(rows.len(), m.ncols(), |i, j| m[(rows[i], j)]);
            let (mut own, mut other) = (take(x, &train), take(x, held));
            if let Some(count) = pca {
                let components = Pca::fit(own.as_ref(), count)?;
                (own, other) = (components.apply(own.as_ref())?, components.apply(other.as_ref())?);
            }
            let y = take(&data.y, &train);
            let found = match self.method {
                Method::Pls => {
                    Pls::fit(own.as_ref(), y.as_ref(), self.components, true)?.predict(other.as_ref())?
                }
                Method::Ridge => {
                    let rows: Vec<usize> = (0..train.len()).collect();
                    let ridge = Ridge::new(own.as_ref(), y.as_ref())?;
                    let inner = contiguous(&rows, self.inner)?;
                    let scores = ridge.cross_validate(&rows, &inner, &self.alphas)?;
                    let chosen = science::brain::encode::ridge::best(scores.as_ref());
                    let chosen: Vec<f64> = chosen.into_iter().map(|i| self.alphas[i]).collect();
                    chosen.iter().enumerate().for_each(|(j, a)| alphas[(fold, j)] = *a);
                    ridge.fit(&rows, &chosen)?.predict(other.as_ref())
                }
            };
            for (i, row) in held.iter().enumerate() {
                (0..found.ncols()).for_each(|j| predictions[(*row, j)] = found[(i, j)]);
            }
        }
        Ok((predictions, (self.method == Method::Ridge).then_some(alphas)))
    }
}

impl Kind for Encode {
    type Params = Params;

    const NAME: &'static str = "brain.encode";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "\
Predicts responses from features by a linear map and judges it on stimuli that were held out.

Rows are joined by their id. For each outer fold the penalty of every target is chosen by inner folds of \
the training rows alone, and reductions of the features are fitted on them alone. Features are not \
standardised; the intercept is free of the penalty.

`scores` has one row a target, metric and outer fold: `encode:r:fold` is Pearson's correlation, \
`encode:r2/test-mean:fold` is \
1 − Σ(y − ŷ)² ÷ Σ(y − ȳ)² with ȳ the mean of the held-out rows. `predictions`, `folds` and `choices` hold \
everything behind them. `benchmark` is a digest of responses, folds, metric and the code's revision.

Where `ceiling` is bound, `encode:norm:r/sqrt(sb:mean-of-splits):fold` is r ÷ √reliability; a target whose \
reliability is not positive has no such row.

`summary` has the correlation of all held-out predictions with the responses, the mean over targets \
(`encode:r:pooled:target-mean`), with its interval over stimuli: percentiles of a bootstrap, whose rows \
are in `draws`.

Bind the rows that a model was trained on to `trained`: if one of them would be scored, it is an error \
that names it.";
    const EXAMPLE: &'static str = "\
encode:
  uses: brain.encode
  in: { features: activations, responses: brain, trained: split.train }
  with: { features: [hidden], targets: [voxels], folds: 5 }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new("features", PortType::Table, "Features: one row a stimulus."),
                Port::new("responses", PortType::Table, "Responses: one row a stimulus."),
                Port::new("trained", PortType::Table, "Rows that entered training.").optional().many(),
                Port::new("ceiling", PortType::Table, "Reliability, from brain.ceiling.").optional(),
            ],
            outputs: vec![
                Port::new("scores", PortType::Table, "One row a target, metric and fold."),
                Port::new("summary", PortType::Table, "The mean over targets with its interval."),
                Port::new("draws", PortType::Table, "The rows of every bootstrap draw."),
                Port::new("predictions", PortType::Table, "Held-out predictions: a tensor a row."),
                Port::new("folds", PortType::Table, "The fold of every row."),
                Port::new("choices", PortType::Table, "The penalty of every target and fold; empty for PLS."),
            ],
            ..Ports::default()
        }
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        if let Some(bad) = params.alphas.iter().position(|a| !(*a > 0.0 && a.is_finite())) {
            let text = format!("{} is not a positive number", params.alphas[bad]);
            return Err(Complaint::param(format!("alphas.{bad}"), text));
        }
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
        for input in context.inputs.get("trained").into_iter().flatten() {
            if let Some(table) = input.facts.table() {
                columns::exists(table, &params.id, "id")?;
            }
        }
        if let (Some(x), Some(y)) = (context.input("features").table(), context.input("responses").table()) {
            params.check(x, y)?;
        }
        let outputs = [
            ("scores", SCORES),
            ("summary", SUMMARY),
            ("draws", DRAWS),
            ("folds", FOLDS),
            ("choices", CHOICES),
        ];
        Ok(outputs.into_iter().map(|(port, columns)| (port.to_owned(), columns::facts(columns))).collect())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let data = params.read(io)?;
        refuse_trained(io, &params.id, &data.ids)?;
        let found = with_threads(io.threads, || params.predict(&data)).and_then(|answer| answer);
        let (predictions, alphas) = found.map_err(wrong)?;
        put_table(io, "scores", scores(&data, &predictions, &ceilings(io, &data.targets)?)?)?;
        let (summary, draws) = summary((params.draws, params.level, params.seed), &data, &predictions)?;
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
        put_table(io, "folds", folds)?;

        put_table(io, "choices", choices(&data, alphas.as_ref())?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{Input, Run, run_tables};

    fn value(i: i64) -> f64 {
        ((i * 37) % 23) as f64 / 23.0
    }

    fn features(rows: std::ops::Range<i64>) -> Frame {
        let mut frame = Frame::new();
        frame.push_i64s("id", rows.clone().collect()).unwrap();
        frame.push_f64s("a", rows.clone().map(value).collect()).unwrap();
        frame.push_f64s("b", rows.map(|i| value(i * i + 5)).collect()).unwrap();
        frame
    }

    fn responses(of: impl Fn(i64) -> f64) -> Frame {
        let mut frame = Frame::new();
        frame.push_i64s("id", (0..60).rev().collect()).unwrap();
        frame.push_f64s("voxel", (0..60).rev().map(of).collect()).unwrap();
        frame
    }

    fn run(with: &[(&str, serde_json::Value)], y: Frame, more: &[Input]) -> Result<Run, String> {
        let mut params = json!({"features": ["a", "b"], "targets": ["voxel"], "draws": 50});
        with.iter().for_each(|(name, value)| params[*name] = value.clone());
        let mut inputs = vec![("features", features(0..60), &[][..]), ("responses", y, &[][..])];
        inputs.extend(more.iter().cloned());
        run_tables(&Encode, params, &inputs)
    }

    fn linear(i: i64) -> f64 {
        2.0 * value(i) - value(i * i + 5)
    }

    #[test]
    fn a_linear_response_is_predicted_by_every_method() {
        for with in [
            vec![],
            vec![("method", json!("pls")), ("components", json!(2))],
            vec![("reduce", json!({"pca": 2}))],
        ] {
            let run = run(&with, responses(linear), &[]).unwrap();
            assert!(run.table("summary").f64s("value").unwrap()[0] > 0.99, "{with:?}");
            for port in ["scores", "summary", "draws", "folds", "choices"] {
                assert_eq!(run.inferred(port).columns, run.table(port).facts().columns, "{port}");
            }
        }
    }

    #[test]
    fn scores_are_normalised_by_the_reliability_where_there_is_one() {
        let ceiling = |value: f64| {
            let mut frame = Frame::new();
            frame.push_strings("target", &["voxel"]).unwrap();
            frame.push_strings("benchmark", &["key"]).unwrap();
            frame.push_strings("metric", &["sb:mean-of-splits"]).unwrap();
            frame.push_f64s("value", vec![value]).unwrap();
            frame
        };
        let scores = |value| {
            let run = run(&[], responses(linear), &[("ceiling", ceiling(value), &[])]).unwrap();
            run.table("scores").f64s("value").unwrap()
        };
        let found = scores(0.25);
        assert_eq!(found.len(), 15);
        assert!((0..5).all(|f| (found[10 + f] - found[f] / 0.5).abs() < 1e-12), "{found:?}");
        assert_eq!(scores(0.0).len(), 10);
    }

    #[test]
    fn rows_that_entered_training_are_named() {
        let leak = [("trained", features(57..70), &[][..])];
        let text = run(&[], responses(linear), &leak).err().unwrap();
        assert!(text.starts_with("3 rows entered training and cannot be scored: 59, 58, 57"), "{text}");
        assert!(run(&[], responses(linear), &[("trained", features(60..70), &[])]).is_ok());
    }

    #[test]
    fn what_cannot_be_scored_is_named() {
        let text = run(&[], responses(|i| f64::from(u8::from(i < 12)).max(0.5)), &[]).err().unwrap();
        assert!(text.contains("constant"), "{text}");
        let text = run(&[("alphas", json!([1.0, 0.0]))], responses(linear), &[]).err().unwrap();
        assert!(text.starts_with("0 is not a positive number"), "{text}");
        let text = run(&[], responses(|i| if i == 3 { f64::NAN } else { 1.0 }), &[]).err().unwrap();
        assert!(text.starts_with("column `voxel`, row 56: NaN"), "{text}");
    }
}
