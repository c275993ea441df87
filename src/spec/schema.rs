//! JSON Schema of the workflow file, the kinds apart.

use serde_json::{Value, json};

/// What every workflow file may say. `$defs.stage` describes a stage; kinds are added by whoever knows them.
pub fn skeleton() -> Value {
    let described = |text: &str, mut schema: Value| {
        schema["description"] = Value::String(text.to_owned());
        schema
    };
    let texts = || json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]});
    let amounts = || json!({"type": "object", "additionalProperties": {"type": "number", "minimum": 0}});
    let options = json!({
        "provider": described("Execution providers in order of preference: cpu, cuda, openvino, …", texts()),
        "threads": described("Threads that a step may use", json!({"anyOf": [{"type": "integer", "minimum": 1}, {"$ref": "#/$defs/template"}]})),
        "retries": described("How often a failed step is tried again", json!({"anyOf": [{"type": "integer", "minimum": 0}, {"$ref": "#/$defs/template"}]})),
        "timeout": described("After this time a step is stopped and has failed: 90s, 15m, 2h", json!({"anyOf": [{"type": "number"}, {"type": "string"}]})),
        "when": described("False: the stage and what depends on it are left out; also `a == b` and `a != b`", json!({"anyOf": [{"type": "boolean"}, {"type": "string"}]})),
        "tags": described("Words to select stages by: sulcus run @tag", texts()),
        "resources": described("Amounts taken of named resources while a step runs", amounts()),
        "cache": described("False: the result is not kept in the store and the stage runs every time", json!({"anyOf": [{"type": "boolean"}, {"$ref": "#/$defs/template"}]})),
    });
    let mut stage = json!({
        "uses": described("The kind of stage; `sulcus kinds` lists them", json!({"type": "string"})),
        "about": described("What the stage is about", json!({"type": "string"})),
        "in": described("What is bound to each input port", json!({"type": "object", "additionalProperties": {"$ref": "#/$defs/input"}})),
        "with": described("Parameters of the kind", json!({"type": ["object", "null"]})),
        "matrix": described("Expands the stage into cells: axes with their values, or a stage whose cells to follow", json!({"anyOf": [
            {"type": "string"}, {"type": "array"},
            {"type": "object", "additionalProperties": {"anyOf": [{"type": "array", "minItems": 1}, {"$ref": "#/$defs/template"}]}},
        ]})),
        "needs": described("Stages that must be finished first although nothing of them is read", texts()),
    });
    for (name, option) in options.as_object().into_iter().flatten() {
        stage[name] = option.clone();
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A sulcus workflow",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "name": described("The workflow's name; results lie under results/<name>", json!({"type": "string"})),
            "about": described("What the workflow is about", json!({"type": "string"})),
            "params": described("Parameters: ${params.x} in the file, -p x=… on the command line", json!({"type": "object"})),
            "env": described("Environment variables that are read: ${env.X}, and what commands see", texts()),
            "include": described("Other workflow files whose stages and parameters belong to this one", texts()),
            "defaults": described("Options of every stage that does not say otherwise", json!({"type": "object", "additionalProperties": false, "properties": options})),
            "resources": described("Amounts of named resources that the machine has", amounts()),
            "stages": described("The stages by name", json!({"type": "object", "additionalProperties": {"$ref": "#/$defs/stage"}})),
        },
        "$defs": {
            "template": {"type": "string", "pattern": "\\$\\{[^}]*\\}"},
            "input": {"anyOf": [
                {"type": "string", "description": "stage, stage.port, stage[axis=value].port or stage[*].port"},
                {"type": "object", "required": ["file"], "additionalProperties": false, "properties": {
                    "file": described("A file of the project", json!({"type": "string"})),
                }},
                {"type": "object", "required": ["url", "blake3"], "additionalProperties": false, "properties": {
                    "url": described("Where to fetch it", json!({"type": "string"})),
                    "blake3": described("What its bytes hash to", json!({"type": "string", "pattern": "^[0-9a-f]{64}$"})),
                }},
                {"type": "array", "items": {"$ref": "#/$defs/input"}},
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/input"}},
            ]},
            "stage": {"type": "object", "required": ["uses"], "additionalProperties": false, "properties": stage},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::options::OPTION_KEYS;
    use super::super::workflow::{STAGE_KEYS, TOP_KEYS};
    use super::*;

    #[test]
    fn every_key_is_described_and_no_other() {
        let schema = skeleton();
        let keys = |at: &str| {
            let properties = schema.pointer(at).and_then(Value::as_object).unwrap();
            assert!(properties.values().all(|p| p["description"].is_string()), "{at}");
            let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
            keys.sort_unstable();
            keys.join(" ")
        };
        let sorted = |keys: &[&[&str]]| {
            let mut keys = keys.concat();
            keys.sort_unstable();
            keys.join(" ")
        };
        assert_eq!(keys("/properties"), sorted(&[TOP_KEYS]));
        assert_eq!(keys("/properties/defaults/properties"), sorted(&[OPTION_KEYS]));
        assert_eq!(keys("/$defs/stage/properties"), sorted(&[STAGE_KEYS, OPTION_KEYS]));
    }
}
