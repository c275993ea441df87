//! Composites as workflows write them: a name, or an ordered list of entries.

use onnx_graph::relevance::Bounds;
use onnx_graph::relevance::composite::{
    Composite as Compiled, Entry as CompiledEntry, Rule as CompiledRule, STABILISER,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::Complaint;

/// A composite: the name of one, or a list of entries of which the first that matches a layer counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Composite {
    /// epsilon, epsilon_plus, epsilon_plus_flat, epsilon_alpha2_beta1, epsilon_alpha2_beta1_flat,
    /// epsilon_gamma_box, attn_lrp (transformers), gradient, gradient_x_input, guided_backprop, smooth_grad or integrated_gradients.
    Named(String),
    /// Entries and names of composites in order; layers that none matches get the usual rules for sums,
    /// activations and routing.
    List(Vec<Item>),
}

/// One place of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Item {
    /// All entries of the composite of this name.
    Named(String),
    /// An entry.
    Entry(Entry),
}

/// Which layers, and their rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Ops by name, such as `Conv`; empty: any.
    #[serde(default)]
    pub ops: Vec<String>,
    /// Node names, in which `*` stands for any text; empty: any.
    #[serde(default)]
    pub names: Vec<String>,
    /// Only the first layer that matches.
    #[serde(default)]
    pub first: bool,
    /// Only the last layer that matches.
    #[serde(default)]
    pub last: bool,
    /// The rule.
    pub rule: Rule,
    /// Of `gamma`.
    #[serde(default = "quarter")]
    pub gamma: f32,
    /// Of `alpha_beta`.
    #[serde(default = "two")]
    pub alpha: f32,
    /// Of `alpha_beta`.
    #[serde(default = "one")]
    pub beta: f32,
    /// Of `epsilon`.
    #[serde(default = "stabiliser")]
    pub epsilon: f32,
}

fn quarter() -> f32 {
    0.25
}

fn two() -> f32 {
    2.0
}

fn one() -> f32 {
    1.0
}

fn stabiliser() -> f32 {
    STABILISER
}

/// A rule's name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Rule {
    Epsilon,
    Zero,
    Zplus,
    AlphaBeta,
    Gamma,
    Zbox,
    Wsquare,
    Flat,
    Norm,
    Product,
    Softmax,
    LayerNorm,
    Pass,
    Gradient,
}

impl Entry {
    fn compiled(&self) -> CompiledEntry {
        let rule = match self.rule {
            Rule::Epsilon => CompiledRule::Epsilon { epsilon: self.epsilon },
            Rule::Zero => CompiledRule::Epsilon { epsilon: 0.0 },
            Rule::Zplus => CompiledRule::ZPlus,
            Rule::AlphaBeta => CompiledRule::AlphaBeta { alpha: self.alpha, beta: self.beta },
            Rule::Gamma => CompiledRule::Gamma { gamma: self.gamma },
            Rule::Zbox => CompiledRule::ZBox,
            Rule::Wsquare => CompiledRule::WSquare,
            Rule::Flat => CompiledRule::Flat,
            Rule::Norm => CompiledRule::Norm,
            Rule::Product => CompiledRule::Product,
            Rule::Softmax => CompiledRule::Softmax,
            Rule::LayerNorm => CompiledRule::LayerNorm,
            Rule::Pass => CompiledRule::Pass,
            Rule::Gradient => CompiledRule::Gradient,
        };
        CompiledEntry {
            ops: self.ops.clone(),
            families: Vec::new(),
            names: self.names.clone(),
            first: self.first,
            last: self.last,
            rule,
        }
    }
}

/// Composites whose gradients are averaged here, not in the graph.
const AVERAGED: [&str; 2] = ["smooth_grad", "integrated_gradients"];

/// The composite of this name; `at` is its place among the parameters.
fn named(name: &str, at: &str) -> Result<Compiled, Complaint> {
    let plain = if AVERAGED.contains(&name) { "gradient" } else { name };
    Compiled::named(plain).map_err(|_| {
        let all = onnx_graph::relevance::composite::NAMES.iter().copied().chain(AVERAGED);
        let hint = crate::spec::suggest::hint(name, all);
        Complaint::param(at, format!("there is no composite `{name}`")).hint(hint)
    })
}

impl Composite {
    /// The composite that the graph library takes. Methods that average gradients are gradients there.
    pub fn compiled(&self) -> Result<Compiled, Complaint> {
        let list = match self {
            Composite::Named(name) => return named(name, "composite"),
            Composite::List(list) => list,
        };
        let mut all = Compiled { entries: Vec::new(), ..Compiled::custom(Vec::new()) };
        for (index, item) in list.iter().enumerate() {
            let name = match item {
                Item::Entry(entry) => {
                    all.entries.push(entry.compiled());
                    continue;
                }
                Item::Named(name) => name.as_str(),
            };
            let at = format!("composite.{index}");
            if AVERAGED.contains(&name) {
                return Err(Complaint::param(
                    &at,
                    format!("`{name}` averages maps and cannot be part of a list"),
                )
                .hint(format!("write `composite: {name}`, or `gradient` in the list")));
            }
            let part = named(name, &at)?;
            all.entries.extend(part.entries);
            // What a name says of the whole graph holds for the list.
            all.canonize &= part.canonize;
            all.times_input |= part.times_input;
        }
        all.entries.extend(Compiled::custom(Vec::new()).entries);
        Ok(all)
    }

    /// Is it the one of this name?
    pub fn is(&self, name: &str) -> bool {
        matches!(self, Composite::Named(own) if own == name)
    }
}

/// A bound: one value, or one for each channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Bound {
    /// For all channels.
    All(f32),
    /// For each channel.
    Each(Vec<f32>),
}

impl Bound {
    fn values(&self) -> Vec<f32> {
        match self {
            Bound::All(value) => vec![*value],
            Bound::Each(values) => values.clone(),
        }
    }
}

/// Smallest and largest values of the input, checked.
pub fn bounds(given: Option<&(Bound, Bound)>) -> Result<Option<Bounds>, Complaint> {
    let Some((low, high)) = given else { return Ok(None) };
    let bounds = Bounds { low: low.values(), high: high.values() };
    let pairs = bounds.low.iter().cycle().zip(bounds.high.iter().cycle());
    let count = bounds.low.len().max(bounds.high.len());
    if bounds.low.is_empty() || bounds.high.is_empty() || !pairs.take(count).all(|(l, h)| l < h) {
        return Err(Complaint::param("box", "the lower bound must be below the upper one"));
    }
    Ok(Some(bounds))
}
