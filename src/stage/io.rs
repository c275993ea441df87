//! What a running stage sees: its inputs, a private folder for its outputs, and whom to tell.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::{Axes, Digest, Facts, Failure};

/// One artefact bound to an input port.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Where its bytes are. Read only.
    pub path: PathBuf,
    /// What is known of it.
    pub facts: Facts,
    /// The matrix cell it comes from, when it was gathered.
    pub axes: Axes,
}

/// One file named by a file parameter.
#[derive(Clone, Debug)]
pub struct FileIn {
    /// Its path relative to the project (or to the folder that the parameter names).
    pub name: String,
    /// Where its bytes are. Read only.
    pub path: PathBuf,
}

/// One finished output.
#[derive(Clone, Debug)]
pub struct Made {
    /// Where its bytes are.
    pub path: PathBuf,
    /// What is known of it: for a table rows and column digests too.
    pub facts: Facts,
}

/// Set once to ask every running stage to stop.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Was it asked?
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Whom a running stage tells how far it is. Called often; must be cheap.
pub trait Progress: Send + Sync {
    /// `done` of `total` (if known) `unit`s, for example `("rows", 512, Some(1797))`.
    fn advance(&self, unit: &str, done: u64, total: Option<u64>);
    /// The latest value of something worth watching, for example `("loss", 0.31)`.
    fn metric(&self, name: &str, value: f64);
    /// A line for the step's log.
    fn log(&self, line: &str);
}

/// Tells nobody.
pub struct Silent;

impl Progress for Silent {
    fn advance(&self, _unit: &str, _done: u64, _total: Option<u64>) {}
    fn metric(&self, _name: &str, _value: f64) {}
    fn log(&self, _line: &str) {}
}

/// Results of parts of a step's work, kept from run to run. They only save work: nothing says that a chunk
/// that was kept is found again.
pub trait Chunks: Send + Sync {
    /// The file of a chunk; `key` says everything that it depends on.
    fn find(&self, key: &Digest) -> Option<PathBuf>;
    /// Keeps a finished file, which is moved away.
    fn keep(&self, key: &Digest, file: &Path);
}

/// Keeps nothing.
pub struct NoChunks;

impl Chunks for NoChunks {
    fn find(&self, _key: &Digest) -> Option<PathBuf> {
        None
    }
    fn keep(&self, _key: &Digest, _file: &Path) {}
}

/// What a running stage sees.
pub struct Io<'a> {
    /// Bound inputs by port.
    pub inputs: BTreeMap<String, Vec<Bound>>,
    /// Files by file parameter, sorted by name.
    pub files: BTreeMap<String, Vec<FileIn>>,
    /// The project's root.
    pub root: PathBuf,
    /// A private, empty folder.
    pub scratch: PathBuf,
    /// A folder that outlives a killed or failed run of this step and goes when the step is done. It need
    /// not be there yet. What lies in it was made under the same key: same kind, parameters and inputs.
    pub checkpoints: PathBuf,
    /// For a row-wise kind: what was made of some of its rows before.
    pub chunks: &'a dyn Chunks,
    /// Digest of all that the step depends on, but for the rows at the port of [`super::Kind::ROW_WISE`].
    pub beside_rows: Digest,
    /// Threads this step may use, at least 1.
    pub threads: usize,
    /// Execution providers in order of preference; the first that works is used.
    pub providers: Vec<String>,
    /// The graph runtime's library, for kinds that run graphs.
    pub library: Option<PathBuf>,
    /// Environment variables declared for this stage.
    pub env: BTreeMap<String, String>,
    /// Whom to tell.
    pub progress: &'a dyn Progress,
    /// Ask this often.
    pub cancel: Cancel,
    /// Outputs put so far.
    pub made: BTreeMap<String, Made>,
    /// Facts of how it ran for the record (execution provider, library), not part of the key.
    pub notes: BTreeMap<String, Value>,
}

impl Io<'_> {
    /// The single artefact at `port`.
    ///
    /// # Errors
    /// If the port is not bound.
    pub fn input(&self, port: &str) -> Result<&Bound, Failure> {
        self.optional(port).ok_or_else(|| Failure::new(format!("input port `{port}` is not bound")))
    }

    /// The single artefact at an optional `port`.
    pub fn optional(&self, port: &str) -> Option<&Bound> {
        self.inputs.get(port).and_then(|all| all.first())
    }

    /// All artefacts at a many-valued `port`.
    pub fn many(&self, port: &str) -> &[Bound] {
        self.inputs.get(port).map_or(&[], Vec::as_slice)
    }

    /// The files named by file parameter `param`.
    pub fn files(&self, param: &str) -> &[FileIn] {
        self.files.get(param).map_or(&[], Vec::as_slice)
    }

    /// A fresh path in the scratch folder to write the output at `port` to.
    pub fn create(&self, port: &str, extension: &str) -> PathBuf {
        self.scratch.join(format!("{port}.{extension}"))
    }

    /// States that the output at `port` is finished at `path`.
    pub fn put(&mut self, port: &str, path: impl AsRef<Path>, facts: Facts) {
        self.made.insert(port.to_owned(), Made { path: path.as_ref().to_owned(), facts });
    }

    /// Records how it ran, for people (not part of the key).
    pub fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.notes.insert(name.to_owned(), value.into());
    }

    /// Stops here if the run was cancelled.
    ///
    /// # Errors
    /// [`Failure::cancelled`].
    pub fn check_cancelled(&self) -> Result<(), Failure> {
        if self.cancel.is_cancelled() { Err(Failure::cancelled()) } else { Ok(()) }
    }
}
