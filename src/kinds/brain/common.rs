//! What the kinds of this family share: columns as matrices, rows by id, keys of benchmarks.

use std::collections::{BTreeMap, HashMap};

use science::linalg::Mat;

pub(in crate::kinds) use crate::kinds::columns::exists;
pub(super) use crate::kinds::wrong;

use crate::stage::{Axes, Column, Complaint, Facts, Failure, Io, TableFacts};
use crate::table::{self, Frame};

/// As [`wrong`], with the name in the place of the number in messages that begin with `what NUMBER`.
pub(super) fn wrong_of(error: science::error::Error, what: &str, names: &[&str]) -> Failure {
    let rest = error.0.strip_prefix(what).and_then(|r| r.strip_prefix(' ')).unwrap_or_default();
    let (number, after) = rest.split_once(' ').unwrap_or((rest, ""));
    match number.parse::<usize>().ok().and_then(|at| names.get(at)) {
        Some(name) => Failure::new(format!("{what} `{name}` {after}")),
        None => wrong(error),
    }
}

/// The columns named; if none are, every tensor column.
pub(in crate::kinds) fn columns(
    table: &TableFacts,
    named: &[String],
    param: &str,
) -> Result<Vec<String>, Complaint> {
    for (index, name) in named.iter().enumerate() {
        exists(table, name, &format!("{param}.{index}"))?;
    }
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let tensors = table.columns.iter().filter(|c| c.shape.is_some());
    let found: Vec<String> = tensors.map(|c| c.name.clone()).collect();
    if found.is_empty() {
        return Err(Complaint::param(param, "the table has no tensor column")
            .hint(format!("name the columns: `{param}: [a, b]`")));
    }
    Ok(found)
}

/// The level of intervals unless said.
pub(in crate::kinds) fn level() -> f64 {
    0.95
}

/// Refuses a level that is none.
pub(in crate::kinds) fn check_level(level: f64) -> Result<(), Complaint> {
    if level > 0.0 && level < 1.0 {
        return Ok(());
    }
    Err(Complaint::param("level", format!("{level} is not between 0 and 1")))
}

/// Facts of a table with these columns: names and types.
pub(in crate::kinds) fn plain(columns: &[(&str, &str)]) -> Facts {
    let column = |(name, dtype): &(&str, &str)| Column {
        name: (*name).to_owned(),
        dtype: (*dtype).to_owned(),
        shape: None,
        digest: None,
    };
    Facts::Table(TableFacts { rows: None, columns: columns.iter().map(column).collect() })
}

/// The columns side by side as one matrix (rows × numbers).
pub(in crate::kinds) fn matrix(frame: &Frame, columns: &[String]) -> Result<Mat<f64>, Failure> {
    let mut parts = Vec::with_capacity(columns.len());
    for name in columns {
        let tensor = frame.tensor_f64(name)?;
        let width = tensor.row_size().max(1);
        if let Some(at) = tensor.values.iter().position(|v| !v.is_finite()) {
            let text =
                format!("column `{name}`, row {}: {} is no finite number", at / width, tensor.values[at]);
            return Err(Failure::new(text).hint("leave the row out or fill it with table.sql"));
        }
        parts.push((width, tensor.values));
    }
    let places: Vec<(usize, usize)> = parts
        .iter()
        .enumerate()
        .flat_map(|(part, (width, _))| (0..*width).map(move |at| (part, at)))
        .collect();
    Ok(Mat::from_fn(frame.rows(), places.len(), |row, column| {
        let (part, at) = places[column];
        let (width, values) = &parts[part];
        values[row * width + at]
    }))
}

/// Names of the numbers in the columns: `voxel` alone, `maps[3]` of a tensor.
pub(in crate::kinds) fn names(frame: &Frame, columns: &[String]) -> Vec<String> {
    let facts = frame.facts();
    let of = |name: &String| -> Vec<String> {
        match facts.column(name).and_then(|c| c.shape.as_ref()) {
            None => vec![name.clone()],
            Some(shape) => (0..shape.iter().product::<usize>()).map(|i| format!("{name}[{i}]")).collect(),
        }
    };
    columns.iter().flat_map(of).collect()
}

/// Rows by their id, each id once.
pub(in crate::kinds) fn by_id(
    frame: &Frame,
    column: &str,
) -> Result<(Vec<String>, HashMap<String, usize>), Failure> {
    let ids = frame.strings(column)?;
    let mut places = HashMap::with_capacity(ids.len());
    for (row, id) in ids.iter().enumerate() {
        if let Some(first) = places.insert(id.clone(), row) {
            let text = format!("rows {first} and {row} have the same `{column}`: {id}");
            return Err(Failure::new(text).hint("every stimulus has one row; average repeats with table.sql"));
        }
    }
    Ok((ids, places))
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

/// What a gathered artefact is called: the values of its matrix axes, else its number.
pub(in crate::kinds) fn label(axes: &Axes, index: usize, what: &str) -> String {
    if axes.is_empty() {
        return format!("{what} {}", index + 1);
    }
    let text = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    axes.iter().map(|(_, v)| text(v)).collect::<Vec<_>>().join("/")
}

/// The first of many names in words: `a, b, c and 4 more`.
pub(in crate::kinds) fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
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

/// Writes a table to an output port.
pub(in crate::kinds) fn put(io: &mut Io, port: &str, mut frame: Frame) -> Result<(), Failure> {
    let path = io.create(port, "parquet");
    let facts = table::write(&mut frame, &path)?;
    io.put(port, path, facts);
    Ok(())
}
