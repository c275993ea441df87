//! Adding nodes to a graph.

use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::tensor::{floats, ints};

/// The value of an attribute.
pub enum Attr<'a> {
    /// An integer.
    Int(i64),
    /// Integers.
    Ints(&'a [i64]),
    /// A float.
    Float(f32),
    /// A text.
    Text(&'a str),
    /// A subgraph.
    Graph(Box<GraphProto>),
}

impl Attr<'_> {
    /// The attribute called `name`.
    pub(crate) fn named(self, name: &str) -> AttributeProto {
        let mut attribute = AttributeProto { name: Some(name.to_owned()), ..AttributeProto::default() };
        let ty = match self {
            Attr::Float(value) => {
                attribute.f = Some(value);
                1
            }
            Attr::Int(value) => {
                attribute.i = Some(value);
                2
            }
            Attr::Text(value) => {
                attribute.s = Some(value.as_bytes().to_vec());
                3
            }
            Attr::Graph(value) => {
                attribute.g = Some(*value);
                5
            }
            Attr::Ints(values) => {
                attribute.ints = values.to_vec();
                7
            }
        };
        attribute.r#type = Some(ty);
        attribute
    }
}

/// Collects nodes and constants under fresh names.
#[derive(Debug, Default)]
pub struct Builder {
    /// Nodes in order.
    pub nodes: Vec<NodeProto>,
    /// Constants.
    pub constants: Vec<TensorProto>,
    prefix: String,
    count: usize,
}

impl Builder {
    /// A builder whose fresh names begin with `prefix`.
    pub fn new(prefix: &str) -> Self {
        Builder { prefix: prefix.to_owned(), ..Builder::default() }
    }

    /// A name that this builder gives once.
    pub fn fresh(&mut self, hint: &str) -> String {
        self.count += 1;
        format!("{}{hint}_{}", self.prefix, self.count)
    }

    /// Adds a node with one output under a fresh name, and returns that name.
    pub fn node<const N: usize>(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: [(&str, Attr); N],
    ) -> String {
        let output = self.fresh(&op.to_lowercase());
        self.named_node(op, inputs, &[&output], attributes);
        output
    }

    /// Adds a node with given output names.
    pub fn named_node<const N: usize>(
        &mut self,
        op: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: [(&str, Attr); N],
    ) {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        self.nodes.push(NodeProto {
            input: owned(inputs),
            output: owned(outputs),
            name: Some(format!("{}_{op}", outputs.first().copied().unwrap_or_default())),
            op_type: Some(op.to_owned()),
            attribute: attributes.into_iter().map(|(name, value)| value.named(name)).collect(),
            ..NodeProto::default()
        });
    }

    /// A float scalar constant.
    pub fn float(&mut self, value: f32) -> String {
        let name = self.fresh("c");
        self.constants.push(floats(&name, &[], &[value]));
        name
    }

    /// A one-dimensional int64 constant.
    pub fn ints(&mut self, values: &[i64]) -> String {
        let name = self.fresh("i");
        self.constants.push(ints(&name, &[values.len() as i64], values));
        name
    }
}
