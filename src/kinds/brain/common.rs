//! What the kinds of this family share: groups of rows and keys of benchmarks.

use std::collections::{BTreeMap, HashMap};

use crate::kinds::{words, wrong};
use crate::stage::Failure;

/// As [`wrong`], with the name in the place of the number in messages that begin with `what NUMBER`.
pub(super) fn wrong_of(error: science::error::Error, what: &str, names: &[&str]) -> Failure {
    let rest = error.0.strip_prefix(what).and_then(|r| r.strip_prefix(' ')).unwrap_or_default();
    let (number, after) = rest.split_once(' ').unwrap_or((rest, ""));
    match number.parse::<usize>().ok().and_then(|at| names.get(at)) {
        Some(name) => Failure::new(format!("{what} `{name}` {after}")),
        None => wrong(error),
    }
}

/// Numbers in ascending order if all are numbers, else text.
pub(super) fn in_order(mut names: Vec<String>) -> Vec<String> {
    let number = |n: &String| n.parse::<f64>().ok().filter(|v| v.is_finite());
    if names.iter().all(|n| number(n).is_some()) {
        names.sort_by(|a, b| number(a).partial_cmp(&number(b)).unwrap_or(std::cmp::Ordering::Equal));
    } else {
        names.sort();
    }
    names.dedup();
    names
}

/// Rows in groups by a column of text.
pub(super) fn groups(values: &[String]) -> BTreeMap<&str, Vec<usize>> {
    let mut found = BTreeMap::<&str, Vec<usize>>::new();
    for (row, value) in values.iter().enumerate() {
        found.entry(value).or_default().push(row);
    }
    found
}

/// The row of every stimulus and repeat, stimuli outermost.
pub(super) fn grid(
    ids: &[String],
    apart: &[String],
    stimuli: &[String],
    kinds: &[String],
    column: &str,
) -> Result<Vec<usize>, Failure> {
    let mut places = HashMap::new();
    for row in 0..ids.len() {
        if places.insert((&ids[row], &apart[row]), row).is_some() {
            return Err(Failure::new(format!("stimulus {} has `{column}` {} twice", ids[row], apart[row])));
        }
    }
    let all = stimuli.iter().flat_map(|s| kinds.iter().map(move |k| (s, k)));
    all.map(|(s, k)| {
        places.get(&(s, k)).copied().ok_or_else(|| {
            Failure::new(format!("stimulus {s} lacks `{column}` {k}"))
                .hint("keep the stimuli that have all of them, with table.sql")
        })
    })
    .collect()
}

/// The rows of a table of features, by their `places`, of stimuli that have responses.
pub(super) fn with_features(ids: &[String], places: &HashMap<String, usize>) -> Result<Vec<usize>, Failure> {
    let missing: Vec<&str> = ids.iter().filter(|id| !places.contains_key(*id)).map(String::as_str).collect();
    if !missing.is_empty() {
        let text =
            format!("{} stimuli have responses but no features: {}", missing.len(), words::listed(&missing));
        return Err(Failure::new(text).hint("join the tables with table.sql"));
    }
    Ok(ids.iter().map(|id| places[id]).collect())
}

/// The key of a benchmark: a digest of everything that decides what a score means.
pub(super) struct Key(blake3::Hasher);

impl Key {
    /// Of a kind and its revision.
    pub(super) fn new(kind: &str, revision: u32) -> Self {
        Key(blake3::Hasher::new()).text(kind).text(&revision.to_string())
    }

    /// With a text.
    pub(super) fn text(mut self, text: &str) -> Self {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
        self
    }

    /// With numbers.
    pub(super) fn numbers(mut self, numbers: impl IntoIterator<Item = f64>) -> Self {
        let bytes: Vec<u8> = numbers.into_iter().flat_map(f64::to_le_bytes).collect();
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(&bytes);
        self
    }

    /// Sixteen hexadecimal digits.
    pub(super) fn finish(self) -> String {
        self.0.finalize().to_hex().chars().take(16).collect()
    }
}
