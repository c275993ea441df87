//! `design.loop`

use schemars::JsonSchema;
use science::design::answers::Answers;
use science::design::recover::{Given, posterior};
use science::design::respond::{Graded, Respond};
use science::design::{sample, search::greedy};
use science::linalg::with_threads;
use serde::{Deserialize, Serialize};

use super::predictions::{self, Link, Predictions, width};
use super::stoppable::Stoppable;
use crate::kinds::artefacts::put_table;
use crate::kinds::table::draw::uniform;
use crate::kinds::wrong;
use crate::kinds::{columns, words};
use crate::stage::{
    Column, Complaint, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports,
};
use crate::table::{self, ArrayFacts, Element, Frame};

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
    /// The column of `responses` with the class that was answered, counted from 0, or with the response that was
    /// measured.
    #[serde(default = "response")]
    pub response: String,
    /// How outputs become probabilities.
    #[serde(default)]
    pub link: Link,
    /// The share of answers that are expected to be blind; 0.02 if not given.
    #[serde(default)]
    pub lapse: Option<f64>,
    /// Where outputs are predicted responses and not classes: the standard deviation of a measured response
    /// around them.
    #[serde(default)]
    pub noise: Option<f64>,
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

const BELIEFS: &[(&str, &str)] = &[("round", "int64"), ("model", "string"), ("probability", "float64")];

/// Reads and writes responses of one kind.
trait Responses: Respond {
    /// The responses in a column of a table.
    fn read(&self, frame: &Frame, column: &str, width: usize)
    -> Result<Vec<Option<Self::Response>>, Failure>;

    /// What a response can be, for errors.
    fn possible(&self, width: usize) -> String;

    /// Appends responses to a table.
    fn write(frame: &mut Frame, column: &str, responses: &[Self::Response]) -> Result<(), Failure>;
}

impl Responses for Answers {
    fn read(&self, frame: &Frame, column: &str, width: usize) -> Result<Vec<Option<usize>>, Failure> {
        let class = |c: i64| usize::try_from(c).ok().filter(|c| *c < width);
        Ok(frame.i64s(column)?.into_iter().map(class).collect())
    }

    fn possible(&self, width: usize) -> String {
        format!("none of the classes 0 to {}", width - 1)
    }

    fn write(frame: &mut Frame, column: &str, responses: &[usize]) -> Result<(), Failure> {
        frame.push_i64s(column, responses.iter().map(|class| *class as i64).collect())
    }
}

impl Responses for Graded {
    fn read(&self, frame: &Frame, column: &str, width: usize) -> Result<Vec<Option<Vec<f64>>>, Failure> {
        let tensor = frame.tensor_f64(column)?;
        if tensor.row_size() != width {
            let text = format!("a response has {} numbers, and a prediction {width}", tensor.row_size());
            return Err(Failure::new(text));
        }
        let finite = |row: &[f64]| row.iter().all(|v| v.is_finite()).then(|| row.to_vec());
        Ok(tensor.values.chunks_exact(width).map(finite).collect())
    }

    fn possible(&self, _width: usize) -> String {
        "no finite number".to_owned()
    }

    fn write(frame: &mut Frame, column: &str, responses: &[Vec<f64>]) -> Result<(), Failure> {
        let width = responses.first().map_or(1, Vec::len);
        let shape = if width == 1 { vec![responses.len()] } else { vec![responses.len(), width] };
        let facts = ArrayFacts { name: column.to_owned(), element: Element::F64, shape };
        let bytes: Vec<u8> = responses.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
        frame.push_array(column, &facts, &bytes)
    }
}

/// The responses of the earlier rounds, with their rows of the pool.
fn earlier<R: Responses>(
    params: &Params,
    io: &Io,
    predictions: &Predictions,
    models: &R,
) -> Result<Vec<Given<R>>, Failure> {
    let mut given = Vec::new();
    for (round, bound) in io.many("responses").iter().enumerate() {
        let frame = table::read(bound, None)?;
        let context = |f: Failure| f.context(format!("responses of round {}", round + 1));
        if frame.rows() == 0 {
            let hint =
                "fill them in for the stimuli of that round, or leave this round out until they are there";
            return Err(context(Failure::new("there are none yet").hint(hint)));
        }
        let ids = frame.strings(&params.id).map_err(context)?;
        let responses = models.read(&frame, &params.response, predictions.width).map_err(context)?;
        for (id, response) in ids.iter().zip(responses) {
            let wrong = |text: String| context(Failure::new(text));
            let stimulus = predictions.ids.iter().position(|own| own == id);
            let stimulus =
                stimulus.ok_or_else(|| wrong(format!("no model has a prediction for stimulus {id}")))?;
            let what = || format!("the response to stimulus {id} is {}", models.possible(predictions.width));
            given.push((stimulus, response.ok_or_else(|| wrong(what()))?));
        }
    }
    Ok(given)
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

With `noise`, outputs are predicted responses and `responses` has what was measured: a number, or a tensor of \
as many as a prediction. The noise is taken to be Gaussian and independent.

`stimuli` has the round's number (one more than the tables of responses), `id`, `rank` from 1 and \
`information`, the bits that the answer to this stimulus alone is expected to tell about which model is right \
(with `noise`, a lower bound of them by Kolchinsky and Tracey 2017). \
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
        predictions::check_responses(params.noise, params.lapse, params.link)?;
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
                let response = match (params.noise, first.and_then(|t| width(t, params.outputs.as_deref()))) {
                    (None, _) => Column::new(&params.response, "int64"),
                    (Some(_), None | Some(1)) => Column::new(&params.response, "float64"),
                    (Some(_), Some(width)) => {
                        Column::new(&params.response, "tensor(float64)").with_shape(vec![width])
                    }
                };
                let columns = vec![round, id, response];
                outputs.insert("responses".to_owned(), Facts::columns(columns));
            }
        }
        Ok(outputs)
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let bounds = io.many("predictions");
        let predictions = Predictions::read(bounds, params.outputs.as_deref(), &params.id, None)?;
        match params.noise {
            None => round(params, io, &predictions, &predictions.lapsing(params.link, params.lapse)?),
            Some(noise) => round(params, io, &predictions, &predictions.graded(noise)?),
        }
    }
}

/// One round with these models.
fn round<R: Responses>(
    params: &Params,
    io: &mut Io,
    predictions: &Predictions,
    models: &R,
) -> Result<(), Failure> {
    let first = io.many("predictions").first().ok_or_else(|| Failure::new("there are no predictions"))?;
    let names = table::read(first, Some(&[&params.id]))?;
    let responses = earlier(params, io, predictions, models)?;
    let round = io.many("responses").len() as i64 + 1;
    let beliefs = posterior(models, &responses).map_err(wrong)?;
    let pool = models.stimuli();
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
            let prior = vec![1.0 / models.models() as f64; models.models()];
            let mut separation = models.separation(&prior).map_err(|e| predictions.named(e))?;
            separation.believe(&beliefs);
            let cancel = io.cancel.clone();
            let criterion = Stoppable { criterion: &separation, cancel: &cancel };
            let found = with_threads(io.threads, || greedy(&criterion, params.n, &shown)).map_err(wrong)?;
            io.check_cancelled()?;
            found
        }
    };
    let ids = names.take(&chosen)?;
    let mut stimuli = Frame::new();
    stimuli.push_i64s("round", vec![round; chosen.len()])?;
    stimuli.push_column_of(&ids, &params.id)?;
    stimuli.push_i64s("rank", (1..=chosen.len() as i64).collect())?;
    let mut bits = Vec::new();
    for stimulus in &chosen {
        io.check_cancelled()?;
        bits.push(models.information(&beliefs, *stimulus));
    }
    stimuli.push_f64s("information", bits)?;
    put_table(io, "stimuli", stimuli)?;
    let mut table = Frame::new();
    table.push_i64s("round", vec![round; beliefs.len()])?;
    table.push_strings("model", &predictions.names)?;
    table.push_f64s("probability", beliefs)?;
    put_table(io, "beliefs", table)?;
    let Some(model) = params.simulate.as_ref().and_then(|m| predictions.names.iter().position(|n| n == m))
    else {
        return Ok(());
    };
    let respond = |stimulus: &usize| {
        let mut drawn = 0;
        let mut number = || {
            let more = if drawn == 0 { String::new() } else { format!(" {drawn}") };
            drawn += 1;
            let key = format!("{round} {}{more}", predictions.ids[*stimulus]);
            uniform(params.seed, Loop::NAME, key.as_bytes())
        };
        models.draw(model, *stimulus, &mut number)
    };
    let mut table = Frame::new();
    table.push_i64s("round", vec![round; chosen.len()])?;
    table.push_column_of(&ids, &params.id)?;
    R::write(&mut table, &params.response, &chosen.iter().map(respond).collect::<Vec<_>>())?;
    put_table(io, "responses", table)
}

#[cfg(test)]
mod tests;
