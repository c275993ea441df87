//! One command's view of a project: store, index, and what the machine offers.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::fs::Result;
use crate::stage::{Digest, RuntimeHost};
use crate::store::{Index, Store};

/// A project opened for planning and running.
pub struct Session<'a> {
    /// The project's root folder.
    pub root: PathBuf,
    /// Where objects and records are.
    pub store: Store,
    /// Which files' digests are known.
    pub index: Index,
    /// The machine's graph runtime, if this build has one.
    pub host: Option<&'a dyn RuntimeHost>,
    /// Declared environment variables.
    pub env: Map<String, Value>,
}

impl<'a> Session<'a> {
    /// Opens the project at `root`, with its store at `store` (default: `.sulcus` in the project).
    ///
    /// # Errors
    /// If a folder cannot be opened or made.
    pub fn open(
        root: &Path,
        store: Option<&Path>,
        host: Option<&'a dyn RuntimeHost>,
        env: Map<String, Value>,
    ) -> Result<Self> {
        let own = root.join(".sulcus");
        let store = Store::open(store.unwrap_or(&own))?;
        let index = Index::open(root, own.join("index"))?;
        Ok(Session { root: root.to_owned(), store, index, host, env })
    }

    /// The digest of a project file's bytes.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn digest(&self, relative: &str) -> Result<Digest> {
        self.index.digest(relative).map(|(digest, _)| digest)
    }
}
