//! `design.loop`

use schemars::JsonSchema;
use science::design::disagree::Separation;
use science::design::recover::{Response, drawn, information, next, posterior};
use science::design::sample;
use science::linalg::with_threads;
use serde::{Deserialize, Serialize};

use super::predictions::{self, Link, Predictions};
use crate::kinds::artefacts::put_table;
use crate::kinds::table::draw::uniform;
use crate::kinds::wrong;
use crate::kinds::{columns, words};
use crate::stage::{
    Column, Complaint, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports,
};
use crate::table::{self, Frame};

/// `design.loop`: one round of an experiment that goes by the answers so far.
pub struct Loop;

/// How the stimuli of a round are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// By the answers so far.
    #[default]
    Adaptive,
    /// At random.
    Random,
}

/// Parameters of `design.loop`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Stimuli of this round.
    pub n: usize,
    /// How they are chosen.
    #[serde(default)]
    pub method: Method,
    /// The column of `predictions` with the models' outputs; if not given `logits`, else the only tensor column.
    #[serde(default)]
    pub outputs: Option<String>,
    /// The column that names the stimulus in all tables.
    #[serde(default = "id")]
    pub id: String,
    /// The column of `responses` with the class that was answered, counted from 0.
    #[serde(default = "response")]
    pub response: String,
    /// How outputs become probabilities.
    #[serde(default)]
    pub link: Link,
    /// The share of answers that are expected to be blind.
    #[serde(default = "lapse")]
    pub lapse: f64,
    /// Answer this round's stimuli too, as a simulated subject that is this model: its matrix cell, such as
    /// `lenet/0`.
    #[serde(default)]
    pub simulate: Option<String>,
    /// Another seed gives other random stimuli and simulated answers.
    #[serde(default)]
    pub seed: u64,
}

fn id() -> String {
    "id".to_owned()
}

fn response() -> String {
    "response".to_owned()
}

fn lapse() -> f64 {
    0.02
}

const BELIEFS: &[(&str, &str)] = &[("round", "int64"), ("model", "string"), ("probability", "float64")];

/// The responses of the earlier rounds, as rows of the pool and classes.
fn earlier(params: &Params, io: &Io, predictions: &Predictions) -> Result<Vec<Response>, Failure> {
    let mut responses = Vec::new();
    for (round, bound) in io.many("responses").iter().enumerate() {
        let frame = table::read(bound, None)?;
        let context = |f: Failure| f.context(format!("responses of round {}", round + 1));
        if frame.rows() == 0 {
            let hint =
                "fill them in for the stimuli of that round, or leave this round out until they are there";
            return Err(context(Failure::new("there are none yet").hint(hint)));
        }
        let (ids, classes) = (frame.strings(&params.id), frame.i64s(&params.response));
        for (id, class) in ids.map_err(context)?.iter().zip(classes.map_err(context)?) {
            let stimulus = predictions.ids.iter().position(|own| own == id);
            let class = usize::try_from(class).ok().filter(|c| *c < predictions.width);
            let wrong = |text: String| context(Failure::new(text));
            let stimulus =
                stimulus.ok_or_else(|| wrong(format!("no model has a prediction for stimulus {id}")))?;
            responses.push((
                stimulus,
                class.ok_or_else(|| {
                    wrong(format!(
                        "the response to stimulus {id} is none of the classes 0 to {}",
                        predictions.width - 1
                    ))
                })?,
            ));
        }
    }
    Ok(responses)
}

impl Kind for Loop {
    type Params = Params;

    const NAME: &'static str = "design.loop";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "\
One round of an experiment: beliefs from the responses of earlier rounds, and the stimuli to show next.

A loop is a chain of such stages, each bound to the responses of the rounds before it and to no others, so \
that a round cannot see its own answers or later ones, and its key is a digest of what it did see. Responses are \
tables with the stimulus's id and the class that was answered: from `ingest.table`, a file that people fill in, \
or from `simulate`, which adds the output `responses`. A round whose earlier responses change is executed again, \
and so is every later one; no earlier one is. A table of responses without rows is an error: the round waits for \
them.

`stimuli` has the round's number (one more than the tables of responses), `id`, `rank` from 1 and \
`information`, the bits that the answer to this stimulus alone is expected to tell about which model is right. \
Stimuli that were shown come again only when all were. `beliefs` has the probability of every model before this \
round, by Bayes' rule from equal ones.";
    const EXAMPLE: &'static str = "\
round_2:
  uses: design.loop
  in: { predictions: \"answers[*]\", responses: [responses_1] }
  with: { n: 10 }
";

    fn ports(params: Option<&Params>) -> Ports {
        let mut outputs = vec![
            Port::new("stimuli", PortType::Table, "The stimuli of this round in order."),
            Port::new("beliefs", PortType::Table, "The probability of every model before this round."),
        ];
        if params.is_none_or(|p| p.simulate.is_some()) {
            let about = "With `simulate`: the answers of the simulated subject.";
            outputs.push(Port::new("responses", PortType::Table, about));
        }
        Ports {
            inputs: vec![
                Port::new("predictions", PortType::Table, "Outputs of two or more models for the pool.")
                    .many(),
                Port::new("responses", PortType::Table, "Responses of each earlier round.").many().optional(),
            ],
            outputs,
            ..Ports::default()
        }
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        if params.n == 0 {
            return Err(Complaint::param("n", "no stimulus is asked for"));
        }
        if !(0.0..1.0).contains(&params.lapse) {
            let text = format!("a lapse rate of {} is not between 0 and 1", params.lapse);
            return Err(Complaint::param("lapse", text));
        }
        let why = "an experiment tells models apart";
        predictions::check(context, params.outputs.as_deref(), &params.id, 2, why)?;
        for table in context.inputs.get("responses").into_iter().flatten().filter_map(|t| t.facts.table()) {
            for (name, param) in [(&params.id, "id"), (&params.response, "response")] {
                columns::exists(table, name, param)?;
            }
        }
        let tables = context.inputs.get("predictions").map_or(&[][..], Vec::as_slice);
        if let Some(wanted) = &params.simulate {
            let names: Vec<String> =
                tables.iter().enumerate().map(|(i, t)| words::label(&t.axes, i, "model")).collect();
            if !names.contains(wanted) {
                return Err(Complaint::param("simulate", format!("no model is called `{wanted}`"))
                    .hint(format!("they are {}", names.join(", "))));
            }
        }
        let mut outputs = Outputs::from([("beliefs".to_owned(), columns::facts(BELIEFS))]);
        let first = tables.first().and_then(|t| t.facts.table());
        if let Some(id) = first.and_then(|t| t.column(&params.id)) {
            let id = id.without_digest();
            let (round, rank) = (Column::new("round", "int64"), Column::new("rank", "int64"));
            let columns = vec![round.clone(), id.clone(), rank, Column::new("information", "float64")];
            outputs.insert("stimuli".to_owned(), Facts::columns(columns));
            if params.simulate.is_some() {
                let columns = vec![round, id, Column::new(&params.response, "int64")];
                outputs.insert("responses".to_owned(), Facts::columns(columns));
            }
        }
        Ok(outputs)
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let bounds = io.many("predictions");
        let first = bounds.first().ok_or_else(|| Failure::new("there are no predictions"))?;
        let names = table::read(first, Some(&[&params.id]))?;
        let predictions = Predictions::read(bounds, params.outputs.as_deref(), &params.id, None)?;
        let answers = predictions.answers(params.link)?;
        answers.check_distributions().map_err(|e| predictions.named(e))?;
        let answers = answers.lapsing(params.lapse).map_err(wrong)?;
        let responses = earlier(params, io, &predictions)?;
        let round = io.many("responses").len() as i64 + 1;
        let beliefs = posterior(&answers, &responses).map_err(wrong)?;
        let pool = answers.stimuli();
        let mut shown = vec![false; pool];
        responses.iter().for_each(|(stimulus, _)| shown[*stimulus] = true);
        if shown.iter().all(|s| *s) {
            shown.fill(false);
        }
        let free: Vec<usize> = (0..pool).filter(|i| !shown[*i]).collect();
        if params.n > free.len() {
            let text = format!("{} stimuli for a round, and {} of {pool} are left", params.n, free.len());
            return Err(Failure::new(text).hint("make `n` smaller, or the pool larger"));
        }
        let chosen = match params.method {
            Method::Random => sample::random(&free, params.n, params.seed, round as u64).map_err(wrong)?,
            Method::Adaptive => {
                let prior = vec![1.0 / answers.models() as f64; answers.models()];
                let mut separation = Separation::new(&answers, &prior).map_err(|e| predictions.named(e))?;
                with_threads(io.threads, || next(&mut separation, &beliefs, params.n, &shown))
                    .map_err(wrong)?
            }
        };
        let ids = names.take(&chosen)?;
        let mut stimuli = Frame::new();
        stimuli.push_i64s("round", vec![round; chosen.len()])?;
        stimuli.push_column_of(&ids, &params.id)?;
        stimuli.push_i64s("rank", (1..=chosen.len() as i64).collect())?;
        let bits = chosen.iter().map(|stimulus| information(&answers, &beliefs, *stimulus)).collect();
        stimuli.push_f64s("information", bits)?;
        put_table(io, "stimuli", stimuli)?;
        let mut table = Frame::new();
        table.push_i64s("round", vec![round; beliefs.len()])?;
        table.push_strings("model", &predictions.names)?;
        table.push_f64s("probability", beliefs)?;
        put_table(io, "beliefs", table)?;
        let Some(model) =
            params.simulate.as_ref().and_then(|m| predictions.names.iter().position(|n| n == m))
        else {
            return Ok(());
        };
        let answer = |stimulus: &usize| {
            let key = format!("{round} {}", predictions.ids[*stimulus]);
            drawn(answers.of(model, *stimulus), uniform(params.seed, Loop::NAME, key.as_bytes())) as i64
        };
        let mut table = Frame::new();
        table.push_i64s("round", vec![round; chosen.len()])?;
        table.push_column_of(&ids, &params.id)?;
        table.push_i64s(&params.response, chosen.iter().map(answer).collect())?;
        put_table(io, "responses", table)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kinds::design::select::tests::{answers, table};
    use crate::kinds::testing::{Input, Run, run_tables};

    fn round(with: Value, responses: &[Frame]) -> Result<Run, String> {
        let cells: Vec<[(&str, Value); 1]> = ["a", "b", "c"].map(|n| [("net", json!(n))]).to_vec();
        let mut inputs: Vec<Input> =
            cells.iter().zip(0..).map(|(cell, m)| ("predictions", answers(m), &cell[..])).collect();
        inputs.extend(responses.iter().map(|r| ("responses", r.clone(), &[][..])));
        run_tables(&Loop, with, &inputs)
    }

    #[test]
    fn rounds_lead_to_the_model_that_answers() {
        let with = json!({"n": 4, "simulate": "b", "seed": 1});
        let mut responses: Vec<Frame> = Vec::new();
        let mut shown: Vec<i64> = Vec::new();
        let mut belief = Vec::new();
        for number in 1..=4 {
            let made = round(with.clone(), &responses).unwrap();
            for port in ["stimuli", "beliefs", "responses"] {
                assert_eq!(made.inferred(port).columns, made.table(port).facts().columns);
            }
            assert_eq!(made.table("stimuli").i64s("round").unwrap(), [number; 4]);
            shown.extend(made.table("stimuli").i64s("id").unwrap());
            assert_eq!(made.table("beliefs").strings("model").unwrap(), ["a", "b", "c"]);
            belief.push(made.table("beliefs").f64s("probability").unwrap()[1]);
            let again = round(with.clone(), &responses).unwrap();
            assert_eq!(again.bytes("responses"), made.bytes("responses"));
            responses.push(made.table("responses"));
        }
        assert!((belief[0] - 1.0 / 3.0).abs() < 1e-12 && belief[3] > 0.95, "{belief:?}");
        assert_eq!(shown[0], 117);
        let mut different = shown.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 16, "no stimulus is shown twice: {shown:?}");
    }

    #[test]
    fn people_may_answer_in_any_order_and_mistakes_are_named() {
        let given = |ids: &[i64], classes: &[i64]| {
            let mut frame = table(ids, "unused", 1, |_, _| 0.0);
            frame.push_i64s("response", classes.to_vec()).unwrap();
            frame
        };
        let beliefs = |first: Frame| {
            round(json!({"n": 2}), &[first]).unwrap().table("beliefs").f64s("probability").unwrap()
        };
        let (one, other) = (beliefs(given(&[117, 104], &[2, 0])), beliefs(given(&[104, 117], &[0, 2])));
        assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-12));
        assert!(one[2] > 0.9, "{one:?}");
        let text = |with: Value, responses: &[Frame]| round(with, responses).err().unwrap();
        let class = text(json!({"n": 2}), &[given(&[117], &[1]), given(&[104], &[4])]);
        assert!(
            class.starts_with("responses of round 2: the response to stimulus 104 is none of"),
            "{class}"
        );
        assert!(
            text(json!({"n": 2}), &[given(&[7], &[1])]).contains("no model has a prediction for stimulus 7")
        );
        assert!(text(json!({"n": 31}), &[]).starts_with("31 stimuli for a round, and 30 of 30 are left"));
        assert!(
            text(json!({"n": 1, "simulate": "d"}), &[])
                .starts_with("no model is called `d` (they are a, b, c")
        );
        assert!(text(json!({"n": 0}), &[]).starts_with("no stimulus"));
        let bare = table(&[117], "unused", 1, |_, _| 0.0);
        assert!(text(json!({"n": 1}), &[bare]).contains("no column `response`"));
        assert!(
            text(json!({"n": 1}), &[given(&[], &[])]).starts_with("responses of round 1: there are none yet")
        );
    }
}
