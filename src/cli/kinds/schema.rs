//! JSON Schema of the workflow file, for editors: what the file may say, and `with` of every kind.

use serde_json::{Map, Value, json};

use crate::kinds::KINDS;
use crate::spec::skeleton;
use crate::stage::Stage;

/// The schema, with a project's `own` kinds behind the built-in ones.
pub fn workflow_schema(own: &[&'static dyn Stage]) -> Value {
    let mut schema = skeleton();
    let contracts: Vec<_> = KINDS.iter().chain(own).map(|kind| kind.contract()).collect();
    let names: Vec<Value> = contracts
        .iter()
        .map(|contract| json!({"const": contract.name, "description": contract.first_sentence()}))
        .collect();
    let mut definitions = Map::new();
    let mut choices = Vec::new();
    for contract in &contracts {
        let mut with = serde_json::to_value(&contract.schema).unwrap_or_default();
        if let Some(fields) = with.as_object_mut() {
            fields.shift_remove("$schema");
        }
        // A kind's own definitions move to the top, under its name.
        let own = with.as_object_mut().and_then(|fields| fields.shift_remove("$defs"));
        for (name, mut definition) in own.and_then(|o| o.as_object().cloned()).into_iter().flatten() {
            rename(&mut definition, contract.name);
            admit_templates(&mut definition);
            definitions.insert(format!("{}.{name}", contract.name), definition);
        }
        rename(&mut with, contract.name);
        admit_templates(&mut with);
        let required = with.get("required").and_then(Value::as_array).is_some_and(|r| !r.is_empty());
        definitions.insert(contract.name.to_owned(), with);
        let mut then = json!({"properties": {"with": {"$ref": format!("#/$defs/{}", contract.name)}}});
        if required {
            then["required"] = json!(["with"]);
        }
        choices.push(json!({"if": {"properties": {"uses": {"const": contract.name}}}, "then": then}));
    }
    let stage = &mut schema["$defs"]["stage"];
    stage["properties"]["uses"] =
        json!({"description": stage["properties"]["uses"]["description"], "oneOf": names});
    stage["allOf"] = Value::Array(choices);
    if let Some(all) = schema["$defs"].as_object_mut() {
        all.extend(definitions);
    }
    schema
}

/// `#/$defs/X` becomes `#/$defs/<kind>.X`.
fn rename(value: &mut Value, kind: &str) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(target) if name == "$ref" => {
                        *target = target.replace("#/$defs/", &format!("#/$defs/{kind}."));
                    }
                    other => rename(other, kind),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, kind)),
        _ => {}
    }
}

/// Wherever a number, a list, … may stand, so may a text with `${…}`.
fn admit_templates(schema: &mut Value) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for property in properties.values_mut() {
        let description = property.get("description").cloned();
        let plain_text = property.get("type").and_then(Value::as_str) == Some("string");
        if plain_text {
            continue;
        }
        let inner = std::mem::take(property);
        *property = json!({"anyOf": [inner, {"$ref": "#/$defs/template"}]});
        if let Some(description) = description {
            property["description"] = description;
        }
    }
}
