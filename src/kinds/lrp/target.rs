//! What is explained of each row: a class, or a vector of start relevance.

use onnx_graph::relevance::Start;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::Failure;
use crate::table::Frame;

/// Where relevance starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Target {
    /// predicted: the largest logit; runner_up: the second largest; contrast: the largest against all
    /// others; label: the class in the column `label`.
    Named(Named),
    /// One class for all rows.
    Class {
        /// Its index.
        class: usize,
    },
    /// One channel of an inner tensor [C, …], at all its places: what the input contributed to a feature.
    Channel {
        /// Its index.
        channel: usize,
    },
    /// A column of class indices, or of vectors of start relevance.
    Column {
        /// Its name.
        column: String,
    },
}

/// A target that the model's answer or the usual column decides.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Named {
    Predicted,
    RunnerUp,
    Contrast,
    Label,
}

impl Target {
    /// The column that is read, if any.
    pub fn column(&self) -> Option<&str> {
        match self {
            Target::Named(Named::Label) => Some("label"),
            Target::Column { column } => Some(column),
            _ => None,
        }
    }

    /// How the graph starts.
    pub fn start(&self) -> Start {
        match self {
            Target::Named(Named::Predicted) => Start::Predicted,
            Target::Named(Named::RunnerUp) => Start::RunnerUp,
            Target::Named(Named::Contrast) => Start::Contrast,
            Target::Channel { channel } => Start::Channel(*channel),
            _ => Start::Given,
        }
    }

    /// Does the model's answer decide where relevance starts?
    pub fn follows_answer(&self) -> bool {
        matches!(self, Target::Named(named) if *named != Named::Label)
    }

    /// Start relevance of every row, `width` values each, for targets that the rows give.
    ///
    /// # Errors
    /// If a class is not one of the model's, or the vectors have another length.
    pub fn given(&self, frame: &Frame, rows: usize, width: usize) -> Result<Option<Vec<f32>>, Failure> {
        let classes: Vec<i64> = match self {
            Target::Class { class } => vec![*class as i64; rows],
            Target::Named(Named::Label) => frame.i64s("label")?,
            Target::Column { column } => {
                let tensor = frame.tensor_f32(column)?;
                if !tensor.row_shape.is_empty() {
                    if tensor.row_size() != width {
                        return Err(Failure::new(format!(
                            "the column `{column}` has vectors of {} values, and the explained tensor has {width}",
                            tensor.row_size()
                        )));
                    }
                    return Ok(Some(tensor.values));
                }
                frame.i64s(column)?
            }
            Target::Named(_) | Target::Channel { .. } => return Ok(None),
        };
        let mut start = vec![0.0; rows * width];
        for (row, class) in classes.iter().enumerate() {
            let place = usize::try_from(*class).ok().filter(|c| *c < width).ok_or_else(|| {
                Failure::new(format!(
                    "row {row} asks for the class {class}, and the model has the classes 0 to {}",
                    width.saturating_sub(1)
                ))
            })?;
            start[row * width + place] = 1.0;
        }
        Ok(Some(start))
    }

    /// The start that the model's answer decides, for methods that explain changed inputs. `logits` hold
    /// `width` values a row.
    pub fn decided(&self, logits: &[f32], width: usize) -> Vec<f32> {
        let classes = logits.chunks_exact(width.max(1)).map(|row| self.class(row, None) as i64);
        self.held(&classes.collect::<Vec<_>>(), width)
    }

    /// Start relevance that stays with these classes, whatever another model answers.
    pub fn held(&self, classes: &[i64], width: usize) -> Vec<f32> {
        let contrast = *self == Target::Named(Named::Contrast);
        let rest = if contrast { -1.0 / (width.max(2) - 1) as f32 } else { 0.0 };
        let value = |class: i64, place: usize| if place as i64 == class { 1.0 } else { rest };
        classes.iter().flat_map(|class| (0..width).map(|place| value(*class, place))).collect()
    }

    /// The class that a row explains: the largest entry of a start vector, or that of the logits.
    pub fn class(&self, logits: &[f32], start: Option<&[f32]>) -> usize {
        match (start, self) {
            (Some(start), _) => largest(start, None),
            (None, Target::Channel { channel }) => *channel,
            (None, Target::Named(Named::RunnerUp)) => largest(logits, Some(largest(logits, None))),
            (None, _) => largest(logits, None),
        }
    }
}

/// The place of the first of the largest values, apart from `without`.
fn largest(values: &[f32], without: Option<usize>) -> usize {
    let places = (0..values.len()).filter(|i| Some(*i) != without);
    places.reduce(|best, i| if values[i] > values[best] { i } else { best }).unwrap_or(0)
}
