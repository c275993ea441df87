//! NumPy's npy (format version 1 to 3).

use std::io::Read;
use std::path::Path;

use super::{ONLY, open, promised, read_values, swap};
use crate::stage::Failure;
use crate::table::{ArrayFacts, Element};

/// A header is a line of text; real ones are some hundred bytes.
const LONGEST_HEADER: usize = 1 << 16;

/// What stands before the values.
pub(super) struct Header {
    pub(super) facts: ArrayFacts,
    big_endian: bool,
    fortran: bool,
    /// Bytes before the values.
    pub(super) size: u64,
}

/// Reads and checks the header of a file.
pub(super) fn header_of(path: &Path) -> Result<Header, Failure> {
    let (mut file, length) = open(path)?;
    let header = header(&mut file, ONLY)?;
    promised(&header.facts, length.saturating_sub(header.size))?;
    Ok(header)
}

/// Reads the values of a file.
pub(super) fn values(path: &Path) -> Result<(ArrayFacts, Vec<u8>), Failure> {
    let (mut file, length) = open(path)?;
    let header = header(&mut file, ONLY)?;
    body(&mut file, header, length)
}

/// Reads the values after a header; `length` is the size of the whole file.
pub(super) fn body(
    source: &mut impl Read,
    header: Header,
    length: u64,
) -> Result<(ArrayFacts, Vec<u8>), Failure> {
    let most = length.saturating_sub(header.size);
    let mut bytes = read_values(source, &header.facts, most)?;
    if header.big_endian {
        swap(&mut bytes, header.facts.element);
    }
    if header.fortran {
        bytes = row_major(&bytes, &header.facts);
    }
    Ok((header.facts, bytes))
}

/// Reads a header.
pub(super) fn header(source: &mut impl Read, name: &str) -> Result<Header, Failure> {
    let cut = |_| Failure::new("the file ends within its header");
    let mut start = [0; 8];
    source.read_exact(&mut start).map_err(cut)?;
    if !start.starts_with(b"\x93NUMPY") {
        return Err(Failure::new("not an npy file"));
    }
    let (length, before) = match start[6] {
        1 => {
            let mut length = [0; 2];
            source.read_exact(&mut length).map_err(cut)?;
            (usize::from(u16::from_le_bytes(length)), 10)
        }
        2 | 3 => {
            let mut length = [0; 4];
            source.read_exact(&mut length).map_err(cut)?;
            (u32::from_le_bytes(length) as usize, 12)
        }
        version => {
            return Err(Failure::new(format!("npy version {version} is not known")));
        }
    };
    if length > LONGEST_HEADER {
        return Err(Failure::new(format!("a header of {length} bytes is no array's")));
    }
    let mut text = vec![0; length];
    source.read_exact(&mut text).map_err(cut)?;
    let text = String::from_utf8(text).map_err(|_| Failure::new("the header is not text"))?;
    let fields = Fields::parse(&text)
        .ok_or_else(|| Failure::new(format!("the header `{}` is damaged", text.trim())))?;
    let (element, big_endian) = element(&fields.descr)?;
    Ok(Header {
        facts: ArrayFacts { name: name.to_owned(), element, shape: fields.shape },
        big_endian,
        fortran: fields.fortran,
        size: before + length as u64,
    })
}

/// The element type and byte order of a `descr` such as `<f4`.
fn element(descr: &str) -> Result<(Element, bool), Failure> {
    let unknown = || Failure::new(format!("values of type `{descr}` are not supported"));
    let order = descr.chars().next().ok_or_else(unknown)?;
    let (code, size) = descr.get(1..).and_then(|d| d.split_at_checked(1)).ok_or_else(unknown)?;
    if code == "O" {
        return Err(Failure::new("the array holds pickled Python objects")
            .hint("a pickle can run code when it is read; save numbers or text, with `allow_pickle=False`"));
    }
    let size: usize = size.parse().map_err(|_| unknown())?;
    let element = match (code, size) {
        ("b", 1) => Element::Bool,
        ("u", 1) => Element::U8,
        ("u", 2) => Element::U16,
        ("u", 4) => Element::U32,
        ("u", 8) => Element::U64,
        ("i", 1) => Element::I8,
        ("i", 2) => Element::I16,
        ("i", 4) => Element::I32,
        ("i", 8) => Element::I64,
        ("f", 2) => Element::F16,
        ("f", 4) => Element::F32,
        ("f", 8) => Element::F64,
        ("S", 1..) => Element::Bytes(size),
        ("U", 1..) => Element::Utf32(size),
        _ => return Err(unknown()),
    };
    match order {
        '<' | '|' | '=' => Ok((element, false)),
        '>' => Ok((element, true)),
        _ => Err(unknown()),
    }
}

/// The three entries of the header's Python dictionary.
#[derive(Debug, Default, PartialEq)]
struct Fields {
    descr: String,
    fortran: bool,
    shape: Vec<usize>,
}

impl Fields {
    /// Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`. A structured `descr` (a
    /// list) is not taken.
    fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, after) = quoted(rest)?;
            let value = after.trim_start().strip_prefix(':')?.trim_start();
            let after = match key {
                "descr" => {
                    let (text, after) = quoted(value)?;
                    descr = Some(text.to_owned());
                    after
                }
                "fortran_order" => {
                    let yes = value.strip_prefix("True");
                    fortran = Some(yes.is_some());
                    yes.or_else(|| value.strip_prefix("False"))?
                }
                "shape" => {
                    let (inside, after) = value.strip_prefix('(')?.split_once(')')?;
                    shape = Some(sizes(inside)?);
                    after
                }
                _ => return None,
            };
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(more) => more.trim_start(),
                None if after.is_empty() => after,
                None => return None,
            };
        }
        Some(Fields { descr: descr?, fortran: fortran?, shape: shape? })
    }
}

/// A quoted text and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| ['\'', '"'].contains(c))?;
    text[1..].split_once(quote)
}

/// `3, 4` or `3,` or nothing. Python 2 wrote `3L`.
fn sizes(text: &str) -> Option<Vec<usize>> {
    let text = text.trim();
    let text = text.strip_suffix(',').unwrap_or(text);
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(',').map(|s| s.trim().trim_end_matches('L').parse().ok()).collect()
}

/// The same array with the last axis running fastest.
fn row_major(bytes: &[u8], facts: &ArrayFacts) -> Vec<u8> {
    let size = facts.element.size();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = vec![0_usize; facts.shape.len()];
    for _ in 0..bytes.len().checked_div(size).unwrap_or(0) {
        // The first axis runs fastest in the source.
        let place = index.iter().zip(&facts.shape).rev().fold(0, |place, (i, extent)| place * extent + i);
        out.extend_from_slice(&bytes[place * size..(place + 1) * size]);
        for (i, extent) in index.iter_mut().zip(&facts.shape).rev() {
            *i += 1;
            if *i < *extent {
                break;
            }
            *i = 0;
        }
    }
    out
}
