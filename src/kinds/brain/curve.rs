//! `brain.curve`

use schemars::JsonSchema;
use science::brain::encode::curve::{Order, Repeated, Settings, orders, point};
use science::linalg::{Mat, with_threads};
use serde::{Deserialize, Serialize};

use super::common::{self, Key};
use super::trained;
use crate::kinds::artefacts::put_table;
use crate::kinds::columns;
use crate::stage::{Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, TableFacts};
use crate::table::{self, Frame};

/// `brain.curve`: how much is gained by more stimuli and by more repeats.
pub struct Curve;

/// Parameters of `brain.curve`.
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
    /// The column of `responses` that tells repeats of a stimulus apart.
    #[serde(default = "repeat")]
    pub repeat: String,
    /// Numbers of stimuli.
    pub stimuli: Vec<usize>,
    /// Numbers of repeats; each is crossed with each number of stimuli.
    pub repeats: Vec<usize>,
    /// Random samples of every size.
    #[serde(default = "draws")]
    pub draws: u32,
    /// Penalties to choose from.
    #[serde(default = "super::encode::alphas")]
    pub alphas: Vec<f64>,
    /// Outer folds: contiguous blocks of the sampled stimuli in the order of their names.
    #[serde(default = "super::encode::folds")]
    pub folds: usize,
    /// Inner folds that choose the penalty.
    #[serde(default = "super::encode::inner")]
    pub inner: usize,
    /// Another seed gives other samples.
    #[serde(default)]
    pub seed: u64,
}

fn id() -> String {
    "id".to_owned()
}

fn repeat() -> String {
    "repeat".to_owned()
}

fn draws() -> u32 {
    20
}

/// The score of a sample, and what is shown of those of all draws.
const METRIC: &str = "encode:r:pooled:target-mean/draw-mean";
const CURVE: &[(&str, &str)] = &[
    ("stimuli", "int64"),
    ("repeats", "int64"),
    ("benchmark", "string"),
    ("metric", "string"),
    ("value", "float64"),
    ("error", "float64"),
];
const SAMPLES: &[(&str, &str)] =
    &[("draw", "int64"), ("side", "string"), ("position", "int64"), ("name", "string")];

impl Params {
    fn check(&self, features: &TableFacts, responses: &TableFacts) -> Result<[Vec<String>; 2], Complaint> {
        columns::exists(features, &self.id, "id")?;
        columns::exists(responses, &self.id, "id")?;
        columns::exists(responses, &self.repeat, "repeat")?;
        Ok([
            columns::chosen(features, &self.features, "features")?,
            columns::chosen(responses, &self.targets, "targets")?,
        ])
    }
}

/// Features and repeated responses of the same stimuli.
struct Data {
    stimuli: Vec<String>,
    repeats: Vec<String>,
    x: Mat<f64>,
    /// Stimuli outermost.
    y: Mat<f64>,
    targets: Vec<String>,
}

fn read(params: &Params, io: &Io) -> Result<Data, Failure> {
    let features = table::read(io.input("features")?, None)?;
    let responses = table::read(io.input("responses")?, None)?;
    let [own, targets] =
        params.check(&features.facts(), &responses.facts()).map_err(|c| Failure::new(c.message))?;
    let (ids, apart) = (responses.strings(&params.id)?, responses.strings(&params.repeat)?);
    let (stimuli, repeats) = (common::in_order(ids.clone()), common::in_order(apart.clone()));
    let rows = common::grid(&ids, &apart, &stimuli, &repeats, &params.repeat)?;
    let (_, places) = columns::by_id(&features, &params.id)?;
    let x = columns::matrix(&features.take(&common::with_features(&stimuli, &places)?)?, &own)?;
    let y = columns::matrix(&responses.take(&rows)?, &targets)?;
    for (param, asked, there) in
        [("stimuli", &params.stimuli, stimuli.len()), ("repeats", &params.repeats, repeats.len())]
    {
        if let Some(more) = asked.iter().find(|size| **size > there) {
            return Err(Failure::new(format!("{more} {param} are asked for, and there are {there}")));
        }
    }
    Ok(Data { stimuli, repeats, x, y, targets: columns::names(&responses, &targets) })
}

impl Kind for Curve {
    type Params = Params;

    const NAME: &'static str = "brain.curve";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "\
How well responses are predicted from features, over the numbers of stimuli and repeats: a learning curve.

Every stimulus must have every repeat once. For each number in `stimuli` crossed with each in `repeats`, random \
samples are drawn, responses averaged over the sampled repeats, and ridge regression judged on stimuli that were \
held out, as `brain.encode` does. Samples are nested: in one draw a larger one holds the smaller. `curve` has one \
row a size: `value` is the mean over draws of the correlation of held-out predictions with the mean responses, the \
mean over targets (`encode:r:pooled:target-mean/draw-mean`), and `error` its standard error, the standard deviation over draws ÷ \
√draws. It says how well that mean is known, not how another experiment would end. Small samples \
have fewer rows to fit on, and fewer repeats noisier responses to be judged by: divide by the ceiling to tell these \
apart. `samples` holds the order of stimuli and repeats of every draw; a sample is the beginning of both.

Rows that a model before learned from are refused by name: see the port `trained`.";
    const EXAMPLE: &'static str = "\
curve:
  uses: brain.curve
  in: { features: activations, responses: trials }
  with: { features: [hidden], targets: [rate], stimuli: [25, 50, 100], repeats: [1, 2, 4] }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new("features", PortType::Table, "Features: one row a stimulus."),
                Port::new("responses", PortType::Table, "Responses: one row a stimulus and repeat."),
                trained::port(),
            ],
            outputs: vec![
                Port::new("curve", PortType::Table, "One row a number of stimuli and of repeats."),
                Port::new("samples", PortType::Table, "The order of stimuli and repeats of every draw."),
            ],
            ..Ports::default()
        }
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        super::encode::check_alphas(&params.alphas)?;
        let few = [
            ("stimuli", params.stimuli.len(), 1),
            ("repeats", params.repeats.len(), 1),
            ("draws", params.draws as usize, 2),
            ("alphas", params.alphas.len(), 1),
            ("folds", params.folds, 2),
            ("inner", params.inner, 2),
        ];
        if let Some((param, value, least)) = few.into_iter().find(|(_, value, least)| value < least) {
            return Err(Complaint::param(param, format!("{value} is fewer than {least}")));
        }
        for (param, sizes, least) in
            [("stimuli", &params.stimuli, params.folds), ("repeats", &params.repeats, 1)]
        {
            if let Some(at) = sizes.iter().position(|size| *size < least) {
                let text = format!("{} {param} are too few: at least {least}", sizes[at]);
                return Err(Complaint::param(format!("{param}.{at}"), text));
            }
        }
        trained::check(context, &params.id, "responses")?;
        if let (Some(x), Some(y)) = (context.input("features").table(), context.input("responses").table()) {
            params.check(x, y)?;
        }
        let outputs = [("curve", CURVE), ("samples", SAMPLES)];
        Ok(outputs.into_iter().map(|(port, columns)| (port.to_owned(), columns::facts(columns))).collect())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let data = read(params, io)?;
        trained::refuse(io, &params.id, &data.stimuli)?;
        let count = u64::from(params.draws);
        let orders = orders(data.stimuli.len(), data.repeats.len(), count, params.seed);
        let settings = Settings { folds: params.folds, inner: params.inner, alphas: params.alphas.clone() };
        let repeated = Repeated { values: data.y.as_ref(), repeats: data.repeats.len() };
        let names: Vec<&str> = data.targets.iter().map(String::as_str).collect();
        let sizes: Vec<(usize, usize)> =
            params.stimuli.iter().flat_map(|n| params.repeats.iter().map(move |m| (*n, *m))).collect();
        let mut points = Vec::new();
        for (at, size) in sizes.iter().enumerate() {
            io.check_cancelled()?;
            let found =
                with_threads(io.threads, || point(data.x.as_ref(), repeated, *size, &orders, &settings));
            let context = |e| {
                common::wrong_of(e, "target", &names)
                    .context(format!("{} stimuli × {} repeats", size.0, size.1))
            };
            points.push(found.and_then(|p| p).map_err(context)?);
            io.progress.advance("sizes", at as u64 + 1, Some(sizes.len() as u64));
        }
        let mut curve = Frame::new();
        curve.push_i64s("stimuli", sizes.iter().map(|s| s.0 as i64).collect())?;
        curve.push_i64s("repeats", sizes.iter().map(|s| s.1 as i64).collect())?;
        curve
            .push_strings("benchmark", &sizes.iter().map(|s| key(&data, &orders, *s)).collect::<Vec<_>>())?;
        curve.push_strings("metric", &vec![METRIC; sizes.len()])?;
        curve.push_f64s("value", points.iter().map(|p| p.score).collect())?;
        curve.push_f64s("error", points.iter().map(|p| p.error).collect())?;
        put_table(io, "curve", curve)?;
        put_table(io, "samples", samples(&data, &orders)?)
    }
}

/// The key of the benchmark that a size is: responses, samples, metric, code.
fn key(data: &Data, orders: &[Order], (stimuli, repeats): (usize, usize)) -> String {
    let mut key = Key::new(Curve::NAME, Curve::REVISION).text(METRIC);
    for name in &data.stimuli {
        key = key.text(name);
    }
    for j in 0..data.y.ncols() {
        key = key.numbers(data.y.col_as_slice(j).iter().copied());
    }
    let taken = orders.iter().flat_map(|o| o.stimuli[..stimuli].iter().chain(&o.repeats[..repeats]));
    key.numbers(taken.map(|i| *i as f64)).finish()
}

fn samples(data: &Data, orders: &[Order]) -> Result<Frame, Failure> {
    let (mut draws, mut sides, mut positions, mut names) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (draw, order) in orders.iter().enumerate() {
        let both = [("stimulus", &order.stimuli, &data.stimuli), ("repeat", &order.repeats, &data.repeats)];
        for (side, taken, all) in both {
            for (position, index) in taken.iter().enumerate() {
                draws.push(draw as i64);
                sides.push(side);
                positions.push(position as i64);
                names.push(&all[*index]);
            }
        }
    }
    let mut frame = Frame::new();
    frame.push_i64s("draw", draws)?;
    frame.push_strings("side", &sides)?;
    frame.push_i64s("position", positions)?;
    frame.push_strings("name", &names)?;
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{Input, Run, run_tables};

    /// Uneven numbers between 0 and 1.
    fn uneven(i: usize, j: usize) -> f64 {
        ((i * 7919 + j * 104_729 + i * j * 31 + i * i * 13) % 1009) as f64 / 1009.0
    }

    fn features() -> Frame {
        let mut frame = Frame::new();
        frame.push_i64s("id", (0..60).rev().collect()).unwrap();
        for (at, name) in ["a", "b"].into_iter().enumerate() {
            frame.push_f64s(name, (0..60).rev().map(|i| uneven(i, at + 1)).collect()).unwrap();
        }
        frame
    }

    /// Four repeats of 40 stimuli.
    fn trials() -> Frame {
        let mut frame = Frame::new();
        frame.push_i64s("id", (0..160).map(|i| i / 4).collect()).unwrap();
        frame.push_i64s("repeat", (0..160).map(|i| i % 4).collect()).unwrap();
        let value = |i: usize| uneven(i / 4, 1) - uneven(i / 4, 2) + 1.5 * uneven(i, 9);
        frame.push_f64s("rate", (0..160).map(value).collect()).unwrap();
        frame
    }

    fn run(more: serde_json::Value, trials: Frame, inputs: &[Input]) -> Result<Run, String> {
        let mut with = json!({"features": ["a", "b"], "targets": ["rate"], "stimuli": [10, 40], "repeats": [1, 4], "draws": 6});
        with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut tables = vec![("features", features(), &[][..]), ("responses", trials, &[][..])];
        tables.extend(inputs.iter().cloned());
        run_tables(&Curve, with, &tables)
    }

    #[test]
    fn more_stimuli_and_repeats_are_predicted_better() {
        let done = run(json!({}), trials(), &[]).unwrap();
        let curve = done.table("curve");
        assert_eq!(curve.i64s("stimuli").unwrap(), [10, 10, 40, 40]);
        assert_eq!(curve.i64s("repeats").unwrap(), [1, 4, 1, 4]);
        let (value, error) = (curve.f64s("value").unwrap(), curve.f64s("error").unwrap());
        assert!(value[3] > value[2] && value[2] > value[0] && value[3] > value[1], "{value:?}");
        // Everything there is is the same in every draw.
        assert!(error[3] == 0.0 && error[0] > 0.0, "{error:?}");
        let samples = done.table("samples");
        assert_eq!(samples.rows(), 6 * (40 + 4));
        for port in ["curve", "samples"] {
            assert_eq!(done.inferred(port).columns, done.table(port).facts().columns, "{port}");
        }
        let keys = |run: &Run| run.table("curve").strings("benchmark").unwrap();
        assert_eq!(keys(&done), keys(&run(json!({}), trials(), &[]).unwrap()));
        let other = keys(&run(json!({"seed": 1}), trials(), &[]).unwrap());
        assert!(keys(&done).iter().zip(other).all(|(a, b)| *a != b));
    }

    #[test]
    fn a_target_that_is_constant_is_named() {
        let mut flat = trials().select(&["id", "repeat"]).unwrap();
        flat.push_f64s("rate", vec![0.5; 160]).unwrap();
        let text = run(json!({}), flat, &[]).err().unwrap();
        assert!(text.starts_with("10 stimuli × 1 repeats: target `rate` is constant in a sample"), "{text}");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let text = |more| run(more, trials(), &[]).err().unwrap();
        assert!(text(json!({"stimuli": [4]})).starts_with("4 stimuli are too few: at least 5"));
        assert!(text(json!({"stimuli": [61]})).starts_with("61 stimuli are asked for, and there are 40"));
        assert!(text(json!({"repeats": [5]})).starts_with("5 repeats are asked for, and there are 4"));
        assert!(text(json!({"draws": 1})).starts_with("1 is fewer than 2"));
        assert!(text(json!({"alphas": [-1.0]})).starts_with("-1 is not a positive number"));
        let short = run(json!({}), trials().take(&(0..159).collect::<Vec<_>>()).unwrap(), &[]).err().unwrap();
        assert!(short.starts_with("stimulus 39 lacks `repeat` 3"), "{short}");
        let leak = run(json!({}), trials(), &[("trained", features().take(&[59]).unwrap(), &[])]);
        assert!(leak.err().unwrap().starts_with("1 rows entered training and cannot be scored: 0"));
    }
}
