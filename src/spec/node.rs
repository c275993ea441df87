//! A YAML document as a tree whose every node knows where it stands.

use serde_json::Value;

/// A place in a source: byte range, and which source of the workflow's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Index into the workflow's sources.
    pub source: u32,
    /// 1-based line; 0 where there is no place (a value given on the command line).
    pub line: u32,
    /// 1-based column in characters.
    pub column: u32,
    /// Length in characters, at least 1 when known.
    pub len: u32,
}

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub span: Span,
    /// What it is.
    pub value: Yaml,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Yaml {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a point or exponent.
    Float(f64),
    /// Text.
    Str(String),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping in written order; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// A mapping's key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Where it stands.
    pub span: Span,
    /// Its text.
    pub name: String,
}

impl Node {
    /// The node at `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Yaml::Map(entries) => entries.iter().find(|(k, _)| k.name == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The text, if this is text.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Yaml::Str(text) => Some(text),
            _ => None,
        }
    }

    /// In words, for messages: `a list`, `the text "x"`.
    pub fn describe(&self) -> String {
        match &self.value {
            Yaml::Null => "nothing".to_owned(),
            Yaml::Bool(b) => format!("`{b}`"),
            Yaml::Int(i) => format!("the number {i}"),
            Yaml::Float(x) => format!("the number {x}"),
            Yaml::Str(s) if s.chars().count() <= 40 => format!("the text \"{s}\""),
            Yaml::Str(_) => "a text".to_owned(),
            Yaml::Seq(_) => "a list".to_owned(),
            Yaml::Map(_) => "a mapping".to_owned(),
        }
    }

    /// The same value without places.
    pub fn to_json(&self) -> Value {
        match &self.value {
            Yaml::Null => Value::Null,
            Yaml::Bool(b) => Value::Bool(*b),
            Yaml::Int(i) => Value::from(*i),
            Yaml::Float(x) => Value::from(*x),
            Yaml::Str(s) => Value::String(s.clone()),
            Yaml::Seq(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Yaml::Map(entries) => {
                Value::Object(entries.iter().map(|(k, v)| (k.name.clone(), v.to_json())).collect())
            }
        }
    }

    /// The node at a dotted path such as `columns.0.name`, or the deepest one on the way to it.
    pub fn find(&self, path: &str) -> &Node {
        let mut node = self;
        for part in path.split(['.', '[', ']']).filter(|p| !p.is_empty()) {
            let next = match &node.value {
                Yaml::Map(_) => node.get(part),
                Yaml::Seq(items) => part.parse::<usize>().ok().and_then(|i| items.get(i)),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }
}
