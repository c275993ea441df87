//! `brain.rsa`

use schemars::JsonSchema;
use science::brain::bootstrap::t_interval;
use science::brain::compare::Measure;
use science::brain::spread::Spread;
use science::brain::tests::{T, false_discovery_rate};
use science::brain::{pairs, permute};
use science::linalg::with_threads;
use serde::{Deserialize, Serialize};

use super::common::{self, Key};
use super::compared::{Compared, variances};
use super::draws::Draws;
use super::rdms::{Named, Rows};
use crate::kinds::artefacts::put_table;
use crate::kinds::{columns, interval, words, wrong};
use crate::stage::{Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports};
use crate::table::{self, Frame};

/// `brain.rsa`: models against subjects by their RDMs.
pub struct Rsa;

/// A similarity of RDMs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Similarity {
    Cosine,
    Correlation,
    Spearman,
    TauA,
    TauB,
    RhoA,
    WhitenedCosine,
    WhitenedCorrelation,
    Bures,
}

impl Similarity {
    fn measure(self) -> Measure {
        match self {
            Similarity::Cosine => Measure::Cosine,
            Similarity::Correlation => Measure::Correlation,
            Similarity::Spearman => Measure::Spearman,
            Similarity::TauA => Measure::TauA,
            Similarity::TauB => Measure::TauB,
            Similarity::RhoA => Measure::RhoA,
            Similarity::WhitenedCosine => Measure::WhitenedCosine,
            Similarity::WhitenedCorrelation => Measure::WhitenedCorrelation,
            Similarity::Bures => Measure::Bures,
        }
    }

    fn whitened(self) -> bool {
        matches!(self, Similarity::WhitenedCosine | Similarity::WhitenedCorrelation)
    }
}

/// Parameters of `brain.rsa`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// How RDMs are compared. Rank measures differ in ties: `rho-a` does not reward a model for
    /// predicting them, `spearman` does. `cosine` is near 1 for any two RDMs of positive numbers. `bures`
    /// compares the geometry of points and takes squared Euclidean distances alone.
    #[serde(default = "measures")]
    pub measures: Vec<Similarity>,
    /// The column of `subjects` that tells subjects apart; without it there is one subject.
    #[serde(default)]
    pub subject: Option<String>,
    /// The column of `models` that tells models apart; without it each table bound there is one model,
    /// called by its matrix axes.
    #[serde(default)]
    pub model: Option<String>,
    /// Bootstrap draws of each factor, and most pairs of stimuli that are left out; each stimulus is left out besides.
    #[serde(default = "draws")]
    pub draws: u32,
    /// Permutations of the stimulus labels for `p_labels`; 0: no such test.
    #[serde(default = "permutations")]
    pub permutations: u32,
    /// The level of the intervals.
    #[serde(default = "interval::level")]
    pub level: f64,
    /// Another seed gives other draws.
    #[serde(default)]
    pub seed: u64,
}

fn measures() -> Vec<Similarity> {
    vec![Similarity::Spearman, Similarity::RhoA, Similarity::WhitenedCorrelation]
}

fn draws() -> u32 {
    1000
}

fn permutations() -> u32 {
    1000
}

/// Most permutations.
const MOST_PERMUTATIONS: u32 = 1_000_000;

const SCORES: &[(&str, &str)] = &[
    ("model", "string"),
    ("benchmark", "string"),
    ("metric", "string"),
    ("value", "float64"),
    ("low", "float64"),
    ("high", "float64"),
    ("ceiling_low", "float64"),
    ("ceiling_high", "float64"),
    ("p", "float64"),
    ("q", "float64"),
    ("p_labels", "float64"),
];
const PAIRS: &[(&str, &str)] = &[
    ("first", "string"),
    ("second", "string"),
    ("benchmark", "string"),
    ("metric", "string"),
    ("difference", "float64"),
    ("low", "float64"),
    ("high", "float64"),
    ("p", "float64"),
    ("q", "float64"),
];
const SUBJECTS: &[(&str, &str)] = &[
    ("model", "string"),
    ("subject", "string"),
    ("benchmark", "string"),
    ("metric", "string"),
    ("value", "float64"),
];
const DRAWS: &[(&str, &str)] =
    &[("factor", "string"), ("draw", "int64"), ("side", "string"), ("position", "int64"), ("index", "int64")];

/// Everything that one measure gives.
struct Scored {
    scores: Rows,
    pairs: Rows,
    subjects: Rows,
}

fn score(
    params: &Params,
    compared: Compared,
    models: (&[String], &[&[f64]]),
    subjects: (&[String], &[&[f64]]),
    draws: &Draws,
    key: &str,
) -> Result<Scored, Failure> {
    let metric = format!("rsa:{}/subject-mean", compared.name());
    let metric = metric.as_str();
    let names: Vec<&str> = models.0.iter().chain(subjects.0).map(String::as_str).collect();
    let own = compared.compare(models.1, subjects.1).map_err(|e| common::wrong_of(e, "RDM", &names))?;
    let mean: Vec<f64> =
        (0..models.0.len()).map(|m| own.row(m).iter().sum::<f64>() / subjects.0.len() as f64).collect();
    let scores = draws.scores(compared, models.1, subjects.1)?;
    let test = |value: f64, spread: Spread| T {
        statistic: if value == 0.0 { 0.0 } else { value / spread.variance.sqrt() },
        degrees: spread.degrees,
    };
    let ceiling = compared.ceiling(subjects.1).map_err(wrong)?;
    let mut out = Scored { scores: Rows::default(), pairs: Rows::default(), subjects: Rows::default() };
    let interval = |value, spread: Spread| {
        t_interval(value, spread.variance, spread.degrees, params.level).map_err(wrong)
    };
    let mut rows = Vec::new();
    for (m, value) in mean.iter().enumerate() {
        let spread = scores.spread(*value, &|all| all[m]);
        rows.push((interval(*value, spread)?, test(*value, spread).one_sided().map_err(wrong)?));
    }
    let adjusted = false_discovery_rate(&rows.iter().map(|r| r.1).collect::<Vec<_>>());
    let by_labels = match params.permutations as usize {
        0 => vec![f64::NAN; mean.len()],
        count => {
            let compare = |models: &[&[f64]], subjects: &[&[f64]]| compared.compare(models, subjects);
            permute::p_values(models.1, subjects.1, compare, count, params.seed).map_err(wrong)?
        }
    };
    for (m, ((low, high), p)) in rows.into_iter().enumerate() {
        let numbers = [mean[m], low, high, ceiling.0, ceiling.1, p, adjusted[m], by_labels[m]];
        out.scores.push([&models.0[m], key, metric], numbers);
        for (s, subject) in subjects.0.iter().enumerate() {
            out.subjects.push([&models.0[m], subject, key, metric], [own[(m, s)]]);
        }
    }
    let both: Vec<(usize, usize)> = pairs(mean.len()).collect();
    let mut tests = Vec::new();
    for (a, b) in &both {
        let value = mean[*a] - mean[*b];
        let spread = scores.spread(value, &|all| all[*a] - all[*b]);
        tests.push((value, interval(value, spread)?, test(value, spread).two_sided().map_err(wrong)?));
    }
    let adjusted = false_discovery_rate(&tests.iter().map(|t| t.2).collect::<Vec<_>>());
    for (((a, b), (value, (low, high), p)), q) in both.into_iter().zip(tests).zip(adjusted) {
        out.pairs.push([&models.0[a], &models.0[b], key, metric], [value, low, high, p, q]);
    }
    Ok(out)
}

impl Kind for Rsa {
    type Params = Params;

    const NAME: &'static str = "brain.rsa";
    const REVISION: u32 = 4;
    const ABOUT: &'static str = "\
Compares the RDMs of models with those of subjects: scores with intervals, noise ceiling and tests.

`scores` has one row a model and measure. `value` is the mean similarity over subjects; `low` and `high` \
its interval over new subjects and new stimuli, from three bootstraps (both factors, subjects, stimuli) \
whose variances are combined as in Schütt et al. (2023), less what drawing stimuli counts too often because \
a dissimilarity is of two (the interactions of Efron and Stein 1981, from stimuli and pairs of them left out), by \
Student's t with Satterthwaite's degrees of freedom. `ceiling_low` and `ceiling_high` bound what the best model \
could reach; they are NaN for a single subject, whose interval is over stimuli alone, and for `bures`, for \
which no mean of RDMs is the best. `p` tests against \
0, one-sided; `q` is `p` adjusted for the false discovery rate over models. `p_labels` tests against models \
that know nothing of the stimuli: the share of `permutations` of the models' stimulus labels that give as much \
or more, (1 + hits) ÷ (1 + permutations).

`pairs` has the differences of all pairs of models with interval and two-sided `p` and `q`; `subjects` \
the similarity with every subject; `draws` the drawn indices and those `left out`, from which everything can be \
computed again.

With noise variances of the conditions at `variances`, whitened measures are those of the centred kernels \
divided by the standard deviations (`rsa:whitened-cosine-by-variances/subject-mean`). An RDM whose kernel has a \
negative eigenvalue is of no points: `bures` refuses it by name.

`benchmark` is a digest of the subjects' RDMs, the draws, the measure and the code's revision: scores \
with different keys do not mean the same and are not to be mixed.";
    const EXAMPLE: &'static str = "\
rsa:
  uses: brain.rsa
  in: { models: \"model_rdm[*]\", subjects: brain_rdm }
  with: { measures: [spearman, rho-a], subject: subject, seed: 1 }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new("models", PortType::Table, "RDMs of the models, as `brain.rdm` writes them.")
                    .many(),
                Port::new("subjects", PortType::Table, "RDMs of the subjects."),
                Port::new(
                    "variances",
                    PortType::Table,
                    "Noise variance of every condition: the columns `condition` and `variance`.",
                )
                .optional(),
            ],
            outputs: vec![
                Port::new("scores", PortType::Table, "One row a model and measure."),
                Port::new("pairs", PortType::Table, "One row a pair of models and measure."),
                Port::new("subjects", PortType::Table, "One row a model, subject and measure."),
                Port::new("draws", PortType::Table, "The indices that bootstraps drew, and those left out."),
            ],
            ..Ports::default()
        }
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        if params.measures.is_empty() {
            return Err(Complaint::param("measures", "there are no measures"));
        }
        if params.draws < 2 {
            return Err(Complaint::param("draws", "intervals need at least two draws"));
        }
        if params.permutations > MOST_PERMUTATIONS {
            let text = format!("there must be 0 to {MOST_PERMUTATIONS} permutations");
            return Err(Complaint::param("permutations", text));
        }
        interval::check(params.level)?;
        if context.inputs.contains_key("variances") && !params.measures.iter().any(|m| m.whitened()) {
            return Err(Complaint::port("variances", "none of the measures is whitened by variances")
                .hint("add `whitened-cosine` or `whitened-correlation` to `measures`"));
        }
        if let Some(table) = context.input("variances").table() {
            for name in ["condition", "variance"] {
                if table.column(name).is_none() {
                    return Err(Complaint::port("variances", format!("the table has no column `{name}`"))
                        .hint(table::column_hint(name, &table.names())));
                }
            }
        }
        for (port, param, column) in
            [("models", "model", &params.model), ("subjects", "subject", &params.subject)]
        {
            for input in context.inputs.get(port).into_iter().flatten() {
                let Some(table) = input.facts.table() else { continue };
                for name in ["first", "second", "dissimilarity"] {
                    if table.column(name).is_none() {
                        let text = format!("the table has no column `{name}`: it is no RDM");
                        return Err(Complaint::port(port, text).hint("make it with brain.rdm"));
                    }
                }
                if let Some(column) = column {
                    columns::exists(table, column, param)?;
                }
            }
        }
        let outputs = [("scores", SCORES), ("pairs", PAIRS), ("subjects", SUBJECTS), ("draws", DRAWS)];
        Ok(outputs.into_iter().map(|(port, columns)| (port.to_owned(), columns::facts(columns))).collect())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let mut models = Named { names: Vec::new(), rdms: Vec::new() };
        for (index, bound) in io.many("models").iter().enumerate() {
            let name = words::label(&bound.axes, index, "model");
            models.push(&table::read(bound, None)?, params.model.as_deref(), name)?;
        }
        let mut subjects = Named { names: Vec::new(), rdms: Vec::new() };
        let frame = table::read(io.input("subjects")?, None)?;
        subjects.push(&frame, params.subject.as_deref(), "all".to_owned())?;
        let conditions = subjects.conditions();
        if conditions.len() < 3 {
            return Err(Failure::new(format!("{} conditions are too few to compare RDMs", conditions.len())));
        }
        let (model_rdms, subject_rdms) =
            (models.vectors(&conditions, "model")?, subjects.vectors(&conditions, "subject")?);
        let model_rdms: Vec<&[f64]> = model_rdms.iter().map(Vec::as_slice).collect();
        let subject_rdms: Vec<&[f64]> = subject_rdms.iter().map(Vec::as_slice).collect();
        let variances = variances(io, &conditions)?;
        let draws = Draws::new(params.draws, params.seed, subject_rdms.len(), conditions.len());
        let mut frames: [Frame; 3] = Default::default();
        for (index, similarity) in params.measures.iter().enumerate() {
            io.check_cancelled()?;
            let compared = Compared::new(similarity.measure(), variances.as_deref());
            let mut key = Key::new(Self::NAME, Self::REVISION).text(&compared.name());
            if let Some(variances) = compared.variances {
                key = key.numbers(variances.iter().copied());
            }
            for name in conditions.iter().chain(&subjects.names) {
                key = key.text(name);
            }
            for rdm in &subject_rdms {
                key = key.numbers(rdm.iter().copied());
            }
            let key = key.numbers(draws.indices().map(|i| i as f64));
            let key = key.numbers([params.level, f64::from(params.permutations)]).finish();
            let work = || {
                let models = (models.names.as_slice(), model_rdms.as_slice());
                score(params, compared, models, (&subjects.names, &subject_rdms), &draws, &key)
            };
            let found = with_threads(io.threads, work).map_err(wrong)??;
            for (frame, (rows, columns)) in frames.iter_mut().zip([
                (found.scores, SCORES),
                (found.pairs, PAIRS),
                (found.subjects, SUBJECTS),
            ]) {
                frame.vstack(&rows.frame(columns)?)?;
            }
            io.progress.advance("measures", index as u64 + 1, Some(params.measures.len() as u64));
        }
        for (port, frame) in ["scores", "pairs", "subjects"].into_iter().zip(frames) {
            put_table(io, port, frame)?;
        }
        put_table(io, "draws", draws.table()?)
    }
}

#[cfg(test)]
mod tests;
