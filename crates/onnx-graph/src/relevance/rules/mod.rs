//! The rules of layers, one file each. Each emits the relevance at x from that at y.

use super::linear::{Linear, Part};
use super::{Bounds, composite::Rule};
use crate::build::{Attr, Builder};
use crate::error::{Error, Result};
use crate::proto::NodeProto;
use crate::shape::Inferred;

mod alpha_beta;
mod epsilon;
mod flat;
mod gamma;
pub(super) mod layer_norm;
pub(super) mod product;
pub(super) mod softmax;
mod w_square;
mod z_box;
mod z_plus;

/// A node whose inputs are variables.
pub(super) struct Site<'a> {
    /// The node.
    pub(super) node: &'a NodeProto,
    /// What is known of the graph.
    pub(super) known: &'a Inferred,
    /// Which inputs relevance is wanted for.
    pub(super) wanted: &'a dyn Fn(&str) -> bool,
    /// Which inputs are constants.
    pub(super) constant: &'a dyn Fn(&str) -> bool,
}

impl Site<'_> {
    fn op(&self) -> &str {
        self.node.op_type.as_deref().unwrap_or("")
    }
}

/// What a rule knows of its place.
pub(super) struct Context<'a> {
    /// Where to put nodes.
    pub(super) b: &'a mut Builder,
    /// The stabiliser of every rule but epsilon, which has its own.
    pub(super) stabiliser: f32,
    /// Leave biases out of the rules.
    pub(super) zero_bias: bool,
    /// The stabiliser has no sign: stab(d) = d + ε.
    pub(super) unsigned: bool,
    /// x is never negative.
    pub(super) positive_input: bool,
    /// Relevance is zero wherever y is not positive.
    pub(super) positive_relevance: bool,
    /// Bounds of the input, for the box rule.
    pub(super) bounds: Option<&'a Bounds>,
    /// What was not passed on; filled if it is asked for.
    pub(super) ledger: Option<Absorbed>,
}

/// Terms, each a name with its factor, whose sums over y are the relevance that was not passed on.
#[derive(Clone, Debug, Default)]
pub(super) struct Absorbed {
    /// By the bias.
    pub(super) bias: Vec<(f32, String)>,
    /// By the stabiliser.
    pub(super) stabiliser: Vec<(f32, String)>,
}

/// Emits the relevance at x.
pub(super) fn apply(c: &mut Context, rule: Rule, layer: &Linear, relevance: &str) -> Result<String> {
    match rule {
        Rule::Epsilon { epsilon } => Ok(epsilon::apply(c, layer, relevance, epsilon)),
        Rule::ZPlus => Ok(z_plus::apply(c, layer, relevance, 1.0)),
        Rule::AlphaBeta { alpha, beta } => Ok(alpha_beta::apply(c, layer, relevance, alpha, beta)),
        Rule::Gamma { gamma } => Ok(gamma::apply(c, layer, relevance, gamma)),
        Rule::ZBox => z_box::apply(c, layer, relevance),
        Rule::WSquare => w_square::apply(c, layer, relevance),
        Rule::Flat => flat::apply(c, layer, relevance),
        Rule::Norm
        | Rule::Pass
        | Rule::Gradient
        | Rule::Guided
        | Rule::Product
        | Rule::Softmax
        | Rule::LayerNorm => Err(Error::new("this rule is not for layers with weights")),
    }
}

/// The contributions of one sign: `same` weights with positive inputs, `other` ones with negative inputs.
/// `factor` is that of the term in its rule.
fn one_sign(
    c: &mut Context,
    layer: &Linear,
    relevance: &str,
    (same, other): (Part, Part),
    factor: f32,
) -> String {
    let (positive, negative) = c.halves(layer);
    let forward = layer.forward(c.b, &positive, same);
    let across = negative.as_ref().map(|x| layer.forward(c.b, x, other));
    let bias = c.bias(layer, same);
    let d = c.sum(forward, [across, bias.clone()]);
    let stabiliser = c.stabiliser;
    let s = c.quotient(relevance, &d, (stabiliser, same == Part::Positive), bias.as_deref(), factor);
    let back = layer.back(c.b, &s, same);
    let from_positive = c.mul(&positive, &back);
    let from_negative = negative.map(|x| {
        let back = layer.back(c.b, &s, other);
        c.mul(&x, &back)
    });
    c.sum(from_positive, [from_negative])
}

impl Context<'_> {
    /// Emits R / stab(d), with stab(d) = d + ε sign(d) and sign(0) = 1, and notes what bias and stabiliser
    /// take of it. `bias` is the part of `d` that no input made. `factor` is that of the term in its rule.
    pub(super) fn quotient(
        &mut self,
        relevance: &str,
        d: &str,
        (epsilon, positive): (f32, bool),
        bias: Option<&str>,
        factor: f32,
    ) -> String {
        let shift = self.shift(d, epsilon, positive);
        let stable = self.b.node("Add", &[d, &shift], []);
        let s = self.b.node("Div", &[relevance, &stable], []);
        if self.ledger.is_some() {
            let by_stabiliser = self.b.node("Mul", &[&s, &shift], []);
            let by_bias = bias.map(|bias| self.b.node("Mul", &[&s, bias], []));
            if let Some(ledger) = &mut self.ledger {
                ledger.stabiliser.push((factor, by_stabiliser));
                ledger.bias.extend(by_bias.map(|term| (factor, term)));
            }
        }
        s
    }

    /// ε sign(d); where `d` cannot be negative, or the stabiliser has no sign, simply ε.
    fn shift(&mut self, d: &str, epsilon: f32, positive: bool) -> String {
        let up = self.b.float(epsilon);
        if positive || self.unsigned {
            return up;
        }
        let (zero, twice) = (self.b.float(0.0), self.b.float(2.0 * epsilon));
        let above = self.b.node("GreaterOrEqual", &[d, &zero], []);
        let above = self.b.node("Cast", &[&above], [("to", Attr::Int(1))]);
        let step = self.b.node("Mul", &[&above, &twice], []);
        self.b.node("Sub", &[&step, &up], [])
    }

    /// The layer's bias part, unless biases are left out.
    pub(super) fn bias(&mut self, layer: &Linear, part: Part) -> Option<String> {
        if self.zero_bias || !layer.has_bias() { None } else { layer.bias(self.b, part) }
    }

    /// x⁺ and, if x can be negative, x⁻.
    pub(super) fn halves(&mut self, layer: &Linear) -> (String, Option<String>) {
        if self.positive_input {
            return (layer.x.clone(), None);
        }
        let positive = self.b.node("Relu", &[&layer.x], []);
        let negative = self.b.node("Sub", &[&layer.x, &positive], []);
        (positive, Some(negative))
    }

    /// Σ of terms, of which some may be absent.
    pub(super) fn sum(&mut self, first: String, more: impl IntoIterator<Item = Option<String>>) -> String {
        more.into_iter().flatten().fold(first, |total, term| self.b.node("Add", &[&total, &term], []))
    }

    /// a · b.
    pub(super) fn mul(&mut self, a: &str, b: &str) -> String {
        self.b.node("Mul", &[a, b], [])
    }
}

/// A dense layer with mixed signs, and the graph of a rule on it, for the oracles in each rule's file.
#[cfg(test)]
pub(super) mod dense {
    use std::collections::HashMap;

    use super::*;
    use crate::proto::GraphProto;
    use crate::reference::{Value, evaluate};
    use crate::shape::{Dim, Info};
    use crate::tensor::{DataType, floats};

    pub const INPUTS: usize = 4;
    pub const OUTPUTS: usize = 3;

    pub struct Dense {
        pub x: [f64; INPUTS],
        pub w: [[f64; INPUTS]; OUTPUTS],
        pub b: [f64; OUTPUTS],
        pub r: [f64; OUTPUTS],
    }

    impl Dense {
        pub fn new(positive_input: bool) -> Self {
            let w = [[0.5, -1.25, 0.75, 2.0], [-0.5, 0.25, -1.5, 1.0], [1.5, 0.5, -0.25, -0.75]];
            let x = if positive_input { [0.5, 0.0, 1.5, 0.25] } else { [0.5, -1.0, 1.5, -0.25] };
            Dense { x, w, b: [0.25, -0.5, 0.125], r: [1.0, -0.75, 0.5] }
        }

        /// y = W x + b.
        pub fn z(&self) -> [f64; OUTPUTS] {
            std::array::from_fn(|j| self.b[j] + (0..INPUTS).map(|i| self.w[j][i] * self.x[i]).sum::<f64>())
        }

        /// The emitted relevance, and what the ledger says bias and stabiliser took.
        pub fn run(&self, rule: Rule, positive_input: bool, bounds: Option<&Bounds>) -> (Vec<f64>, f64, f64) {
            let weights: Vec<f32> = self.w.iter().flatten().map(|v| *v as f32).collect();
            let bias: Vec<f32> = self.b.iter().map(|v| *v as f32).collect();
            let (w, c) = (floats("w", &[3, 4], &weights), floats("c", &[3], &bias));
            let mut b = Builder::new("");
            b.named_node("Gemm", &["x", "w", "c"], &["y"], [("transB", Attr::Int(1))]);
            let constants = HashMap::from([("w", &w), ("c", &c)]);
            let info = Info::new(DataType::Float, vec![Dim::Size(1), Dim::Size(4)]);
            let layer = Linear::of(&b.nodes[0].clone(), "y", None, &info, &constants).unwrap();
            let mut context = Context {
                b: &mut b,
                stabiliser: 1e-6,
                zero_bias: false,
                unsigned: false,
                positive_input,
                positive_relevance: false,
                bounds,
                ledger: Some(Absorbed::default()),
            };
            let made = apply(&mut context, rule, &layer, "r").unwrap();
            let ledger = context.ledger.take().unwrap();
            let mut initializer = vec![w, c];
            initializer.extend(b.constants.iter().filter(|t| t.name.as_deref() != Some("w")).cloned());
            let graph = GraphProto { node: b.nodes, initializer, ..GraphProto::default() };
            let row = |v: &[f64]| Value::floats(&[1, v.len()], v.to_vec()).unwrap();
            let values = evaluate(&graph, &[("x", row(&self.x)), ("r", row(&self.r))]).unwrap();
            let total = |terms: &[(f32, String)]| -> f64 {
                terms.iter().map(|(f, name)| f64::from(*f) * values[name].data.iter().sum::<f64>()).sum()
            };
            (values[&made].data.clone(), total(&ledger.bias), total(&ledger.stabiliser))
        }
    }

    /// d + ε sign(d).
    pub fn stab(d: f64) -> f64 {
        if d >= 0.0 { d + f64::from(1e-6f32) } else { d - f64::from(1e-6f32) }
    }

    pub fn close(made: &[f64], wanted: &[f64]) {
        for (a, b) in made.iter().zip(wanted) {
            assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{made:?} against {wanted:?}");
        }
        assert_eq!(made.len(), wanted.len());
    }
}

/// One node whose inputs are variables, and the graph of a rule on it.
#[cfg(test)]
pub(super) mod variable {
    pub use super::dense::close;
    use super::*;
    use crate::proto::GraphProto;
    use crate::reference::{Value, evaluate};
    use crate::shape::inferred;
    use crate::tensor::floats;

    pub struct Made {
        pub relevance: Vec<Vec<f64>>,
        pub bias: f64,
        pub stabiliser: f64,
    }

    /// Runs the node on matrices 2 × 2, a constant of one row or two behind them if it is not empty.
    pub fn run<const N: usize>(
        op: &str,
        rule: Rule,
        inputs: &[(&str, [f64; 4])],
        r: [f64; 4],
        unsigned: bool,
        constant: [f64; N],
    ) -> Made {
        let mut names: Vec<&str> = inputs.iter().map(|(name, _)| *name).collect();
        let mut initializer = Vec::new();
        if N > 0 {
            names.push("w");
            let dims: &[i64] = if N == 4 { &[2, 2] } else { &[2] };
            initializer.push(floats("w", dims, &constant.map(|v| v as f32)));
        }
        let mut b = Builder::new("");
        b.named_node(op, &names, &["y"], []);
        let node = b.nodes[0].clone();
        let info = crate::shape::Info::new(
            crate::tensor::DataType::Float,
            vec![crate::shape::Dim::Size(2), crate::shape::Dim::Size(2)],
        );
        let input = inputs.iter().map(|(name, _)| info.value(name)).collect();
        let forward = GraphProto { node: vec![node.clone()], initializer, input, ..GraphProto::default() };
        let known = inferred(&forward).unwrap();
        let wanted = |name: &str| name != "w";
        let mut c = Context {
            b: &mut b,
            stabiliser: 1e-6,
            zero_bias: false,
            unsigned,
            positive_input: false,
            positive_relevance: false,
            bounds: None,
            ledger: Some(Absorbed::default()),
        };
        let site = Site { node: &node, known: &known, wanted: &wanted, constant: &|name| name == "w" };
        let made = match rule {
            Rule::Product => product::apply(&mut c, &site, "r"),
            Rule::Softmax => softmax::apply(&mut c, &site, "r"),
            _ => layer_norm::apply(&mut c, &site, "r"),
        };
        let ledger = c.ledger.take().unwrap();
        let mut initializer = forward.initializer;
        initializer.append(&mut b.constants);
        let graph = GraphProto { node: b.nodes, initializer, ..GraphProto::default() };
        let square = |v: [f64; 4]| Value::floats(&[2, 2], v.to_vec()).unwrap();
        let mut feeds: Vec<(&str, Value)> = inputs.iter().map(|(name, v)| (*name, square(*v))).collect();
        feeds.push(("r", square(r)));
        let values = evaluate(&graph, &feeds).unwrap();
        let total = |terms: &[(f32, String)]| -> f64 {
            terms.iter().map(|(f, name)| f64::from(*f) * values[name].data.iter().sum::<f64>()).sum()
        };
        let relevance = made.unwrap().iter().flatten().map(|name| values[name].data.clone()).collect();
        Made { relevance, bias: total(&ledger.bias), stabiliser: total(&ledger.stabiliser) }
    }

    /// d + ε sign(d), or d + ε.
    pub fn stab(d: f64, unsigned: bool) -> f64 {
        if unsigned { d + f64::from(1e-6f32) } else { super::dense::stab(d) }
    }
}
