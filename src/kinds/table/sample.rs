//! `table.sample`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::{below, bits};
use crate::kinds::artefacts::put_table;
use crate::stage::{
    Column, Complaint, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, TableFacts,
};
use crate::table::{self, Frame};

/// `table.sample`: some rows, drawn at random.
pub struct Sample;

/// Parameters of `table.sample`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The number of rows to draw. Give `n` or `fraction`; for a bootstrap both may be left out, and
    /// every draw has as many rows as the table.
    #[serde(default)]
    pub n: Option<u64>,
    /// The fraction of the rows to draw, rounded to whole rows.
    #[serde(default)]
    pub fraction: Option<f64>,
    /// Draw with replacement.
    #[serde(default)]
    pub replace: bool,
    /// The number of samples; more than one adds a column `draw` (0, 1, …) in front.
    #[serde(default = "one")]
    pub draws: u64,
    /// Another seed gives other samples.
    #[serde(default)]
    pub seed: u64,
}

fn one() -> u64 {
    1
}

/// The column that numbers samples.
const DRAW: &str = "draw";

/// The whole output may have this many rows.
const MOST: u64 = 1 << 32;

impl Params {
    /// Rows of one sample of a table of `rows`.
    fn size(&self, rows: u64) -> Result<u64, Complaint> {
        let size = match (self.n, self.fraction) {
            (Some(_), Some(_)) => {
                return Err(
                    Complaint::param("fraction", "`n` and `fraction` are both set").hint("keep one of them")
                );
            }
            (None, None) if !self.replace => {
                return Err(Complaint::param("n", "neither `n` nor `fraction` is set"));
            }
            (None, None) => rows,
            (Some(n), None) => n,
            (None, Some(f)) if f >= 0.0 && (f <= 1.0 || self.replace) && f.is_finite() => {
                (rows as f64 * f).round() as u64
            }
            (None, Some(f)) => {
                let text = format!("{f} is not a fraction between 0 and 1");
                return Err(Complaint::param("fraction", text));
            }
        };
        if size > rows && !self.replace {
            let text = format!("{size} rows of a table that has {rows}");
            return Err(Complaint::param("n", text).hint("draw with `replace: true`, or fewer"));
        }
        if size > 0 && rows == 0 {
            return Err(Complaint::param("n", "the table has no rows to draw from"));
        }
        if size.saturating_mul(self.draws) > MOST {
            let text = format!("{size} rows times {} draws are too many", self.draws);
            return Err(Complaint::param("draws", text));
        }
        Ok(size)
    }
}

/// The rows of one sample, in the table's order.
fn draw(params: &Params, draw: u64, rows: usize, size: usize) -> Vec<usize> {
    let key = |number: usize| [draw.to_le_bytes(), (number as u64).to_le_bytes()].concat();
    let mut taken: Vec<usize> = if params.replace {
        (0..size).map(|i| below(params.seed, "table.sample", &key(i), rows)).collect()
    } else {
        // The rows with the smallest hashes.
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by_cached_key(|row| (bits(params.seed, "table.sample", &key(*row)), *row));
        order.truncate(size);
        order
    };
    taken.sort_unstable();
    taken
}

impl Kind for Sample {
    type Params = Params;

    const NAME: &'static str = "table.sample";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "\
Draws rows at random, without replacement or with it.

The rows of a sample come in the order that they have in the table; a row drawn twice comes twice. With \
`draws`, several independent samples are stacked and a column `draw` tells them apart: \
`{ replace: true, draws: 1000 }` makes 1,000 bootstrap samples. The result depends on the seed, the \
number of rows and their order alone.";
    const EXAMPLE: &'static str = "\
bootstrap:
  uses: table.sample
  in: { table: scores }
  with: { replace: true, draws: 1000, seed: 1 }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![Port::new("table", PortType::Table, "The rows to draw from.")],
            outputs: vec![Port::new("table", PortType::Table, "The rows drawn.")],
            ..Ports::default()
        }
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        let input = context.input("table").table();
        let known = input.and_then(|t| t.rows);
        // Without a known size, a table of all rows that could be asked for stands in.
        let size = params.size(known.unwrap_or(params.n.unwrap_or(1).max(1)))?;
        let Some(input) = input else {
            return Ok(Outputs::new());
        };
        let mut columns = Vec::new();
        if params.draws != 1 {
            if input.column(DRAW).is_some() {
                let text = "the table has a column `draw` already";
                return Err(Complaint::port("table", text).hint("rename it with table.sql"));
            }
            columns.push(Column::new(DRAW, "int64"));
        }
        columns.extend(input.columns.iter().map(|c| c.without_digest()));
        let rows = known.map(|_| size * params.draws);
        let facts = Facts::Table(TableFacts { rows, columns });
        Ok(Outputs::from([("table".to_owned(), facts)]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let frame = table::read(io.input("table")?, None)?;
        let rows = frame.rows();
        let size = params.size(rows as u64).map_err(|c| Failure::new(c.message))? as usize;
        let mut taken = Vec::with_capacity(size * params.draws as usize);
        for number in 0..params.draws {
            io.check_cancelled()?;
            taken.extend(draw(params, number, rows, size));
        }
        let sampled = frame.take(&taken)?;
        let mut out = Frame::new();
        if params.draws != 1 {
            let numbers = (0..params.draws as i64).flat_map(|d| std::iter::repeat_n(d, size));
            out.push_i64s(DRAW, numbers.collect())?;
        }
        for name in sampled.names() {
            out.push_column_of(&sampled, name)?;
        }
        put_table(io, "table", out)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{Run, run_tables};

    fn sample(with: serde_json::Value, rows: i64) -> Result<Run, String> {
        let mut frame = Frame::new();
        frame.push_i64s("id", (0..rows).collect()).unwrap();
        run_tables(&Sample, with, &[("table", frame, &[])])
    }

    #[test]
    fn without_replacement_rows_are_distinct_and_ordered() {
        let run = sample(json!({"n": 30, "seed": 3}), 100).unwrap();
        let ids = run.table("table").i64s("id").unwrap();
        assert_eq!(ids.len(), 30);
        assert!(ids.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(run.inferred("table"), run.table("table").facts());
        let again = sample(json!({"n": 30, "seed": 3}), 100).unwrap();
        assert_eq!(run.bytes("table"), again.bytes("table"));
        let other = sample(json!({"n": 30, "seed": 4}), 100).unwrap();
        assert_ne!(ids, other.table("table").i64s("id").unwrap());
    }

    #[test]
    fn a_bootstrap_draws_each_row_about_once_a_draw() {
        let run = sample(json!({"replace": true, "draws": 200}), 50).unwrap();
        let frame = run.table("table");
        assert_eq!(frame.names(), ["draw", "id"]);
        assert_eq!(frame.rows(), 10_000);
        assert_eq!(frame.i64s("draw").unwrap()[9_999], 199);
        let mut counts = [0_i32; 50];
        for id in frame.i64s("id").unwrap() {
            counts[id as usize] += 1;
        }
        // Six standard deviations of a binomial count with mean 200.
        assert!(counts.iter().all(|c| (c - 200).abs() < 85), "{counts:?}");
    }

    #[test]
    fn mistakes_are_found_before_a_run() {
        let text = |with| sample(with, 10).err().unwrap();
        assert!(text(json!({"n": 11})).starts_with("11 rows of a table that has 10"));
        assert!(text(json!({"n": 1, "fraction": 0.5})).starts_with("`n` and `fraction`"));
        assert!(text(json!({})).starts_with("neither"));
        assert!(text(json!({"fraction": 1.5})).starts_with("1.5 is not a fraction"));
    }
}
