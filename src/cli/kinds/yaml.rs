//! A contract as YAML.

use serde_json::{Map, Value, json};

use crate::stage::{Contract, Port};

/// The contract of a kind as a YAML file.
pub fn contract_yaml(contract: &Contract) -> String {
    let mut inputs = ports(&contract.ports.inputs);
    for input in inputs.values_mut().filter_map(Value::as_object_mut) {
        // Only outputs are written to files.
        input.shift_remove("extension");
    }
    if let Some(ty) = contract.ports.any_input {
        inputs.insert("*".to_owned(), json!({"type": ty.name(), "about": "any further name"}));
    }
    let mut schema = serde_json::to_value(&contract.schema).unwrap_or_default();
    if let Some(fields) = schema.as_object_mut() {
        for field in ["$schema", "title", "description"] {
            fields.shift_remove(field);
        }
    }
    let body = json!({
        "kind": contract.name,
        "revision": contract.revision,
        "about": format!("{}\n", contract.about.trim_end()),
        "uses_runtime": contract.uses_runtime,
        "in": inputs,
        "out": ports(&contract.ports.outputs),
        "with": schema,
        "example": contract.example,
    });
    let mut out = "# Written by `sulcus kinds --write`: change the kind, not this file.\n".to_owned();
    block(&body, 0, &mut out);
    out
}

fn ports(ports: &[Port]) -> Map<String, Value> {
    let port = |port: &Port| {
        let mut value = serde_json::to_value(port).unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            fields.shift_remove("name");
        }
        (port.name.clone(), value)
    };
    ports.iter().map(port).collect()
}

/// Writes a mapping or a list as a block, a line an entry.
fn block(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                out.push_str(&format!("{pad}{}:", scalar(name)));
                entry(value, indent, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                out.push_str(&format!("{pad}-"));
                entry(item, indent, out);
            }
        }
        other => out.push_str(&format!("{pad}{other}\n")),
    }
}

/// Writes what follows a `name:` or a `-`.
fn entry(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push('\n');
            block(value, indent + 2, out);
        }
        Value::Array(items) if items.iter().any(|i| i.is_object() || i.is_array()) => {
            out.push('\n');
            block(value, indent + 2, out);
        }
        Value::Array(items) => {
            let shown: Vec<String> = items.iter().map(flow).collect();
            out.push_str(&format!(" [{}]\n", shown.join(", ")));
        }
        Value::String(text) if text.ends_with('\n') && is_literal(text) => {
            let pad = " ".repeat(indent + 2);
            out.push_str(" |\n");
            for line in text.lines() {
                out.push_str(if line.is_empty() { "" } else { &pad });
                out.push_str(line);
                out.push('\n');
            }
        }
        other => out.push_str(&format!(" {}\n", flow(other))),
    }
}

/// Can the text stand in a literal block as it is?
fn is_literal(text: &str) -> bool {
    let safe = |c: char| c == '\n' || !c.is_control();
    !text.starts_with([' ', '\n']) && !text.ends_with("\n\n") && text.chars().all(safe)
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A text as it is where YAML reads it as the same text, else in JSON's quotes, which YAML has too.
fn scalar(text: &str) -> String {
    let word =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ' | '(' | ')' | ';' | '+');
    let plain = text.starts_with(|c: char| c.is_alphabetic())
        && !text.ends_with(' ')
        && text.chars().all(word)
        && !matches!(
            text.to_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if plain { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_reads_back() {
        let value = json!({
            "a": {"b": [1, 2.5, null, true], "c": [], "d": {}, "e": [{"x": "y: z", "w": [[1], []]}]},
            "text": "one\n  two\n\nthree\n", "odd": " x\n", "yes": "no", "*": "# not a comment", "1": "1e3",
            "quote": "a \"b\" \\ 'c'", "tail": "a\n\n",
        });
        let mut out = String::new();
        block(&value, 0, &mut out);
        let back = crate::spec::parse(out.as_bytes(), 0).unwrap_or_else(|d| panic!("{}\n{out}", d.message));
        assert_eq!(back.to_json(), value, "{out}");
    }
}
