//! RDMs by name, and rows of tables.

use std::collections::HashMap;

use science::brain::pairs;

use super::common;
use crate::kinds::columns;
use crate::stage::{Facts, Failure};
use crate::table::Frame;

/// A table of RDMs: a row a pair, and with `by` a column that tells the RDMs apart.
#[derive(Default)]
pub(super) struct PairRows {
    /// What tells them apart, first and second of each pair.
    texts: [Vec<String>; 3],
    values: Vec<f64>,
}

impl PairRows {
    /// What is known of the table before it is made.
    pub(super) fn facts(by: Option<&String>) -> Facts {
        let own =
            [("first", "string"), ("second", "string"), ("dissimilarity", "float64"), ("metric", "string")];
        let by = by.map(|by| (by.as_str(), "string"));
        columns::facts(&by.into_iter().chain(own).collect::<Vec<_>>())
    }

    /// Adds an RDM over things with these names.
    pub(super) fn push(&mut self, group: &str, names: &[String], rdm: Vec<f64>) {
        for (i, j) in pairs(names.len()) {
            let row = [group, &names[i], &names[j]];
            self.texts.iter_mut().zip(row).for_each(|(column, text)| column.push(text.to_owned()));
        }
        self.values.extend(rdm);
    }

    /// The table; every dissimilarity is in this metric.
    pub(super) fn table(self, by: Option<&String>, metric: &str) -> Result<Frame, Failure> {
        let mut frame = Frame::new();
        if let Some(by) = by {
            frame.push_strings(by, &self.texts[0])?;
        }
        frame.push_strings("first", &self.texts[1])?;
        frame.push_strings("second", &self.texts[2])?;
        let metric = vec![metric; self.values.len()];
        frame.push_f64s("dissimilarity", self.values)?;
        frame.push_strings("metric", &metric)?;
        Ok(frame)
    }
}

/// RDMs by name, over the same conditions in the same order.
pub(super) struct Named {
    pub(super) names: Vec<String>,
    pub(super) rdms: Vec<HashMap<(String, String), f64>>,
}

impl Named {
    /// The RDMs of a table, one for every value of `column`.
    pub(super) fn push(&mut self, frame: &Frame, column: Option<&str>, name: String) -> Result<(), Failure> {
        let names = match column {
            Some(column) => frame.strings(column)?,
            None => vec![name; frame.rows()],
        };
        let (first, second) = (frame.strings("first")?, frame.strings("second")?);
        let values = frame.f64s("dissimilarity")?;
        for (name, rows) in common::groups(&names) {
            if self.names.iter().any(|n| n == name) {
                return Err(Failure::new(format!("there are two RDMs called `{name}`")));
            }
            let mut rdm = HashMap::with_capacity(rows.len());
            for row in rows {
                let pair = (first[row].clone(), second[row].clone());
                if rdm.insert(pair, values[row]).is_some() {
                    let text = format!("`{name}` has the pair {}, {} twice", first[row], second[row]);
                    return Err(Failure::new(text).hint("name the column that tells RDMs apart"));
                }
            }
            self.names.push(name.to_owned());
            self.rdms.push(rdm);
        }
        Ok(())
    }

    /// The vectors over `conditions`.
    pub(super) fn vectors(&self, conditions: &[String], what: &str) -> Result<Vec<Vec<f64>>, Failure> {
        let wanted = conditions.len() * conditions.len().saturating_sub(1) / 2;
        let one = |(name, rdm): (&String, &HashMap<(String, String), f64>)| {
            let value = |(i, j): (usize, usize)| {
                let (a, b) = (conditions[i].clone(), conditions[j].clone());
                let found = rdm.get(&(a.clone(), b.clone())).or_else(|| rdm.get(&(b, a)));
                found.copied().ok_or_else(|| {
                    Failure::new(format!(
                        "{what} `{name}` lacks the pair {}, {}",
                        conditions[i], conditions[j]
                    ))
                    .hint("all RDMs must have the same conditions: join their stimuli first")
                })
            };
            if rdm.len() != wanted {
                let text = format!("{what} `{name}` has {} pairs, {wanted} are compared", rdm.len());
                return Err(Failure::new(text).hint("all RDMs must have the same conditions"));
            }
            pairs(conditions.len()).map(value).collect()
        };
        self.names.iter().zip(&self.rdms).map(one).collect()
    }

    pub(super) fn conditions(&self) -> Vec<String> {
        let pair = |(a, b): &(String, String)| [a.clone(), b.clone()];
        common::in_order(self.rdms.iter().take(1).flat_map(|r| r.keys().flat_map(pair)).collect())
    }
}

/// Rows of one output table: texts first, then numbers.
#[derive(Default)]
pub(super) struct Rows {
    texts: Vec<Vec<String>>,
    numbers: Vec<Vec<f64>>,
}

impl Rows {
    pub(super) fn push<const T: usize, const N: usize>(&mut self, texts: [&str; T], numbers: [f64; N]) {
        self.texts.resize(T, Vec::new());
        self.numbers.resize(N, Vec::new());
        self.texts.iter_mut().zip(texts).for_each(|(column, text)| column.push(text.to_owned()));
        self.numbers.iter_mut().zip(numbers).for_each(|(column, number)| column.push(number));
    }

    pub(super) fn frame(mut self, columns: &[(&str, &str)]) -> Result<Frame, Failure> {
        let texts = columns.iter().filter(|(_, ty)| *ty == "string").count();
        self.texts.resize(texts, Vec::new());
        self.numbers.resize(columns.len() - texts, Vec::new());
        let mut frame = Frame::new();
        for ((name, _), values) in columns.iter().zip(&self.texts) {
            frame.push_strings(name, values)?;
        }
        for ((name, _), values) in columns[texts..].iter().zip(self.numbers) {
            frame.push_f64s(name, values)?;
        }
        Ok(frame)
    }
}
