//! What a file in `stages/` says: ports, parameters, and the command or the stages of a kind that the project
//! defines.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::words;
use crate::kinds::command::Shell;
use crate::stage::{Complaint, Port, PortType};

/// The file, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// `family.kind`, the file's own name.
    pub kind: String,
    /// Raised by hand when the meaning of the result changes without a change of the command.
    #[serde(default = "one")]
    pub revision: u32,
    /// What it does.
    pub about: String,
    /// Input ports.
    #[serde(default, rename = "in")]
    pub inputs: IndexMap<String, Input>,
    /// Output ports.
    #[serde(rename = "out")]
    pub outputs: IndexMap<String, Output>,
    /// Parameters.
    #[serde(default, rename = "with")]
    pub params: IndexMap<String, Param>,
    /// Files of the project that the command reads whatever the parameters: its script.
    #[serde(default)]
    pub reads: Vec<String>,
    /// The command; or say `stages`.
    #[serde(default)]
    pub run: String,
    /// The stages that the kind stands for; or say `run`. They are read as those of a workflow are.
    #[serde(default)]
    pub stages: Option<Value>,
    /// Who reads the command.
    #[serde(default)]
    pub shell: Shell,
    /// A stage that uses it, in YAML.
    #[serde(default)]
    pub example: String,
}

/// An input port.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    #[serde(rename = "type")]
    ty: PortType,
    #[serde(default)]
    about: String,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    many: bool,
}

/// An output port.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    #[serde(rename = "type")]
    ty: PortType,
    #[serde(default)]
    about: String,
    #[serde(default)]
    extension: Option<String>,
    /// With `stages`: which of them makes it, `stage` or `stage.port`.
    #[serde(default)]
    pub from: Option<String>,
}

/// A parameter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Param {
    #[serde(rename = "type")]
    ty: ParamType,
    #[serde(default)]
    about: String,
    #[serde(default)]
    default: Option<Value>,
    #[serde(default)]
    choices: Vec<Value>,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of texts and numbers.
    List,
    /// A file, folder or glob of the project; its bytes enter the key.
    Path,
}

impl ParamType {
    fn words(self) -> &'static str {
        match self {
            ParamType::String => "a text",
            ParamType::Integer => "a whole number",
            ParamType::Number => "a number",
            ParamType::Boolean => "true or false",
            ParamType::List => "a list of texts and numbers",
            ParamType::Path => "a path of the project",
        }
    }

    fn admits(self, value: &Value) -> bool {
        match self {
            ParamType::String | ParamType::Path => value.is_string(),
            ParamType::Integer => value.is_i64() || value.is_u64(),
            ParamType::Number => value.is_number(),
            ParamType::Boolean => value.is_boolean(),
            ParamType::List => {
                value.as_array().is_some_and(|items| items.iter().all(|i| i.is_string() || i.is_number()))
            }
        }
    }

    fn schema(self) -> Value {
        match self {
            ParamType::String | ParamType::Path => json!({"type": "string"}),
            ParamType::Integer => json!({"type": "integer"}),
            ParamType::Number => json!({"type": "number"}),
            ParamType::Boolean => json!({"type": "boolean"}),
            ParamType::List => json!({"type": "array", "items": {"type": ["string", "number"]}}),
        }
    }
}

/// Names under which the command itself stands among the parameters of a step.
pub const RESERVED: [&str; 3] = ["run", "reads", "shell"];

fn one() -> u32 {
    1
}

impl Definition {
    /// Checks what the form alone does not say.
    ///
    /// # Errors
    /// The place, as a dotted path, and the mistake.
    pub fn check(&self, name: &str) -> Result<(), (String, String)> {
        let wrong = |at: &str, message: String| Err((at.to_owned(), message));
        if self.kind != name {
            return wrong(
                "kind",
                format!("the file `{name}.yaml` defines the kind `{name}`, not `{}`", self.kind),
            );
        }
        if self.run.is_empty() != self.stages.is_some() {
            return wrong(
                "kind",
                "a kind has either a command, `run`, or `stages` that it stands for".to_owned(),
            );
        }
        if self.stages.is_some() && !self.reads.is_empty() {
            return wrong("reads", "a kind of stages reads nothing itself".to_owned());
        }
        for (port, output) in &self.outputs {
            if output.ty == PortType::Dir && self.stages.is_none() {
                let message = "an output is a table, a model, a file or a figure, not a dir".to_owned();
                return wrong(&format!("out.{port}.type"), message);
            }
            if output.extension.as_deref().is_some_and(|e| !words::is_name(e)) {
                return wrong(
                    &format!("out.{port}.extension"),
                    "an extension is letters and digits".to_owned(),
                );
            }
            if output.from.is_some() != self.stages.is_some() {
                let message =
                    "a kind of stages says of each output which stage it is `from`, and no other kind does";
                return wrong(&format!("out.{port}"), message.to_owned());
            }
            if self.stages.is_none() && !words::placeholders(&self.run).any(|p| p == ("out", port.as_str())) {
                return wrong(
                    "run",
                    format!("the command never names `${{out.{port}}}`, so it cannot write it"),
                );
            }
        }
        let ports =
            self.inputs.keys().map(|port| ("in", port)).chain(self.outputs.keys().map(|port| ("out", port)));
        for (side, name) in ports.chain(self.params.keys().map(|name| ("with", name))) {
            if !words::is_name(name) || (side == "with" && RESERVED.contains(&name.as_str())) {
                return wrong(
                    &format!("{side}.{name}"),
                    format!("`{name}` cannot be the name of a port or parameter"),
                );
            }
        }
        for (name, param) in &self.params {
            let values = param.default.iter().chain(&param.choices);
            for value in values.filter(|value| !value.is_null()) {
                if let Err(complaint) = param.check(name, value) {
                    return wrong(&format!("with.{name}"), complaint.message);
                }
            }
        }
        for (side, name) in words::placeholders(&self.run) {
            let known = match side {
                "in" => self.inputs.contains_key(name),
                "out" => self.outputs.contains_key(name),
                _ => self.params.contains_key(name),
            };
            if !known {
                return wrong(
                    "run",
                    format!("the command names `${{{side}.{name}}}`, which `{side}` does not declare"),
                );
            }
        }
        match words::quoted(&self.run) {
            Some(text) => {
                wrong("run", format!("`{text}` stands in quotes: leave them out, values are quoted already"))
            }
            None => Ok(()),
        }
    }

    /// The input ports.
    pub fn input_ports(&self) -> Vec<Port> {
        let port = |(name, input): (&String, &Input)| Port {
            optional: input.optional,
            many: input.many,
            extension: None,
            ..Port::new(name, input.ty, input.about.trim())
        };
        self.inputs.iter().map(port).collect()
    }

    /// The output ports.
    pub fn output_ports(&self) -> Vec<Port> {
        let port = |(name, output): (&String, &Output)| {
            let port = Port::new(name, output.ty, output.about.trim());
            // A table is kept as Parquet and a model as ONNX whatever the command wrote.
            match &output.extension {
                Some(extension) if matches!(output.ty, PortType::File | PortType::Figure) => {
                    port.extension(extension)
                }
                _ => port,
            }
        };
        self.outputs.iter().map(port).collect()
    }

    /// The parameters with defaults filled in, in declared order.
    ///
    /// # Errors
    /// A parameter that is missing, unknown or of another type.
    pub fn fill(&self, with: &Value) -> Result<Map<String, Value>, Complaint> {
        let none = Map::new();
        let given = with.as_object().unwrap_or(&none);
        if let Some(name) = given.keys().find(|name| !self.params.contains_key(*name)) {
            return Err(Complaint::param(name, format!("`{}` has no parameter `{name}`", self.kind)));
        }
        let mut filled = Map::new();
        for (name, param) in &self.params {
            let value = match (given.get(name), &param.default) {
                (Some(value), _) => value,
                (None, Some(default)) => default,
                (None, None) => {
                    return Err(Complaint {
                        at: None,
                        ..Complaint::param(name, format!("missing field `{name}`"))
                    });
                }
            };
            if !(value.is_null() && param.default == Some(Value::Null)) {
                param.check(name, value)?;
            }
            filled.insert(name.clone(), value.clone());
        }
        Ok(filled)
    }

    /// The parameters that name files.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.params.iter().filter(|(_, p)| p.ty == ParamType::Path).map(|(name, _)| name.as_str())
    }

    /// JSON Schema of `with`.
    pub fn schema(&self) -> Value {
        let mut properties = Map::new();
        for (name, param) in &self.params {
            let mut schema = param.ty.schema();
            if !param.choices.is_empty() {
                schema = json!({"enum": param.choices});
            }
            if !param.about.is_empty() {
                schema["description"] = json!(param.about.trim());
            }
            if let Some(default) = &param.default {
                schema["default"] = default.clone();
            }
            properties.insert(name.clone(), schema);
        }
        let required: Vec<&String> =
            self.params.iter().filter(|(_, p)| p.default.is_none()).map(|(name, _)| name).collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }
}

impl Param {
    fn check(&self, name: &str, value: &Value) -> Result<(), Complaint> {
        if !self.ty.admits(value) {
            return Err(Complaint::param(name, format!("`{name}` is {}, not {value}", self.ty.words())));
        }
        if !self.choices.is_empty() && !self.choices.contains(value) {
            let choices: Vec<String> = self.choices.iter().map(Value::to_string).collect();
            return Err(Complaint::param(
                name,
                format!("`{name}` is one of {}, not {value}", choices.join(", ")),
            ));
        }
        Ok(())
    }
}
