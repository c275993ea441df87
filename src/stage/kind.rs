//! The trait that every stage kind implements, and its object-safe face.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Axes, Complaint, Contract, Facts, Failure, FileIn, FileParam, Io, Ports};

/// What a step reads of one input.
#[derive(Clone, Debug, PartialEq)]
pub enum Reads {
    /// Everything.
    All,
    /// These columns of a table, and its number of rows. Names that the table lacks are ignored.
    Columns(BTreeSet<String>),
}

impl Reads {
    /// Reads of the named columns.
    pub fn columns<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Reads::Columns(names.into_iter().map(Into::into).collect())
    }
}

/// What is known of one artefact bound to an input port.
#[derive(Clone, Debug)]
pub struct InputFacts {
    /// Its facts; [`Facts::Opaque`] where they cannot be known before a run.
    pub facts: Facts,
    /// The matrix cell it comes from, when it was gathered.
    pub axes: Axes,
}

/// What a kind knows when it is checked before a run.
#[derive(Clone, Debug, Default)]
pub struct InferContext {
    /// Facts of every bound input, by port.
    pub inputs: BTreeMap<String, Vec<InputFacts>>,
    /// The files that each file parameter names, absolute; absent where another stage will write them.
    pub files: BTreeMap<String, Vec<PathBuf>>,
}

impl InferContext {
    /// Facts of the single artefact at `port`, [`Facts::Opaque`] if there is none.
    pub fn input(&self, port: &str) -> &Facts {
        const OPAQUE: &Facts = &Facts::Opaque;
        self.inputs.get(port).and_then(|all| all.first()).map_or(OPAQUE, |i| &i.facts)
    }
}

/// Facts of every output that could be inferred, by port.
pub type Outputs = BTreeMap<String, Facts>;

/// A stage kind. One file each under `src/kinds/`, one line in its list.
pub trait Kind: Send + Sync + 'static {
    /// The parameters under `with`. Use `#[serde(deny_unknown_fields)]`, and defaults on fields.
    type Params: Serialize + DeserializeOwned + JsonSchema;

    /// `family.kind`.
    const NAME: &'static str;
    /// Raised when the meaning of the result changes.
    const REVISION: u32;
    /// A first sentence for lists, then what a user needs to know (Markdown).
    const ABOUT: &'static str;
    /// A short, complete example stage in YAML.
    const EXAMPLE: &'static str;
    /// True if it runs graphs through ONNX Runtime.
    const USES_RUNTIME: bool = false;
    /// True if it runs a command in the project's root folder, which sees the files there.
    const RUNS_COMMAND: bool = false;
    /// True if its files may refer to further files, which [`Kind::referred`] names.
    const REFERS: bool = false;
    /// The port of a table each row of which is worked on by itself, or the parameter of files that are: results
    /// of chunks may be kept.
    const ROW_WISE: Option<&'static str> = None;

    /// The ports, given parameters (`None`: for documentation).
    fn ports(params: Option<&Self::Params>) -> Ports;

    /// Parameters that name files of the project.
    fn files(_params: &Self::Params) -> Vec<FileParam> {
        Vec::new()
    }

    /// Further files that those named by the parameters refer to, such as the weights beside a model; `found`
    /// holds the files of each parameter, without those that another stage writes.
    fn referred(_params: &Self::Params, _found: &BTreeMap<String, Vec<FileIn>>) -> Vec<FileParam> {
        Vec::new()
    }

    /// What is read of the inputs, by port; ports left out are read whole.
    fn reads(_params: &Self::Params, _context: &InferContext) -> BTreeMap<String, Reads> {
        BTreeMap::new()
    }

    /// Checks parameters against the facts of the inputs and states those of the outputs.
    ///
    /// # Errors
    /// The first mistake found: an impossible value, a column or shape that does not fit.
    fn infer(params: &Self::Params, context: &InferContext) -> Result<Outputs, Complaint>;

    /// Does the work: reads `io`'s inputs and files, puts every output.
    ///
    /// # Errors
    /// What stopped it, in words for the reader.
    fn run(params: &Self::Params, io: &mut Io) -> Result<(), Failure>;
}

/// The object-safe face of a [`Kind`]; `params` are always those that `check` returned.
pub trait Stage: Send + Sync {
    /// The contract.
    fn contract(&self) -> Contract;
    /// The kind's name.
    fn name(&self) -> &'static str;
    /// Revision and whether the runtime is used.
    fn revision(&self) -> u32;
    /// Whether provider and runtime enter the key.
    fn uses_runtime(&self) -> bool;
    /// See [`Kind::RUNS_COMMAND`].
    fn runs_command(&self) -> bool;
    /// The port or parameter whose rows or files are worked on one by one.
    fn row_wise(&self) -> Option<&'static str> {
        None
    }
    /// Checks `with`, fills in the defaults, and says what follows from them.
    ///
    /// # Errors
    /// Where and why the parameters do not fit.
    fn check(&self, with: &Value) -> Result<Checked, Complaint>;
    /// See [`Kind::referred`].
    fn referred(
        &self,
        _params: &Value,
        _found: &dyn Fn() -> BTreeMap<String, Vec<FileIn>>,
    ) -> Vec<FileParam> {
        Vec::new()
    }
    /// See [`Kind::reads`].
    fn reads(&self, params: &Value, context: &InferContext) -> BTreeMap<String, Reads>;
    /// See [`Kind::infer`].
    ///
    /// # Errors
    /// The first mistake found.
    fn infer(&self, params: &Value, context: &InferContext) -> Result<Outputs, Complaint>;
    /// See [`Kind::run`].
    ///
    /// # Errors
    /// What stopped it.
    fn run(&self, params: &Value, io: &mut Io) -> Result<(), Failure>;
}

/// What the parameters of a step mean.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The parameters with defaults filled in.
    pub params: Value,
    /// See [`Kind::ports`].
    pub ports: Ports,
    /// See [`Kind::files`].
    pub files: Vec<FileParam>,
}

/// Parameters that were checked once always parse again; if not, the kind's serde is asymmetric.
fn parse<K: Kind>(params: &Value) -> Result<K::Params, Complaint> {
    let deserializer = params;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        Complaint { message, at: (path != ".").then_some(path), within: None, hint: None }
    })
}

impl<K: Kind> Stage for K {
    fn contract(&self) -> Contract {
        Contract {
            name: K::NAME,
            revision: K::REVISION,
            about: K::ABOUT,
            ports: K::ports(None),
            schema: schemars::schema_for!(K::Params),
            uses_runtime: K::USES_RUNTIME,
            example: K::EXAMPLE,
        }
    }

    fn name(&self) -> &'static str {
        K::NAME
    }

    fn revision(&self) -> u32 {
        K::REVISION
    }

    fn uses_runtime(&self) -> bool {
        K::USES_RUNTIME
    }

    fn runs_command(&self) -> bool {
        K::RUNS_COMMAND
    }

    fn row_wise(&self) -> Option<&'static str> {
        K::ROW_WISE
    }

    fn check(&self, with: &Value) -> Result<Checked, Complaint> {
        let params = parse::<K>(with)?;
        let (ports, files) = (K::ports(Some(&params)), K::files(&params));
        let params = serde_json::to_value(&params).map_err(|error| Complaint {
            message: error.to_string(),
            at: None,
            within: None,
            hint: None,
        })?;
        Ok(Checked { params, ports, files })
    }

    fn referred(&self, params: &Value, found: &dyn Fn() -> BTreeMap<String, Vec<FileIn>>) -> Vec<FileParam> {
        let params = if K::REFERS { parse::<K>(params).ok() } else { None };
        params.map(|p| K::referred(&p, &found())).unwrap_or_default()
    }

    fn reads(&self, params: &Value, context: &InferContext) -> BTreeMap<String, Reads> {
        parse::<K>(params).map(|p| K::reads(&p, context)).unwrap_or_default()
    }

    fn infer(&self, params: &Value, context: &InferContext) -> Result<Outputs, Complaint> {
        K::infer(&parse::<K>(params)?, context)
    }

    fn run(&self, params: &Value, io: &mut Io) -> Result<(), Failure> {
        let params = parse::<K>(params).map_err(|complaint| Failure::new(complaint.message))?;
        K::run(&params, io)
    }
}

/// What the engine asks of the machine that runs graphs. The `models` feature implements it.
pub trait RuntimeHost: Send + Sync {
    /// The text that stands for runtime and provider in a key: library digest, the first of
    /// `providers` that works here, precision.
    ///
    /// # Errors
    /// If none of `providers` works here: what to install.
    fn identity(&self, providers: &[String]) -> Result<String, Failure>;

    /// Where the runtime's library is, fetched if it is nowhere.
    ///
    /// # Errors
    /// If it is nowhere and cannot be fetched.
    fn library(&self) -> Result<std::path::PathBuf, Failure>;
}
