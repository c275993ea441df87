//! Where the project is, which workflow is meant, with which parameters.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{CliError, Global, WorkflowArgs};
use crate::exec::{Memory, Session};
use crate::kinds::with_own;
use crate::plan::{Plan, plan};
use crate::spec::{Invalid, Overrides, load, parse};
use crate::stage::Digest;
use crate::store::Index;

/// The file looked for when none is named.
const DEFAULT_FILE: &str = "sulcus.yaml";

/// A project and the request that the command line makes of it.
pub struct Context {
    /// The project's root folder, absolute.
    pub root: PathBuf,
    /// The workflow file, absolute.
    pub file: PathBuf,
    /// The wanted stages.
    pub targets: Vec<String>,
    /// Parameters and environment.
    pub overrides: Overrides,
    /// Execution providers for stages that name none.
    pub providers: Vec<String>,
}

impl Context {
    /// Finds project and workflow.
    ///
    /// # Errors
    /// If there is no such file, or a parameter is not `name=value`.
    pub fn new(global: &Global, args: &WorkflowArgs) -> Result<Self, CliError> {
        let folder = working_folder(global)?;
        let named = args.targets.first().filter(|t| is_file_name(t));
        let targets = args.targets[usize::from(named.is_some())..].to_vec();
        let file = match named {
            Some(name) => folder.join(name),
            None => find_default(&folder)?,
        };
        let file = match file.canonicalize() {
            Ok(file) if file.is_file() => file,
            _ => {
                let shown = named.map_or(DEFAULT_FILE, String::as_str);
                return Err(CliError::wrong(format!(
                    "there is no workflow file `{shown}` in {}",
                    folder.display()
                ))
                .hint("name one: `sulcus run pipelines/digits.yaml`; or `sulcus init` writes a first one"));
            }
        };
        let root = project_root(file.parent().unwrap_or(&folder));
        let overrides =
            Overrides { params: params(&folder, args)?, env: std::env::vars().collect::<HashMap<_, _>>() };
        Ok(Context { root, file, targets, overrides, providers: args.provider.clone() })
    }

    /// Loads and plans the workflow.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn plan(&self) -> Result<Plan, CliError> {
        self.plan_with(&|_| false)
    }

    /// As [`Context::plan`]; a path for which `is_file` answers yes is a file without looking again.
    ///
    /// # Errors
    /// Every mistake in the workflow.
    pub fn plan_with(&self, is_file: &dyn Fn(&str) -> bool) -> Result<Plan, CliError> {
        let mut workflow = load(&self.root, &self.file, &self.overrides)?;
        let kinds = with_own(&self.root, &mut workflow)?;
        Ok(plan(workflow, &self.root, &kinds, &self.providers, is_file)?)
    }

    /// The project's index.
    ///
    /// # Errors
    /// If the project's folder cannot be opened.
    pub fn index(&self) -> Result<Index, CliError> {
        Ok(Index::open(&self.root)?)
    }

    /// Opens the project's store beside its index.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn session<'a>(
        &self,
        global: &Global,
        index: Index,
        env: Map<String, Value>,
        host: Option<&'a dyn crate::stage::RuntimeHost>,
    ) -> Result<Session<'a>, CliError> {
        let session = Session::open(index, global.store.as_deref(), host, env)?;
        Ok(Session { online: !global.offline, ..session })
    }

    /// The workflow's path inside the project.
    pub fn relative(&self) -> String {
        self.file.strip_prefix(&self.root).unwrap_or(&self.file).display().to_string()
    }

    /// The lock beside the workflow.
    pub fn lock_path(&self) -> PathBuf {
        self.file.with_extension("lock")
    }

    /// Where the last run of this workflow left its memory.
    pub fn memory_path(&self) -> PathBuf {
        let name = Digest::of(self.relative().as_bytes()).short();
        self.root.join(".sulcus").join("memory").join(name)
    }

    /// What the last run left behind.
    pub fn memory(&self) -> Memory {
        Memory::read(&self.memory_path())
    }

    /// The journal of the project's runs.
    pub fn journal_path(&self) -> PathBuf {
        self.root.join(".sulcus").join("runs.jsonl")
    }

    /// The fingerprint of this request, the workflow's text apart.
    pub fn request(&self) -> Digest {
        let parts = format!(
            "{}\n{}\n{:?}\n{:?}\n{:?}\n",
            env!("CARGO_PKG_VERSION"),
            self.relative(),
            self.targets,
            self.providers,
            self.overrides.params
        );
        Digest::of(parts.as_bytes())
    }
}

/// The folder given by `-C`, else the current one.
pub fn working_folder(global: &Global) -> Result<PathBuf, CliError> {
    let folder = match &global.directory {
        Some(folder) => folder.canonicalize(),
        None => std::env::current_dir(),
    };
    folder.map_err(|error| CliError::wrong(format!("cannot work in that folder: {error}")))
}

/// Does a target name a workflow file rather than a stage?
pub fn is_file_name(text: &str) -> bool {
    text.ends_with(".yaml") || text.ends_with(".yml")
}

/// `sulcus.yaml` here or in the nearest folder above that has one, up to the project's root.
fn find_default(folder: &Path) -> Result<PathBuf, CliError> {
    let root = project_root(folder);
    let found = folder
        .ancestors()
        .take_while(|f| f.starts_with(&root))
        .map(|f| f.join(DEFAULT_FILE))
        .find(|f| f.is_file());
    Ok(found.unwrap_or_else(|| folder.join(DEFAULT_FILE)))
}

/// The nearest folder upward that holds `.sulcus/` or `.git`, else `folder` itself.
pub fn project_root(folder: &Path) -> PathBuf {
    let is_root = |f: &&Path| f.join(".sulcus").is_dir() || f.join(".git").exists();
    folder.ancestors().find(is_root).unwrap_or(folder).to_owned()
}

fn params(folder: &Path, args: &WorkflowArgs) -> Result<Map<String, Value>, CliError> {
    let mut params = Map::new();
    for file in &args.params {
        let path = folder.join(file);
        let bytes = crate::fs::read(&path).map_err(|e| CliError::wrong(e.to_string()))?;
        let source = crate::spec::Source {
            name: file.display().to_string(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        };
        let node = parse(&bytes, 0).map_err(|d| Invalid { diagnostics: vec![d], sources: vec![source] })?;
        match node.to_json() {
            Value::Object(fields) => params.extend(fields),
            _ => {
                return Err(CliError::wrong(format!("{} holds no parameters", file.display()))
                    .hint("write `name: value` lines"));
            }
        }
    }
    for setting in &args.param {
        let Some((name, value)) = setting.split_once('=') else {
            return Err(CliError::wrong(format!("`-p {setting}` sets nothing")).hint("write `-p name=value`"));
        };
        let value = parse(value.as_bytes(), 0)
            .map_or_else(|_| Value::String(value.to_owned()), |node| node.to_json());
        params.insert(name.trim().to_owned(), value);
    }
    Ok(params)
}
