//! Results of parts of a step's work, so that a step whose table got a few new rows does those alone.
//!
//! A chunk is an object, named by a small file under the digest of all that it depends on. Chunks only save
//! work: one that is not there or not sound is made again.

use std::path::{Path, PathBuf};

use super::objects::refresh;
use super::{Health, Index, Store};
use crate::fs::{self, Result};
use crate::stage::Digest;

impl Store {
    fn chunk_path(&self, key: &Digest) -> PathBuf {
        let hex = key.hex();
        self.path().join("chunks").join(&hex[..2]).join(&hex[2..])
    }

    /// The file of a chunk, if it is there and sound. Looking it up makes it young again.
    pub fn chunk(&self, key: &Digest, index: &Index) -> Option<PathBuf> {
        let path = self.chunk_path(key);
        let object = object_in(&path)?;
        if self.health(&object, index) != Health::Sound {
            return None;
        }
        let found = self.object(&object);
        refresh(&path);
        refresh(&found);
        Some(found)
    }

    /// Moves a finished file of the scratch folder into the store as a chunk.
    ///
    /// # Errors
    /// If it cannot be read or moved.
    pub fn keep_chunk(&self, key: &Digest, file: &Path, index: &Index) -> Result<()> {
        let (object, _) = self.take(file, index, false)?;
        let path = self.chunk_path(key);
        fs::create_dir_all(path.parent().unwrap_or(self.path()))?;
        fs::write_atomic(&path, format!("{object}\n").as_bytes())
    }

    /// The file of every chunk.
    pub(super) fn chunk_files(&self) -> impl Iterator<Item = PathBuf> {
        let entries = walkdir::WalkDir::new(self.path().join("chunks")).into_iter().flatten();
        entries.filter(|e| e.file_type().is_file()).map(walkdir::DirEntry::into_path)
    }
}

/// The object that the file of a chunk names.
pub(super) fn object_in(file: &Path) -> Option<Digest> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}
