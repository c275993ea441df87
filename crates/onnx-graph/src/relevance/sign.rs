//! Which values cannot be negative, proven edge by edge.

use std::collections::{HashMap, HashSet};

use crate::proto::{GraphProto, TensorProto};
use crate::tensor::read_floats;

/// The values of `graph` that are never negative, whatever the input.
pub(super) fn non_negative(graph: &GraphProto, constants: &HashMap<&str, &TensorProto>) -> HashSet<String> {
    let at_least_zero = |name: &str| {
        constants.get(name).and_then(|t| read_floats(t).ok()).is_some_and(|v| v.iter().all(|x| *x >= 0.0))
    };
    let mut known: HashSet<String> = HashSet::new();
    for node in &graph.node {
        let input =
            |i: usize| node.input.get(i).is_some_and(|name| known.contains(name) || at_least_zero(name));
        let all = || (0..node.input.len()).all(input);
        let sure = match node.op_type.as_deref().unwrap_or("") {
            "Relu" | "Sigmoid" | "Softmax" | "Softplus" | "Exp" | "Abs" | "Sqrt" | "HardSigmoid" => true,
            "Clip" => node.input.get(1).is_some_and(|low| at_least_zero(low)),
            "Add" | "Sum" | "Mul" | "Concat" | "Max" | "Min" => all(),
            "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool" | "Flatten" | "Reshape"
            | "Transpose" | "Identity" | "Dropout" | "Squeeze" | "Unsqueeze" | "Slice" | "Gather"
            | "Expand" | "Split" | "ReduceMean" | "ReduceSum" | "ReduceMax" => input(0),
            "Pad" => input(0) && node.input.get(2).is_none_or(|v| v.is_empty() || at_least_zero(v)),
            _ => false,
        };
        if sure {
            known.extend(node.output.iter().cloned());
        }
    }
    known
}
