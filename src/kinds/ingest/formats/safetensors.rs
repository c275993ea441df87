//! Safetensors: a JSON header, then the values of all arrays.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{open, promised, read_values};
use crate::stage::Failure;
use crate::table::{ArrayFacts, Element};

/// Headers of the largest models are some megabytes.
const LONGEST_HEADER: u64 = 100 << 20;

/// One array in the header.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

impl Entry {
    /// What it holds, checked against the bytes that it is given.
    fn facts(&self, name: &str) -> Result<ArrayFacts, Failure> {
        let element = match self.dtype.as_str() {
            "BOOL" => Element::Bool,
            "U8" => Element::U8,
            "U16" => Element::U16,
            "U32" => Element::U32,
            "U64" => Element::U64,
            "I8" => Element::I8,
            "I16" => Element::I16,
            "I32" => Element::I32,
            "I64" => Element::I64,
            "F16" => Element::F16,
            "BF16" => Element::Bf16,
            "F32" => Element::F32,
            "F64" => Element::F64,
            other => {
                let text = format!("array `{name}`: values of type {other} are not supported");
                return Err(Failure::new(text));
            }
        };
        let facts = ArrayFacts { name: name.to_owned(), element, shape: self.shape.clone() };
        let (start, end) = self.data_offsets;
        let given = end.saturating_sub(start);
        let needed = promised(&facts, given).map_err(|f| f.context(format!("array `{name}`")))?;
        if needed as u64 != given {
            return Err(Failure::new(format!(
                "array `{name}` of shape {:?} has {given} bytes, not {needed}",
                facts.shape
            )));
        }
        Ok(facts)
    }
}

/// An opened file.
struct Opened {
    file: BufReader<File>,
    arrays: BTreeMap<String, Entry>,
    /// Where the values begin.
    before: u64,
}

/// Opens a file and reads its header.
fn read_header(path: &Path) -> Result<Opened, Failure> {
    let (mut file, length) = open(path)?;
    let cut = |_| Failure::new("the file ends within its header");
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(cut)?;
    let size = u64::from_le_bytes(size);
    let rest = length.saturating_sub(8);
    if size > rest.min(LONGEST_HEADER) {
        let text = format!("a header of {size} bytes in a file of {length}");
        return Err(Failure::new(text));
    }
    let mut text = vec![0; size as usize];
    file.read_exact(&mut text).map_err(cut)?;
    let damaged = |e| Failure::new(format!("the header is damaged: {e}"));
    let header: BTreeMap<String, Value> = serde_json::from_slice(&text).map_err(damaged)?;
    let mut found = BTreeMap::new();
    for (name, value) in header.into_iter().filter(|(name, _)| name != "__metadata__") {
        let entry: Entry = serde_json::from_value(value).map_err(damaged)?;
        if entry.data_offsets.1 > rest - size {
            let text = format!("array `{name}` ends behind the end of the file");
            return Err(Failure::new(text).hint("the file was cut short; fetch it again"));
        }
        found.insert(name, entry);
    }
    Ok(Opened { file, arrays: found, before: 8 + size })
}

/// What the file holds, by name.
pub(super) fn headers(path: &Path) -> Result<Vec<ArrayFacts>, Failure> {
    let opened = read_header(path)?;
    opened.arrays.iter().map(|(name, entry)| entry.facts(name)).collect()
}

/// The values of the array `name`.
pub(super) fn values(path: &Path, name: &str) -> Result<(ArrayFacts, Vec<u8>), Failure> {
    let Opened { mut file, arrays, before } = read_header(path)?;
    let entry = arrays.get(name).ok_or_else(|| Failure::new(format!("there is no array `{name}`")))?;
    let facts = entry.facts(name)?;
    let (start, end) = entry.data_offsets;
    file.seek(SeekFrom::Start(before.saturating_add(start)))
        .map_err(|e| Failure::new(format!("cannot reach array `{name}`: {e}")))?;
    let bytes = read_values(&mut file, &facts, end.saturating_sub(start))?;
    Ok((facts, bytes))
}
