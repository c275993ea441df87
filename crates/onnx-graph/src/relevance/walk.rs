//! The walk from the explained tensor back to the input: assigns rules, adds up what meets in a value.

use std::collections::{HashMap, HashSet};

use super::composite::{Composite, Rule};
use super::layer::{Family, carrier, family, product_of_add};
use super::linear::Linear;
use super::rules::{Absorbed, Context, Site, apply, layer_norm, product, softmax};
use super::sign::non_negative;
use super::{CONSERVATION, Line, Options, RELEVANCE};
use crate::build::{Attr, Builder};
use crate::error::{Error, Result};
use crate::grad::{depends, node_gradients};
use crate::model::node_label;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::shape::Inferred;

/// Nodes and constants of the way back.
pub(super) struct Made {
    /// Forward nodes that were given further outputs.
    pub(super) forward: Vec<NodeProto>,
    pub(super) nodes: Vec<NodeProto>,
    pub(super) constants: Vec<TensorProto>,
    pub(super) lines: Vec<Line>,
}

/// Where relevance at a value is known to be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Zero {
    /// Nowhere.
    Unknown,
    /// Where the value is zero.
    AtNought,
    /// Where the value is not positive.
    NotAbove,
}

struct Walk<'a> {
    b: Builder,
    graph: &'a GraphProto,
    known: &'a Inferred,
    constants: &'a HashMap<&'a str, &'a TensorProto>,
    positive: HashSet<String>,
    options: &'a Options,
    /// Where the map is taken.
    at: &'a str,
    /// The stabiliser has no sign.
    unsigned: bool,
    /// Relevance that arrived at a value, and where it is zero.
    arrived: HashMap<String, Vec<(String, Zero)>>,
    forward: Vec<NodeProto>,
    lines: Vec<Line>,
    /// Of each line four names [N]: at the output, at the inputs, by the bias, by the stabiliser.
    counts: Vec<[String; 4]>,
}

/// Walks from `explained`, where relevance `start` begins, back to `at`.
pub(super) fn walk(
    graph: &GraphProto,
    known: &Inferred,
    composite: &Composite,
    options: &Options,
    (explained, start, at): (&str, &str, &str),
    b: Builder,
) -> Result<Made> {
    let constants: HashMap<&str, &TensorProto> =
        graph.initializer.iter().filter_map(|t| Some((t.name.as_deref()?, t))).collect();
    let positive = non_negative(graph, &constants);
    let rules = assign(graph, composite, &|name| constants.contains_key(name));
    let mut walk = Walk {
        b,
        graph,
        known,
        constants: &constants,
        positive,
        options,
        at,
        unsigned: composite.unsigned,
        arrived: HashMap::from([(explained.to_owned(), vec![(start.to_owned(), Zero::Unknown)])]),
        forward: Vec::new(),
        lines: Vec::new(),
        counts: Vec::new(),
    };
    let reached = depends(graph, &[at]);
    for (node, rule) in graph.node.iter().zip(rules).rev() {
        let on_the_way = node.output.iter().any(|y| reached.contains(y) && y != at);
        if on_the_way && node.output.iter().any(|y| walk.arrived.contains_key(y)) {
            walk.node(node, rule, &reached)?;
        }
    }
    let (map, _) = walk
        .sum(at)
        .ok_or_else(|| Error::new(format!("the tensor `{explained}` does not depend on `{at}`")))?;
    if composite.times_input {
        walk.b.named_node("Mul", &[&map, at], &[RELEVANCE], []);
    } else {
        walk.b.named_node("Identity", &[&map], &[RELEVANCE], []);
    }
    if options.conservation && !walk.counts.is_empty() {
        walk.table();
    }
    Ok(Made { forward: walk.forward, nodes: walk.b.nodes, constants: walk.b.constants, lines: walk.lines })
}

/// The rule of each node: the first entry of the composite that matches.
fn assign(graph: &GraphProto, composite: &Composite, constant: &dyn Fn(&str) -> bool) -> Vec<Option<Rule>> {
    let described: Vec<(&str, &str, Option<Family>)> = graph
        .node
        .iter()
        .map(|n| {
            let name = n.name.as_deref().filter(|n| !n.is_empty()).or(n.output.first().map(String::as_str));
            let fused = product_of_add(graph, n, constant).is_some();
            // A product and the `Add` of its bias are one layer, which goes by the product's op.
            if fused {
                return ("MatMul", name.unwrap_or(""), Some(Family::Linear));
            }
            (n.op_type.as_deref().unwrap_or(""), name.unwrap_or(""), family(n, constant))
        })
        .collect();
    let mut rules = vec![None; described.len()];
    for entry in &composite.entries {
        let mut places: Vec<usize> = (0..described.len())
            .filter(|i| {
                let (op, name, family) = described[*i];
                entry.matches(op, name, family)
            })
            .collect();
        if entry.first {
            places.truncate(1);
        }
        if entry.last {
            places = places.split_off(places.len().saturating_sub(1));
        }
        for i in places {
            if rules[i].is_none() {
                rules[i] = Some(entry.rule);
            }
        }
    }
    rules
}

impl Walk<'_> {
    /// The relevance at a value: the sum of what arrived.
    fn sum(&mut self, value: &str) -> Option<(String, Zero)> {
        let parts = self.arrived.remove(value)?;
        let zero = parts.iter().map(|p| p.1).min()?;
        let names: Vec<&str> = parts.iter().map(|p| p.0.as_str()).collect();
        let total = match names[..] {
            [only] => only.to_owned(),
            _ => self.b.node("Sum", &names, []),
        };
        // It may be asked for again: several nodes can read an inner tensor that is mapped.
        self.arrived.insert(value.to_owned(), vec![(total.clone(), zero)]);
        Some((total, zero))
    }

    fn arrive(&mut self, value: &str, relevance: String, zero: Zero) {
        self.arrived.entry(value.to_owned()).or_default().push((relevance, zero));
    }

    fn node(&mut self, node: &NodeProto, rule: Option<Rule>, reached: &HashSet<String>) -> Result<()> {
        let label = node_label(node);
        let context = |e: Error| Error::new(format!("relevance of {label}: {e}"));
        let rule = rule.ok_or_else(|| {
            Error::new(format!(
                "{label} has no rule: give its op or name one in the composite, for example \
                 `{{ ops: [{}], rule: gradient }}`",
                node.op_type.as_deref().unwrap_or("?")
            ))
        })?;
        let constants = self.constants;
        let constant = |name: &str| constants.contains_key(name);
        let fused = product_of_add(self.graph, node, &constant);
        let linear = fused.is_some() || family(node, &constant) == Some(Family::Linear);
        match rule {
            Rule::Pass => self.pass(node, &constant),
            Rule::Gradient | Rule::Guided => self.by_gradient(node, rule, reached).map_err(context)?,
            Rule::Norm => self.norm(node, reached).map_err(context)?,
            Rule::Product | Rule::Softmax | Rule::LayerNorm => {
                self.variable(node, rule, reached).map_err(context)?;
            }
            weighted if linear => {
                let (product, bias) = fused.map_or((node, None), |(p, b)| (p, Some(b)));
                self.weighted(node, product, bias, weighted).map_err(context)?;
            }
            other => {
                return Err(context(Error::new(format!(
                    "the rule {other:?} is for layers with constant weights"
                ))));
            }
        }
        Ok(())
    }

    /// What a rule knows of any place.
    fn context(&mut self) -> Context<'_> {
        Context {
            b: &mut self.b,
            stabiliser: self.options.stabiliser,
            zero_bias: self.options.zero_bias,
            unsigned: self.unsigned,
            positive_input: false,
            positive_relevance: false,
            bounds: self.options.bounds.as_ref(),
            ledger: self.options.conservation.then(Absorbed::default),
        }
    }

    /// Products, softmax and layer normalisation.
    fn variable(&mut self, node: &NodeProto, rule: Rule, reached: &HashSet<String>) -> Result<()> {
        let y = node.output.first().cloned().unwrap_or_default();
        let Some((relevance, _)) = self.sum(&y) else { return Ok(()) };
        let wanted = |name: &str| reached.contains(name);
        let (known, constants) = (self.known, self.constants);
        let constant = |name: &str| constants.contains_key(name);
        let mut context = self.context();
        let site = Site { node, known, wanted: &wanted, constant: &constant };
        let made = match rule {
            Rule::Product => product::apply(&mut context, &site, &relevance)?,
            Rule::Softmax => softmax::apply(&mut context, &site, &relevance)?,
            _ => layer_norm::apply(&mut context, &site, &relevance)?,
        };
        let ledger = context.ledger.take();
        let zero = if node.op_type.as_deref() == Some("Mul") { Zero::Unknown } else { Zero::AtNought };
        let mut into = Vec::new();
        for (x, made) in node.input.iter().zip(made) {
            if let Some(made) = made.filter(|_| reached.contains(x)) {
                into.push(made.clone());
                self.arrive(x, made, zero);
            }
        }
        if let Some(ledger) = ledger {
            self.line(node, &rule_name(rule), &[relevance], &into, &ledger);
        }
        Ok(())
    }

    /// A layer with weights. `product` differs from `node` where an `Add` behind it holds the bias.
    fn weighted(
        &mut self,
        node: &NodeProto,
        product: &NodeProto,
        bias: Option<&str>,
        rule: Rule,
    ) -> Result<()> {
        let y = node.output.first().cloned().unwrap_or_default();
        let Some((relevance, zero)) = self.sum(&y) else { return Ok(()) };
        let x = product.input.first().cloned().unwrap_or_default();
        let info =
            self.known.infos.get(&x).cloned().ok_or_else(|| Error::new(format!("`{x}` is not known")))?;
        let layer = Linear::of(product, &y, bias, &info, self.constants)?;
        let (positive_input, positive_relevance) = (self.positive.contains(&x), zero == Zero::NotAbove);
        let mut context = Context { positive_input, positive_relevance, ..self.context() };
        let made = apply(&mut context, rule, &layer, &relevance)?;
        let ledger = context.ledger.take();
        if let Some(ledger) = ledger {
            self.line(node, &rule_name(rule), &[relevance], std::slice::from_ref(&made), &ledger);
        }
        // These do not multiply by x, so that something may arrive where x is zero.
        let zero = if matches!(rule, Rule::Flat | Rule::WSquare | Rule::ZBox) {
            Zero::Unknown
        } else {
            Zero::AtNought
        };
        self.arrive(&x, made, zero);
        Ok(())
    }

    /// x · Jᵀ(R / stab(z)) for sums and means of any number of inputs; constants take their share as a bias.
    fn norm(&mut self, node: &NodeProto, reached: &HashSet<String>) -> Result<()> {
        let y = node.output.first().cloned().unwrap_or_default();
        let Some((relevance, _)) = self.sum(&y) else { return Ok(()) };
        let positive = self.positive.contains(&y);
        let mut context = self.context();
        let stabiliser = context.stabiliser;
        let s = context.quotient(&relevance, &y, (stabiliser, positive), None, 1.0);
        let mut ledger = context.ledger.take();
        let mut forward = node.clone();
        let constants = self.constants;
        let wanted = |name: &str| reached.contains(name) || constants.contains_key(name);
        let gradients = node_gradients(&mut self.b, &mut forward, self.known, &[Some(s.clone())], &wanted)?;
        let mut made = Vec::new();
        for (x, gradient) in node.input.iter().zip(gradients) {
            let Some(gradient) = gradient else { continue };
            let share = self.b.node("Mul", &[x, &gradient], []);
            if reached.contains(x) {
                made.push(share.clone());
                self.arrive(x, share, Zero::AtNought);
            } else if let Some(ledger) = &mut ledger {
                // The whole product s · x, so that it can be added up for each image.
                let term = self.b.node("Mul", &[&s, x], []);
                ledger.bias.push((1.0, term));
            }
        }
        if let Some(ledger) = ledger {
            self.line(node, "norm", &[relevance], &made, &ledger);
        }
        Ok(())
    }

    fn pass(&mut self, node: &NodeProto, constant: &dyn Fn(&str) -> bool) {
        let y = node.output.first().cloned().unwrap_or_default();
        let Some((relevance, zero)) = self.sum(&y) else { return };
        let x = node.input.get(carrier(node, constant)).cloned().unwrap_or_default();
        let zero = match node.op_type.as_deref() {
            Some("Relu") if zero != Zero::Unknown => Zero::NotAbove,
            Some("LeakyRelu" | "PRelu" | "Elu" | "Tanh" | "Neg") => zero.min(Zero::AtNought),
            _ => Zero::Unknown,
        };
        if self.options.conservation {
            let same = std::slice::from_ref(&relevance);
            self.line(node, "pass", same, same, &Absorbed::default());
        }
        self.arrive(&x, relevance, zero);
    }

    fn by_gradient(&mut self, node: &NodeProto, rule: Rule, reached: &HashSet<String>) -> Result<()> {
        let mut arrived = Vec::with_capacity(node.output.len());
        let mut zero = Zero::NotAbove;
        for y in &node.output {
            let sum = self.sum(y);
            zero = zero.min(sum.as_ref().map_or(Zero::NotAbove, |s| s.1));
            arrived.push(sum.map(|s| s.0));
        }
        let before: Vec<String> = arrived.iter().flatten().cloned().collect();
        if rule == Rule::Guided {
            for relevance in arrived.iter_mut().flatten() {
                *relevance = self.b.node("Relu", &[relevance], []);
            }
        }
        let mut forward = node.clone();
        let wanted = |name: &str| reached.contains(name);
        let gradients = node_gradients(&mut self.b, &mut forward, self.known, &arrived, &wanted)?;
        if forward != *node {
            self.forward.push(forward);
        }
        let constants = self.constants;
        let routing = family(node, &|name| constants.contains_key(name)) == Some(Family::Routing);
        let zero = if routing { zero.min(Zero::AtNought) } else { Zero::Unknown };
        let mut made = Vec::new();
        for (x, gradient) in node.input.iter().zip(gradients) {
            if let Some(gradient) = gradient {
                made.push(gradient.clone());
                self.arrive(x, gradient, zero);
            }
        }
        // Where a gradient stands for a rule, the line shows what it does not conserve.
        if self.options.conservation {
            self.line(node, &rule_name(rule), &before, &made, &Absorbed::default());
        }
        Ok(())
    }

    /// Σ over everything but the first axis: one number for each image.
    fn per_image(&mut self, value: &str) -> String {
        let flat = self.b.node("Flatten", &[value], [("axis", Attr::Int(1))]);
        let axes = self.b.ints(&[1]);
        self.b.node("ReduceSum", &[&flat, &axes], [("keepdims", Attr::Int(0))])
    }

    /// Does a value of the model begin with the axis of the images?
    fn has_images_first(&self, value: &str) -> bool {
        let first = |name: &str| self.known.infos.get(name)?.dims.as_ref()?.first();
        first(value).is_some_and(|dim| Some(dim) == first(self.at))
    }

    /// Notes a line of the conservation table, unless the layer's tensors are not image by image.
    fn line(&mut self, node: &NodeProto, rule: &str, out: &[String], into: &[String], ledger: &Absorbed) {
        let constants = self.constants;
        let mut values = node.output.iter().take(1).chain(&node.input);
        if values.any(|v| !v.is_empty() && !constants.contains_key(v.as_str()) && !self.has_images_first(v)) {
            return;
        }
        let name = node.name.clone().filter(|n| !n.is_empty()).or(node.output.first().cloned());
        self.lines.push(Line {
            node: name.unwrap_or_default(),
            op: node.op_type.clone().unwrap_or_default(),
            rule: rule.to_owned(),
        });
        let out: Vec<String> = out.iter().map(|name| self.per_image(name)).collect();
        let zero = self.b.float(0.0);
        let none = self.b.node("Mul", &[&out[0], &zero], []);
        let out =
            out.into_iter().reduce(|sum, part| self.b.node("Add", &[&sum, &part], [])).unwrap_or_default();
        let total = |walk: &mut Self, terms: &[(f32, String)]| {
            terms.iter().fold(none.clone(), |sum, (factor, term)| {
                let part = walk.per_image(term);
                let factor = walk.b.float(*factor);
                let part = walk.b.node("Mul", &[&part, &factor], []);
                walk.b.node("Add", &[&sum, &part], [])
            })
        };
        let into: Vec<(f32, String)> = into.iter().map(|name| (1.0, name.clone())).collect();
        let into = total(self, &into);
        let (bias, stabiliser) = (total(self, &ledger.bias), total(self, &ledger.stabiliser));
        self.counts.push([out, into, bias, stabiliser]);
    }

    /// Emits [N, lines, 4].
    fn table(&mut self) {
        let axes = self.b.ints(&[1]);
        let mut columns = Vec::with_capacity(4 * self.counts.len());
        for name in self.counts.clone().iter().flatten() {
            columns.push(self.b.node("Unsqueeze", &[name, &axes], []));
        }
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let flat = self.b.node("Concat", &names, [("axis", Attr::Int(1))]);
        let shape = self.b.ints(&[0, -1, 4]);
        self.b.named_node("Reshape", &[&flat, &shape], &[CONSERVATION], []);
    }
}

/// A rule as YAML names it.
fn rule_name(rule: Rule) -> String {
    match rule {
        Rule::Epsilon { .. } => "epsilon",
        Rule::ZPlus => "zplus",
        Rule::AlphaBeta { .. } => "alpha_beta",
        Rule::Gamma { .. } => "gamma",
        Rule::ZBox => "zbox",
        Rule::WSquare => "wsquare",
        Rule::Flat => "flat",
        Rule::Norm => "norm",
        Rule::Product => "product",
        Rule::Softmax => "softmax",
        Rule::LayerNorm => "layer_norm",
        Rule::Pass => "pass",
        Rule::Gradient => "gradient",
        Rule::Guided => "guided",
    }
    .to_owned()
}
