//! Kinds that a project defines for itself in `stages/<kind>.yaml`: a contract, and a command or stages.

mod definition;
mod several;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use self::definition::Definition;
use self::several::Several;
use super::{KINDS, command};
use crate::spec::{Diagnostic, Invalid, Node, Source, Workflow, parse};
use crate::stage::{
    Checked, Complaint, Contract, Facts, Failure, FileForm, FileParam, InferContext, Io, Outputs, Port,
    Ports, Reads, Stage,
};

/// The folder of a project that holds them.
const FOLDER: &str = "stages";

/// Kinds that stand for stages may use such kinds themselves, so often.
const DEEPEST: usize = 16;

/// The built-in kinds, and those of the project that `workflow` uses; stages of kinds that stand for several are
/// written out. The files of the kinds join the sources of the workflow, so that an edit is seen.
///
/// # Errors
/// What is wrong with one of the files, or with the use of a kind that stands for several stages.
pub fn with_own(root: &Path, workflow: &mut Workflow) -> Result<Vec<&'static dyn Stage>, Invalid> {
    let mut kinds = KINDS.to_vec();
    let mut sources = std::mem::take(&mut workflow.sources);
    let written = written_out(root, workflow, &mut kinds, &mut sources);
    match written {
        Ok(()) => {
            workflow.sources = sources;
            Ok(kinds)
        }
        Err(diagnostics) => Err(Invalid { diagnostics, sources }),
    }
}

fn written_out(
    root: &Path,
    workflow: &mut Workflow,
    kinds: &mut Vec<&'static dyn Stage>,
    sources: &mut Vec<Source>,
) -> Result<(), Vec<Diagnostic>> {
    let (mut several, mut looked) = (BTreeMap::new(), BTreeSet::new());
    for _ in 0..=DEEPEST {
        // Of a hundred thousand stages most use the same few kinds.
        let used: BTreeSet<String> = workflow.stages.iter().map(|decl| decl.uses.0.clone()).collect();
        for name in used {
            let built_in = KINDS.iter().any(|kind| kind.name() == name);
            if built_in
                || !is_kind(&name)
                || !root.join(file(&name)).is_file()
                || !looked.insert(name.clone())
            {
                continue;
            }
            match load(root, &name, sources).map_err(|diagnostic| vec![diagnostic])? {
                Some(Loaded::Command(own)) => kinds.push(own),
                Some(Loaded::Several(kind)) => drop(several.insert(name, *kind)),
                None => {}
            }
        }
        if !workflow.stages.iter().any(|decl| several.contains_key(&decl.uses.0)) {
            return Ok(());
        }
        several::write_out(workflow, &several)?;
    }
    let stuck = workflow.stages.iter().find(|decl| several.contains_key(&decl.uses.0));
    let name = stuck.map_or("", |decl| decl.uses.0.as_str());
    Err(vec![Diagnostic {
        span: stuck.map(|decl| decl.uses.1),
        message: format!("the kind `{name}` stands for stages that use it again"),
        hint: Some("kinds of stages must not use themselves".to_owned()),
    }])
}

/// Every kind that the project at `root` defines, in the order of their names.
///
/// # Errors
/// What is wrong with one of the files.
pub fn defined(root: &Path) -> Result<Vec<&'static dyn Stage>, Invalid> {
    let entries = std::fs::read_dir(root.join(FOLDER)).into_iter().flatten().flatten();
    let name = |entry: std::fs::DirEntry| {
        entry.file_name().to_str().and_then(|name| name.strip_suffix(".yaml")).map(str::to_owned)
    };
    let built_in = |name: &String| KINDS.iter().any(|kind| kind.name() == name);
    let mut names: Vec<String> = entries.filter_map(name).filter(|n| is_kind(n) && !built_in(n)).collect();
    names.sort();
    let mut kinds = Vec::with_capacity(names.len());
    let mut sources = Vec::new();
    for name in names {
        match load(root, &name, &mut sources) {
            Ok(Some(Loaded::Command(own))) => kinds.push(own),
            Ok(Some(Loaded::Several(kind))) => match own(kind.definition, &kind.node) {
                Ok(own) => kinds.push(own),
                Err(diagnostic) => return Err(Invalid { diagnostics: vec![diagnostic], sources }),
            },
            Ok(None) => {}
            Err(diagnostic) => return Err(Invalid { diagnostics: vec![diagnostic], sources }),
        }
    }
    Ok(kinds)
}

fn file(name: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("{name}.yaml"))
}

/// `family.kind`: no name that could lead out of the folder.
fn is_kind(name: &str) -> bool {
    name.split('.').count() == 2 && name.split('.').all(words::is_name)
}

/// A kind of the project.
enum Loaded {
    /// One that runs a command.
    Command(&'static dyn Stage),
    /// One that stands for several stages.
    Several(Box<Several>),
}

/// Reads the definition of `name`; `None` if the file is the contract of a kind that is built into another
/// version of this program.
fn load(root: &Path, name: &str, sources: &mut Vec<Source>) -> Result<Option<Loaded>, Diagnostic> {
    let path = file(name);
    let bytes = crate::fs::read(root.join(&path)).map_err(|error| Diagnostic::new(error.to_string()))?;
    let index = u32::try_from(sources.len()).unwrap_or(u32::MAX);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    sources.push(Source { name: path.display().to_string(), text });
    let node = parse(&bytes, index)?;
    if node.get("uses_runtime").is_some() {
        return Ok(None);
    }
    let definition = read(&node)?;
    definition
        .check(name)
        .map_err(|(at, message)| Diagnostic::at(node.find(&at).span, message).hint(HINT))?;
    Ok(Some(match definition.stages {
        Some(_) => Loaded::Several(Box::new(Several { definition, node })),
        None => Loaded::Command(own(definition, &node)?),
    }))
}

/// The kind of a definition. It lives as long as the process, as the built-in ones do.
fn own(definition: Definition, node: &Node) -> Result<&'static dyn Stage, Diagnostic> {
    let schema = schemars::Schema::try_from(definition.schema())
        .map_err(|error| Diagnostic::at(node.span, error.to_string()))?;
    let kept = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let own = Own {
        name: kept(&definition.kind),
        about: kept(definition.about.trim()),
        example: kept(&definition.example),
        schema,
        definition,
    };
    Ok(Box::leak(Box::new(own)))
}

const HINT: &str = "docs/own-kinds.md says what a file in `stages/` holds";

fn read(node: &Node) -> Result<Definition, Diagnostic> {
    let value = node.to_json();
    serde_path_to_error::deserialize(&value).map_err(|error| {
        let span = node.find(&error.path().to_string()).span;
        Diagnostic::at(span, error.into_inner().to_string()).hint(HINT)
    })
}

/// A kind of the project.
struct Own {
    name: &'static str,
    about: &'static str,
    example: &'static str,
    schema: schemars::Schema,
    definition: Definition,
}

impl Own {
    fn ports(&self) -> Ports {
        Ports {
            inputs: self.definition.input_ports(),
            any_input: None,
            outputs: self.definition.output_ports(),
        }
    }

    /// The command of a step, its placeholders filled in.
    fn command(&self, params: &Value, io: &Io, written: &BTreeMap<String, PathBuf>) -> String {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        words::fill(&self.definition.run, |side, name| match side {
            "in" => io.many(name).iter().map(|bound| path(&bound.path)).collect(),
            "out" => written.get(name).map(|p| path(p)).into_iter().collect(),
            _ => match &params[name] {
                Value::Null => Vec::new(),
                Value::Array(items) => items.iter().map(word).collect(),
                value => vec![word(value)],
            },
        })
    }
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Stage for Own {
    fn contract(&self) -> Contract {
        Contract {
            name: self.name,
            revision: self.definition.revision,
            about: self.about,
            ports: self.ports(),
            schema: self.schema.clone(),
            uses_runtime: false,
            example: self.example,
        }
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn revision(&self) -> u32 {
        self.definition.revision
    }

    fn uses_runtime(&self) -> bool {
        false
    }

    fn runs_command(&self) -> bool {
        true
    }

    /// The command stands among the parameters: an edit of it makes another key, and `why` shows it.
    fn check(&self, with: &Value) -> Result<Checked, Complaint> {
        let mut params = self.definition.fill(with)?;
        let whole = |param: String, path: &str| FileParam {
            param,
            path: path.to_owned(),
            form: FileForm::Any,
            names_matter: true,
        };
        let reads = self.definition.reads.iter().enumerate();
        let mut files: Vec<FileParam> = reads.map(|(i, path)| whole(format!("reads.{i}"), path)).collect();
        files.extend(
            self.definition.paths().filter_map(|n| Some(whole(n.to_owned(), params.get(n)?.as_str()?))),
        );
        params.insert("run".to_owned(), json!(self.definition.run));
        params.insert("reads".to_owned(), json!(self.definition.reads));
        params.insert("shell".to_owned(), json!(self.definition.shell));
        Ok(Checked { params: Value::Object(params), ports: self.ports(), files })
    }

    fn reads(&self, _params: &Value, _context: &InferContext) -> BTreeMap<String, Reads> {
        BTreeMap::new()
    }

    fn infer(&self, _params: &Value, _context: &InferContext) -> Result<Outputs, Complaint> {
        Ok(Outputs::new())
    }

    fn run(&self, params: &Value, io: &mut Io) -> Result<(), Failure> {
        let ports = self.definition.output_ports();
        let written = |port: &Port| {
            (port.name.clone(), io.create(&port.name, port.extension.as_deref().unwrap_or("out")))
        };
        let written: BTreeMap<String, PathBuf> = ports.iter().map(written).collect();
        command::execute(&self.command(params, io, &written), self.definition.shell, io)?;
        for port in &ports {
            let path = &written[&port.name];
            if !path.is_file() {
                return Err(Failure::new(format!("the command did not write `${{out.{}}}`", port.name))
                    .hint("it must write a file at that path"));
            }
            let (path, facts) = taken(port, path, io)
                .map_err(|failure| failure.context(format!("what the command wrote as `{}`", port.name)))?;
            io.put(&port.name, path, facts);
        }
        Ok(())
    }
}

/// A finished output: a table is read and written again in the project's own form, which gives its columns
/// their digests; a model is checked.
fn taken(port: &Port, path: &Path, io: &Io) -> Result<(PathBuf, Facts), Failure> {
    match port.ty {
        #[cfg(feature = "tables")]
        crate::stage::PortType::Table => {
            let kept = io.create(&format!("{}.kept", port.name), "parquet");
            let facts = crate::table::write(&mut crate::table::read_path(path, None)?, &kept)?;
            Ok((kept, facts))
        }
        #[cfg(feature = "models")]
        crate::stage::PortType::Model => {
            let model = onnx_graph::model::Model::read_file(path).map_err(|e| Failure::new(e.to_string()))?;
            let kept = io.create(&format!("{}.kept", port.name), "onnx");
            crate::fs::write_atomic(&kept, &model.to_bytes())?;
            Ok((kept, Facts::Model(super::model::facts::of(&model))))
        }
        _ => {
            // The engine alone knows neither tables nor models: their bytes are what they are.
            let _ = io;
            Ok((path.to_owned(), Facts::Opaque))
        }
    }
}
