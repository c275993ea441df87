//! Files of numeric arrays: what they hold, and its bytes. A header is believed only as far as the
//! file can hold what it promises, and nothing is allocated before that is checked.

pub mod hdf5;
mod idx;
mod npy;
mod npz;
mod safetensors;

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::fs::Context;
use crate::stage::Failure;
use crate::table::{ArrayFacts, Element};

/// The name of the only array of a file that does not name its arrays.
pub const ONLY: &str = "value";

/// Deflate cannot pack more tightly than this.
const DEFLATE_RATIO: u64 = 1040;

/// The kinds of files, told apart by their first bytes.
#[derive(Clone, Copy)]
enum Format {
    Npy,
    Npz,
    Idx,
    IdxGz,
    SafeTensors,
}

fn format(path: &Path) -> Result<Format, Failure> {
    let mut head = [0_u8; 9];
    let mut file = File::open(path).at("open", path)?;
    let mut length = 0;
    while length < head.len() {
        match file.read(&mut head[length..]).at("read", path)? {
            0 => break,
            more => length += more,
        }
    }
    match &head[..length] {
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Ok(Format::Npy),
        [b'P', b'K', 3 | 5, ..] => Ok(Format::Npz),
        [0x1f, 0x8b, ..] => Ok(Format::IdxGz),
        [0, 0, 8..=0x0e, axes, ..] if *axes > 0 => Ok(Format::Idx),
        [.., b'{'] if length == head.len() => Ok(Format::SafeTensors),
        [0x89, b'H', b'D', b'F', ..] => {
            Err(Failure::new(format!("{} is an HDF5 file", path.display())).hint("`ingest.hdf5` reads it"))
        }
        [0x80, 2..=5, ..] => Err(Failure::new(format!("{} is a pickle", path.display()))
            .hint("a pickle can run code when it is read; save the arrays with numpy.savez")),
        _ => Err(Failure::new(format!("{} is none of npy, npz, idx and safetensors", path.display()))),
    }
}

/// What a file holds, from its headers.
///
/// # Errors
/// If the file is damaged, or holds what is not numbers or text.
pub fn headers(path: &Path) -> Result<Vec<ArrayFacts>, Failure> {
    let found = match format(path)? {
        Format::Npy => npy::header_of(path).map(|h| vec![h.facts]),
        Format::Npz => npz::headers(path),
        Format::Idx => idx::header(path, false).map(|h| vec![h]),
        Format::IdxGz => idx::header(path, true).map(|h| vec![h]),
        Format::SafeTensors => safetensors::headers(path),
    };
    found.map_err(|f| f.context(path.display()))
}

/// The values of one array of a file: row-major, little-endian.
///
/// # Errors
/// If the file is damaged or has no such array.
pub fn values(path: &Path, name: &str) -> Result<(ArrayFacts, Vec<u8>), Failure> {
    let read = match format(path)? {
        Format::Npy => npy::values(path),
        Format::Npz => npz::values(path, name),
        Format::Idx => idx::values(path, false),
        Format::IdxGz => idx::values(path, true),
        Format::SafeTensors => safetensors::values(path, name),
    };
    read.map_err(|f| f.context(path.display()))
}

/// Reads exactly the bytes that `facts` promise, of which `source` holds at most `most`.
fn read_values(source: &mut impl Read, facts: &ArrayFacts, most: u64) -> Result<Vec<u8>, Failure> {
    let size = promised(facts, most)?;
    let mut bytes = vec![0; size];
    source.read_exact(&mut bytes).map_err(|e| {
        Failure::new(format!("the values end before their {size} bytes: {e}"))
            .hint("the file was cut short; make it or fetch it again")
    })?;
    Ok(bytes)
}

/// The number of bytes that `facts` promise, if `most` bytes can hold them.
fn promised(facts: &ArrayFacts, most: u64) -> Result<usize, Failure> {
    match facts.bytes() {
        Some(size) if size as u64 <= most => Ok(size),
        size => {
            let size = size.map_or("more bytes than there are".to_owned(), |s| format!("{s} bytes"));
            Err(Failure::new(format!(
                "shape {:?} of {} needs {size}, the file holds at most {most}",
                facts.shape,
                facts.element.word()
            ))
            .hint("the file was cut short or damaged; make it or fetch it again"))
        }
    }
}

/// Turns big-endian words into little-endian ones.
fn swap(bytes: &mut [u8], element: Element) {
    let word = element.word_size();
    if word > 1 {
        bytes.chunks_exact_mut(word).for_each(<[u8]>::reverse);
    }
}

fn open(path: &Path) -> Result<(BufReader<File>, u64), Failure> {
    let mut file = File::open(path).at("open", path)?;
    let length = file.seek(SeekFrom::End(0)).at("look at", path)?;
    file.rewind().at("read", path)?;
    Ok((BufReader::with_capacity(1 << 16, file), length))
}

#[cfg(test)]
mod tests;
