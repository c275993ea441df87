//! NumPy's npz: a zip archive of npy files.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use zip::ZipArchive;

use super::{DEFLATE_RATIO, npy, open, promised};
use crate::stage::Failure;
use crate::table::ArrayFacts;

type Archive = ZipArchive<BufReader<File>>;

fn archive(path: &Path) -> Result<Archive, Failure> {
    let (file, _) = open(path)?;
    ZipArchive::new(file).map_err(|e| Failure::new(format!("the archive is damaged: {e}")))
}

/// Name without `.npy`, header and the bytes that the member can hold unpacked.
fn member<T>(
    archive: &mut Archive,
    index: usize,
    then: impl FnOnce(&mut zip::read::ZipFile<BufReader<File>>, npy::Header, u64) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut entry =
        archive.by_index(index).map_err(|e| Failure::new(format!("member {index} cannot be read: {e}")))?;
    let file = entry.name().map_err(|e| Failure::new(format!("member {index}: {e}")))?;
    let name = file.strip_suffix(".npy").unwrap_or(&file).to_owned();
    let most = entry.size().min(entry.compressed_size().saturating_mul(DEFLATE_RATIO));
    let result = npy::header(&mut entry, &name).and_then(|h| then(&mut entry, h, most));
    result.map_err(|f| f.context(format!("array `{name}`")))
}

/// What the archive holds, in its order.
pub(super) fn headers(path: &Path) -> Result<Vec<ArrayFacts>, Failure> {
    let mut archive = archive(path)?;
    (0..archive.len())
        .map(|index| {
            member(&mut archive, index, |_, header, most| {
                promised(&header.facts, most.saturating_sub(header.size))?;
                Ok(header.facts)
            })
        })
        .collect()
}

/// The values of the array `name`.
pub(super) fn values(path: &Path, name: &str) -> Result<(ArrayFacts, Vec<u8>), Failure> {
    let mut archive = archive(path)?;
    let index = archive
        .index_for_name(&format!("{name}.npy"))
        .or_else(|| archive.index_for_name(name))
        .ok_or_else(|| Failure::new(format!("there is no array `{name}`")))?;
    member(&mut archive, index, |entry, header, most| npy::body(entry, header, most))
}
