//! Reading the fields of a mapping: known keys, expected types, places.

use super::suggest::hint;
use super::{Diagnostic, Key, Node, Yaml};

/// The entries of a mapping; nothing counts as an empty one.
pub fn entries<'a>(node: &'a Node, what: &str) -> Result<&'a [(Key, Node)], Diagnostic> {
    match &node.value {
        Yaml::Map(entries) => Ok(entries),
        Yaml::Null => Ok(&[]),
        _ => Err(Diagnostic::at(node.span, format!("{what} is a mapping, not {}", node.describe()))),
    }
}

/// A complaint for every key that is not in `allowed`.
pub fn check_keys(entries: &[(Key, Node)], allowed: &[&str], what: &str, out: &mut Vec<Diagnostic>) {
    for (key, _) in entries.iter().filter(|(k, _)| !allowed.contains(&k.name.as_str())) {
        let near = hint(&key.name, allowed.iter().copied());
        out.push(Diagnostic::at(key.span, format!("{what} has no key `{}`", key.name)).hint(near));
    }
}

/// A text.
pub fn text<'a>(node: &'a Node, what: &str) -> Result<&'a str, Diagnostic> {
    node.as_str().ok_or_else(|| expected(node, what, "a text"))
}

/// A list of texts; a single text counts as a list of one.
pub fn texts(node: &Node, what: &str) -> Result<Vec<String>, Diagnostic> {
    match &node.value {
        Yaml::Str(text) => Ok(vec![text.clone()]),
        Yaml::Seq(items) => items.iter().map(|item| text(item, what).map(str::to_owned)).collect(),
        _ => Err(expected(node, what, "a text or a list of texts")),
    }
}

/// A whole number of at least `least`.
pub fn count(node: &Node, what: &str, least: i64) -> Result<u64, Diagnostic> {
    match node.value {
        Yaml::Int(value) if value >= least => Ok(value.unsigned_abs()),
        _ => Err(expected(node, what, &format!("a whole number of at least {least}"))),
    }
}

/// A number that is not negative.
pub fn amount(node: &Node, what: &str) -> Result<f64, Diagnostic> {
    match node.value {
        Yaml::Int(value) if value >= 0 => Ok(value as f64),
        Yaml::Float(value) if value >= 0.0 => Ok(value),
        _ => Err(expected(node, what, "a number that is not negative")),
    }
}

/// `true` or `false`.
pub fn flag(node: &Node, what: &str) -> Result<bool, Diagnostic> {
    match node.value {
        Yaml::Bool(value) => Ok(value),
        _ => Err(expected(node, what, "true or false")),
    }
}

fn expected(node: &Node, what: &str, kind: &str) -> Diagnostic {
    Diagnostic::at(node.span, format!("{what} is {kind}, not {}", node.describe()))
}
