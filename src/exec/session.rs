//! One command's view of a project: store, index, and what the machine offers.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::fs::Result;
use crate::stage::RuntimeHost;
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
    /// False: nothing is downloaded.
    pub online: bool,
}

impl<'a> Session<'a> {
    /// Opens the project that `index` is of, with its store at `store` (default: `.sulcus` in the project).
    ///
    /// # Errors
    /// If a folder cannot be opened or made.
    pub fn open(
        index: Index,
        store: Option<&Path>,
        host: Option<&'a dyn RuntimeHost>,
        env: Map<String, Value>,
    ) -> Result<Self> {
        let root = index.root().path().to_owned();
        let store = Store::open(store.unwrap_or(&root.join(".sulcus")))?;
        Ok(Session { root, store, index, host, env, online: true })
    }
}
