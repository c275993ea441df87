//! A workflow file with its parameters put in and its matrices expanded: a list of cells.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::fields::{check_keys, entries, text, texts};
use super::input::{self, Input};
use super::options::{OPTION_KEYS, StageOptions, defaults};
use super::reference::is_name;
use super::template::Scope;
use super::{Diagnostic, Key, Node, Source, Span, Yaml, matrix};
use crate::stage::Axes;

/// A workflow, ready to be planned.
#[derive(Debug, Default)]
pub struct Workflow {
    /// Its name; the file's stem if it says none.
    pub name: String,
    /// What it is about.
    pub about: Option<String>,
    /// Parameters after overrides.
    pub params: Map<String, Value>,
    /// Declared environment variables that are set.
    pub env: Map<String, Value>,
    /// Amounts of named resources that the machine has, from the top-level `resources:`.
    pub resources: Vec<(String, f64)>,
    /// The stages in written order.
    pub stages: Vec<StageDecl>,
    /// The cells of all stages in written order.
    pub cells: Vec<Cell>,
    /// The files it was read from; spans index into them.
    pub sources: Vec<Source>,
}

/// A stage as declared.
#[derive(Debug)]
pub struct StageDecl {
    /// Its name and where it stands.
    pub name: Key,
    /// Its kind and where that stands.
    pub uses: (String, Span),
    /// What it is about.
    pub about: Option<String>,
    /// The names of its axes.
    pub axes: Vec<String>,
}

/// One cell of a stage, templates replaced.
#[derive(Debug)]
pub struct Cell {
    /// Index of its stage.
    pub stage: usize,
    /// Its place in the matrix.
    pub axes: Axes,
    /// `with`.
    pub with: Node,
    /// `in`, by port.
    pub inputs: Vec<(Key, Vec<Input>)>,
    /// `needs`.
    pub needs: Vec<(String, Span)>,
    /// Options, the file's defaults filled in.
    pub options: StageOptions,
}

/// What the user asks for beside the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Parameters given on the command line or in a parameter file.
    pub params: Map<String, Value>,
    /// The environment, of which only declared names are read.
    pub env: HashMap<String, String>,
}

pub(super) const TOP_KEYS: &[&str] =
    &["name", "about", "params", "env", "include", "defaults", "resources", "stages"];
pub(super) const STAGE_KEYS: &[&str] = &["uses", "in", "with", "matrix", "needs", "about"];

/// Builds a workflow from parsed files, the main one first and the included ones after it.
pub(super) fn build(
    documents: &[Node],
    sources: Vec<Source>,
    stem: &str,
    overrides: &Overrides,
) -> Result<Workflow, (Vec<Diagnostic>, Vec<Source>)> {
    let mut out = Vec::new();
    let mut workflow = Workflow { name: stem.to_owned(), ..Workflow::default() };
    let mut options = StageOptions::default();
    for (index, document) in documents.iter().enumerate() {
        if let Err(diagnostic) = top(document, index == 0, &mut workflow, &mut options, overrides, &mut out) {
            out.push(diagnostic);
        }
    }
    if let Err(diagnostic) = override_params(&mut workflow, overrides) {
        out.push(diagnostic);
    }
    let mut scope = Scope { env: workflow.env.clone(), ..Scope::default() };
    scope.params = resolve_params(&workflow.params, &scope, &mut out);
    workflow.params = scope.params.clone();
    if out.is_empty() {
        let mut known = HashMap::new();
        // Included files come first, so that the main file's stages may name theirs in `matrix`.
        for document in documents.iter().skip(1).chain(documents.first()) {
            let Some(stages) = document.get("stages") else {
                continue;
            };
            match entries(stages, "`stages`") {
                Ok(stages) => {
                    for (name, node) in stages {
                        stage(name, node, &mut scope, &options, &mut known, &mut workflow, &mut out);
                    }
                }
                Err(diagnostic) => out.push(diagnostic),
            }
        }
    }
    if out.is_empty() && workflow.stages.is_empty() {
        let span = documents.first().map(|d| d.span).unwrap_or_default();
        out.push(
            Diagnostic::at(span, "the workflow has no stages").hint("`sulcus init` writes a first workflow"),
        );
    }
    if out.is_empty() {
        workflow.sources = sources;
        return Ok(workflow);
    }
    Err((out, sources))
}

/// The stages and cells of a part of a workflow: what `scope` holds is put in, and `options` are those of stages
/// that do not say otherwise.
///
/// # Errors
/// Every mistake found.
pub fn fragment(
    stages: &Node,
    mut scope: Scope,
    options: &StageOptions,
) -> Result<(Vec<StageDecl>, Vec<Cell>), Vec<Diagnostic>> {
    let (mut workflow, mut known, mut out) = (Workflow::default(), HashMap::new(), Vec::new());
    for (name, node) in entries(stages, "`stages`").map_err(|diagnostic| vec![diagnostic])? {
        stage(name, node, &mut scope, options, &mut known, &mut workflow, &mut out);
    }
    if out.is_empty() { Ok((workflow.stages, workflow.cells)) } else { Err(out) }
}

fn top(
    document: &Node,
    main: bool,
    workflow: &mut Workflow,
    options: &mut StageOptions,
    overrides: &Overrides,
    out: &mut Vec<Diagnostic>,
) -> Result<(), Diagnostic> {
    let fields = entries(document, "a workflow")?;
    check_keys(fields, TOP_KEYS, "a workflow", out);
    for (key, node) in fields {
        match key.name.as_str() {
            "name" if main => {
                let name = text(node, "`name`")?;
                if !is_name(name) {
                    out.push(Diagnostic::at(
                        node.span,
                        format!("`name` has letters, digits, `_` and `-`; not \"{name}\""),
                    ));
                }
                workflow.name = name.to_owned();
            }
            "about" if main => workflow.about = Some(text(node, "`about`")?.to_owned()),
            "params" => {
                for (param, value) in entries(node, "`params`")? {
                    workflow.params.entry(&param.name).or_insert_with(|| value.to_json());
                }
            }
            "env" => {
                for name in texts(node, "`env`")? {
                    match overrides.env.get(&name) {
                        Some(value) => drop(workflow.env.insert(name, Value::String(value.clone()))),
                        None => out.push(
                            Diagnostic::at(
                                node.span,
                                format!("the environment variable `{name}` is declared but not set"),
                            )
                            .hint(format!("set it: {name}=… sulcus run")),
                        ),
                    }
                }
            }
            "defaults" => *options = std::mem::take(options).or(&defaults(node, out)),
            "resources" => {
                for (name, value) in entries(node, "`resources`")? {
                    workflow.resources.push((name.name.clone(), super::fields::amount(value, "a resource")?));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn override_params(workflow: &mut Workflow, overrides: &Overrides) -> Result<(), Diagnostic> {
    for (path, value) in &overrides.params {
        let mut parts = path.split('.');
        let first = parts.next().unwrap_or("");
        let names: Vec<String> = workflow.params.keys().cloned().collect();
        let Some(mut slot) = workflow.params.get_mut(first) else {
            let hint = super::suggest::hint(first, names.iter().map(String::as_str));
            return Err(Diagnostic::new(format!("the workflow has no parameter `{first}`")).hint(hint));
        };
        for part in parts {
            slot = slot.get_mut(part).ok_or_else(|| {
                Diagnostic::new(format!("the parameter `{path}` does not exist: `{first}` has no `{part}`"))
            })?;
        }
        *slot = value.clone();
    }
    Ok(())
}

/// Parameters may name earlier parameters.
fn resolve_params(
    params: &Map<String, Value>,
    scope: &Scope,
    out: &mut Vec<Diagnostic>,
) -> Map<String, Value> {
    let mut scope = scope.clone();
    for (name, value) in params {
        let node = super::template::from_json(value, Span::default());
        match scope.resolve(&node) {
            Ok(node) => drop(scope.params.insert(name.clone(), node.to_json())),
            Err(mut diagnostic) => {
                diagnostic.span = None;
                diagnostic.message = format!("parameter `{name}`: {}", diagnostic.message);
                out.push(diagnostic);
            }
        }
    }
    scope.params
}

fn stage(
    name: &Key,
    node: &Node,
    scope: &mut Scope,
    defaults: &StageOptions,
    known: &mut HashMap<String, Vec<Axes>>,
    workflow: &mut Workflow,
    out: &mut Vec<Diagnostic>,
) {
    let before = out.len();
    let declared = declare(name, node, scope, known, out);
    let (decl, cells) = match declared {
        Ok(declared) if out.len() == before => declared,
        Ok(_) => return,
        Err(diagnostic) => return out.push(diagnostic),
    };
    if known.insert(name.name.clone(), cells.clone()).is_some() {
        let message = format!("the stage `{}` is declared twice", name.name);
        return out.push(
            Diagnostic::at(name.span, message).hint("another file of the workflow has it too: rename one"),
        );
    }
    let index = workflow.stages.len();
    workflow.stages.push(decl);
    for axes in cells {
        scope.matrix = axes.iter().cloned().collect();
        match cell(index, axes, node, scope, defaults) {
            Ok(cell) => workflow.cells.push(cell),
            Err(diagnostic) => return out.push(diagnostic),
        }
    }
    scope.matrix.clear();
}

fn declare(
    name: &Key,
    node: &Node,
    scope: &Scope,
    known: &HashMap<String, Vec<Axes>>,
    out: &mut Vec<Diagnostic>,
) -> Result<(StageDecl, Vec<Axes>), Diagnostic> {
    if !is_name(&name.name) {
        let message = format!("`{}` is not a stage name: letters, digits, `_` and `-`", name.name);
        return Err(Diagnostic::at(name.span, message));
    }
    let fields = entries(node, "a stage")?;
    let allowed: Vec<&str> = STAGE_KEYS.iter().chain(OPTION_KEYS).copied().collect();
    check_keys(fields, &allowed, &format!("the stage `{}`", name.name), out);
    let Some(uses) = node.get("uses") else {
        return Err(Diagnostic::at(
            name.span,
            format!("the stage `{}` does not say which kind it `uses`", name.name),
        )
        .hint("`sulcus kinds` lists them"));
    };
    let cells = match node.get("matrix") {
        Some(matrix) => matrix::cells(matrix, scope, known)?,
        None => vec![Axes::new()],
    };
    let decl = StageDecl {
        name: name.clone(),
        uses: (text(uses, "`uses`")?.to_owned(), uses.span),
        about: node.get("about").map(|n| text(n, "`about`").map(str::to_owned)).transpose()?,
        axes: cells.first().map(|c| c.iter().map(|(axis, _)| axis.clone()).collect()).unwrap_or_default(),
    };
    Ok((decl, cells))
}

fn cell(
    stage: usize,
    axes: Axes,
    node: &Node,
    scope: &Scope,
    defaults: &StageOptions,
) -> Result<Cell, Diagnostic> {
    let mut cell = Cell {
        stage,
        axes,
        with: Node { span: node.span, value: Yaml::Null },
        inputs: Vec::new(),
        needs: Vec::new(),
        options: StageOptions::default(),
    };
    for (key, value) in entries(node, "a stage")? {
        match key.name.as_str() {
            "with" => {
                cell.with = scope.resolve(value)?;
                entries(&cell.with, "`with`")?;
            }
            "in" => {
                let inputs = scope.resolve(value)?;
                for (port, bound) in entries(&inputs, "`in`")? {
                    cell.inputs.push((port.clone(), input::read(bound)?));
                }
            }
            "needs" => {
                let names = scope.resolve(value)?;
                cell.needs = texts(&names, "`needs`")?.into_iter().map(|n| (n, names.span)).collect();
            }
            option if OPTION_KEYS.contains(&option) => cell.options.read(option, &scope.resolve(value)?)?,
            _ => {}
        }
    }
    cell.options = std::mem::take(&mut cell.options).or(defaults);
    Ok(cell)
}
