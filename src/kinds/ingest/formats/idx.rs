//! The idx format of MNIST and its kin, plain or gzipped.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::{DEFLATE_RATIO, ONLY, open, promised, read_values, swap};
use crate::stage::Failure;
use crate::table::{ArrayFacts, Element};

/// The file's bytes, and at most how many there are after unpacking.
fn source(path: &Path, gzip: bool) -> Result<(Box<dyn Read>, u64), Failure> {
    let (file, length) = open(path)?;
    Ok(if gzip {
        let most = length.saturating_mul(DEFLATE_RATIO);
        (Box::new(MultiGzDecoder::new(file)), most)
    } else {
        (Box::new(file), length)
    })
}

fn read_header(source: &mut dyn Read) -> Result<ArrayFacts, Failure> {
    let cut = |e| Failure::new(format!("the file ends within its header ({e})"));
    let mut magic = [0; 4];
    source.read_exact(&mut magic).map_err(cut)?;
    let element = match magic[2] {
        _ if magic[..2] != [0, 0] => return Err(Failure::new("not an idx file")),
        0x08 => Element::U8,
        0x09 => Element::I8,
        0x0b => Element::I16,
        0x0c => Element::I32,
        0x0d => Element::F32,
        0x0e => Element::F64,
        code => return Err(Failure::new(format!("idx type {code:#04x} is not known"))),
    };
    let mut shape = Vec::new();
    for _ in 0..magic[3] {
        let mut size = [0; 4];
        source.read_exact(&mut size).map_err(cut)?;
        shape.push(u32::from_be_bytes(size) as usize);
    }
    Ok(ArrayFacts { name: ONLY.to_owned(), element, shape })
}

/// Bytes before the values.
fn before(facts: &ArrayFacts) -> u64 {
    4 + 4 * facts.shape.len() as u64
}

/// What the file holds.
pub(super) fn header(path: &Path, gzip: bool) -> Result<ArrayFacts, Failure> {
    let (mut source, most) = source(path, gzip)?;
    let facts = read_header(&mut source)?;
    promised(&facts, most.saturating_sub(before(&facts)))?;
    Ok(facts)
}

/// Its values.
pub(super) fn values(path: &Path, gzip: bool) -> Result<(ArrayFacts, Vec<u8>), Failure> {
    let (mut source, most) = source(path, gzip)?;
    let facts = read_header(&mut source)?;
    let mut bytes = read_values(&mut source, &facts, most.saturating_sub(before(&facts)))?;
    swap(&mut bytes, facts.element);
    Ok((facts, bytes))
}
