//! `brain.leaderboard`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::artefacts::put_table;
use crate::kinds::{columns, words};
use crate::stage::{Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, TableFacts};
use crate::table::{self, Frame};

/// `brain.leaderboard`: models in the order of their scores, one list a benchmark.
pub struct Leaderboard;

/// Parameters of `brain.leaderboard`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The column that names the model; without it a table is one model, called by its matrix axes.
    #[serde(default)]
    pub model: Option<String>,
    /// The column with the score; more is better.
    #[serde(default = "value")]
    pub value: String,
}

fn value() -> String {
    "value".to_owned()
}

const COLUMNS: &[(&str, &str)] = &[
    ("metric", "string"),
    ("benchmark", "string"),
    ("rank", "int64"),
    ("model", "string"),
    ("value", "float64"),
    ("low", "float64"),
    ("high", "float64"),
    ("ceiling_low", "float64"),
    ("ceiling_high", "float64"),
];

/// Columns that are carried over where a table has them.
const CARRIED: [&str; 4] = ["low", "high", "ceiling_low", "ceiling_high"];

impl Params {
    fn check(&self, table: &TableFacts) -> Result<(), Complaint> {
        for name in ["benchmark", "metric"] {
            if table.column(name).is_none() {
                let text = format!("the table has no column `{name}`: its scores cannot be told apart");
                return Err(Complaint::port("scores", text).hint(
                    "bind scores of brain.rsa, brain.encode (`summary`), brain.effect or brain.ceiling",
                ));
            }
        }
        columns::exists(table, &self.value, "value")?;
        self.model.as_ref().map_or(Ok(()), |model| columns::exists(table, model, "model"))
    }
}

struct Entry {
    model: String,
    value: f64,
    carried: [f64; 4],
}

impl Kind for Leaderboard {
    type Params = Params;

    const NAME: &'static str = "brain.leaderboard";
    const REVISION: u32 = 2;
    const ABOUT: &'static str = "\
Puts models in the order of their scores, one list for every metric and benchmark.

A benchmark is known by its key, a digest of data, split, metric, ceiling and code: scores with different \
keys are never ranked against each other, so a changed formula or a changed split makes new lists beside \
the old. Within a list every model stands once. Intervals and ceilings are carried over where a table has \
them, and missing elsewhere; equal scores share a rank.";
    const EXAMPLE: &'static str = "\
board:
  uses: brain.leaderboard
  in: { scores: [rsa.scores, faces.effects] }
  with: { model: model }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![Port::new("scores", PortType::Table, "Tables of scores.").many()],
            outputs: vec![Port::new("board", PortType::Table, "One row a metric, benchmark and model.")],
            ..Ports::default()
        }
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        for table in context.inputs.get("scores").into_iter().flatten().filter_map(|t| t.facts.table()) {
            params.check(table)?;
        }
        Ok(Outputs::from([("board".to_owned(), columns::facts(COLUMNS))]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let mut lists: BTreeMap<(String, String), Vec<Entry>> = BTreeMap::new();
        for (index, bound) in io.many("scores").iter().enumerate() {
            let frame = table::read(bound, None)?;
            params.check(&frame.facts()).map_err(|c| Failure::new(c.message))?;
            let models = match &params.model {
                Some(column) => frame.strings(column)?,
                None => vec![words::label(&bound.axes, index, "model"); frame.rows()],
            };
            let (keys, metrics) = (frame.strings("benchmark")?, frame.strings("metric")?);
            let values = frame.f64s(&params.value)?;
            let carried = CARRIED.map(|name| frame.f64s(name).ok());
            for (row, model) in models.into_iter().enumerate() {
                let list = lists.entry((metrics[row].clone(), keys[row].clone())).or_default();
                if !values[row].is_finite() {
                    return Err(Failure::new(format!(
                        "`{model}` has the score {} on `{}`",
                        values[row], metrics[row]
                    ))
                    .hint("leave undefined scores out with table.sql"));
                }
                if list.iter().any(|e| e.model == model) {
                    let text = format!("`{model}` has two scores on `{}` ({})", metrics[row], keys[row]);
                    return Err(Failure::new(text).hint("score every model once on a benchmark"));
                }
                let carried = std::array::from_fn(|c| carried[c].as_ref().map_or(f64::NAN, |v| v[row]));
                list.push(Entry { model, value: values[row], carried });
            }
        }
        let mut texts: [Vec<String>; 3] = Default::default();
        let (mut ranks, mut numbers) = (Vec::new(), [const { Vec::new() }; 5]);
        for ((metric, key), mut list) in lists {
            list.sort_by(|a, b| b.value.total_cmp(&a.value).then_with(|| a.model.cmp(&b.model)));
            for entry in &list {
                let better = list.iter().filter(|e| e.value > entry.value).count();
                ranks.push(better as i64 + 1);
                texts[0].push(metric.clone());
                texts[1].push(key.clone());
                texts[2].push(entry.model.clone());
                numbers[0].push(entry.value);
                entry.carried.iter().zip(&mut numbers[1..]).for_each(|(v, column)| column.push(*v));
            }
        }
        let mut out = Frame::new();
        out.push_strings("metric", &texts[0])?;
        out.push_strings("benchmark", &texts[1])?;
        out.push_i64s("rank", ranks)?;
        out.push_strings("model", &texts[2])?;
        for (name, values) in ["value"].into_iter().chain(CARRIED).zip(numbers) {
            out.push_known_f64s(name, values)?;
        }
        put_table(io, "board", out)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::run_tables;

    fn scores(rows: &[(&str, &str, f64)]) -> Frame {
        let mut frame = Frame::new();
        frame.push_strings("model", &rows.iter().map(|r| r.0).collect::<Vec<_>>()).unwrap();
        frame.push_strings("benchmark", &rows.iter().map(|r| r.1).collect::<Vec<_>>()).unwrap();
        frame.push_strings("metric", &vec!["r"; rows.len()]).unwrap();
        frame.push_f64s("value", rows.iter().map(|r| r.2).collect()).unwrap();
        frame
    }

    #[test]
    fn a_changed_benchmark_makes_a_new_list() {
        let table = scores(&[("a", "k1", 0.3), ("b", "k1", 0.5), ("a", "k2", 0.9), ("c", "k1", 0.3)]);
        let run = run_tables(&Leaderboard, json!({"model": "model"}), &[("scores", table, &[])]).unwrap();
        let board = run.table("board");
        assert_eq!(board.strings("model").unwrap(), ["b", "a", "c", "a"]);
        assert_eq!(board.i64s("rank").unwrap(), [1, 2, 2, 1]);
        assert_eq!(run.inferred("board").columns, board.facts().columns);
    }

    #[test]
    fn a_model_stands_once_in_a_list() {
        let table = scores(&[("a", "k", 0.3), ("a", "k", 0.5)]);
        let text =
            run_tables(&Leaderboard, json!({"model": "model"}), &[("scores", table, &[])]).err().unwrap();
        assert!(text.starts_with("`a` has two scores on `r` (k)"), "{text}");
    }
}
