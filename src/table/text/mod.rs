//! Tables in text: CSV and its kin, JSON. Read by our own code, because types must not depend on
//! quoting and an error must name file and line.

mod cell;
mod csv;
mod json;

use std::path::Path;

use indexmap::IndexMap;

pub use self::csv::CsvOptions;

use super::Frame;
use crate::stage::Failure;

/// How text becomes columns.
#[derive(Clone, Debug)]
pub struct TextOptions {
    /// Types stated by the user: column → `int64`, `float32`, `string`, ….
    pub dtypes: IndexMap<String, String>,
    /// Types of the other columns are decided by this many rows of the first file.
    pub infer_rows: usize,
    /// Texts that stand for a missing value.
    pub null_values: Vec<String>,
}

/// One text file to read.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its name in messages.
    pub name: &'a str,
    /// Where its bytes are.
    pub path: &'a Path,
}

/// Reads CSV files with the same header as one table; at most `limit` rows, if given.
///
/// # Errors
/// Names file, line, column and text of what does not fit.
pub fn read_csv(
    sources: &[Source],
    csv: &CsvOptions,
    text: &TextOptions,
    limit: Option<usize>,
) -> Result<(Frame, Vec<usize>), Failure> {
    self::csv::read(sources, csv, text, limit)
}

/// Reads JSON files, each an array of objects or objects one after the other, as one table.
///
/// # Errors
/// Names file, line or row, and what does not fit.
pub fn read_json(
    sources: &[Source],
    text: &TextOptions,
    limit: Option<usize>,
) -> Result<(Frame, Vec<usize>), Failure> {
    json::read(sources, text, limit)
}

/// The column separator in the first line of a text: the commonest of comma, tab and semicolon.
pub fn sniff_delimiter(head: &[u8]) -> u8 {
    let mut counts = [(b',', 0_usize), (b'\t', 0), (b';', 0)];
    let mut quoted = false;
    for byte in head {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            _ if quoted => {}
            byte => {
                if let Some(count) = counts.iter_mut().find(|c| c.0 == *byte) {
                    count.1 += 1;
                }
            }
        }
    }
    // The first of equals wins: a comma.
    let best = counts.iter().map(|c| c.1).max().unwrap_or(0);
    counts.iter().find(|c| c.1 == best).map_or(b',', |c| c.0)
}

#[cfg(test)]
mod tests;
