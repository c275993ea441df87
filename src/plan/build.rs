//! Makes the plan: every mistake of the whole workflow is collected, then either all steps or all mistakes.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use petgraph::graph::DiGraph;
use serde_json::Value;

use super::bind::Cellbook;
use super::draft::{Draft, drafts};
use super::files::{self, Written};
use super::skip::{leave_out, left_out};
use super::{Binding, FileBinding, FoundFile, Plan, ProjectPath, Source, Step, StepId, graph, lineage};
use crate::spec::suggest::{self, did_you_mean, known};
use crate::spec::{Cell, Diagnostic, Input, InputSource, Invalid, Workflow, cell_name};
use crate::stage::{FileIn, FileParam, Port, PortType, Stage};

/// Plans `workflow` with the kinds given.
///
/// # Errors
/// Every mistake found, with its place.
pub fn plan(
    workflow: Workflow,
    root: &Path,
    kinds: &[&'static dyn Stage],
    providers: &[String],
    is_file: &dyn Fn(&str) -> bool,
) -> Result<Plan, Invalid> {
    match build(&workflow, root, kinds, providers, is_file) {
        Ok(Built { mut steps, skipped, drafts }) => {
            let mut graph = edges(&steps);
            match graph::order(&graph) {
                Ok(order) => {
                    if lineage::bind(&mut steps, &drafts, &order) {
                        graph = edges(&steps);
                    }
                    Ok(Plan { workflow, root: root.to_owned(), steps, skipped, graph, order })
                }
                Err(cycle) => {
                    let diagnostic = describe_cycle(&workflow, &steps, &cycle);
                    Err(Invalid { diagnostics: vec![diagnostic], sources: workflow.sources })
                }
            }
        }
        Err(diagnostics) => Err(Invalid { diagnostics, sources: workflow.sources }),
    }
}

fn edges(steps: &[Step]) -> DiGraph<StepId, ()> {
    let upstream: Vec<Vec<StepId>> = steps.iter().map(|s| s.upstream.clone()).collect();
    graph::graph(&upstream)
}

fn describe_cycle(workflow: &Workflow, steps: &[Step], cycle: &[StepId]) -> Diagnostic {
    let mut names: Vec<&str> = cycle.iter().rev().map(|id| steps[*id].name.as_str()).collect();
    names.extend(names.first().copied());
    let shown = if names.len() > 12 {
        format!("{} → … → {}", names[..10].join(" → "), names[names.len() - 1])
    } else {
        names.join(" → ")
    };
    let span =
        cycle.iter().map(|id| workflow.stages[steps[*id].stage].name.span).min_by_key(|s| (s.source, s.line));
    Diagnostic {
        span,
        message: format!("the stages form a cycle: {shown}"),
        hint: Some("remove one of these references".to_owned()),
    }
}

/// Bound steps, the names of those left out, and the drafts of all.
struct Built {
    steps: Vec<Step>,
    skipped: Vec<String>,
    drafts: Vec<Draft>,
}

fn build(
    workflow: &Workflow,
    root: &Path,
    kinds: &[&'static dyn Stage],
    providers: &[String],
    is_file: &dyn Fn(&str) -> bool,
) -> Result<Built, Vec<Diagnostic>> {
    let (mut drafts, written) = drafts(workflow, kinds)?;
    let book = Cellbook::new(workflow);
    let mut binder = Binder { workflow, root, is_file, out: Vec::new(), missing: Vec::new() };
    let cells = workflow.cells.iter().enumerate();
    let steps: Vec<Step> =
        cells.map(|(id, cell)| binder.step(id, cell, &mut drafts, &book, &written, providers)).collect();
    let out = left_out(&steps);
    let Binder { out: mut wrong, missing, .. } = binder;
    wrong.extend(missing.into_iter().filter(|(id, _)| !out[*id]).map(|(_, diagnostic)| diagnostic));
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let (steps, skipped) = leave_out(steps, &out);
    Ok(Built { steps, skipped, drafts })
}

/// Binds the ports and files of drafts.
struct Binder<'a> {
    workflow: &'a Workflow,
    root: &'a Path,
    is_file: &'a dyn Fn(&str) -> bool,
    out: Vec<Diagnostic>,
    /// Files that are not there, by step: a step that is left out does not need them.
    missing: Vec<(StepId, Diagnostic)>,
}

impl Binder<'_> {
    fn step(
        &mut self,
        id: StepId,
        cell: &Cell,
        drafts: &mut [Draft],
        book: &Cellbook,
        written: &Written,
        providers: &[String],
    ) -> Step {
        // The steps behind this one look at its ports; the rest is its own.
        let params = std::mem::take(&mut drafts[id].checked.params);
        let files = std::mem::take(&mut drafts[id].checked.files);
        let draft = &drafts[id];
        let decl = &self.workflow.stages[cell.stage];
        let mut upstream = Vec::new();
        let inputs = self.inputs(id, draft, drafts, book, &mut upstream);
        let mut files = self.files(id, files, written, &mut upstream);
        let referred = draft.kind.referred(&params, &|| sources(&files, self.root));
        files.extend(self.files(id, referred, written, &mut upstream));
        for (target, span) in &cell.needs {
            match crate::spec::Reference::parse(target)
                .map_err(|m| (m, None))
                .and_then(|r| book.resolve(&r, &cell.axes))
            {
                Ok(found) => upstream.extend(found.into_iter().map(|(id, _)| id)),
                Err((message, hint)) => self.out.push(Diagnostic::at(*span, message).maybe_hint(hint)),
            }
        }
        let mut seen = HashSet::with_capacity(upstream.len());
        upstream.retain(|source| seen.insert(*source));
        Step {
            name: cell_name(&decl.name.name, &cell.axes),
            stage: cell.stage,
            cell: id,
            axes: cell.axes.clone(),
            kind: draft.kind,
            params,
            inputs,
            files,
            outputs: draft.checked.ports.outputs.clone(),
            upstream,
            providers: cell.options.providers.clone().unwrap_or_else(|| providers.to_vec()),
            options: cell.options.clone(),
        }
    }

    fn inputs(
        &mut self,
        id: StepId,
        draft: &Draft,
        drafts: &[Draft],
        book: &Cellbook,
        upstream: &mut Vec<StepId>,
    ) -> Vec<(String, Vec<Binding>)> {
        let cell = &self.workflow.cells[id];
        let decl = &self.workflow.stages[cell.stage];
        let mut bound: Vec<(String, Vec<Binding>)> = Vec::new();
        for (key, inputs) in &cell.inputs {
            let known_port = draft.checked.ports.inputs.iter().find(|p| p.name == key.name);
            let any = draft.checked.ports.any_input.map(|ty| Port::new(&key.name, ty, "").many());
            let Some(port) = known_port.or(any.as_ref()) else {
                let names = || draft.checked.ports.inputs.iter().map(|p| p.name.as_str());
                let hint = did_you_mean(&key.name, names()).unwrap_or_else(|| {
                    if draft.checked.ports.inputs.is_empty() {
                        "it takes no inputs".to_owned()
                    } else {
                        known(names())
                    }
                });
                let message = format!("`{}` has no input port `{}`", draft.kind.name(), key.name);
                self.out.push(Diagnostic::at(key.span, message).hint(hint));
                continue;
            };
            let mut bindings = Vec::new();
            for input in inputs {
                if let Some(diagnostic) = self.absent(input) {
                    self.missing.push((id, diagnostic));
                    continue;
                }
                match self.bind(input, port, cell, drafts, book) {
                    Ok(found) => bindings.extend(found),
                    Err(diagnostic) => self.out.push(*diagnostic),
                }
            }
            if bindings.len() > 1 && !port.many {
                let message = format!(
                    "the port `{}` of `{}` takes one {}, and {} are bound",
                    port.name,
                    draft.kind.name(),
                    port.ty.name(),
                    bindings.len()
                );
                self.out.push(
                    Diagnostic::at(key.span, message)
                        .hint("bind one cell, or join them first with `table.sql`"),
                );
            }
            upstream.extend(bindings.iter().filter_map(|b| match &b.from {
                Source::Step(id, _) => Some(*id),
                _ => None,
            }));
            bound.push((port.name.clone(), bindings));
        }
        for port in draft.checked.ports.inputs.iter().filter(|p| !p.optional) {
            if !bound.iter().any(|(name, _)| *name == port.name) {
                let message = format!(
                    "the stage `{}` lacks the input port `{}` ({})",
                    decl.name.name,
                    port.name,
                    port.ty.name()
                );
                let hint = format!("write `in: {{ {}: stage.port }}`", port.name);
                self.out.push(Diagnostic::at(decl.name.span, message).hint(hint));
            }
        }
        if draft.checked.ports.any_input.is_some() && bound.is_empty() {
            let message = format!("the stage `{}` has no inputs", decl.name.name);
            self.out.push(Diagnostic::at(decl.name.span, message).hint("write `in: { name: stage.port }`"));
        }
        bound.sort_by_key(|(name, _)| draft.checked.ports.inputs.iter().position(|p| p.name == *name));
        bound
    }

    /// What is wrong if the input is a file that is not there.
    fn absent(&self, input: &Input) -> Option<Diagnostic> {
        let InputSource::File(path) = &input.source else { return None };
        let path = ProjectPath::parse(path).ok().filter(|path| !path.below(self.root).is_file())?;
        Some(Diagnostic::at(input.span, format!("the file `{path}` does not exist in the project")))
    }

    fn bind(
        &self,
        input: &Input,
        port: &Port,
        cell: &Cell,
        drafts: &[Draft],
        book: &Cellbook,
    ) -> Result<Vec<Binding>, Box<Diagnostic>> {
        let wrong = |message: String, hint: Option<String>| {
            Box::new(Diagnostic::at(input.span, message).maybe_hint(hint))
        };
        let name_axis = || input.name.iter().map(|n| ("name".to_owned(), Value::String(n.clone())));
        match &input.source {
            InputSource::File(path) => {
                let path = ProjectPath::parse(path).map_err(|m| wrong(m, None))?;
                Ok(vec![Binding { from: Source::File(path), axes: name_axis().collect() }])
            }
            InputSource::Url { url, digest } => {
                Ok(vec![Binding { from: Source::Url(url.clone(), *digest), axes: name_axis().collect() }])
            }
            InputSource::Stage(reference) => {
                let found =
                    book.resolve(reference, &cell.axes).map_err(|(message, hint)| wrong(message, hint))?;
                let mut bindings = Vec::with_capacity(found.len());
                for (source, axes) in found {
                    let outputs = &drafts[source].checked.ports.outputs;
                    let output = choose(outputs, reference.port.as_deref(), &reference.stage)
                        .map_err(|(m, h)| wrong(m, h))?;
                    if output.ty != port.ty && port.ty != PortType::File {
                        let message = format!(
                            "`{reference}` is a {}; the port `{}` takes a {}",
                            output.ty.name(),
                            port.name,
                            port.ty.name()
                        );
                        return Err(wrong(message, None));
                    }
                    let axes = name_axis().chain(axes).collect();
                    bindings.push(Binding { from: Source::Step(source, output.name.clone()), axes });
                }
                Ok(bindings)
            }
        }
    }

    fn files(
        &mut self,
        id: StepId,
        params: Vec<FileParam>,
        written: &Written,
        upstream: &mut Vec<StepId>,
    ) -> Vec<FileBinding> {
        let mut bindings = Vec::new();
        for param in params {
            match files::find(self.root, &param, written, self.is_file) {
                Ok(found) => {
                    upstream.extend(found.iter().filter_map(|f| f.producer.as_ref().map(|(id, _)| *id)));
                    bindings.push(FileBinding {
                        param: param.param,
                        pattern: param.path,
                        form: param.form,
                        names_matter: param.names_matter,
                        found,
                    });
                }
                Err(message) => {
                    let span = self.workflow.cells[id].with.find(&param.param).span;
                    self.missing.push((id, Diagnostic::at(span, message)));
                }
            }
        }
        bindings
    }
}

/// The files of each parameter that no step writes.
fn sources(bindings: &[FileBinding], root: &Path) -> BTreeMap<String, Vec<FileIn>> {
    let there = bindings.iter().filter(|b| b.found.iter().all(|file| file.producer.is_none()));
    let named = there.map(|binding| {
        let file = |f: &FoundFile| FileIn { name: f.path.as_str().to_owned(), path: f.path.below(root) };
        (binding.param.clone(), binding.found.iter().map(file).collect())
    });
    named.collect()
}

/// The output port that a reference means.
fn choose<'p>(
    outputs: &'p [Port],
    port: Option<&str>,
    stage: &str,
) -> Result<&'p Port, (String, Option<String>)> {
    let names = || outputs.iter().map(|p| p.name.as_str());
    match port {
        Some(port) => outputs.iter().find(|p| p.name == port).ok_or_else(|| {
            let hint = suggest::hint(port, names());
            (format!("the stage `{stage}` has no output port `{port}`"), Some(hint))
        }),
        None => match outputs {
            [only] => Ok(only),
            [] => Err((format!("the stage `{stage}` has no outputs"), None)),
            _ => Err((
                format!("the stage `{stage}` has several outputs: say which as `{stage}.port`"),
                Some(known(names())),
            )),
        },
    }
}
