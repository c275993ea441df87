//! `design.recover`

use schemars::JsonSchema;
use science::design::recover::{Order, Settings, Subject, share_fewer, simulate};
use science::design::respond::Respond;
use science::linalg::with_threads;
use serde::{Deserialize, Serialize};

use super::predictions::{self, Link, Predictions};
use crate::kinds::artefacts::put_table;
use crate::kinds::{columns, interval, words};
use crate::stage::{Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports};
use crate::table::{self, Frame};

/// `design.recover`: how many trials until a subject that is a model is recognised.
pub struct Recover;

/// Parameters of `design.recover`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The column of `predictions` with the models' outputs; if not given `logits`, else the only tensor column.
    #[serde(default)]
    pub outputs: Option<String>,
    /// The column that names the stimulus.
    #[serde(default = "id")]
    pub id: String,
    /// How outputs become probabilities.
    #[serde(default)]
    pub link: Link,
    /// Also choose each stimulus by the answers so far.
    #[serde(default = "yes")]
    pub adaptive: bool,
    /// Simulated subjects; the models take turns in being them.
    #[serde(default = "subjects")]
    pub subjects: usize,
    /// Trials of a subject at most.
    #[serde(default = "trials")]
    pub trials: usize,
    /// The posterior probability at which a model is recognised.
    #[serde(default = "interval::level")]
    pub level: f64,
    /// The share of answers that subjects give blindly; 0.02 if not given.
    #[serde(default)]
    pub lapse: Option<f64>,
    /// Where outputs are predicted responses and not classes: the standard deviation of a measured response
    /// around them.
    #[serde(default)]
    pub noise: Option<f64>,
    /// Another seed gives other subjects.
    #[serde(default)]
    pub seed: u64,
}

fn id() -> String {
    "id".to_owned()
}

fn yes() -> bool {
    true
}

fn subjects() -> usize {
    200
}

fn trials() -> usize {
    200
}

/// Most answers in one simulation.
const MOST: usize = 50_000_000;

const TRIALS: &[(&str, &str)] = &[
    ("method", "string"),
    ("subject", "int64"),
    ("model", "string"),
    ("trials", "int64"),
    ("named", "string"),
];
const CURVE: &[(&str, &str)] =
    &[("method", "string"), ("trial", "int64"), ("posterior", "float64"), ("recognised", "float64")];
const SUMMARY: &[(&str, &str)] = &[
    ("method", "string"),
    ("subjects", "int64"),
    ("recognised", "float64"),
    ("median_trials", "float64"),
    ("right", "float64"),
    ("fewer_than_random", "float64"),
];

impl Params {
    fn check(&self) -> Result<(), Complaint> {
        if self.subjects == 0 || self.trials == 0 {
            return Err(Complaint::param("subjects", "a simulation needs a subject and a trial"));
        }
        if self.subjects.saturating_mul(self.trials) > MOST {
            let text = format!("{} subjects with {} trials are too many", self.subjects, self.trials);
            return Err(Complaint::param("trials", text));
        }
        predictions::check_responses(self.noise, self.lapse, self.link)?;
        interval::check(self.level)
    }
}

/// The rows of a selection among the stimuli, in the order of its ranks.
fn listed(frame: &Frame, id: &str, ids: &[String]) -> Result<Vec<usize>, Failure> {
    let names = frame.strings(id)?;
    let mut order: Vec<usize> = (0..names.len()).collect();
    if frame.has("rank") {
        let ranks = frame.f64s("rank")?;
        order.sort_by(|a, b| ranks[*a].total_cmp(&ranks[*b]));
    }
    let place = |row: usize| {
        let found = ids.iter().position(|own| *own == names[row]);
        found.ok_or_else(|| Failure::new(format!("no model has a prediction for stimulus {}", names[row])))
    };
    order.into_iter().map(place).collect()
}

/// The median over subjects; a subject who was never recognised counts as more than the most.
fn median(subjects: &[Subject], most: usize) -> f64 {
    let mut trials: Vec<f64> = subjects.iter().map(|s| s.trials.unwrap_or(most + 1) as f64).collect();
    trials.sort_by(f64::total_cmp);
    let half = trials.len() / 2;
    if trials.len() % 2 == 1 { trials[half] } else { (trials[half - 1] + trials[half]) / 2.0 }
}

impl Kind for Recover {
    type Params = Params;

    const NAME: &'static str = "design.recover";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "\
Simulates subjects that are one of the models, and counts the trials until they are recognised.

In each trial a subject sees a stimulus and answers with a class drawn from its model's probabilities, or \
blindly with the probability `lapse`; after it every model's posterior probability follows by Bayes' rule from \
equal ones. With `noise`, outputs are predicted responses (of a neuron, a voxel, a rating), and a subject \
responds with its model's numbers and independent Gaussian noise. Methods: `random`, the whole pool in random order; `adaptive`, each time the stimulus that makes \
the bound on naming a wrong model smallest; and each table of `selections` under the name of its matrix cell, \
its stimuli by rank, again and again.

`trials` has the first trial after which the subject's model is at `level` (empty if it never was) and `named`, \
the first model of any that was there (empty if none was). `curve` has, after each trial, the mean posterior of \
the subjects' models and the share of subjects recognised. `summary` has the share recognised, the median \
number of trials (a subject never recognised counts as `trials` + 1), `right`, the share of subjects whose \
first named model is theirs, and `fewer_than_random`, the share who needed fewer trials than the same subject \
with random stimuli.";
    const EXAMPLE: &'static str = "\
recovery:
  uses: design.recover
  in: { predictions: \"answers[*]\", selections: [controversial.table] }
  with: { subjects: 200, trials: 100 }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new("predictions", PortType::Table, "Outputs of two or more models for the pool.")
                    .many(),
                Port::new("selections", PortType::Table, "Stimuli in order, from design.select.")
                    .many()
                    .optional(),
            ],
            outputs: vec![
                Port::new("trials", PortType::Table, "One row a method and subject."),
                Port::new("curve", PortType::Table, "One row a method and trial."),
                Port::new("summary", PortType::Table, "One row a method."),
            ],
            ..Ports::default()
        }
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        params.check()?;
        let why = "a subject is one of several models";
        predictions::check(context, params.outputs.as_deref(), &params.id, 2, why)?;
        for table in context.inputs.get("selections").into_iter().flatten().filter_map(|t| t.facts.table()) {
            if table.column(&params.id).is_none() {
                let text = format!("a selection has no column `{}`", params.id);
                return Err(Complaint::port("selections", text));
            }
        }
        let outputs = [("trials", TRIALS), ("curve", CURVE), ("summary", SUMMARY)];
        Ok(outputs.into_iter().map(|(port, columns)| (port.to_owned(), columns::facts(columns))).collect())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let bounds = io.many("predictions");
        let predictions = Predictions::read(bounds, params.outputs.as_deref(), &params.id, None)?;
        let mut methods = vec![("random".to_owned(), Order::Random)];
        if params.adaptive {
            methods.push(("adaptive".to_owned(), Order::Adaptive));
        }
        for (index, bound) in io.many("selections").iter().enumerate() {
            let name = words::label(&bound.axes, index, "selection");
            let list = listed(&table::read(bound, None)?, &params.id, &predictions.ids);
            methods.push((name.clone(), Order::Listed(list.map_err(|f| f.context(format!("`{name}`")))?)));
        }
        let found = match params.noise {
            None => simulated(
                params,
                io,
                &predictions,
                &predictions.lapsing(params.link, params.lapse)?,
                methods,
            )?,
            Some(noise) => simulated(params, io, &predictions, &predictions.graded(noise)?, methods)?,
        };
        put_table(io, "trials", trials_table(&found, &predictions.names)?)?;
        put_table(io, "curve", curve_table(&found, params.trials)?)?;
        put_table(io, "summary", summary_table(&found, params.trials)?)
    }
}

/// The subjects of every method.
fn simulated<R: Respond>(
    params: &Params,
    io: &Io,
    predictions: &Predictions,
    models: &R,
    methods: Vec<(String, Order)>,
) -> Result<Vec<(String, Vec<Subject>)>, Failure> {
    let settings =
        Settings { subjects: params.subjects, trials: params.trials, level: params.level, seed: params.seed };
    let mut found = Vec::new();
    for (name, order) in methods {
        io.check_cancelled()?;
        let subjects = with_threads(io.threads, || simulate(models, &order, &settings)).and_then(|s| s);
        found.push((name, subjects.map_err(|e| predictions.named(e))?));
    }
    Ok(found)
}

fn trials_table(found: &[(String, Vec<Subject>)], names: &[String]) -> Result<Frame, Failure> {
    let rows: Vec<(&str, usize, &Subject)> = found
        .iter()
        .flat_map(|(m, all)| all.iter().enumerate().map(move |(i, s)| (m.as_str(), i, s)))
        .collect();
    let name = |model: usize| names.get(model).cloned();
    let mut frame = Frame::new();
    frame.push_strings("method", &rows.iter().map(|r| r.0).collect::<Vec<_>>())?;
    frame.push_i64s("subject", rows.iter().map(|r| r.1 as i64).collect())?;
    frame.push_strings("model", &rows.iter().filter_map(|r| name(r.2.model)).collect::<Vec<_>>())?;
    frame.push_optional_i64s("trials", rows.iter().map(|r| r.2.trials.map(|t| t as i64)).collect())?;
    frame
        .push_optional_strings("named", &rows.iter().map(|r| r.2.named.and_then(name)).collect::<Vec<_>>())?;
    Ok(frame)
}

fn curve_table(found: &[(String, Vec<Subject>)], trials: usize) -> Result<Frame, Failure> {
    let (mut methods, mut numbers) = (Vec::new(), Vec::new());
    let (mut posterior, mut recognised) = (Vec::new(), Vec::new());
    for (method, subjects) in found {
        let count = subjects.len().max(1) as f64;
        for trial in 0..trials {
            methods.push(method);
            numbers.push(trial as i64 + 1);
            posterior.push(subjects.iter().map(|s| s.posterior[trial]).sum::<f64>() / count);
            let so_far = subjects.iter().filter(|s| s.trials.is_some_and(|t| t <= trial + 1)).count();
            recognised.push(so_far as f64 / count);
        }
    }
    let mut frame = Frame::new();
    frame.push_strings("method", &methods)?;
    frame.push_i64s("trial", numbers)?;
    frame.push_f64s("posterior", posterior)?;
    frame.push_f64s("recognised", recognised)?;
    Ok(frame)
}

fn summary_table(found: &[(String, Vec<Subject>)], trials: usize) -> Result<Frame, Failure> {
    let random = found.first().map_or(&[][..], |(_, subjects)| subjects);
    let share = |subjects: &[Subject], of: &dyn Fn(&Subject) -> bool| {
        subjects.iter().filter(|s| of(s)).count() as f64 / subjects.len().max(1) as f64
    };
    let all = |of: &dyn Fn(&[Subject]) -> f64| found.iter().map(|(_, subjects)| of(subjects)).collect();
    let mut frame = Frame::new();
    frame.push_strings("method", &found.iter().map(|(name, _)| name).collect::<Vec<_>>())?;
    frame.push_i64s("subjects", found.iter().map(|(_, subjects)| subjects.len() as i64).collect())?;
    frame.push_f64s("recognised", all(&|s| share(s, &|s| s.trials.is_some())))?;
    frame.push_f64s("median_trials", all(&|s| median(s, trials)))?;
    frame.push_f64s("right", all(&|s| share(s, &|s| s.named == Some(s.model))))?;
    frame.push_f64s("fewer_than_random", all(&|s| share_fewer(s, random)))?;
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kinds::design::select::tests::{answers, table};
    use crate::kinds::testing::{Input, Run, run_tables};

    fn run(with: Value, selections: &[Frame]) -> Result<Run, String> {
        let axes = [("seed", json!(7))];
        let mut inputs: Vec<Input> = (0..3).map(|m| ("predictions", answers(m), &[][..])).collect();
        inputs.extend(selections.iter().map(|s| ("selections", s.clone(), &axes[..])));
        run_tables(&Recover, with, &inputs)
    }

    #[test]
    fn a_selection_that_separates_is_faster_and_tables_are_what_they_say() {
        let mut best = table(&[105, 117], "unused", 1, |_, _| 0.0);
        best.push_i64s("rank", vec![2, 1]).unwrap();
        let with = json!({"subjects": 60, "trials": 80});
        let found = run(with.clone(), &[best]).unwrap();
        let summary = found.table("summary");
        assert_eq!(summary.strings("method").unwrap(), ["random", "adaptive", "7"]);
        let median = summary.f64s("median_trials").unwrap();
        assert!(median[1] <= 2.0 && median[2] <= 2.0 && median[0] > 4.0, "{median:?}");
        assert!(summary.f64s("fewer_than_random").unwrap()[1] > 0.8);
        let curve = found.table("curve");
        assert_eq!(curve.rows(), 3 * 80);
        let recognised = curve.f64s("recognised").unwrap();
        assert!(recognised.chunks(80).all(|c| c.windows(2).all(|w| w[0] <= w[1])));
        for port in ["trials", "curve", "summary"] {
            assert_eq!(found.inferred(port).columns, found.table(port).facts().columns);
        }
        assert_eq!(run(with, &[]).unwrap().table("trials").rows(), 120);
    }

    #[test]
    fn graded_responses_recognise_a_subject_too() {
        let with = json!({"subjects": 60, "trials": 80, "noise": 2.0});
        let summary = run(with, &[]).unwrap().table("summary");
        let median = summary.f64s("median_trials").unwrap();
        assert!(median[1] < median[0], "{median:?}");
        assert!(summary.f64s("right").unwrap()[1] > 0.9);
        // Hardly any noise: the stimulus that parts all models decides at once.
        let sure = run(json!({"subjects": 60, "trials": 80, "noise": 0.01}), &[]).unwrap().table("summary");
        assert_eq!(sure.f64s("median_trials").unwrap()[1], 1.0);
    }

    #[test]
    fn mistakes_are_named() {
        let text = |with: Value| run(with, &[]).err().unwrap();
        assert!(text(json!({"subjects": 0})).contains("needs a subject"));
        assert!(text(json!({"lapse": 1.0})).contains("lapse rate"));
        assert!(text(json!({"noise": 0.0})).contains("more than 0"));
        assert!(text(json!({"noise": 1.0, "lapse": 0.1})).contains("`lapse` is for classes"));
        assert!(text(json!({"noise": 1.0, "link": "none"})).contains("`link` is for classes"));
        assert!(text(json!({"level": 0.2})).contains("at once or never"));
        assert!(text(json!({"link": "none"})).contains("is no probability"));
        assert!(text(json!({"link": "sigmoid"})).contains("take a softmax"));
        let stranger = run(json!({}), &[table(&[5], "unused", 1, |_, _| 0.0)]).err().unwrap();
        assert!(stranger.starts_with("`7`: no model has a prediction for stimulus 5"), "{stranger}");
    }
}
