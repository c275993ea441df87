//! What is known of an artefact without opening it: before a run as far as it can be inferred, after
//! a run in full. Plan-time checks and content keys are made from facts alone.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Digest;

/// The axes of one matrix cell, in the order of their declaration: `[("seed", 0)]`.
pub type Axes = Vec<(String, Value)>;

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type in this project's words: `bool`, `int64`, `uint8`, `float32`, `string`, `date`,
    /// `tensor(float32)` for a fixed-size list, `list(int64)` otherwise.
    pub dtype: String,
    /// For a tensor column, the shape of one row's tensor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<usize>>,
    /// Digest of the column's values in row order; absent before a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

impl Column {
    /// A column of plain values, or of tensors whose shape is not known yet.
    pub fn new(name: impl Into<String>, dtype: impl Into<String>) -> Self {
        Column { name: name.into(), dtype: dtype.into(), shape: None, digest: None }
    }

    /// The same, holding tensors of this shape in each row.
    #[must_use]
    pub fn with_shape(self, shape: Vec<usize>) -> Self {
        Column { shape: Some(shape), ..self }
    }

    /// Its name, type and shape: what is known of the same column with other rows.
    #[must_use]
    pub fn without_digest(&self) -> Self {
        Column { digest: None, ..self.clone() }
    }
}

/// A table's schema, and after a run its size and the digests of its values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TableFacts {
    /// Number of rows; absent before a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The columns in order.
    pub columns: Vec<Column>,
}

impl TableFacts {
    /// The column called `name`.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The names of all columns, in order.
    pub fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|c| c.name.as_str()).collect()
    }
}

/// One dimension of a tensor: a size or a name such as `N`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Dim {
    /// A known size.
    Size(u64),
    /// A symbolic size, equal wherever the same name stands.
    Name(String),
}

/// Name, element type and shape of a model's input or output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TensorFacts {
    /// Its name in the graph.
    pub name: String,
    /// Element type: `float32`, `int64`, ….
    pub dtype: String,
    /// Its shape; the first dimension is the batch.
    pub shape: Vec<Dim>,
}

/// A model's signature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// Inputs in the graph's order.
    pub inputs: Vec<TensorFacts>,
    /// Outputs in the graph's order.
    pub outputs: Vec<TensorFacts>,
}

/// What is known of one artefact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Facts {
    /// A table.
    Table(TableFacts),
    /// A model.
    Model(ModelFacts),
    /// Nothing beyond its port type.
    Opaque,
}

impl Facts {
    /// A table with these columns and so far unknown rows.
    pub fn columns(columns: Vec<Column>) -> Self {
        Facts::Table(TableFacts { rows: None, columns })
    }

    /// The table's facts, if this is a table whose schema is known.
    pub fn table(&self) -> Option<&TableFacts> {
        match self {
            Facts::Table(t) => Some(t),
            _ => None,
        }
    }

    /// The model's facts, if this is a model whose signature is known.
    pub fn model(&self) -> Option<&ModelFacts> {
        match self {
            Facts::Model(m) => Some(m),
            _ => None,
        }
    }
}
