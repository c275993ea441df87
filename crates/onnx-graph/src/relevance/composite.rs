//! Which rule explains which layer: an ordered list, of which the first entry that matches counts.

use super::layer::Family;
use crate::error::{Error, Result};

/// How relevance passes through a layer. R: relevance at the output, z: output, W: weights; V⁺ and V⁻ are
/// the positive and negative parts. Definitions and the treatment of biases follow zennit 0.5.1 (Anders et
/// al. 2021, arXiv 2106.13200); each has its own file under `rules/`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// x · Wᵀ(R / stab(z)).
    Epsilon {
        /// The stabiliser of this rule.
        epsilon: f32,
    },
    /// Positive contributions only.
    ZPlus,
    /// α times the positive minus β times the negative contributions.
    AlphaBeta {
        /// Weight of positive contributions.
        alpha: f32,
        /// Weight of negative contributions; α − β = 1 conserves.
        beta: f32,
    },
    /// Positive contributions raised by γ, for inputs of any sign.
    Gamma {
        /// By how much.
        gamma: f32,
    },
    /// Inputs within [low, high]: pixels.
    ZBox,
    /// By W², whatever the input.
    WSquare,
    /// Evenly, whatever weights and input.
    Flat,
    /// In proportion to the inputs of a sum or a mean.
    Norm,
    /// Evenly between the variables of a product (AttnLRP).
    Product,
    /// By the Taylor expansion of softmax (AttnLRP).
    Softmax,
    /// Layer normalisation with a constant standard deviation (AttnLRP).
    LayerNorm,
    /// Unchanged.
    Pass,
    /// By the gradient.
    Gradient,
    /// By the gradient of `Relu`, where relevance is positive too.
    Guided,
}

/// One line of a composite: what it matches (everything that is given must hold), and its rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Ops by name; empty: any.
    pub ops: Vec<String>,
    /// Families of layers; empty: any.
    pub families: Vec<Family>,
    /// Node names, `*` stands for any text; empty: any.
    pub names: Vec<String>,
    /// Only the first matching layer of the graph.
    pub first: bool,
    /// Only the last.
    pub last: bool,
    /// What to do.
    pub rule: Rule,
}

impl Entry {
    /// An entry for whole families.
    fn family(families: &[Family], rule: Rule) -> Self {
        Entry {
            ops: Vec::new(),
            families: families.to_vec(),
            names: Vec::new(),
            first: false,
            last: false,
            rule,
        }
    }

    /// An entry for one op.
    fn op(op: &str, rule: Rule) -> Self {
        Entry { ops: vec![op.to_owned()], ..Entry::family(&[], rule) }
    }

    /// Does it match a node, apart from `first` and `last`? A `MatMul` or `Mul` of two variables and one with
    /// a constant are different layers: an entry holds for those that its rule is for.
    pub(super) fn matches(&self, op: &str, name: &str, family: Option<Family>) -> bool {
        let product = family == Some(Family::Product);
        let fits = match self.rule {
            Rule::Product => product,
            Rule::Gradient | Rule::Guided => true,
            _ => !product,
        };
        fits && (self.ops.is_empty() || self.ops.iter().any(|o| o == op))
            && (self.families.is_empty() || family.is_some_and(|f| self.families.contains(&f)))
            && (self.names.is_empty() || self.names.iter().any(|pattern| glob(pattern, name)))
    }
}

/// Does `text` match `pattern`, in which `*` stands for any text?
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    (0..=text.len()).filter(|i| text.is_char_boundary(*i)).any(|i| glob(rest, &text[i..]))
}

/// A composite.
#[derive(Clone, Debug, PartialEq)]
pub struct Composite {
    /// Its entries, the first that matches counts.
    pub entries: Vec<Entry>,
    /// Merge what is linear together first; not for gradients.
    pub canonize: bool,
    /// Multiply the map at the input by the input.
    pub times_input: bool,
    /// The stabiliser has no sign: d + ε in the place of d + ε sign(d), as AttnLRP's authors have it.
    pub unsigned: bool,
}

/// The names that [`Composite::named`] knows.
pub const NAMES: &[&str] = &[
    "epsilon",
    "epsilon_plus",
    "epsilon_plus_flat",
    "epsilon_alpha2_beta1",
    "epsilon_alpha2_beta1_flat",
    "epsilon_gamma_box",
    "attn_lrp",
    "gradient",
    "gradient_x_input",
    "guided_backprop",
];

/// The stabiliser that all named composites use.
pub const STABILISER: f32 = 1e-6;

impl Composite {
    /// A list of entries, followed by what every composite does with sums, activations and routing.
    pub fn custom(mut entries: Vec<Entry>) -> Self {
        entries.extend(base());
        Composite { entries, canonize: true, times_input: false, unsigned: false }
    }

    /// The composite of this name, with zennit's meaning; `attn_lrp` for transformers is that of Achtibat et al.
    /// (2024, arXiv 2402.05602), with a signed stabiliser unless [`Composite::unsigned`] is set.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<Self> {
        let conv = |rule| Entry::op("Conv", rule);
        let dense = Entry::family(&[Family::Linear], Rule::Epsilon { epsilon: STABILISER });
        let first = |entry: Entry| Entry { first: true, ..entry };
        let flat = first(Entry::family(&[Family::Linear], Rule::Flat));
        let alpha_beta = Rule::AlphaBeta { alpha: 2.0, beta: 1.0 };
        let entries = match name {
            "epsilon" => vec![dense],
            "epsilon_plus" => vec![conv(Rule::ZPlus), dense],
            "epsilon_plus_flat" => vec![flat, conv(Rule::ZPlus), dense],
            "epsilon_alpha2_beta1" => vec![conv(alpha_beta), dense],
            "epsilon_alpha2_beta1_flat" => vec![flat, conv(alpha_beta), dense],
            "epsilon_gamma_box" => {
                vec![first(conv(Rule::ZBox)), conv(Rule::Gamma { gamma: 0.25 }), dense]
            }
            "attn_lrp" => vec![
                dense,
                Entry::family(&[Family::Product], Rule::Product),
                Entry::op("Softmax", Rule::Softmax),
                Entry::op("LayerNormalization", Rule::LayerNorm),
            ],
            "gradient" | "gradient_x_input" | "guided_backprop" => {
                let any = Entry::family(&[], Rule::Gradient);
                let guided = (name == "guided_backprop").then(|| Entry::op("Relu", Rule::Guided));
                let entries = guided.into_iter().chain([any]).collect();
                let times_input = name == "gradient_x_input";
                return Ok(Composite { entries, canonize: false, times_input, unsigned: false });
            }
            _ => {
                let known = NAMES.join(", ");
                return Err(Error::new(format!("there is no composite `{name}`; known: {known}")));
            }
        };
        Ok(Composite::custom(entries))
    }

    /// Does it need the bounds of the input?
    pub fn needs_box(&self) -> bool {
        self.entries.iter().any(|e| e.rule == Rule::ZBox)
    }
}

fn base() -> [Entry; 3] {
    [
        Entry::family(&[Family::Sum], Rule::Norm),
        Entry::family(&[Family::Activation], Rule::Pass),
        Entry::family(&[Family::Routing], Rule::Gradient),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        assert!(glob("features.*", "features.3") && glob("*conv*", "a/conv1/x") && glob("a", "a"));
        assert!(!glob("features.*", "classifier.0") && !glob("a", "ab") && !glob("*b", "ba"));
    }

    #[test]
    fn every_listed_name_is_known() {
        assert!(NAMES.iter().all(|name| Composite::named(name).is_ok()));
        let error = Composite::named("epsilonn").unwrap_err().0;
        assert!(error.contains("epsilon_plus_flat"), "{error}");
    }
}
