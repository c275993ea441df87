//! The manifest: one `field value` a line, the same for the same work on any machine.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use crate::plan::Step;
use crate::stage::{Axes, Digest, FileForm, PortType, Reads, TableFacts};

/// Raised when the manifest's form changes: every key changes with it.
const FORM: u32 = 1;

/// What a step reads, in the words of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest(Vec<(String, String)>);

/// One artefact bound to a port, as far as the key is concerned.
pub struct InputPart<'a> {
    /// Its port type.
    pub ty: PortType,
    /// The axes that were gathered.
    pub axes: &'a Axes,
    /// Digest of its bytes.
    pub object: Digest,
    /// For a table, what is known of its values.
    pub table: Option<&'a TableFacts>,
}

/// The parts of a key that the plan does not hold.
pub struct Part<'a> {
    /// Bound artefacts by port, in the order of the bindings.
    pub inputs: Vec<(&'a str, Vec<InputPart<'a>>)>,
    /// Digest of every file of every file parameter, in the order of the plan.
    pub files: Vec<Vec<Digest>>,
    /// What is read of each port; others whole.
    pub reads: BTreeMap<String, Reads>,
    /// Declared environment variables that the step sees.
    pub env: Vec<(&'a str, &'a str)>,
    /// Runtime and provider, for kinds that run graphs.
    pub runtime: Option<&'a str>,
}

impl Manifest {
    /// The manifest of `step`.
    pub fn new(step: &Step, part: &Part) -> Self {
        let mut lines = Vec::with_capacity(8);
        lines.push(("manifest".to_owned(), FORM.to_string()));
        lines.push(("kind".to_owned(), format!("{} {}", step.kind.name(), step.kind.revision())));
        params(step, &mut lines);
        if let Some(runtime) = part.runtime {
            lines.push(("runtime".to_owned(), runtime.to_owned()));
        }
        for (name, value) in &part.env {
            lines.push((format!("env.{name}"), canonical(&Value::String((*value).to_owned()))));
        }
        for (binding, digests) in step.files.iter().zip(&part.files) {
            let field = format!("file.{}", binding.param);
            for (file, digest) in binding.found.iter().zip(digests) {
                let name = if binding.names_matter {
                    binding.name_of(file).to_owned()
                } else {
                    file.path.extension().map_or(String::new(), |e| format!(".{e}"))
                };
                lines.push((field.clone(), format!("{} {digest}", canonical(&Value::String(name)))));
            }
        }
        for (port, inputs) in &part.inputs {
            for (index, input) in inputs.iter().enumerate() {
                let field =
                    if inputs.len() == 1 { format!("in.{port}") } else { format!("in.{port}.{index}") };
                input_lines(&field, input, part.reads.get(*port).unwrap_or(&Reads::All), &mut lines);
            }
        }
        Manifest(lines)
    }

    /// The text that is hashed and stored.
    pub fn text(&self) -> String {
        let mut out = String::with_capacity(self.0.len() * 80);
        for (field, value) in &self.0 {
            let _ = writeln!(out, "{field} {value}");
        }
        out
    }

    /// Reads a text that [`Manifest::text`] wrote.
    pub fn parse(text: &str) -> Self {
        let split = |line: &str| {
            line.split_once(' ')
                .map_or((line.to_owned(), String::new()), |(f, v)| (f.to_owned(), v.to_owned()))
        };
        Manifest(text.lines().map(split).collect())
    }

    /// Without what it says of the artefacts at a port or of the files of a parameter.
    #[must_use]
    pub fn without(&self, source: &str) -> Self {
        let fields = [format!("in.{source}"), format!("file.{source}")];
        let of_source = |name: &str| {
            let rest = fields.iter().find_map(|field| name.strip_prefix(field.as_str()));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        Manifest(self.0.iter().filter(|(name, _)| !of_source(name)).cloned().collect())
    }

    /// The key.
    pub fn key(&self) -> Digest {
        Digest::of(self.text().as_bytes())
    }

    /// Field and value of every line.
    pub fn lines(&self) -> &[(String, String)] {
        &self.0
    }
}

/// One line a parameter. The text of a path parameter is left out where only its bytes matter.
fn params(step: &Step, lines: &mut Vec<(String, String)>) {
    let hidden: Vec<&str> = step
        .files
        .iter()
        .filter(|f| !f.names_matter || f.form == FileForm::Folder)
        .map(|f| f.param.as_str())
        .collect();
    let Value::Object(fields) = &step.params else {
        return;
    };
    let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    for (name, value) in sorted {
        if hidden.contains(&name.as_str()) {
            continue;
        }
        let nested = hidden.iter().filter_map(|path| path.strip_prefix(name.as_str())?.strip_prefix('.'));
        let mut value = value.clone();
        nested.for_each(|path| blank(&mut value, path));
        lines.push((format!("with.{name}"), canonical(&value)));
    }
}

fn blank(value: &mut Value, path: &str) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(f, r)| (f, Some(r)));
    let slot = match value {
        Value::Object(fields) => fields.get_mut(first),
        Value::Array(items) => first.parse::<usize>().ok().and_then(|i| items.get_mut(i)),
        _ => None,
    };
    match (slot, rest) {
        (Some(slot), Some(rest)) => blank(slot, rest),
        (Some(slot), None) => *slot = Value::Null,
        _ => {}
    }
}

fn input_lines(field: &str, input: &InputPart, reads: &Reads, lines: &mut Vec<(String, String)>) {
    for (axis, value) in input.axes {
        lines.push((format!("{field}.axis.{axis}"), canonical(value)));
    }
    let known = input.table.filter(|t| t.columns.iter().all(|c| c.digest.is_some()));
    let Some(table) = known else {
        lines.push((field.to_owned(), format!("{} {}", input.ty.name(), input.object)));
        return;
    };
    lines.push((format!("{field}.rows"), table.rows.unwrap_or_default().to_string()));
    if *reads == Reads::All {
        let names: Vec<Value> = table.columns.iter().map(|c| Value::String(c.name.clone())).collect();
        lines.push((format!("{field}.columns"), canonical(&Value::Array(names))));
    }
    for column in &table.columns {
        let read = match reads {
            Reads::All => true,
            Reads::Columns(names) => names.contains(&column.name),
        };
        if let (true, Some(digest)) = (read, column.digest) {
            lines.push((
                format!("{field}.column.{}", escape(&column.name)),
                format!("{} {digest}", column_type(column)),
            ));
        }
    }
}

fn column_type(column: &crate::stage::Column) -> String {
    match &column.shape {
        Some(shape) => format!("{}{shape:?}", column.dtype).replace(' ', ""),
        None => column.dtype.clone(),
    }
}

/// Field names hold no blanks and no line breaks.
fn escape(name: &str) -> String {
    if name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')) {
        name.to_owned()
    } else {
        canonical(&Value::String(name.to_owned())).replace(' ', "\\u0020")
    }
}

/// The digest of a table's values: schema, number of rows and the digests of its columns.
pub fn table_digest(table: &TableFacts) -> Option<Digest> {
    let mut text = format!("table {}\n", table.rows?);
    for column in &table.columns {
        let _ = writeln!(text, "{} {} {}", escape(&column.name), column_type(column), column.digest?);
    }
    Some(Digest::of(text.as_bytes()))
}

/// JSON on one line with sorted keys: equal values give equal texts.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            let shown: Vec<String> = sorted
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::String(name.clone()), canonical(value)))
                .collect();
            format!("{{{}}}", shown.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn canonical_sorts_keys_at_every_depth() {
        let a = json!({"b": [{"y": 1, "x": 2}], "a": null});
        let b = json!({"a": null, "b": [{"x": 2, "y": 1}]});
        assert_eq!(canonical(&a), canonical(&b));
        assert_eq!(canonical(&a), r#"{"a":null,"b":[{"x":2,"y":1}]}"#);
    }

    proptest! {
        #[test]
        fn a_manifest_reads_back(lines in proptest::collection::vec(("[a-z.]{1,12}", "[ -~]{0,20}"), 0..10)) {
            let manifest = Manifest(lines);
            prop_assert_eq!(Manifest::parse(&manifest.text()), manifest);
        }

        #[test]
        fn column_names_never_break_a_line(name in "\\PC{0,10}|[a \n\"]{0,6}") {
            prop_assert!(!escape(&name).contains([' ', '\n']));
        }
    }
}
