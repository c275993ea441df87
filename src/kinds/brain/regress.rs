//! `brain.regress`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use science::brain::bootstrap::t_interval;
use science::brain::stats;
use science::brain::tests::{T, false_discovery_rate};
use serde::{Deserialize, Serialize};

use crate::kinds::artefacts::put_table;
use crate::kinds::{columns, interval, words, wrong};
use crate::stage::{
    Bound, Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, TableFacts,
};
use crate::table::{self, Frame};

/// `brain.regress`: a child model against its parent on every earlier benchmark.
pub struct Regress;

/// Parameters of `brain.regress`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The columns that together name a benchmark.
    #[serde(default = "benchmark")]
    pub benchmark: Vec<String>,
    /// The columns that together name the units over which scores are paired: targets, subjects, folds.
    pub units: Vec<String>,
    /// The column with the score; more is better.
    #[serde(default = "value")]
    pub value: String,
    /// The level of the intervals.
    #[serde(default = "interval::level")]
    pub level: f64,
    /// Fail if the child loses a benchmark or lacks one.
    #[serde(default)]
    pub refuse_losses: bool,
}

fn benchmark() -> Vec<String> {
    vec!["metric".to_owned()]
}

fn value() -> String {
    "value".to_owned()
}

const COLUMNS: &[(&str, &str)] = &[
    ("benchmark", "string"),
    ("verdict", "string"),
    ("parent", "float64"),
    ("child", "float64"),
    ("difference", "float64"),
    ("low", "float64"),
    ("high", "float64"),
    ("p", "float64"),
    ("q", "float64"),
    ("units", "int64"),
];

type Scores = BTreeMap<String, BTreeMap<String, f64>>;

impl Params {
    fn check(&self, table: &TableFacts) -> Result<(), Complaint> {
        for (index, name) in self.benchmark.iter().enumerate() {
            columns::exists(table, name, &format!("benchmark.{index}"))?;
        }
        for (index, name) in self.units.iter().enumerate() {
            columns::exists(table, name, &format!("units.{index}"))?;
        }
        columns::exists(table, &self.value, "value")
    }

    /// Scores by benchmark and unit.
    fn read(&self, bound: &Bound, port: &str) -> Result<Scores, Failure> {
        let frame = table::read(bound, None)?;
        let joined = |columns: &[String]| -> Result<Vec<String>, Failure> {
            let parts = columns.iter().map(|c| frame.strings(c)).collect::<Result<Vec<_>, _>>()?;
            let row = |i: usize| parts.iter().map(|p| p[i].as_str()).collect::<Vec<_>>().join(" ");
            Ok((0..frame.rows()).map(row).collect())
        };
        let (benchmarks, units) = (joined(&self.benchmark)?, joined(&self.units)?);
        let mut scores = Scores::new();
        for ((benchmark, unit), value) in benchmarks.into_iter().zip(units).zip(frame.f64s(&self.value)?) {
            if !value.is_finite() {
                return Err(Failure::new(format!("{port}: `{benchmark}`, {unit} has the score {value}"))
                    .hint("leave undefined scores out with table.sql"));
            }
            if scores.entry(benchmark.clone()).or_default().insert(unit.clone(), value).is_some() {
                return Err(Failure::new(format!("{port}: `{benchmark}` has {unit} twice"))
                    .hint("name the columns that tell units apart in `units`"));
            }
        }
        Ok(scores)
    }
}

/// One benchmark: both means, their difference with interval, p and number of units.
struct Row {
    benchmark: String,
    verdict: &'static str,
    means: [f64; 2],
    interval: (f64, f64),
    p: f64,
    units: usize,
}

fn compare(
    benchmark: &str,
    parent: &BTreeMap<String, f64>,
    child: &BTreeMap<String, f64>,
    level: f64,
) -> Result<Row, Failure> {
    if let Some(unit) = parent.keys().find(|u| !child.contains_key(*u)) {
        let text = format!("the child has no score for {unit} of `{benchmark}`");
        return Err(Failure::new(text).hint("score it on everything that its parent was scored on"));
    }
    let values: Vec<(f64, f64)> = parent.iter().map(|(unit, p)| (*p, child[unit])).collect();
    let gaps: Vec<f64> = values.iter().map(|(p, c)| c - p).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| values.iter().map(of).sum::<f64>() / values.len() as f64;
    let means = [mean(|v| v.0), mean(|v| v.1)];
    let units = values.len();
    if units < 2 {
        let (interval, p) = ((f64::NAN, f64::NAN), f64::NAN);
        return Ok(Row { benchmark: benchmark.to_owned(), verdict: "one unit", means, interval, p, units });
    }
    let variance = stats::variance(&gaps) / units as f64;
    let interval = t_interval(stats::mean(&gaps), variance, (units - 1) as f64, level).map_err(wrong)?;
    let verdict = match interval {
        (_, high) if high < 0.0 => "lost",
        (low, _) if low > 0.0 => "won",
        _ => "no difference",
    };
    let p = T::of(&gaps).and_then(T::two_sided).map_err(wrong)?;
    Ok(Row { benchmark: benchmark.to_owned(), verdict, means, interval, p, units })
}

impl Kind for Regress {
    type Params = Params;

    const NAME: &'static str = "brain.regress";
    const REVISION: u32 = 2;
    const ABOUT: &'static str = "\
Compares a child model with its parent on every benchmark that the parent was scored on.

`verdicts` has one row a benchmark: both mean scores, the mean paired difference (child − parent) over \
units with its interval by Student's t, two-sided `p` and `q` (adjusted for the false discovery rate over \
benchmarks), and a `verdict`: `lost` if the whole interval is below 0, `won` if it is above, `no \
difference`, `one unit` where there is nothing to pair, or `missing` if the child has no score; what \
cannot be computed is missing. With \
`refuse_losses` a lost or missing benchmark fails the step.";
    const EXAMPLE: &'static str = "\
regression:
  uses: brain.regress
  in: { parent: \"encode[model=v1].scores\", child: \"encode[model=v2].scores\" }
  with: { benchmark: [metric], units: [target, fold] }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new("parent", PortType::Table, "Scores of the parent."),
                Port::new("child", PortType::Table, "Scores of the child."),
            ],
            outputs: vec![Port::new("verdicts", PortType::Table, "One row a benchmark.")],
            ..Ports::default()
        }
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        interval::check(params.level)?;
        for port in ["parent", "child"] {
            if let Some(table) = context.input(port).table() {
                params.check(table)?;
            }
        }
        Ok(Outputs::from([("verdicts".to_owned(), columns::facts(COLUMNS))]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let parent = params.read(io.input("parent")?, "parent")?;
        let child = params.read(io.input("child")?, "child")?;
        let mut rows = Vec::new();
        for (benchmark, scores) in &parent {
            rows.push(match child.get(benchmark) {
                Some(own) => compare(benchmark, scores, own, params.level)?,
                None => Row {
                    benchmark: benchmark.clone(),
                    verdict: "missing",
                    means: [scores.values().sum::<f64>() / scores.len() as f64, f64::NAN],
                    interval: (f64::NAN, f64::NAN),
                    p: f64::NAN,
                    units: 0,
                },
            });
        }
        let bad: Vec<&str> = rows
            .iter()
            .filter(|r| matches!(r.verdict, "lost" | "missing"))
            .map(|r| r.benchmark.as_str())
            .collect();
        if params.refuse_losses && !bad.is_empty() {
            let text = format!("the child loses or lacks {} benchmarks: {}", bad.len(), words::listed(&bad));
            return Err(Failure::new(text).hint("take `refuse_losses` away to see by how much"));
        }
        let tested: Vec<usize> = (0..rows.len()).filter(|i| rows[*i].p.is_finite()).collect();
        let adjusted = false_discovery_rate(&tested.iter().map(|i| rows[*i].p).collect::<Vec<_>>());
        let mut q = vec![f64::NAN; rows.len()];
        tested.iter().zip(adjusted).for_each(|(i, value)| q[*i] = value);
        let numbers = |of: &dyn Fn(&Row) -> f64| -> Vec<f64> { rows.iter().map(of).collect() };
        let mut out = Frame::new();
        out.push_strings("benchmark", &rows.iter().map(|r| &r.benchmark).collect::<Vec<_>>())?;
        out.push_strings("verdict", &rows.iter().map(|r| r.verdict).collect::<Vec<_>>())?;
        out.push_f64s("parent", numbers(&|r| r.means[0]))?;
        out.push_known_f64s("child", numbers(&|r| r.means[1]))?;
        out.push_known_f64s("difference", numbers(&|r| r.means[1] - r.means[0]))?;
        out.push_known_f64s("low", numbers(&|r| r.interval.0))?;
        out.push_known_f64s("high", numbers(&|r| r.interval.1))?;
        out.push_known_f64s("p", numbers(&|r| r.p))?;
        out.push_known_f64s("q", q)?;
        out.push_i64s("units", rows.iter().map(|r| r.units as i64).collect())?;
        put_table(io, "verdicts", out)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{Run, run_tables};

    /// Scores of two benchmarks over eight targets, each shifted.
    fn scores(shifts: &[(&str, f64)]) -> Frame {
        let rows: Vec<(&str, i64, f64)> = shifts
            .iter()
            .flat_map(|(name, shift)| {
                (0..8).map(move |t| {
                    (*name, t, 0.3 + 0.01 * ((t * 5) % 8) as f64 + shift * (1.0 + 0.1 * (t % 3) as f64))
                })
            })
            .collect();
        let mut frame = Frame::new();
        frame.push_strings("metric", &rows.iter().map(|r| r.0).collect::<Vec<_>>()).unwrap();
        frame.push_i64s("target", rows.iter().map(|r| r.1).collect()).unwrap();
        frame.push_f64s("value", rows.iter().map(|r| r.2).collect()).unwrap();
        frame
    }

    fn run(with: serde_json::Value, child: &[(&str, f64)]) -> Result<Run, String> {
        let parent = scores(&[("v1", 0.0), ("v4", 0.0), ("it", 0.0)]);
        run_tables(&Regress, with, &[("parent", parent, &[]), ("child", scores(child), &[])])
    }

    #[test]
    fn a_child_that_loses_a_benchmark_is_flagged() {
        let child = [("v1", -0.05), ("v4", 0.05)];
        let done = run(json!({"units": ["target"]}), &child).unwrap();
        let table = done.table("verdicts");
        assert_eq!(table.strings("benchmark").unwrap(), ["it", "v1", "v4"]);
        assert_eq!(table.strings("verdict").unwrap(), ["missing", "lost", "won"]);
        assert_eq!(done.inferred("verdicts").columns, table.facts().columns);
        let text = run(json!({"units": ["target"], "refuse_losses": true}), &child).err().unwrap();
        assert!(text.starts_with("the child loses or lacks 2 benchmarks: it, v1"), "{text}");
    }

    #[test]
    fn equal_scores_are_no_difference_and_units_must_be_told_apart() {
        let same = [("v1", 0.0), ("v4", 0.0), ("it", 0.0)];
        let done = run(json!({"units": ["target"]}), &same).unwrap();
        assert_eq!(done.table("verdicts").strings("verdict").unwrap(), ["no difference"; 3]);
        let text = run(json!({"units": ["metric"]}), &same).err().unwrap();
        assert!(text.contains("twice"), "{text}");
    }
}
