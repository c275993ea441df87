//! Everything in the store, looked at anew: nothing that was noted before is trusted.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::index::hash;
use super::{Record, Store};
use crate::fs::{self, Context, Result};
use crate::parallel;
use crate::stage::{Digest, PortType};

/// A file of the store that is named by a digest.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its name.
    pub name: Digest,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub bytes: u64,
    /// When it was last put there or used, seconds since 1970: the change time, which nobody sets back.
    pub used: u64,
}

/// Something wrong in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The object's bytes are not those of its name.
    Object(Digest),
    /// The record of this key cannot be read or is another key's.
    Record(Digest),
    /// An object that the record of a step names is not there.
    Missing {
        /// The object.
        object: Digest,
        /// The record's key.
        key: Digest,
        /// The record's step.
        step: String,
    },
}

/// What an audit found.
#[derive(Debug, Default)]
pub struct Audit {
    /// How many objects were read.
    pub objects: usize,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many records were read.
    pub records: usize,
    /// What is wrong.
    pub damage: Vec<Damage>,
}

impl Store {
    /// Every object.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn objects(&self) -> Result<Vec<Stored>> {
        list(&self.path().join("objects"))
    }

    /// Every record.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn records(&self) -> Result<Vec<Stored>> {
        list(&self.path().join("records"))
    }

    /// Every object that a record or a tree named by it refers to.
    pub fn objects_of(&self, record: &Record) -> Vec<Digest> {
        let outputs = record.outputs.iter().map(|out| (out.ty, out.object));
        outputs.flat_map(|(ty, object)| self.with_tree(ty, object)).collect()
    }

    /// An object and, if it is a folder's, the objects of its files.
    pub fn with_tree(&self, ty: PortType, object: Digest) -> Vec<Digest> {
        let tree = if ty == PortType::Dir { self.tree(&object) } else { None };
        let files = tree.unwrap_or_default().files.into_iter().map(|file| file.1);
        [object].into_iter().chain(files).collect()
    }

    /// Hashes every object and reads every record, on `threads` cores.
    ///
    /// # Errors
    /// If a folder cannot be listed.
    pub fn audit(&self, threads: usize) -> Result<Audit> {
        let objects = self.objects()?;
        let records = self.records()?;
        let mut audit = Audit {
            objects: objects.len(),
            bytes: objects.iter().map(|o| o.bytes).sum(),
            records: records.len(),
            damage: Vec::new(),
        };
        let damage = |at: usize| {
            let object = &objects[at];
            let found =
                File::open(&object.path).at("open", &object.path).and_then(|f| hash(&f, &object.path));
            (found.map(|(digest, _)| digest).ok() != Some(object.name)).then_some(Damage::Object(object.name))
        };
        audit.damage = parallel::map(objects.len(), threads, damage).into_iter().flatten().collect();
        audit.damage.sort_by_key(|damage| match damage {
            Damage::Object(digest) => Some(*digest),
            _ => None,
        });
        for stored in &records {
            let whole =
                self.record(&stored.name).filter(|r| Digest::of(r.manifest.as_bytes()) == stored.name);
            let Some(record) = whole else {
                audit.damage.push(Damage::Record(stored.name));
                continue;
            };
            let missing = self.objects_of(&record).into_iter().filter(|object| !self.object(object).exists());
            audit.damage.extend(missing.map(|object| Damage::Missing {
                object,
                key: stored.name,
                step: record.step.clone(),
            }));
        }
        Ok(audit)
    }

    /// Puts what is damaged aside, and forgets records that lead to nothing: their steps run again.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn repair(&self, damage: &[Damage]) -> Result<()> {
        for one in damage {
            match one {
                Damage::Object(digest) => self.quarantine(digest)?,
                Damage::Record(key) | Damage::Missing { key, .. } => self.forget(key)?,
            }
        }
        Ok(())
    }
}

/// Every file below `folder` whose two last names make up a digest.
fn list(folder: &Path) -> Result<Vec<Stored>> {
    let mut out = Vec::new();
    for entry in WalkDir::new(folder).min_depth(2).max_depth(2).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            // A file that another process removed meanwhile.
            Err(error) if error.io_error().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound) => {
                continue;
            }
            Err(error) => {
                return Err(fs::Error { action: "list", path: folder.to_owned(), source: error.into() });
            }
        };
        let parent = entry.path().parent().and_then(Path::file_name).unwrap_or_default();
        let name = format!("{}{}", parent.to_string_lossy(), entry.file_name().to_string_lossy());
        if let (Ok(name), Ok(meta)) = (name.parse(), entry.metadata()) {
            let used = u64::try_from(meta.ctime()).unwrap_or(0);
            out.push(Stored { name, path: entry.into_path(), bytes: meta.len(), used });
        }
    }
    Ok(out)
}
