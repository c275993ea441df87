//! The parameters of `lrp.attribute`, and which columns they read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::composite::{Bound, Composite, bounds};
use super::precision::Precision;
use super::target::{Named, Target};
use crate::kinds::model::facts;
use crate::stage::{Complaint, Failure, TableFacts};

/// Parameters of `lrp.attribute`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Which rule explains which layer: a name, or a list of `{ ops, names, first, last, rule, … }` and names.
    pub composite: Composite,
    /// Smallest and largest value of the input, each for all channels or one for each; the box rule needs it.
    #[serde(default, rename = "box")]
    pub bounds: Option<(Bound, Bound)>,
    /// What is explained: `predicted`, `runner_up`, `contrast`, `label`, `{ class: k }`, `{ channel: k }` (of an
    /// inner `tensor`, at all its places) or `{ column: name }` (class indices, or vectors of start relevance).
    #[serde(default = "predicted")]
    pub target: Target,
    /// Relevance starts at 1, or at the explained value itself.
    #[serde(default)]
    pub start: StartAt,
    /// Column that feeds the model; if not given `input`, else the only tensor column.
    #[serde(default)]
    pub input: Option<String>,
    /// The explained tensor, by its name in the graph; if not given the first output, or what stands before
    /// its softmax.
    #[serde(default)]
    pub tensor: Option<String>,
    /// Where the map is taken, by its name in the graph; if not given the model's input.
    #[serde(default)]
    pub at: Option<String>,
    /// Leave biases out of the rules, so that relevance is conserved.
    #[serde(default)]
    pub zero_bias: bool,
    /// Whether the small number that keeps denominators from zero takes their sign, as in zennit, or is simply
    /// added, as AttnLRP's authors do.
    #[serde(default)]
    pub stabiliser: Stabiliser,
    /// Add up the channels (the first axis) of each map.
    #[serde(default)]
    pub sum_channels: bool,
    /// Digits that the maps keep. `float16`: the 11 significant bits of half precision, with the range of
    /// float32. The column stays float32 and compresses to two thirds of the size.
    #[serde(default)]
    pub precision: Precision,
    /// Columns of the table to carry over, such as the label.
    #[serde(default)]
    pub keep: Vec<String>,
    /// Copies of each input for `smooth_grad` and `integrated_gradients`.
    #[serde(default = "samples")]
    pub samples: usize,
    /// Noise of `smooth_grad`, as a share of an image's range of values.
    #[serde(default = "noise")]
    pub noise: f32,
    /// Seed of the noise.
    #[serde(default)]
    pub seed: u64,
    /// Also write the column `completeness`: |sum of the map − relevance at the start| ÷ |relevance at the start|.
    /// For `gradient_x_input` and `integrated_gradients` the explained value takes the place of the start.
    #[serde(default)]
    pub completeness: bool,
    /// Also write the table `conservation`: what each layer passes on, and what its bias and stabiliser take. Where
    /// copies of an input are averaged, it is the mean over the copies.
    #[serde(default)]
    pub conservation: bool,
}

/// Where relevance starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StartAt {
    /// At 1.
    #[default]
    One,
    /// At the explained value.
    Logit,
}

/// How denominators are kept from zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stabiliser {
    /// d + ε sign(d).
    #[default]
    Signed,
    /// d + ε.
    Unsigned,
}

fn predicted() -> Target {
    Target::Named(Named::Predicted)
}

fn samples() -> usize {
    32
}

fn noise() -> f32 {
    0.1
}

impl Params {
    /// The input column, and the columns that are read besides.
    pub(super) fn columns(&self, table: &TableFacts) -> Result<(String, Vec<String>), Complaint> {
        let input = facts::input_column(table, self.input.as_deref(), "input")?;
        let kept = facts::kept(table, &self.keep)?;
        if let Some(column) = self.target.column() {
            facts::column(table, column, "target")?;
        }
        Ok((input, kept))
    }

    pub(super) fn all_columns(&self, table: &TableFacts) -> Result<Vec<String>, Complaint> {
        let (input, mut all) = self.columns(table)?;
        for name in [Some(input.as_str()), self.target.column()].into_iter().flatten() {
            if !all.iter().any(|n| n == name) {
                all.push(name.to_owned());
            }
        }
        Ok(all)
    }

    /// The input column, the columns that are carried over, and all that are read.
    pub(super) fn wanted(
        &self,
        data: &crate::stage::Bound,
    ) -> Result<(String, Vec<String>, Vec<String>), Failure> {
        let schema = data.facts.table().cloned().unwrap_or_default();
        let refused = |c: Complaint| Failure::new(c.message);
        let (input, kept) = self.columns(&schema).map_err(refused)?;
        Ok((input, kept, self.all_columns(&schema).map_err(refused)?))
    }

    pub(super) fn check(&self) -> Result<(), Complaint> {
        let composite = self.composite.compiled()?;
        let bounds = bounds(self.bounds.as_ref())?;
        if composite.needs_box() && bounds.is_none() {
            return Err(Complaint::param("composite", "the box rule needs the bounds of the input")
                .hint("add `box: [low, high]`, for example `box: [0.0, 1.0]`"));
        }
        if self.samples == 0 || self.samples >= 1 << 20 {
            return Err(Complaint::param("samples", "there must be 1 to 1048575 samples"));
        }
        if !self.noise.is_finite() || self.noise < 0.0 {
            return Err(Complaint::param("noise", "the noise must be 0 or more"));
        }
        if self.at.is_some() && self.composite.is("integrated_gradients") {
            let message = "integrated gradients follow a path of inputs, and have no map at an inner tensor";
            return Err(Complaint::param("at", message)
                .hint("leave `at` out, or use `gradient_x_input` or `smooth_grad` there"));
        }
        Ok(())
    }
}
