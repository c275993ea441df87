//! Drafts: cells whose kind is found and whose parameters are checked, not yet bound to each other.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use super::ProjectPath;
use super::files::Written;
use super::place::place;
use crate::spec::suggest::{self, did_you_mean};
use crate::spec::{Cell, Diagnostic, Workflow, Yaml, cell_name};
use crate::stage::{Checked, Stage};

/// A cell whose kind and parameters are known.
pub(super) struct Draft {
    pub(super) kind: &'static dyn Stage,
    pub(super) checked: Checked,
}

/// Drafts every cell, and notes what each writes.
///
/// # Errors
/// Every mistake found.
pub(super) fn drafts(
    workflow: &Workflow,
    kinds: &[&'static dyn Stage],
) -> Result<(Vec<Draft>, Written), Vec<Diagnostic>> {
    let mut drafter = Drafter { workflow, kinds, properties: HashMap::new(), out: Vec::new() };
    let drafts: Vec<Draft> = workflow.cells.iter().filter_map(|cell| drafter.draft(cell)).collect();
    if !drafter.out.is_empty() {
        return Err(drafter.out);
    }
    let written = drafter.written(&drafts);
    if drafter.out.is_empty() { Ok((drafts, written)) } else { Err(drafter.out) }
}

struct Drafter<'a> {
    workflow: &'a Workflow,
    kinds: &'a [&'static dyn Stage],
    properties: HashMap<&'static str, Vec<String>>,
    out: Vec<Diagnostic>,
}

impl Drafter<'_> {
    fn draft(&mut self, cell: &Cell) -> Option<Draft> {
        let decl = &self.workflow.stages[cell.stage];
        let Some(kind) = self.kinds.iter().copied().find(|k| k.name() == decl.uses.0) else {
            let names = || self.kinds.iter().map(|k| k.name());
            let lacks = || crate::stage::LACKS.map(str::to_owned);
            let hint = did_you_mean(&decl.uses.0, names()).or_else(lacks).unwrap_or_else(|| {
                format!("`sulcus kinds` lists the kinds; one of your own is `stages/{}.yaml`", decl.uses.0)
            });
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
        match kind.check(&with) {
            Ok(checked) => Some(Draft { kind, checked }),
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

    /// What the drafts say that they write; two must not write the same.
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
            for port in draft.checked.ports.outputs.iter().filter(|p| p.path.is_some()) {
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
}
