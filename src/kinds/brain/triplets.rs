//! `brain.triplets`

use std::collections::HashMap;

use schemars::JsonSchema;
use science::brain::pairs;
use science::brain::triplets::{Choice, dissimilarities};
use serde::{Deserialize, Serialize};

use super::common;
use super::rdms::PairRows;
use crate::kinds::artefacts::put_table;
use crate::kinds::columns;
use crate::stage::{Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, TableFacts};
use crate::table::{self, Frame};

/// `brain.triplets`: an RDM from odd-one-out choices.
pub struct Triplets;

/// Parameters of `brain.triplets`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The three columns with the ids of what was shown.
    #[serde(default = "shown")]
    pub shown: [String; 3],
    /// The column with the id of the odd one.
    #[serde(default = "odd")]
    pub odd: String,
    /// A column, such as the rater, whose values get an RDM each; without it all choices are pooled.
    #[serde(default)]
    pub by: Option<String>,
}

fn shown() -> [String; 3] {
    ["first", "second", "third"].map(str::to_owned)
}

fn odd() -> String {
    "odd".to_owned()
}

impl Params {
    fn check(&self, table: &TableFacts) -> Result<(), Complaint> {
        for (index, name) in self.shown.iter().enumerate() {
            columns::exists(table, name, &format!("shown.{index}"))?;
        }
        columns::exists(table, &self.odd, "odd")?;
        self.by.as_ref().map_or(Ok(()), |by| columns::exists(table, by, "by"))
    }

    /// Names of what was shown, and the choices.
    fn choices(&self, frame: &Frame) -> Result<(Vec<String>, Vec<Choice>), Failure> {
        let shown: Vec<Vec<String>> =
            self.shown.iter().map(|name| frame.strings(name)).collect::<Result<_, _>>()?;
        let names = common::in_order(shown.concat());
        let places: HashMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
        let mut choices = Vec::with_capacity(frame.rows());
        for (row, odd) in frame.strings(&self.odd)?.iter().enumerate() {
            let three: [&str; 3] = std::array::from_fn(|side| shown[side][row].as_str());
            let Some(place) = three.iter().position(|name| name == odd) else {
                let text = format!("row {row}: the odd one is {odd}, and {} were shown", three.join(", "));
                return Err(Failure::new(text));
            };
            if let Some(twice) = pairs(3).find(|(a, b)| three[*a] == three[*b]).map(|(a, _)| three[a]) {
                return Err(Failure::new(format!("row {row} shows {twice} twice")));
            }
            choices.push(Choice { shown: three.map(|name| places[name]), odd: place });
        }
        Ok((names, choices))
    }
}

impl Kind for Triplets {
    type Params = Params;

    const NAME: &'static str = "brain.triplets";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "\
An RDM from odd-one-out choices: the one of three that is not like the others.

The dissimilarity of two things is the share of the triplets with both in which one of them was the odd \
one (Hebart et al. 2020). `rdm` has the columns of `brain.rdm`; with `by`, that column comes first, and \
every rater must have seen every pair. Bind it to the port `subjects` of `brain.rsa` to compare models \
with it. Ratings of pairs need no such step: a table with `first`, `second`, `dissimilarity` and the \
rater is an RDM already.";
    const EXAMPLE: &'static str = "\
human:
  uses: brain.triplets
  in: { table: choices }
  with: { by: rater }
rsa:
  uses: brain.rsa
  in: { models: \"map_rdm[*]\", subjects: human }
  with: { subject: rater }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![Port::new("table", PortType::Table, "One row a choice.")],
            outputs: vec![Port::new("rdm", PortType::Table, "One row a pair.")],
            ..Ports::default()
        }
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        if let Some(table) = context.input("table").table() {
            params.check(table)?;
        }
        Ok(Outputs::from([("rdm".to_owned(), PairRows::facts(params.by.as_ref()))]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let frame = table::read(io.input("table")?, None)?;
        let (names, choices) = params.choices(&frame)?;
        if names.len() < 3 {
            return Err(Failure::new("there are no choices"));
        }
        let raters = match &params.by {
            Some(by) => frame.strings(by)?,
            None => vec![String::new(); frame.rows()],
        };
        let mut all = PairRows::default();
        for (rater, rows) in common::groups(&raters) {
            let own: Vec<Choice> = rows.into_iter().map(|row| choices[row]).collect();
            let found = dissimilarities(&own, names.len()).map_err(|e| unseen(&e.0, &own, &names, rater))?;
            all.push(rater, &names, found);
        }
        put_table(io, "rdm", all.table(params.by.as_ref(), "rdm:odd-one-out")?)
    }
}

/// The failure of one rater, with names in the place of numbers.
fn unseen(message: &str, choices: &[Choice], names: &[String], rater: &str) -> Failure {
    let together = |i: usize, j: usize| choices.iter().any(|c| c.shown.contains(&i) && c.shown.contains(&j));
    let text = match pairs(names.len()).find(|(i, j)| !together(*i, *j)) {
        Some((i, j)) => format!("no triplet shows {} and {} together", names[i], names[j]),
        None => message.to_owned(),
    };
    let failure = Failure::new(text);
    if rater.is_empty() {
        return failure.hint("leave out things that were not shown with all others");
    }
    failure.context(rater).hint("pool the raters: leave out `by`")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{Run, run_tables};

    fn run(with: serde_json::Value, rows: &[[&str; 5]]) -> Result<Run, String> {
        let mut frame = Frame::new();
        for (place, name) in ["first", "second", "third", "odd", "rater"].into_iter().enumerate() {
            let column: Vec<&str> = rows.iter().map(|r| r[place]).collect();
            frame.push_strings(name, &column).unwrap();
        }
        run_tables(&Triplets, with, &[("table", frame, &[])])
    }

    const ROWS: [[&str; 5]; 3] = [
        ["cat", "dog", "car", "car", "ann"],
        ["dog", "car", "cat", "cat", "bob"],
        ["car", "cat", "dog", "car", "bob"],
    ];

    #[test]
    fn raters_have_an_rdm_each_or_one_together() {
        let each = run(json!({"by": "rater"}), &ROWS).unwrap();
        let table = each.table("rdm");
        assert_eq!(table.strings("rater").unwrap(), ["ann", "ann", "ann", "bob", "bob", "bob"]);
        assert_eq!(table.strings("second").unwrap()[..3], ["cat", "dog", "dog"]);
        assert_eq!(table.f64s("dissimilarity").unwrap(), [1.0, 1.0, 0.0, 1.0, 0.5, 0.5]);
        assert_eq!(each.inferred("rdm").columns, table.facts().columns);
        let all = run(json!({}), &ROWS).unwrap().table("rdm");
        assert_eq!(all.f64s("dissimilarity").unwrap(), [1.0, 2.0 / 3.0, 1.0 / 3.0]);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |with, rows: &[[&str; 5]]| run(with, rows).err().unwrap();
        assert!(error(json!({"odd": "od"}), &ROWS).contains("no column `od`"));
        assert!(error(json!({"by": "raters"}), &ROWS).contains("no column `raters`"));
        let other = [["cat", "dog", "car", "bus", "ann"]];
        assert!(error(json!({}), &other).starts_with("row 0: the odd one is bus"));
        let twice = [["cat", "cat", "car", "car", "ann"], ["cat", "dog", "car", "car", "ann"]];
        assert!(error(json!({}), &twice).contains("row 0 shows cat twice"));
        let more = [ROWS[0], ROWS[1], ["cat", "dog", "bus", "cat", "bob"]];
        let text = error(json!({"by": "rater"}), &more);
        assert!(text.contains("ann: no triplet shows bus and car together"), "{text}");
        assert!(error(json!({}), &[]).contains("no choices"));
    }
}
