//! `table.split`

use std::collections::{BTreeMap, HashMap};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::{bits, uniform};
use crate::kinds::artefacts::put_table;
use crate::kinds::columns::exists;
use crate::stage::{
    Complaint, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, TableFacts,
};
use crate::table::{self, Frame};

/// `table.split`: rows go to parts by hash.
pub struct Split;

/// The size of a part: a fraction of the rows, or a number of groups.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Size {
    /// A number of distinct values of `by`.
    Count(u64),
    /// A fraction between 0 and 1.
    Fraction(f64),
}

/// Parameters of `table.split`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The parts and their sizes: fractions that add up to at most 1, such as
    /// `{ train: 0.8, test: 0.2 }`, or whole numbers of rows. Rows beyond the sum are left out.
    pub parts: IndexMap<String, Size>,
    /// The column whose value decides a row's part. Rows with the same value stay together.
    #[serde(default = "by")]
    pub by: String,
    /// Another seed gives another split.
    #[serde(default)]
    pub seed: u64,
    /// A column whose values are drawn separately, so that one stratum's draw does not depend on
    /// another's.
    #[serde(default)]
    pub stratify: Option<String>,
}

fn by() -> String {
    "id".to_owned()
}

/// How sizes are meant.
enum Rule {
    /// Upper ends in [0, 1].
    Fractions(Vec<f64>),
    /// Numbers of groups.
    Counts(Vec<usize>),
}

impl Params {
    fn rule(&self) -> Result<Rule, Complaint> {
        if self.parts.is_empty() {
            return Err(Complaint::param("parts", "there are no parts")
                .hint("for example `parts: { train: 0.8, test: 0.2 }`"));
        }
        // `1` alone is everything, not one row.
        let whole = self.parts.len() == 1 && self.parts.values().all(|s| *s == Size::Count(1));
        if !whole && self.parts.values().all(|s| matches!(s, Size::Count(_))) {
            let counts = self.parts.values().map(|s| match s {
                Size::Count(n) => usize::try_from(*n).unwrap_or(usize::MAX),
                Size::Fraction(_) => 0,
            });
            return Ok(Rule::Counts(counts.collect()));
        }
        let mut sum = 0.0;
        let mut ends = Vec::new();
        for (name, size) in &self.parts {
            let fraction = match size {
                Size::Fraction(f) => *f,
                Size::Count(n @ (0 | 1)) => *n as f64,
                Size::Count(n) => {
                    let text = format!("{n} is a number of rows, other parts are fractions");
                    return Err(Complaint::param(format!("parts.{name}"), text));
                }
            };
            if !(0.0..=1.0).contains(&fraction) {
                let text = format!("{fraction} is not a fraction between 0 and 1");
                return Err(Complaint::param(format!("parts.{name}"), text));
            }
            sum += fraction;
            ends.push(sum);
        }
        // Room for the rounding of sums such as 0.7 + 0.2 + 0.1.
        const ROUNDING: f64 = 1e-9;
        if sum > 1.0 + ROUNDING {
            return Err(Complaint::param("parts", format!("the fractions add up to {sum}, more than 1")));
        }
        if let Some(last) = ends.last_mut().filter(|end| **end > 1.0 - ROUNDING) {
            *last = 1.0;
        }
        Ok(Rule::Fractions(ends))
    }
}

/// The part of every row: an index into the parts, or none.
fn assign(
    params: &Params,
    rule: &Rule,
    keys: &[String],
    strata: &[String],
) -> Result<Vec<Option<usize>>, Failure> {
    let purpose = |row: usize| match strata.get(row) {
        Some(stratum) => format!("table.split {stratum}"),
        None => "table.split".to_owned(),
    };
    match rule {
        Rule::Fractions(ends) => Ok(keys
            .iter()
            .enumerate()
            .map(|(row, key)| {
                let draw = uniform(params.seed, &purpose(row), key.as_bytes());
                ends.iter().position(|end| draw < *end)
            })
            .collect()),
        Rule::Counts(counts) => by_rank(params, counts, keys, strata),
    }
}

/// Groups in the order of their hashes; the first go to the first part, and so on.
fn by_rank(
    params: &Params,
    counts: &[usize],
    keys: &[String],
    strata: &[String],
) -> Result<Vec<Option<usize>>, Failure> {
    if !strata.is_empty() {
        return Err(Failure::new("`stratify` needs fractions in `parts`"));
    }
    let mut groups: Vec<&String> = keys.iter().collect();
    groups.sort();
    groups.dedup();
    let asked: usize = counts.iter().fold(0, |sum, n| sum.saturating_add(*n));
    if asked > groups.len() {
        return Err(Failure::new(format!(
            "`parts` asks for {asked} values of `{}`, the table has {}",
            params.by,
            groups.len()
        )));
    }
    groups.sort_by_cached_key(|key| (bits(params.seed, "table.split", key.as_bytes()), *key));
    let mut parts: HashMap<&String, usize> = HashMap::new();
    let mut rest = groups.into_iter();
    for (part, count) in counts.iter().enumerate() {
        parts.extend(rest.by_ref().take(*count).map(|key| (key, part)));
    }
    Ok(keys.iter().map(|key| parts.get(key).copied()).collect())
}

fn column(table: &TableFacts, param: &str, name: &str) -> Result<(), Complaint> {
    exists(table, name, param)?;
    match table.column(name) {
        Some(column) if column.shape.is_some() => {
            Err(Complaint::param(param, format!("column `{name}` holds tensors")))
        }
        _ => Ok(()),
    }
}

impl Kind for Split {
    type Params = Params;

    const NAME: &'static str = "table.split";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "\
Splits the rows of a table into parts, one output port a part.

With fractions, a row's part depends only on the seed and its value in the column `by`: the value is \
hashed to a number in [0, 1), and the parts divide that range. So new rows move no old one, rows with the \
same value stay together, and the order of rows is kept. The sizes are those fractions up to the chance \
of the draw (a part of fraction p of n values has about n·p ± √(n·p·(1 − p))).

With `stratify`, every stratum has a draw of its own, from the same hash with the stratum's name. The \
fractions hold within each stratum in the same sense, up to chance, and new rows still move no old one; \
exact proportions would need ranks, which new rows shift.

With whole numbers, values of `by` are ranked by their hash and dealt out: the sizes are exact, and a new \
row can move at most one old one at each border.";
    const EXAMPLE: &'static str = "\
split:
  uses: table.split
  in: { table: digits }
  with: { parts: { train: 0.8, test: 0.2 }, by: id, seed: 1 }
";

    fn ports(params: Option<&Params>) -> Ports {
        let names: Vec<&str> = match params {
            Some(params) => params.parts.keys().map(String::as_str).collect(),
            None => vec!["train", "test"],
        };
        Ports {
            inputs: vec![Port::new("table", PortType::Table, "The rows to split.")],
            outputs: names
                .into_iter()
                .map(|name| Port::new(name, PortType::Table, format!("The part `{name}`.")))
                .collect(),
            ..Ports::default()
        }
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        if matches!(params.rule()?, Rule::Counts(_)) && params.stratify.is_some() {
            let text = "strata need fractions in `parts`, not numbers of rows";
            return Err(Complaint::param("stratify", text));
        }
        let Some(input) = context.input("table").table() else {
            return Ok(Outputs::new());
        };
        column(input, "by", &params.by)?;
        if let Some(name) = &params.stratify {
            column(input, "stratify", name)?;
        }
        let facts =
            TableFacts { rows: None, columns: input.columns.iter().map(|c| c.without_digest()).collect() };
        let of = |name: &String| (name.clone(), Facts::Table(facts.clone()));
        Ok(params.parts.keys().map(of).collect::<BTreeMap<_, _>>())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let rule = params.rule().map_err(|c| Failure::new(c.message))?;
        let frame = table::read(io.input("table")?, None)?;
        let keys = frame.strings(&params.by)?;
        let strata = match &params.stratify {
            Some(name) => frame.strings(name)?,
            None => Vec::new(),
        };
        let parts = assign(params, &rule, &keys, &strata)?;
        for (index, name) in params.parts.keys().enumerate() {
            io.check_cancelled()?;
            let rows: Vec<usize> = (0..frame.rows()).filter(|row| parts[*row] == Some(index)).collect();
            let part: Frame = frame.take(&rows)?;
            put_table(io, name, part)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::run_tables;

    fn split(with: serde_json::Value, ids: &[i64]) -> Result<Vec<Vec<i64>>, String> {
        let mut frame = Frame::new();
        frame.push_i64s("id", ids.to_vec()).unwrap();
        frame.push_i64s("stratum", ids.iter().map(|i| i % 3).collect()).unwrap();
        let run = run_tables(&Split, with, &[("table", frame, &[])])?;
        Ok(["train", "test"].iter().map(|p| run.table(p).i64s("id").unwrap()).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn new_rows_move_no_old_one_and_no_row_is_lost(
            old in prop::collection::vec(0_i64..200, 1..80),
            new in prop::collection::vec(0_i64..400, 0..80),
            seed in 0_u64..5,
            stratify in any::<bool>(),
        ) {
            let mut with = json!({"parts": {"train": 0.7, "test": 0.3}, "seed": seed});
            if stratify {
                with["stratify"] = json!("stratum");
            }
            let before = split(with.clone(), &old).unwrap();
            prop_assert_eq!(before[0].len() + before[1].len(), old.len());
            let mut mixed = new.clone();
            mixed.extend(&old);
            let after = split(with, &mixed).unwrap();
            for part in 0..2 {
                for id in &before[part] {
                    prop_assert!(after[part].contains(id) && !after[1 - part].contains(id));
                }
            }
        }
    }

    #[test]
    fn fractions_hold_up_to_chance_in_every_stratum_and_seeds_differ() {
        let ids: Vec<i64> = (0..6000).collect();
        let with = |seed| json!({"parts": {"train": 0.8, "test": 0.2}, "seed": seed, "stratify": "stratum"});
        let parts = split(with(1), &ids).unwrap();
        for stratum in 0..3 {
            let count = parts[1].iter().filter(|i| *i % 3 == stratum).count() as f64;
            // Five standard deviations of a binomial count of 2000 draws with p = 0.2.
            assert!((count - 400.0).abs() < 5.0 * (2000.0_f64 * 0.2 * 0.8).sqrt(), "{count}");
        }
        assert_ne!(parts, split(with(2), &ids).unwrap());
    }

    #[test]
    fn counts_are_exact() {
        let ids: Vec<i64> = (0..50).collect();
        let parts = split(json!({"parts": {"train": 30, "test": 5}}), &ids).unwrap();
        assert_eq!((parts[0].len(), parts[1].len()), (30, 5));
        let text = split(json!({"parts": {"train": 60, "test": 5}}), &ids).unwrap_err();
        assert_eq!(text, "`parts` asks for 65 values of `id`, the table has 50");
    }

    #[test]
    fn mistakes_are_found_before_a_run() {
        let ids = [1, 2, 3];
        let text = |with| split(with, &ids).unwrap_err();
        assert_eq!(text(json!({"parts": {}})).split(" (").next(), Some("there are no parts"));
        let sum = text(json!({"parts": {"train": 0.8, "test": 0.3}}));
        assert!(sum.starts_with("the fractions add up to 1.1"), "{sum}");
        let by = text(json!({"parts": {"train": 0.8, "test": 0.2}, "by": "idd"}));
        assert_eq!(by, "the table has no column `idd` (did you mean `id`?)");
        assert!(split(json!({"parts": {"train": 0.7, "test": 0.3}}), &ids).is_ok());
    }
}
