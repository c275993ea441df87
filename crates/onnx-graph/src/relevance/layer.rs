//! What kind of layer a node is, as far as relevance is concerned.

use crate::proto::{GraphProto, NodeProto};

/// Families of layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Weights times input, plus bias.
    Linear,
    /// Sums and means of inputs.
    Sum,
    /// Products of variables.
    Product,
    /// Works on each element alone; batch normalisation that stands alone counts as one.
    Activation,
    /// Moves or picks elements.
    Routing,
}

/// The family of a node; `None` for ops without a rule of their own. `constant` tells constants.
pub(super) fn family(node: &NodeProto, constant: &dyn Fn(&str) -> bool) -> Option<Family> {
    let is_constant = |i: usize| node.input.get(i).is_some_and(|name| constant(name));
    Some(match node.op_type.as_deref()? {
        "Conv" | "Gemm" | "MatMul" if is_constant(1) => Family::Linear,
        "Add" | "Sum" | "Sub" | "AveragePool" | "GlobalAveragePool" | "ReduceMean" | "ReduceSum" => {
            Family::Sum
        }
        // A constant factor: each element's share stays its own.
        "Mul" | "Div" if is_constant(1) => Family::Activation,
        "Mul" if is_constant(0) => Family::Activation,
        "Relu" | "LeakyRelu" | "PRelu" | "Elu" | "Selu" | "Clip" | "Sigmoid" | "Tanh" | "Softplus"
        | "Erf" | "Gelu" | "HardSwish" | "HardSigmoid" | "Mish" | "BatchNormalization" | "Neg" => {
            Family::Activation
        }
        "MatMul" | "Mul" => Family::Product,
        "MaxPool" | "GlobalMaxPool" | "Flatten" | "Reshape" | "Transpose" | "Concat" | "Split" | "Pad"
        | "Dropout" | "Identity" | "Squeeze" | "Unsqueeze" | "Slice" | "Gather" | "Expand" | "Cast" => {
            Family::Routing
        }
        _ => return None,
    })
}

/// The input of an activation through which relevance passes.
pub(super) fn carrier(node: &NodeProto, constant: &dyn Fn(&str) -> bool) -> usize {
    usize::from(
        node.op_type.as_deref() == Some("Mul") && node.input.first().is_some_and(|name| constant(name)),
    )
}

/// The linear part of `node` when it is `MatMul` of constant weights followed by the `Add` of a constant
/// (on inputs of more than two axes, where the two do not become `Gemm`): the product and the bias.
pub(super) fn product_of_add<'g>(
    graph: &'g GraphProto,
    node: &'g NodeProto,
    constant: &dyn Fn(&str) -> bool,
) -> Option<(&'g NodeProto, &'g str)> {
    let ("Add", [a, b]) = (node.op_type.as_deref()?, &node.input[..]) else { return None };
    let (product, bias) = if constant(b) { (a, b) } else { (b, a) };
    let readers = graph.node.iter().flat_map(crate::inner::reads).filter(|i| *i == product).count();
    let source = graph.node.iter().find(|n| n.output.first() == Some(product))?;
    let fits = source.op_type.as_deref() == Some("MatMul")
        && source.input.get(1).is_some_and(|w| constant(w))
        && constant(bias)
        && readers == 1;
    fits.then_some((source, bias))
}
