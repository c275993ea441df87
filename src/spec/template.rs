//! `${params.x}`, `${matrix.x}` and `${env.X}`: typed values when they are the whole text, text otherwise.
//!
//! Only these three namespaces are replaced: `${HOME}` has no dot and is left to the shell, and
//! `$${params.x}` stands for the characters `${params.x}`. An item `${params.xs[*]}` of a list is
//! spliced into it.

use serde_json::Value;

use super::suggest::{did_you_mean, known};
use super::{Diagnostic, Node, Span, Yaml};

/// The values that templates may name.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The workflow's parameters after overrides.
    pub params: serde_json::Map<String, Value>,
    /// The axes of the current cell.
    pub matrix: serde_json::Map<String, Value>,
    /// Declared environment variables.
    pub env: serde_json::Map<String, Value>,
    /// Parameters of the kind whose stages these are, where they are a kind's.
    pub with: Option<serde_json::Map<String, Value>>,
}

impl Scope {
    /// Replaces every template in `node`; places stay those of the file.
    ///
    /// # Errors
    /// Names an unknown namespace or name, with the nearest known one.
    pub fn resolve(&self, node: &Node) -> Result<Node, Diagnostic> {
        let value = match &node.value {
            Yaml::Str(text) if text.contains("${") => return self.text(text, node.span),
            Yaml::Seq(items) => {
                let mut out = Vec::with_capacity(items.len());
                for item in items {
                    match splice(item) {
                        Some(path) => out.extend(self.list(path, item.span)?),
                        None => out.push(self.resolve(item)?),
                    }
                }
                Yaml::Seq(out)
            }
            Yaml::Map(entries) => {
                let mut out = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    out.push((key.clone(), self.resolve(value)?));
                }
                Yaml::Map(out)
            }
            other => other.clone(),
        };
        Ok(Node { span: node.span, value })
    }

    fn text(&self, text: &str, span: Span) -> Result<Node, Diagnostic> {
        if let Some(path) = whole(text) {
            return Ok(from_json(self.lookup(path, span)?, span));
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let Some(end) = rest[start..].find('}').map(|e| start + e) else {
                break;
            };
            let path = &rest[start + 2..end];
            if rest[..start].ends_with('$') {
                out.push_str(&rest[..start - 1]);
                out.push_str(&rest[start..=end]);
            } else if path.contains('.') {
                out.push_str(&rest[..start]);
                out.push_str(&plain(self.lookup(path, span)?));
            } else {
                out.push_str(&rest[..=end]);
            }
            rest = &rest[end + 1..];
        }
        out.push_str(rest);
        Ok(Node { span, value: Yaml::Str(out) })
    }

    fn list(&self, path: &str, span: Span) -> Result<Vec<Node>, Diagnostic> {
        match self.lookup(path, span)? {
            Value::Array(items) => Ok(items.iter().map(|v| from_json(v, span)).collect()),
            other => Err(Diagnostic::at(
                span,
                format!("`{path}` is {other}, not a list, so `[*]` cannot splice it"),
            )),
        }
    }

    fn lookup(&self, path: &str, span: Span) -> Result<&Value, Diagnostic> {
        let path = path.trim();
        let (namespace, rest) = path.split_once('.').unwrap_or((path, ""));
        let unknown = |name: &str, what: &str, names: Vec<&str>| {
            let hint = did_you_mean(name, names.iter().copied());
            let hint = hint.unwrap_or_else(|| {
                if names.is_empty() { format!("no {what} is declared") } else { known(names) }
            });
            Err(Diagnostic::at(span, format!("`${{{path}}}` names an unknown {what} `{name}`")).hint(hint))
        };
        let map = match (namespace, &self.with) {
            ("with", Some(with)) => with,
            ("params", _) => &self.params,
            ("matrix", _) => &self.matrix,
            ("env", _) => {
                return self.env.get(rest).ok_or_else(|| {
                    Diagnostic::at(span, format!("`${{{path}}}` is not declared"))
                        .hint(format!("declare it at the top of the file: `env: [{rest}]`"))
                });
            }
            (other, Some(_)) => return unknown(other, "namespace", vec!["with", "matrix", "env"]),
            (other, None) => return unknown(other, "namespace", vec!["params", "matrix", "env"]),
        };
        let what = if namespace == "matrix" { "axis" } else { "parameter" };
        let mut parts = rest.split(['.', '[', ']']).filter(|p| !p.is_empty());
        let first = parts.next().unwrap_or("");
        let Some(mut value) = map.get(first) else {
            return unknown(first, what, map.keys().map(String::as_str).collect());
        };
        for part in parts {
            let next = match value {
                Value::Object(fields) => fields.get(part),
                Value::Array(items) => part.parse::<usize>().ok().and_then(|i| items.get(i)),
                _ => None,
            };
            let Some(next) = next else {
                return Err(Diagnostic::at(span, format!("`${{{path}}}`: there is no `{part}` in {value}")));
            };
            value = next;
        }
        Ok(value)
    }
}

/// The path inside a text that is one template and nothing else.
fn whole(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("${")?.strip_suffix('}')?;
    (inner.contains('.') && !inner.contains(['{', '}'])).then_some(inner)
}

fn splice(item: &Node) -> Option<&str> {
    whole(item.as_str()?)?.strip_suffix("[*]")
}

/// A value inside longer text.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A JSON value as a node standing at `span`.
pub fn from_json(value: &Value, span: Span) -> Node {
    let value = match value {
        Value::Null => Yaml::Null,
        Value::Bool(b) => Yaml::Bool(*b),
        Value::Number(n) => n.as_i64().map_or_else(|| Yaml::Float(n.as_f64().unwrap_or(f64::MAX)), Yaml::Int),
        Value::String(s) => Yaml::Str(s.clone()),
        Value::Array(items) => Yaml::Seq(items.iter().map(|v| from_json(v, span)).collect()),
        Value::Object(fields) => Yaml::Map(
            fields.iter().map(|(k, v)| (super::Key { span, name: k.clone() }, from_json(v, span))).collect(),
        ),
    };
    Node { span, value }
}
