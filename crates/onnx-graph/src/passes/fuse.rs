//! What exporters write in many nodes because the operator set had no op for it becomes that op again:
//! `LayerNormalization` and `Gelu`. Relevance has rules for these, not for their parts.

use crate::build::{Attr, Builder};
use crate::model::int_attribute;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::tensor::{read_floats, read_ints};

/// Puts one node in the place of every group that is one.
pub fn fuse(graph: &mut GraphProto) {
    for at in 0..graph.node.len() {
        let found = Finder { graph, before: at }.layer_norm().or_else(|| Finder { graph, before: at }.gelu());
        if let Some(fused) = found {
            graph.node[at] = fused;
        }
    }
    // What only the groups read is dead now.
    let wanted: Vec<String> = graph.output.iter().filter_map(|v| v.name.clone()).collect();
    graph.node = crate::grad::live(std::mem::take(&mut graph.node), &wanted);
}

/// Looks back from the node that ends a group.
struct Finder<'g> {
    graph: &'g GraphProto,
    before: usize,
}

impl<'g> Finder<'g> {
    fn end(&self) -> &'g NodeProto {
        &self.graph.node[self.before]
    }

    /// The node of one of these ops that makes `value`.
    fn source(&self, value: &str, ops: &[&str]) -> Option<&'g NodeProto> {
        let made = |n: &&NodeProto| n.output.first().is_some_and(|y| y == value);
        let node = self.graph.node[..self.before].iter().find(made)?;
        ops.contains(&node.op_type.as_deref()?).then_some(node)
    }

    fn constant(&self, name: &str) -> Option<&'g TensorProto> {
        self.graph.initializer.iter().find(|t| t.name.as_deref() == Some(name))
    }

    fn floats(&self, name: &str) -> Option<Vec<f32>> {
        read_floats(self.constant(name)?).ok()
    }

    fn is(&self, name: &str, value: f32) -> bool {
        self.floats(name).is_some_and(|v| v.len() == 1 && (v[0] - value).abs() <= 1e-6 * value.abs())
    }

    /// The two inputs of a node, the constant behind; `None` if not exactly one is constant.
    fn with_constant(&self, node: &'g NodeProto) -> Option<(&'g str, &'g str)> {
        let [a, b] = &node.input[..] else { return None };
        match (self.constant(a).is_some(), self.constant(b).is_some()) {
            (false, true) => Some((a, b)),
            (true, false) => Some((b, a)),
            _ => None,
        }
    }

    /// x of `ReduceMean`(x) over the last axis, kept.
    fn mean(&self, value: &str) -> Option<&'g str> {
        let node = self.source(value, &["ReduceMean"])?;
        let axes = read_ints(self.constant(node.input.get(1)?)?).ok()?;
        let last = axes == [-1] && int_attribute(node, "keepdims", 1) == 1;
        last.then(|| node.input[0].as_str())
    }

    /// s (x − mean) / √(mean((x − mean)²) + ε) + b, which ends at the `Add` of b.
    fn layer_norm(&self) -> Option<NodeProto> {
        let add = self.end();
        if add.op_type.as_deref() != Some("Add") {
            return None;
        }
        let (scaled, bias) = self.with_constant(add)?;
        let (hat, scale) = self.with_constant(self.source(scaled, &["Mul"])?)?;
        let [centred, root] = &self.source(hat, &["Div"])?.input[..] else { return None };
        let raised = self.source(root, &["Sqrt"])?.input.first()?;
        let (variance, epsilon) = self.with_constant(self.source(raised, &["Add"])?)?;
        let square = self.source(self.mean(variance)?, &["Pow", "Mul"])?;
        let squared = match square.op_type.as_deref() {
            Some("Pow") => self.is(&square.input[1], 2.0),
            _ => square.input[0] == square.input[1],
        };
        let [x, mean] = &self.source(centred, &["Sub"])?.input[..] else { return None };
        let epsilon = self.floats(epsilon).filter(|v| v.len() == 1)?[0];
        let fits = squared && square.input[0] == *centred && self.mean(mean)? == x;
        fits.then(|| {
            let mut b = Builder::default();
            let attributes = [("axis", Attr::Int(-1)), ("epsilon", Attr::Float(epsilon))];
            b.named_node("LayerNormalization", &[x, scale, bias], &[&add.output[0]], attributes);
            b.nodes.remove(0)
        })
    }

    /// x (1 + erf(x / √2)) / 2, which ends at a `Mul`; the half may stand at any of the three.
    fn gelu(&self) -> Option<NodeProto> {
        let end = self.end();
        let [a, b] = &end.input[..] else { return None };
        if end.op_type.as_deref() != Some("Mul") {
            return None;
        }
        let whole = |a: &'g str, b: &str| self.raised(b).filter(|x| *x == a);
        let x = match self.halved(end) {
            Some(product) => {
                let [a, b] = &self.source(product, &["Mul"])?.input[..] else { return None };
                whole(a, b).or_else(|| whole(b, a))?
            }
            None => {
                let half = |value: &str| self.halved(self.source(value, &["Mul"])?);
                let one_way = |a: &'g str, b: &str| {
                    let first = half(a).filter(|x| self.raised(b) == Some(x));
                    first.or_else(|| half(b).and_then(|b| whole(a, b)))
                };
                one_way(a, b).or_else(|| one_way(b, a))?
            }
        };
        let mut b = Builder::default();
        b.named_node("Gelu", &[x], &[&end.output[0]], []);
        b.nodes.pop()
    }

    /// x of x / 2, written as a product.
    fn halved(&self, node: &'g NodeProto) -> Option<&'g str> {
        let (x, half) = self.with_constant(node)?;
        self.is(half, 0.5).then_some(x)
    }

    /// x of 1 + erf(x / √2).
    fn raised(&self, value: &str) -> Option<&'g str> {
        let (erf, one) = self.with_constant(self.source(value, &["Add"])?)?;
        let scaled = self.source(self.source(erf, &["Erf"])?.input.first()?, &["Div", "Mul"])?;
        let (x, factor) = self.with_constant(scaled)?;
        let root = match scaled.op_type.as_deref() {
            Some("Div") => std::f32::consts::SQRT_2,
            _ => std::f32::consts::FRAC_1_SQRT_2,
        };
        (self.is(one, 1.0) && self.is(factor, root)).then_some(x)
    }
}
