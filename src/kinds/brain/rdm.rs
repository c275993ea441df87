//! `brain.rdm`

use std::collections::HashMap;

use schemars::JsonSchema;
use science::brain::rdm;
use science::linalg::{Mat, with_threads};
use serde::{Deserialize, Serialize};

use super::common;
use super::rdms::PairRows;
use super::trained;
use crate::kinds::artefacts::put_table;
use crate::kinds::{columns, wrong};
use crate::stage::{Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, TableFacts};
use crate::table::{self, Frame};

/// `brain.rdm`: dissimilarity of every pair of conditions.
pub struct Rdm;

/// A dissimilarity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// 1 − Pearson's correlation over channels.
    #[default]
    Correlation,
    /// Squared Euclidean distance ÷ channels.
    Euclidean,
    /// Squared Mahalanobis distance ÷ channels; needs `precision`.
    Mahalanobis,
    /// Cross-validated Mahalanobis distance over `run`; with `precision` if it is bound.
    Crossnobis,
    /// Symmetrised Kullback–Leibler divergence of Poisson rates ÷ channels.
    Poisson,
    /// Cross-validated over `run`, the mean over all runs.
    PoissonCv,
}

impl Measure {
    fn crossed(self) -> bool {
        matches!(self, Measure::Crossnobis | Measure::PoissonCv)
    }

    /// Its full name in the result.
    fn metric(self, whitened: bool) -> &'static str {
        match self {
            Measure::Correlation => "rdm:1-pearson",
            Measure::Euclidean => "rdm:squared-euclidean/channels",
            Measure::Mahalanobis => "rdm:squared-mahalanobis/channels",
            Measure::Crossnobis if whitened => "rdm:crossnobis-precision/channels:mean-of-runs",
            Measure::Crossnobis => "rdm:crossnobis-identity/channels:mean-of-runs",
            Measure::Poisson => "rdm:poisson-kl-prior-1x0.1/channels",
            Measure::PoissonCv => "rdm:poisson-kl-prior-1x0.1/channels:mean-of-runs",
        }
    }
}

/// Parameters of `brain.rdm`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The dissimilarity.
    #[serde(default)]
    pub measure: Measure,
    /// The columns that hold responses, numbers or tensors; if none are named, every tensor column.
    #[serde(default)]
    pub columns: Vec<String>,
    /// The column that names a row, there and in `trained`; read only where `trained` is bound.
    #[serde(default = "id")]
    pub id: String,
    /// The column that names the condition of a row; rows of one condition are averaged.
    #[serde(default = "condition")]
    pub condition: String,
    /// The column that names the run of a row, for cross-validated measures.
    #[serde(default)]
    pub run: Option<String>,
    /// A column, such as the subject, whose values get an RDM each.
    #[serde(default)]
    pub by: Option<String>,
}

fn id() -> String {
    "id".to_owned()
}

fn condition() -> String {
    "id".to_owned()
}

impl Params {
    fn check(&self, table: &TableFacts) -> Result<Vec<String>, Complaint> {
        columns::exists(table, &self.condition, "condition")?;
        for (param, name) in [("run", &self.run), ("by", &self.by)] {
            if let Some(name) = name {
                columns::exists(table, name, param)?;
            }
        }
        columns::chosen(table, &self.columns, "columns")
    }
}

/// Numbers for the values of a column, in their order.
fn coded(values: &[String]) -> (Vec<usize>, Vec<String>) {
    let names = common::in_order(values.to_vec());
    let places: HashMap<&String, usize> = names.iter().zip(0..).collect();
    (values.iter().map(|v| places[v]).collect(), names)
}

impl Params {
    /// The names of the conditions and their RDM.
    fn compute(
        &self,
        frame: &Frame,
        columns: &[String],
        precision: Option<&Mat<f64>>,
    ) -> Result<(Vec<String>, Vec<f64>), Failure> {
        let x = columns::matrix(frame, columns)?;
        let (condition, names) = coded(&frame.strings(&self.condition)?);
        let count = names.len();
        if count < 2 {
            return Err(Failure::new(format!(
                "an RDM needs two conditions, `{}` has {count}",
                self.condition
            )));
        }
        let listed: Vec<&str> = names.iter().map(String::as_str).collect();
        let named = |e| common::wrong_of(e, "condition", &listed);
        let runs = match &self.run {
            Some(run) => coded(&frame.strings(run)?).0,
            None => Vec::new(),
        };
        let x = x.as_ref();
        let found = match self.measure {
            Measure::Crossnobis => rdm::crossnobis(x, &condition, count, &runs, precision.map(Mat::as_ref)),
            Measure::PoissonCv => rdm::poisson_cv(x, &condition, count, &runs),
            plain => rdm::condition_means(x, &condition, count).and_then(|means| match (plain, precision) {
                (Measure::Euclidean, _) => rdm::euclidean(means.as_ref()),
                (Measure::Mahalanobis, Some(precision)) => {
                    rdm::mahalanobis(means.as_ref(), precision.as_ref())
                }
                (Measure::Poisson, _) => rdm::poisson(means.as_ref()),
                _ => rdm::correlation(means.as_ref()),
            }),
        };
        Ok((names.clone(), found.map_err(named)?))
    }
}

impl Kind for Rdm {
    type Params = Params;

    const NAME: &'static str = "brain.rdm";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "\
Dissimilarity of every pair of conditions (a representational dissimilarity matrix).

`rdm` has one row a pair with `first`, `second`, `dissimilarity` and the full name of the measure as \
`metric`; with `by`, that column comes first. Conditions are in ascending order of their names. A \
condition that responds the same in all channels has no correlation distance, and one that is missing in \
a run no cross-validated one: both are errors that name it. Cross-validated distances are unbiased and \
may be negative.

Rows that a model before learned from are refused by name: see the port `trained`.";
    const EXAMPLE: &'static str = "\
rdm:
  uses: brain.rdm
  in: { table: activations }
  with: { measure: correlation, columns: [logits] }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new("table", PortType::Table, "Responses: one row a condition or observation."),
                Port::new("precision", PortType::Table, "Precision of the noise: a row a channel.")
                    .optional(),
                trained::port(),
            ],
            outputs: vec![Port::new("rdm", PortType::Table, "One row a pair of conditions.")],
            ..Ports::default()
        }
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        if params.measure.crossed() && params.run.is_none() {
            return Err(Complaint::param("run", "a cross-validated measure needs the column of the run"));
        }
        if params.measure == Measure::Mahalanobis && !context.inputs.contains_key("precision") {
            return Err(Complaint::port("precision", "`mahalanobis` needs the precision of the noise"));
        }
        trained::check(context, &params.id, "table")?;
        if let Some(table) = context.input("table").table() {
            params.check(table)?;
        }
        Ok(Outputs::from([("rdm".to_owned(), PairRows::facts(params.by.as_ref()))]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let frame = table::read(io.input("table")?, None)?;
        let columns = params.check(&frame.facts()).map_err(|c| Failure::new(c.message))?;
        if trained::bound(io) {
            trained::refuse(io, &params.id, &frame.strings(&params.id)?)?;
        }
        let precision = match io.optional("precision") {
            None => None,
            Some(bound) => {
                let frame = table::read(bound, None)?;
                let names: Vec<String> =
                    frame.names().into_iter().filter(|n| *n != "id").map(str::to_owned).collect();
                Some(columns::matrix(&frame, &names)?)
            }
        };
        let by = params.by.as_ref().map(|by| frame.strings(by)).transpose()?;
        let whole = vec![String::new(); frame.rows()];
        let mut rows = PairRows::default();
        for (group, members) in common::groups(by.as_ref().unwrap_or(&whole)) {
            io.check_cancelled()?;
            let part = frame.take(&members)?;
            let compute = || params.compute(&part, &columns, precision.as_ref());
            let (names, rdm) = with_threads(io.threads, compute)
                .map_err(wrong)?
                .map_err(|f| if params.by.is_some() { f.context(group) } else { f })?;
            rows.push(group, &names, rdm);
        }
        let metric = params.measure.metric(precision.is_some());
        put_table(io, "rdm", rows.table(params.by.as_ref(), metric)?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{Run, run_tables};

    fn responses(values: &[[f64; 3]]) -> Frame {
        let mut frame = Frame::new();
        frame.push_i64s("id", (0..values.len() as i64).rev().collect()).unwrap();
        for (j, name) in ["a", "b", "c"].into_iter().enumerate() {
            frame.push_f64s(name, values.iter().map(|v| v[j]).collect()).unwrap();
        }
        frame
    }

    fn rdm(with: serde_json::Value, frame: Frame) -> Result<Run, String> {
        run_tables(&Rdm, with, &[("table", frame, &[])])
    }

    #[test]
    fn pairs_are_those_of_the_named_conditions() {
        let frame = responses(&[[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 6.0]]);
        let run = rdm(json!({"measure": "euclidean", "columns": ["a", "b", "c"]}), frame).unwrap();
        let table = run.table("rdm");
        assert_eq!(table.strings("first").unwrap(), ["0", "0", "1"]);
        assert_eq!(table.f64s("dissimilarity").unwrap(), [15.0, 15.0, 6.0]);
        assert_eq!(run.inferred("rdm").columns, table.facts().columns);
    }

    #[test]
    fn a_condition_without_a_pattern_is_named() {
        let frame = responses(&[[3.0, 0.0, 0.0], [2.0, 2.0, 2.0], [0.0, 0.0, 6.0]]);
        let text = rdm(json!({"columns": ["a", "b", "c"]}), frame).err().unwrap();
        assert!(text.starts_with("condition `1` responds the same in all 3 channels"), "{text}");
    }

    #[test]
    fn rows_that_entered_training_are_named() {
        let frame = || responses(&[[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 6.0]]);
        let run = |trained: Vec<i64>| {
            let mut seen = Frame::new();
            seen.push_i64s("id", trained).unwrap();
            let tables = [("table", frame(), &[][..]), ("trained", seen, &[][..])];
            run_tables(&Rdm, json!({"columns": ["a", "b", "c"]}), &tables)
        };
        let text = run(vec![1, 9]).err().unwrap();
        assert!(text.starts_with("1 rows entered training and cannot be scored: 1"), "{text}");
        assert!(run(vec![9]).is_ok());
    }

    #[test]
    fn mistakes_are_found_before_a_run() {
        let text = |with| rdm(with, responses(&[[0.0; 3]; 2])).err().unwrap();
        assert!(text(json!({"measure": "crossnobis", "columns": ["a"]})).contains("column of the run"));
        assert!(text(json!({"measure": "mahalanobis", "columns": ["a"]})).contains("precision"));
        assert!(text(json!({"columns": ["d"]})).contains("no column `d`"));
        assert!(text(json!({})).contains("no tensor column"));
        let mut nan = responses(&[[1.0, f64::NAN, 0.0], [1.0, 2.0, 3.0]]);
        nan = nan.select(&["id", "a", "b"]).unwrap();
        assert!(
            rdm(json!({"columns": ["a", "b"]}), nan).err().unwrap().starts_with("column `b`, row 0: NaN")
        );
    }
}
