//! `brain.ceiling`

use schemars::JsonSchema;
use science::brain::bootstrap::permutation;
use science::brain::reliability::{Repeats, leave_one_subject_out, signal_noise, split_half};
use serde::{Deserialize, Serialize};

use super::common::{self, Key};
use crate::kinds::artefacts::put_table;
use crate::kinds::{columns, wrong};
use crate::stage::{Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, TableFacts};
use crate::table::{self, Frame};

/// `brain.ceiling`: what a model of these responses could reach.
pub struct Ceiling;

/// Parameters of `brain.ceiling`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The columns that hold responses; if none are named, every tensor column.
    #[serde(default)]
    pub columns: Vec<String>,
    /// The column that names the stimulus of a row.
    #[serde(default = "id")]
    pub id: String,
    /// The column that names the repeat of a row. Give `repeat` or `subject`.
    #[serde(default)]
    pub repeat: Option<String>,
    /// The column that names the subject of a row.
    #[serde(default)]
    pub subject: Option<String>,
    /// Random splits into halves.
    #[serde(default = "splits")]
    pub splits: u32,
    /// Another seed gives other splits.
    #[serde(default)]
    pub seed: u64,
}

fn id() -> String {
    "id".to_owned()
}

fn splits() -> u32 {
    100
}

const CEILING: &[(&str, &str)] =
    &[("target", "string"), ("benchmark", "string"), ("metric", "string"), ("value", "float64")];
const SPLITS: &[(&str, &str)] = &[("split", "int64"), ("position", "int64"), ("repeat", "string")];

impl Params {
    /// The column that tells rows of one stimulus apart.
    fn apart(&self) -> Result<&str, Complaint> {
        match (&self.repeat, &self.subject) {
            (Some(column), None) | (None, Some(column)) => Ok(column),
            (Some(_), Some(_)) => Err(Complaint::param("subject", "`repeat` and `subject` are both set")
                .hint("keep one: reliability is over repeats, agreement over subjects")),
            (None, None) => Err(Complaint::param("repeat", "neither `repeat` nor `subject` is set")),
        }
    }

    fn check(&self, table: &TableFacts) -> Result<Vec<String>, Complaint> {
        columns::exists(table, &self.id, "id")?;
        let param = if self.repeat.is_some() { "repeat" } else { "subject" };
        columns::exists(table, self.apart()?, param)?;
        columns::chosen(table, &self.columns, "columns")
    }

    /// The ceiling's metrics of one target, from its values by stimulus and repeat (or subject).
    fn metrics(
        &self,
        values: &[f64],
        apart: usize,
        splits: &[Vec<usize>],
    ) -> science::error::Result<Vec<(String, f64)>> {
        if self.subject.is_some() {
            let own = |s: usize| -> Vec<f64> { values.iter().skip(s).step_by(apart).copied().collect() };
            let all: Vec<Vec<f64>> = (0..apart).map(own).collect();
            let all: Vec<&[f64]> = all.iter().map(Vec::as_slice).collect();
            let found = leave_one_subject_out(&all)?;
            let mean = |of: fn(&(f64, f64)) -> f64| found.iter().map(of).sum::<f64>() / apart as f64;
            return Ok(vec![
                ("loso:r:mean-of-others/subject-mean".to_owned(), mean(|f| f.0)),
                ("loso:r:mean-of-all/subject-mean".to_owned(), mean(|f| f.1)),
            ]);
        }
        let data = Repeats { values, repeats: apart };
        let (halves, noise) = (split_half(data, splits)?, signal_noise(data)?);
        Ok(vec![
            ("split-half:r:mean-of-splits".to_owned(), halves.r.iter().sum::<f64>() / halves.r.len() as f64),
            ("sb:mean-of-splits".to_owned(), halves.mean_of_sb),
            ("sb:of-mean-r".to_owned(), halves.sb_of_mean_r),
            ("variance:signal".to_owned(), noise.signal),
            ("variance:noise".to_owned(), noise.noise),
            ("nc:r2:signal/(signal+noise/repeats)".to_owned(), noise.ceiling),
        ])
    }
}

impl Kind for Ceiling {
    type Params = Params;

    const NAME: &'static str = "brain.ceiling";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "\
What a model of these responses could reach at most, from repeats or from several subjects.

Every stimulus must have every repeat (or subject) once. `ceiling` has one row a target and metric. Over \
repeats: `split-half:r:mean-of-splits`; its Spearman–Brown correction in both orders, which differ, \
`sb:mean-of-splits` and `sb:of-mean-r`; `variance:signal` and `variance:noise`; and \
`nc:r2:signal/(signal+noise/repeats)`, the share of the variance of mean responses that can be explained. \
Over subjects: the correlation with the mean of the others and of all.

`splits` holds the permutations of the repeats: half A is the first ⌊n ÷ 2⌋ of one, half B the next.";
    const EXAMPLE: &'static str = "\
ceiling:
  uses: brain.ceiling
  in: { table: trials }
  with: { columns: [rate], repeat: repeat, splits: 100, seed: 1 }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![Port::new("table", PortType::Table, "One row a stimulus and repeat (or subject).")],
            outputs: vec![
                Port::new("ceiling", PortType::Table, "One row a target and metric."),
                Port::new("splits", PortType::Table, "The splits into halves."),
            ],
            ..Ports::default()
        }
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        params.apart()?;
        if params.splits == 0 {
            return Err(Complaint::param("splits", "there are no splits"));
        }
        if let Some(table) = context.input("table").table() {
            params.check(table)?;
        }
        let outputs = [("ceiling", CEILING), ("splits", SPLITS)];
        Ok(outputs.into_iter().map(|(port, columns)| (port.to_owned(), columns::facts(columns))).collect())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let frame = table::read(io.input("table")?, None)?;
        let refused = |c: Complaint| Failure::new(c.message);
        let columns = params.check(&frame.facts()).map_err(refused)?;
        let column = params.apart().map_err(refused)?;
        let (ids, apart) = (frame.strings(&params.id)?, frame.strings(column)?);
        let (stimuli, kinds) = (common::in_order(ids.clone()), common::in_order(apart.clone()));
        let rows = common::grid(&ids, &apart, &stimuli, &kinds, column)?;
        let values = columns::matrix(&frame, &columns)?;
        let count = kinds.len();
        let splits: Vec<Vec<usize>> = match params.subject {
            Some(_) => Vec::new(),
            None => (0..params.splits).map(|s| permutation(count, params.seed, u64::from(s))).collect(),
        };
        let (mut targets, mut benchmarks) = (Vec::new(), Vec::new());
        let (mut metrics, mut found) = (Vec::new(), Vec::new());
        for (index, name) in columns::names(&frame, &columns).iter().enumerate() {
            io.check_cancelled()?;
            let own: Vec<f64> = rows.iter().map(|row| values[(*row, index)]).collect();
            let all = params.metrics(&own, count, &splits);
            for (metric, value) in all.map_err(|e| wrong(e).context(format!("target `{name}`")))? {
                let key = Key::new(Self::NAME, Self::REVISION).text(&metric).numbers(own.iter().copied());
                let key = key.numbers(splits.iter().flatten().map(|i| *i as f64));
                benchmarks.push(key.finish());
                targets.push(name.clone());
                metrics.push(metric);
                found.push(value);
            }
        }
        let mut ceiling = Frame::new();
        ceiling.push_strings("target", &targets)?;
        ceiling.push_strings("benchmark", &benchmarks)?;
        ceiling.push_strings("metric", &metrics)?;
        ceiling.push_f64s("value", found)?;
        put_table(io, "ceiling", ceiling)?;
        let placed =
            || splits.iter().enumerate().flat_map(|(s, split)| (0..split.len()).map(move |p| (s, p)));
        let mut table = Frame::new();
        table.push_i64s("split", placed().map(|(s, _)| s as i64).collect())?;
        table.push_i64s("position", placed().map(|(_, p)| p as i64).collect())?;
        table.push_strings("repeat", &placed().map(|(s, p)| &kinds[splits[s][p]]).collect::<Vec<_>>())?;
        put_table(io, "splits", table)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::run_tables;

    fn trials(keep: usize) -> Frame {
        let mut frame = Frame::new();
        let row = |i: usize| ((i / 3) as i64, (i % 3) as i64);
        frame.push_i64s("id", (0..keep).map(|i| row(i).0).collect()).unwrap();
        frame.push_i64s("repeat", (0..keep).map(|i| row(i).1).collect()).unwrap();
        let value = |i: usize| (row(i).0 * row(i).0) as f64 + 0.1 * ((i * 7) % 5) as f64;
        frame.push_f64s("rate", (0..keep).map(value).collect()).unwrap();
        frame
    }

    #[test]
    fn both_orders_of_the_correction_are_named() {
        let with = json!({"columns": ["rate"], "repeat": "repeat", "splits": 4});
        let run = run_tables(&Ceiling, with, &[("table", trials(18), &[])]).unwrap();
        let table = run.table("ceiling");
        let metrics = table.strings("metric").unwrap();
        assert!(
            metrics.contains(&"sb:mean-of-splits".to_owned()) && metrics.contains(&"sb:of-mean-r".to_owned())
        );
        assert!(table.f64s("value").unwrap()[1] > 0.99);
        assert_eq!(run.table("splits").rows(), 12);
        for port in ["ceiling", "splits"] {
            assert_eq!(run.inferred(port).columns, run.table(port).facts().columns);
        }
    }

    #[test]
    fn a_missing_repeat_is_named() {
        let with = json!({"columns": ["rate"], "repeat": "repeat"});
        let text = run_tables(&Ceiling, with, &[("table", trials(17), &[])]).err().unwrap();
        assert!(text.starts_with("stimulus 5 lacks `repeat` 2"), "{text}");
        let with = json!({"columns": ["rate"]});
        let text = run_tables(&Ceiling, with, &[("table", trials(18), &[])]).err().unwrap();
        assert!(text.starts_with("neither `repeat` nor `subject`"), "{text}");
    }
}
