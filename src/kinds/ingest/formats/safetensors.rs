//! Safetensors.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use safetensors::tensor::{Dtype, Metadata, SafeTensors};

use super::{open, promised};
use crate::stage::Failure;
use crate::table::{ArrayFacts, Element};

fn element(dtype: Dtype) -> Result<Element, Failure> {
    Ok(match dtype {
        Dtype::BOOL => Element::Bool,
        Dtype::U8 => Element::U8,
        Dtype::U16 => Element::U16,
        Dtype::U32 => Element::U32,
        Dtype::U64 => Element::U64,
        Dtype::I8 => Element::I8,
        Dtype::I16 => Element::I16,
        Dtype::I32 => Element::I32,
        Dtype::I64 => Element::I64,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::Bf16,
        Dtype::F32 => Element::F32,
        Dtype::F64 => Element::F64,
        other => {
            return Err(Failure::new(format!("values of type {other:?} are not supported")));
        }
    })
}

/// The header, the number of bytes before the values, and the size of the file.
fn metadata(path: &Path) -> Result<(Metadata, u64, u64), Failure> {
    let (mut file, length) = open(path)?;
    let cut = |_| Failure::new("the file ends within its header");
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(cut)?;
    let header = u64::from_le_bytes(size);
    if header > length.saturating_sub(8) {
        return Err(Failure::new(format!("a header of {header} bytes in a file of {length}")));
    }
    let mut text = vec![0; 8 + header as usize];
    text[..8].copy_from_slice(&size);
    file.read_exact(&mut text[8..]).map_err(cut)?;
    let damaged = |e| Failure::new(format!("the header is damaged: {e}"));
    let (_, metadata) = SafeTensors::read_metadata(&text).map_err(damaged)?;
    Ok((metadata, 8 + header, length))
}

/// What the file holds, by name.
pub(super) fn headers(path: &Path) -> Result<Vec<ArrayFacts>, Failure> {
    let (metadata, before, length) = metadata(path)?;
    let mut found = Vec::new();
    for (name, info) in metadata.tensors() {
        let facts = ArrayFacts {
            element: element(info.dtype).map_err(|f| f.context(format!("array `{name}`")))?,
            shape: info.shape.clone(),
            name,
        };
        promised(&facts, length.saturating_sub(before))?;
        found.push(facts);
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The values of the array `name`.
pub(super) fn values(path: &Path, name: &str) -> Result<(ArrayFacts, Vec<u8>), Failure> {
    let (metadata, before, length) = metadata(path)?;
    let info = metadata
        .info(name)
        .ok_or_else(|| Failure::new(format!("there is no array `{name}`")))?;
    let facts = ArrayFacts {
        name: name.to_owned(),
        element: element(info.dtype)?,
        shape: info.shape.clone(),
    };
    let start = before.saturating_add(info.data_offsets.0 as u64);
    let mut file = File::open(path).map_err(|e| Failure::new(e.to_string()))?;
    file.seek(SeekFrom::Start(start)).map_err(|e| Failure::new(e.to_string()))?;
    let bytes = super::read_values(&mut file, &facts, length.saturating_sub(start))?;
    Ok((facts, bytes))
}
