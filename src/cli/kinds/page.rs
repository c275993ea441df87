//! A contract as a page for people.

use serde_json::{Map, Value};

use crate::stage::{Contract, Port, PortType};

/// The page of a kind, in Markdown.
pub fn page(contract: &Contract) -> String {
    let mut out = format!("# {}\n\n{}\n", contract.name, contract.about.trim_end());
    let ports = &contract.ports;
    if !ports.inputs.is_empty() || ports.any_input.is_some() {
        out.push_str("\n## Inputs\n\n| port | type | what |\n|---|---|---|\n");
        ports.inputs.iter().for_each(|port| out.push_str(&input(port)));
        if let Some(ty) = ports.any_input {
            out.push_str(&format!("| any name | {} | bound under that name |\n", ty.name()));
        }
    }
    if !ports.outputs.is_empty() {
        out.push_str("\n## Outputs\n\n| port | type | what |\n|---|---|---|\n");
        for port in &ports.outputs {
            out.push_str(&format!("| `{}` | {} | {} |\n", port.name, ty(port), cell(&port.about)));
        }
    }
    out.push_str(&parameters(&serde_json::to_value(&contract.schema).unwrap_or_default()));
    if contract.uses_runtime {
        out.push_str(
            "\nIt runs graphs through ONNX Runtime: `provider:` says on which execution provider.\n",
        );
    }
    out.push_str(&format!("\n## Example\n\n```yaml\n{}\n```\n", contract.example.trim_end()));
    out
}

fn ty(port: &Port) -> &'static str {
    match port.ty {
        PortType::Table => "table",
        PortType::Model => "model",
        PortType::File => "file",
        PortType::Dir => "dir",
        PortType::Figure => "figure",
    }
}

fn input(port: &Port) -> String {
    let many = if port.many { ", several" } else { "" };
    let optional = if port.optional { ", may be left out" } else { "" };
    format!("| `{}` | {}{many}{optional} | {} |\n", port.name, ty(port), cell(&port.about))
}

/// Text inside a table: on one line, its bars escaped.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The table of parameters, and one of every structure that they are made of.
fn parameters(schema: &Value) -> String {
    let none = Map::new();
    let properties = |of: &Value| of.get("properties").and_then(Value::as_object).cloned();
    let Some(fields) = properties(schema).filter(|fields| !fields.is_empty()) else {
        return "\nIt has no parameters.\n".to_owned();
    };
    let definitions = schema.get("$defs").and_then(Value::as_object).unwrap_or(&none);
    let mut out = format!("\n## Parameters\n\n{}", table(&fields, schema, definitions));
    for (name, definition) in definitions {
        if let Some(fields) = properties(definition).filter(|fields| !fields.is_empty()) {
            let about = definition.get("description").and_then(Value::as_str).unwrap_or_default();
            out.push_str(&format!("\n### {name}\n\n"));
            if !about.is_empty() {
                out.push_str(&format!("{about}\n\n"));
            }
            out.push_str(&table(&fields, definition, definitions));
        }
    }
    out
}

fn table(fields: &Map<String, Value>, schema: &Value, definitions: &Map<String, Value>) -> String {
    let required = schema.get("required").and_then(Value::as_array);
    let mut out = "| name | type | default | what |\n|---|---|---|---|\n".to_owned();
    for (name, field) in fields {
        let needed = required.is_some_and(|r| r.iter().any(|n| n == name));
        let default = match field.get("default") {
            Some(Value::Null) => "none".to_owned(),
            Some(value) => format!("`{value}`"),
            None if needed => "required".to_owned(),
            None => "none".to_owned(),
        };
        let about = field.get("description").and_then(Value::as_str).unwrap_or_default();
        out.push_str(&format!(
            "| `{name}` | {} | {} | {} |\n",
            cell(&words(field, definitions)),
            cell(&default),
            cell(about)
        ));
    }
    out
}

/// A schema in words: `text`, `list of number`, `"a" or "b"`. A structure goes by its name.
fn words(schema: &Value, definitions: &Map<String, Value>) -> String {
    let of = |schema: &Value| words(schema, definitions);
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let name = target.rsplit('/').next().unwrap_or(target);
        let plain = definitions.get(name).filter(|d| d.get("properties").is_none());
        return plain.map_or_else(|| name.to_owned(), of);
    }
    if let Some(value) = schema.get("const") {
        return format!("`{value}`");
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return join(values.iter().filter(|v| !v.is_null()).map(|v| format!("`{v}`")).collect());
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(choices) = schema.get(key).and_then(Value::as_array) {
            return join(choices.iter().map(of).filter(|w| w != "nothing").collect());
        }
    }
    match schema.get("type") {
        Some(Value::String(ty)) => one(ty, schema, definitions),
        Some(Value::Array(types)) => {
            let names = types.iter().filter_map(Value::as_str).filter(|ty| *ty != "null");
            join(names.map(|ty| one(ty, schema, definitions)).collect())
        }
        _ => "anything".to_owned(),
    }
}

fn one(ty: &str, schema: &Value, definitions: &Map<String, Value>) -> String {
    let inner = |key: &str| schema.get(key).filter(|s| s.is_object()).map(|s| words(s, definitions));
    match ty {
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "null" => "nothing".to_owned(),
        "array" => inner("items").map_or("list".to_owned(), |of| format!("list of {of}")),
        "object" => {
            inner("additionalProperties").map_or("mapping".to_owned(), |of| format!("mapping to {of}"))
        }
        other => other.to_owned(),
    }
}

/// `a, b or c`.
fn join(mut parts: Vec<String>) -> String {
    parts.dedup();
    match parts.pop() {
        Some(last) if parts.is_empty() => last,
        Some(last) => format!("{} or {last}", parts.join(", ")),
        None => "anything".to_owned(),
    }
}
