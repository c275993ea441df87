//! What the store holds that nobody needs any more.
//!
//! Nothing younger than the grace is touched, and using a result makes it young again, so that a run
//! at the same time finds what it looked up. Records go first, each under the lock of its key; then
//! the objects that no remaining record names.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::chunks::object_in;
use super::{Store, Stored};
use crate::fs::{Context, Result};
use crate::stage::Digest;

/// Leftovers of a process that died are kept this long at least.
const LEFTOVER: Duration = Duration::from_secs(3600);

/// What is to be kept.
#[derive(Debug, Default)]
pub struct Roots {
    /// Keys whose records are needed.
    pub keys: HashSet<Digest>,
    /// Objects that are needed whether a record names them or not.
    pub objects: HashSet<Digest>,
}

/// What nobody needs.
#[derive(Debug, Default)]
pub struct Garbage {
    /// Records.
    pub records: Vec<Stored>,
    /// Objects.
    pub objects: Vec<Stored>,
    /// Files, folders and checkpoints of steps that were killed, chunks, and damaged objects that were put aside: path and bytes.
    pub leftovers: Vec<(PathBuf, u64)>,
}

impl Garbage {
    /// Bytes of all of it.
    pub fn bytes(&self) -> u64 {
        let stored = self.records.iter().chain(&self.objects).map(|s| s.bytes);
        stored.chain(self.leftovers.iter().map(|(_, bytes)| *bytes)).sum()
    }

    /// How many things it is.
    pub fn count(&self) -> usize {
        self.records.len() + self.objects.len() + self.leftovers.len()
    }
}

impl Store {
    /// What is older than `grace` and not needed by `roots`.
    ///
    /// # Errors
    /// If the store cannot be listed.
    pub fn garbage(&self, roots: &Roots, grace: Duration) -> Result<Garbage> {
        let old = before(grace);
        let (records, kept): (Vec<Stored>, Vec<Stored>) =
            self.records()?.into_iter().partition(|r| r.used < old && !roots.keys.contains(&r.name));
        let needed = self.needed(&kept, roots, old);
        let objects =
            self.objects()?.into_iter().filter(|o| o.used < old && !needed.contains(&o.name)).collect();
        Ok(Garbage { records, objects, leftovers: self.leftovers(grace) })
    }

    /// Removes what `garbage` lists, as far as it is still neither used nor needed. Returns how many
    /// things were removed and how many bytes they had.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn collect(&self, garbage: &Garbage, roots: &Roots, grace: Duration) -> Result<(usize, u64)> {
        let old = before(grace);
        let (mut count, mut bytes) = (0, 0);
        for record in garbage.records.iter().filter(|r| used(&r.path).is_some_and(|at| at < old)) {
            // A step that is being executed holds its key.
            if let Ok(_held) = self.try_lock(&record.name)? {
                self.forget(&record.name)?;
                (count, bytes) = (count + 1, bytes + record.bytes);
            }
        }
        let needed = self.needed(&self.records()?, roots, old);
        let unneeded = garbage.objects.iter().filter(|o| !needed.contains(&o.name));
        for object in unneeded.filter(|o| used(&o.path).is_some_and(|at| at < old)) {
            remove(&object.path)?;
            (count, bytes) = (count + 1, bytes + object.bytes);
        }
        for (path, size) in &garbage.leftovers {
            remove(path)?;
            (count, bytes) = (count + 1, bytes + size);
        }
        Ok((count, bytes))
    }

    /// Objects that these records, the roots or a chunk used since `old` name.
    fn needed(&self, records: &[Stored], roots: &Roots, old: u64) -> HashSet<Digest> {
        let named = records.iter().filter_map(|stored| self.record(&stored.name));
        let mut needed: HashSet<Digest> = named.flat_map(|record| self.objects_of(&record)).collect();
        needed.extend(&roots.objects);
        let young = |path: &PathBuf| used(path).is_some_and(|at| at >= old);
        needed.extend(self.chunk_files().filter(young).filter_map(|path| object_in(&path)));
        needed
    }

    /// What killed processes left in `tmp`, checkpoints, chunks that were not used since, and what lies in `quarantine`.
    fn leftovers(&self, grace: Duration) -> Vec<(PathBuf, u64)> {
        let of = |name: &str, age: Duration| {
            let entries = std::fs::read_dir(self.path().join(name)).into_iter().flatten().flatten();
            entries
                .map(|entry| entry.path())
                .filter(move |path| newest(path) < before(age))
                .collect::<Vec<_>>()
        };
        let tmp = of("tmp", LEFTOVER).into_iter().filter(|path| !self.is_being_executed(path));
        let kept = of("checkpoints", grace).into_iter().filter(|path| !self.is_being_executed(path));
        let old = before(grace);
        let chunks = self.chunk_files().filter(|path| used(path).is_some_and(|at| at < old));
        tmp.chain(kept)
            .chain(chunks)
            .chain(of("quarantine", grace))
            .map(|path| (path.clone(), size(&path)))
            .collect()
    }

    /// Does a process hold the key whose first half stands in the name of this scratch folder?
    fn is_being_executed(&self, scratch: &Path) -> bool {
        let name = scratch.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let half = name.strip_prefix("step-").and_then(|rest| rest.get(..16));
        // Locks look at the first 8 bytes of a key only.
        let key: Option<Digest> = half.and_then(|half| format!("{half:0<64}").parse().ok());
        key.is_some_and(|key| !matches!(self.try_lock(&key), Ok(Ok(_))))
    }
}

/// Seconds since 1970 at the time `span` ago.
fn before(span: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(span).as_secs()
}

fn used(path: &Path) -> Option<u64> {
    std::fs::symlink_metadata(path).ok().map(|meta| u64::try_from(meta.ctime()).unwrap_or(0))
}

/// When the path or anything below it changed last.
fn newest(path: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(path).into_iter().flatten();
    entries.filter_map(|entry| used(entry.path())).max().unwrap_or(u64::MAX)
}

fn size(path: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(path).into_iter().flatten();
    entries.filter(|e| e.file_type().is_file()).filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum()
}

fn remove(path: &Path) -> Result<()> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        _ => std::fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at("remove", path),
        _ => Ok(()),
    }
}
