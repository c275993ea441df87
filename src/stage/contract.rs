//! A kind's contract: ports, parameters, documentation.

use serde::{Deserialize, Serialize};

/// What flows through a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortType {
    /// A Parquet table.
    Table,
    /// An ONNX model.
    Model,
    /// One file.
    File,
    /// A folder.
    Dir,
    /// A picture (SVG or PNG).
    Figure,
}

impl PortType {
    /// The word used in contracts and messages.
    pub fn name(self) -> &'static str {
        match self {
            PortType::Table => "table",
            PortType::Model => "model",
            PortType::File => "file",
            PortType::Dir => "dir",
            PortType::Figure => "figure",
        }
    }
}

/// What the rows of an input have to do with learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// They enter the model that the stage makes.
    Learns,
    /// They entered a model and must not be scored. Those that have a source in common with what the stage scores
    /// are bound to the port when the workflow is planned.
    Learned,
}

/// One input or output of a stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// What flows through it.
    #[serde(rename = "type")]
    pub ty: PortType,
    /// What it means, in one sentence.
    pub about: String,
    /// An input that may be left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// An input that takes several artefacts (a gathered matrix or a list).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub many: bool,
    /// Whether rows of an input enter a model, or must not have entered one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// An output's file name extension under `results/` (`parquet`, `onnx`, `svg`, …).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// An output that a stage writes at this path of the project itself (`command` only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl Port {
    /// A required, single-valued port.
    pub fn new(name: impl Into<String>, ty: PortType, about: impl Into<String>) -> Self {
        let extension = match ty {
            PortType::Table => Some("parquet"),
            PortType::Model => Some("onnx"),
            PortType::Figure => Some("svg"),
            PortType::File | PortType::Dir => None,
        };
        Port {
            name: name.into(),
            ty,
            about: about.into(),
            optional: false,
            many: false,
            role: None,
            extension: extension.map(str::to_owned),
            path: None,
        }
    }

    /// The same port, not required.
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The same port, taking several artefacts.
    pub fn many(mut self) -> Self {
        self.many = true;
        self
    }

    /// The same port in this role.
    pub fn role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }

    /// The same port with another file name extension.
    pub fn extension(mut self, extension: &str) -> Self {
        self.extension = Some(extension.to_owned());
        self
    }
}

/// The ports of a stage once its parameters are known.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ports {
    /// Named inputs.
    pub inputs: Vec<Port>,
    /// If set, any further input name is taken and has this type (`table.sql`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any_input: Option<PortType>,
    /// Outputs.
    pub outputs: Vec<Port>,
}

/// What a kind says of itself.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Its name, `family.kind` or `command`.
    pub name: &'static str,
    /// Raised when the meaning of its result changes; part of every key.
    pub revision: u32,
    /// What it does: a first sentence for lists, then paragraphs (Markdown).
    pub about: &'static str,
    /// The ports with default parameters, for documentation.
    pub ports: Ports,
    /// JSON Schema of `with`.
    pub schema: schemars::Schema,
    /// True if it runs graphs: execution provider and runtime library enter the key.
    pub uses_runtime: bool,
    /// A short, complete example stage in YAML.
    pub example: &'static str,
}

impl Contract {
    /// The first sentence of what it does, for lists.
    pub fn first_sentence(&self) -> &'static str {
        let paragraph = self.about.split("\n\n").next().unwrap_or_default();
        let end = paragraph.find(". ").map_or(paragraph.len(), |at| at + 1);
        &paragraph[..end]
    }
}

/// How a file parameter names files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileForm {
    /// One file, or a glob such as `runs/*.csv`.
    FileOrGlob,
    /// A folder with everything below it.
    Folder,
    /// A file, a folder or a glob.
    Any,
}

/// A parameter whose value is a path of the project: its bytes, not its name, enter the key.
#[derive(Clone, Debug, PartialEq)]
pub struct FileParam {
    /// Path of the parameter inside `with`: `path`, `reads.3`.
    pub param: String,
    /// The path or pattern, relative to the project's root.
    pub path: String,
    /// What it may name.
    pub form: FileForm,
    /// True if the names of the files matter too (labels taken from file names, commands).
    pub names_matter: bool,
}
