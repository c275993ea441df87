//! `matrix`: which cells a stage has.

use std::collections::HashMap;

use serde_json::Value;

use super::fields::entries;
use super::reference::is_name;
use super::suggest::did_you_mean;
use super::template::Scope;
use super::{Diagnostic, Node, Yaml};
use crate::stage::Axes;

/// More cells than this in one stage are a mistake.
const MAX_CELLS: usize = 1_000_000;

/// The cells that `matrix: <node>` means: a mapping of axes to lists of scalars (every combination,
/// the first axis slowest), the name of a stage (its cells), or a list of such (combined).
pub(super) fn cells(
    node: &Node,
    scope: &Scope,
    known: &HashMap<String, Vec<Axes>>,
) -> Result<Vec<Axes>, Diagnostic> {
    match &node.value {
        Yaml::Str(text) if !text.contains("${") => known.get(text.as_str()).cloned().ok_or_else(|| {
            let hint = did_you_mean(text, known.keys().map(String::as_str));
            let hint = hint.unwrap_or_else(|| {
                "name a stage that stands above, or write `{ axis: [values] }`".to_owned()
            });
            Diagnostic::at(
                node.span,
                format!("`matrix` names the stage `{text}`, which does not stand above"),
            )
            .hint(hint)
        }),
        Yaml::Seq(items) => {
            let mut all = vec![Axes::new()];
            for item in items {
                all = product(&all, &cells(item, scope, known)?, item)?;
            }
            Ok(all)
        }
        _ => {
            let node = scope.resolve(node)?;
            let mut all = vec![Axes::new()];
            for (axis, values) in entries(&node, "`matrix`")? {
                if !is_name(&axis.name) {
                    let message =
                        format!("`{}` is not an axis name: letters, digits, `_` and `-`", axis.name);
                    return Err(Diagnostic::at(axis.span, message));
                }
                let cells: Vec<Axes> =
                    scalars(values)?.into_iter().map(|value| vec![(axis.name.clone(), value)]).collect();
                all = product(&all, &cells, values)?;
            }
            Ok(all)
        }
    }
}

fn scalars(node: &Node) -> Result<Vec<Value>, Diagnostic> {
    let Yaml::Seq(items) = &node.value else {
        return Err(Diagnostic::at(
            node.span,
            format!("an axis is a list of values, not {}", node.describe()),
        ));
    };
    if items.is_empty() {
        return Err(Diagnostic::at(node.span, "an axis needs at least one value"));
    }
    let mut values: Vec<Value> = Vec::with_capacity(items.len());
    for item in items {
        if matches!(item.value, Yaml::Seq(_) | Yaml::Map(_) | Yaml::Null) {
            let message = format!("an axis value is a text, a number or true/false, not {}", item.describe());
            return Err(Diagnostic::at(item.span, message)
                .hint("put structures under `params` and look them up by name: ${params.variants.a}"));
        }
        let value = item.to_json();
        if values.iter().any(|v| label(v) == label(&value)) {
            return Err(Diagnostic::at(item.span, format!("the axis value {value} stands twice")));
        }
        values.push(value);
    }
    Ok(values)
}

/// Every combination; axes that both sides have must agree.
fn product(left: &[Axes], right: &[Axes], node: &Node) -> Result<Vec<Axes>, Diagnostic> {
    let mut out = Vec::new();
    for a in left {
        for b in right {
            let agrees = b.iter().all(|(axis, value)| a.iter().all(|(x, v)| x != axis || v == value));
            if agrees {
                let mut cell = a.clone();
                cell.extend(b.iter().filter(|(axis, _)| !a.iter().any(|(x, _)| x == axis)).cloned());
                out.push(cell);
            }
            if out.len() > MAX_CELLS {
                return Err(Diagnostic::at(
                    node.span,
                    format!("this matrix has more than {MAX_CELLS} cells"),
                ));
            }
        }
    }
    Ok(out)
}

/// An axis value as it stands in names and paths.
pub fn label(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `stage`, or `stage[seed=0,lr=0.1]`.
pub fn cell_name(stage: &str, axes: &Axes) -> String {
    if axes.is_empty() {
        return stage.to_owned();
    }
    let shown: Vec<String> = axes.iter().map(|(axis, value)| format!("{axis}={}", label(value))).collect();
    format!("{stage}[{}]", shown.join(","))
}
