//! Makes the plan: every mistake of the whole workflow is collected, then either all steps or all mistakes.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde_json::Value;

use super::bind::Cellbook;
use super::files::{self, Written};
use super::{Binding, FileBinding, Plan, ProjectPath, Source, Step, StepId, graph};
use crate::spec::suggest::{self, did_you_mean, known};
use crate::spec::{Cell, Diagnostic, Input, InputSource, Invalid, Node, Span, Workflow, Yaml, cell_name};
use crate::stage::{Complaint, Port, PortType, Ports, Stage};

/// Plans `workflow` with the kinds given.
///
/// # Errors
/// Every mistake found, with its place.
pub fn plan(
    workflow: Workflow,
    root: &Path,
    kinds: &[&'static dyn Stage],
    providers: &[String],
) -> Result<Plan, Invalid> {
    match Builder::new(&workflow, root, kinds).build(providers) {
        Ok((steps, skipped)) => {
            let upstream: Vec<Vec<StepId>> = steps.iter().map(|s| s.upstream.clone()).collect();
            let graph = graph::graph(&upstream);
            match graph::order(&graph) {
                Ok(order) => Ok(Plan { workflow, root: root.to_owned(), steps, skipped, graph, order }),
                Err(cycle) => {
                    let diagnostic = describe_cycle(&workflow, &steps, &cycle);
                    Err(Invalid { diagnostics: vec![diagnostic], sources: workflow.sources })
                }
            }
        }
        Err(diagnostics) => Err(Invalid { diagnostics, sources: workflow.sources }),
    }
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

struct Builder<'a> {
    workflow: &'a Workflow,
    root: &'a Path,
    kinds: &'a [&'static dyn Stage],
    properties: HashMap<&'static str, Vec<String>>,
    out: Vec<Diagnostic>,
}

/// A cell whose kind and parameters are known, not yet bound.
struct Draft {
    kind: &'static dyn Stage,
    params: Value,
    ports: Ports,
}

impl<'a> Builder<'a> {
    fn new(workflow: &'a Workflow, root: &'a Path, kinds: &'a [&'static dyn Stage]) -> Self {
        Builder { workflow, root, kinds, properties: HashMap::new(), out: Vec::new() }
    }

    fn build(mut self, providers: &[String]) -> Result<(Vec<Step>, Vec<String>), Vec<Diagnostic>> {
        let drafts: Vec<Option<Draft>> = self.workflow.cells.iter().map(|cell| self.draft(cell)).collect();
        if !self.out.is_empty() {
            return Err(self.out);
        }
        let drafts: Vec<Draft> = drafts.into_iter().flatten().collect();
        let written = self.written(&drafts);
        let book = Cellbook::new(self.workflow);
        let mut steps = Vec::with_capacity(drafts.len());
        for (id, cell) in self.workflow.cells.iter().enumerate() {
            let step = self.step(id, cell, &drafts, &book, &written, providers);
            steps.push(step);
        }
        if !self.out.is_empty() {
            return Err(self.out);
        }
        Ok(leave_out(steps))
    }

    fn draft(&mut self, cell: &Cell) -> Option<Draft> {
        let decl = &self.workflow.stages[cell.stage];
        let Some(kind) = self.kinds.iter().copied().find(|k| k.name() == decl.uses.0) else {
            let names = || self.kinds.iter().map(|k| k.name());
            let hint = did_you_mean(&decl.uses.0, names())
                .unwrap_or_else(|| "`sulcus kinds` lists the kinds".to_owned());
            let diagnostic =
                Diagnostic::at(decl.uses.1, format!("there is no kind `{}`", decl.uses.0)).hint(hint);
            if !self.out.iter().any(|d| d.span == diagnostic.span) {
                self.out.push(diagnostic);
            }
            return None;
        };
        if !self.known_params(kind, cell) {
            return None;
        }
        let with = match &cell.with.value {
            Yaml::Null => Value::Object(serde_json::Map::new()),
            _ => cell.with.to_json(),
        };
        match kind.normalize(with) {
            Ok(params) => {
                let ports = kind.ports(&params);
                Some(Draft { kind, params, ports })
            }
            Err(complaint) => {
                let span =
                    if matches!(cell.with.value, Yaml::Null) { decl.name.span } else { cell.with.span };
                self.out.push(place(
                    &complaint,
                    &cell.with,
                    |_| span,
                    span,
                    &cell_name(&decl.name.name, &cell.axes),
                ));
                None
            }
        }
    }

    /// Unknown parameters are found here rather than by serde, for the place of the key and the nearest name.
    fn known_params(&mut self, kind: &'static dyn Stage, cell: &Cell) -> bool {
        let properties = self.properties.entry(kind.name()).or_insert_with(|| {
            let schema = kind.contract().schema;
            // Where parameters have several forms, only the kind itself can tell which keys fit.
            let forms = ["anyOf", "oneOf", "allOf"].iter().any(|key| schema.get(*key).is_some());
            let properties = schema.get("properties").and_then(Value::as_object).filter(|_| !forms);
            properties.map(|p| p.keys().cloned().collect()).unwrap_or_default()
        });
        let Yaml::Map(entries) = &cell.with.value else {
            return true;
        };
        if properties.is_empty() {
            return true;
        }
        let before = self.out.len();
        for (key, _) in entries.iter().filter(|(key, _)| !properties.contains(&key.name)) {
            let names = || properties.iter().map(String::as_str);
            let hint = suggest::hint(&key.name, names());
            self.out.push(
                Diagnostic::at(key.span, format!("`{}` has no parameter `{}`", kind.name(), key.name))
                    .hint(hint),
            );
        }
        self.out.len() == before
    }

    fn written(&mut self, drafts: &[Draft]) -> Written {
        let mut written = Written::default();
        // What a step writes is removed before it runs.
        let sources = self.workflow.sources.iter().map(|s| s.name.clone());
        let lock = self.workflow.sources.first().map(|s| Path::new(&s.name).with_extension("lock"));
        let own: Vec<ProjectPath> = sources
            .chain(lock.map(|path| path.to_string_lossy().into_owned()))
            .filter_map(|path| ProjectPath::parse(&path).ok())
            .collect();
        for (id, draft) in drafts.iter().enumerate() {
            for port in draft.ports.outputs.iter().filter(|p| p.path.is_some()) {
                let text = port.path.as_deref().unwrap_or_default();
                let span = self.workflow.cells[id].with.find("writes").span;
                let result = match ProjectPath::parse_writable(text) {
                    Ok(path) if let Some(own) = own.iter().find(|own| own.is_in(&path)) => {
                        Err(format!("`{text}` may not be written: `{own}` belongs to this workflow"))
                    }
                    Ok(path) => written.add(path, id, &port.name).map_err(|other| {
                        let other = &self.workflow.cells[other];
                        let name = cell_name(&self.workflow.stages[other.stage].name.name, &other.axes);
                        format!("`{text}` is written by the stage `{name}` too")
                    }),
                    Err(message) => Err(message),
                };
                if let Err(message) = result {
                    self.out.push(Diagnostic::at(span, message));
                }
            }
        }
        written
    }

    fn step(
        &mut self,
        id: StepId,
        cell: &Cell,
        drafts: &[Draft],
        book: &Cellbook,
        written: &Written,
        providers: &[String],
    ) -> Step {
        let draft = &drafts[id];
        let decl = &self.workflow.stages[cell.stage];
        let mut upstream = Vec::new();
        let inputs = self.inputs(cell, draft, drafts, book, &mut upstream);
        let files = self.files(cell, draft, written, &mut upstream);
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
            params: draft.params.clone(),
            inputs,
            files,
            outputs: draft.ports.outputs.clone(),
            upstream,
            providers: cell.options.providers.clone().unwrap_or_else(|| providers.to_vec()),
            options: cell.options.clone(),
        }
    }

    fn inputs(
        &mut self,
        cell: &Cell,
        draft: &Draft,
        drafts: &[Draft],
        book: &Cellbook,
        upstream: &mut Vec<StepId>,
    ) -> Vec<(String, Vec<Binding>)> {
        let decl = &self.workflow.stages[cell.stage];
        let mut bound: Vec<(String, Vec<Binding>)> = Vec::new();
        for (key, inputs) in &cell.inputs {
            let known_port = draft.ports.inputs.iter().find(|p| p.name == key.name);
            let any = draft.ports.any_input.map(|ty| Port::new(&key.name, ty, "").many());
            let Some(port) = known_port.or(any.as_ref()) else {
                let names = || draft.ports.inputs.iter().map(|p| p.name.as_str());
                let hint = did_you_mean(&key.name, names()).unwrap_or_else(|| {
                    if draft.ports.inputs.is_empty() {
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
        for port in draft.ports.inputs.iter().filter(|p| !p.optional) {
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
        if draft.ports.any_input.is_some() && bound.is_empty() {
            let message = format!("the stage `{}` has no inputs", decl.name.name);
            self.out.push(Diagnostic::at(decl.name.span, message).hint("write `in: { name: stage.port }`"));
        }
        bound.sort_by_key(|(name, _)| draft.ports.inputs.iter().position(|p| p.name == *name));
        bound
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
                if !path.below(self.root).is_file() {
                    return Err(wrong(format!("the file `{path}` does not exist in the project"), None));
                }
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
                    let outputs = &drafts[source].ports.outputs;
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
        cell: &Cell,
        draft: &Draft,
        written: &Written,
        upstream: &mut Vec<StepId>,
    ) -> Vec<FileBinding> {
        let mut bindings = Vec::new();
        for param in draft.kind.files(&draft.params) {
            match files::find(self.root, &param, written) {
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
                Err(message) => self.out.push(Diagnostic::at(cell.with.find(&param.param).span, message)),
            }
        }
        bindings
    }
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

/// Takes out the steps that `when: false` leaves out, and those that depend on nothing else any more.
fn leave_out(steps: Vec<Step>) -> (Vec<Step>, Vec<String>) {
    if steps.iter().all(|s| s.options.when != Some(false)) {
        return (steps, Vec::new());
    }
    let mut out: Vec<bool> = steps.iter().map(|s| s.options.when == Some(false)).collect();
    loop {
        let more: Vec<StepId> =
            (0..steps.len()).filter(|id| !out[*id] && starves(&steps[*id], &out)).collect();
        if more.is_empty() {
            break;
        }
        more.into_iter().for_each(|id| out[id] = true);
    }
    let mut renumber = vec![0; steps.len()];
    let mut kept = Vec::new();
    let mut skipped = Vec::new();
    for (id, step) in steps.into_iter().enumerate() {
        if out[id] {
            skipped.push(step.name);
        } else {
            renumber[id] = kept.len();
            kept.push(step);
        }
    }
    for step in &mut kept {
        step.upstream.retain(|id| !out[*id]);
        step.upstream.iter_mut().for_each(|id| *id = renumber[*id]);
        for (_, bindings) in &mut step.inputs {
            bindings.retain(|b| !matches!(&b.from, Source::Step(id, _) if out[*id]));
            for binding in bindings.iter_mut() {
                if let Source::Step(id, _) = &mut binding.from {
                    *id = renumber[*id];
                }
            }
        }
        for producer in step.files.iter_mut().flat_map(|f| &mut f.found).filter_map(|f| f.producer.as_mut()) {
            producer.0 = renumber[producer.0];
        }
    }
    (kept, skipped)
}

/// Has a port lost everything bound to it, or a file parameter one of its files?
fn starves(step: &Step, out: &[bool]) -> bool {
    let gone = |binding: &Binding| matches!(&binding.from, Source::Step(id, _) if out[*id]);
    let port = step.inputs.iter().any(|(_, bindings)| !bindings.is_empty() && bindings.iter().all(gone));
    let file =
        step.files.iter().flat_map(|f| &f.found).any(|f| f.producer.as_ref().is_some_and(|(id, _)| out[*id]));
    port || file
}

/// A kind's complaint with its place in the file.
pub(super) fn place(
    complaint: &Complaint,
    with: &Node,
    port_span: impl Fn(&str) -> Span,
    stage_span: Span,
    step: &str,
) -> Diagnostic {
    let span = match complaint.at.as_deref() {
        Some(at) if at.starts_with("in.") => port_span(&at[3..]),
        Some(at) => {
            let node = with.find(at);
            let mut span = if matches!(node.value, Yaml::Null) { stage_span } else { node.span };
            if let (Some(range), Yaml::Str(text)) = (&complaint.within, &node.value) {
                span = within(span, text, range);
            }
            span
        }
        None if matches!(with.value, Yaml::Null) => stage_span,
        None => with.span,
    };
    let at = complaint.at.as_deref().map_or(String::new(), |at| format!(" `{at}`"));
    let message = format!("stage `{step}`{at}: {}", complaint.message);
    Diagnostic { span: Some(span), message, hint: complaint.hint.clone() }
}

/// The place of a byte range inside a text that stands on one line; a block text keeps its beginning.
fn within(span: Span, text: &str, range: &std::ops::Range<usize>) -> Span {
    let Some(before) = text.get(..range.start).filter(|b| !b.contains('\n')) else {
        return span;
    };
    let shift = before.chars().count() as u32;
    let plain = span.len as usize == text.chars().count();
    Span { column: span.column + shift + u32::from(!plain), len: (range.len() as u32).max(1), ..span }
}
