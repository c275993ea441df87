//! Losses: nodes that make a scalar loss and its gradient at the model's output.

use crate::build::{Attr, Builder};
use crate::proto::TensorProto;
use crate::tensor::floats;

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Mean over the batch of −log softmax(logits)[label], as torch's `CrossEntropyLoss`. Targets are
    /// int64 class indices [B].
    CrossEntropy,
    /// Mean over all elements of (output − target)², as torch's `MSELoss`.
    MeanSquaredError,
}

/// Emits the loss of `output` [B, …], whose sizes are `dims`, against `target`; returns the names of the
/// scalar loss and of its gradient at `output`.
pub fn emit(loss: Loss, b: &mut Builder, output: &str, target: &str, dims: &[i64]) -> (String, String) {
    match loss {
        Loss::CrossEntropy => cross_entropy(b, output, target, dims),
        Loss::MeanSquaredError => mean_squared_error(b, output, target, dims),
    }
}

/// Emits how many rows of `logits` have their largest entry at the label.
pub fn right(b: &mut Builder, logits: &str, labels: &str) -> String {
    let largest = b.node("ArgMax", &[logits], [("axis", Attr::Int(1)), ("keepdims", Attr::Int(0))]);
    let same = b.node("Equal", &[&largest, labels], []);
    let ones = b.node("Cast", &[&same], [("to", Attr::Int(1))]);
    b.node("ReduceSum", &[&ones], [("keepdims", Attr::Int(0))])
}

// The gradient (softmax − one-hot) / B is written directly: shorter and more stable than the walk's. The
// one-hot rows carry −1, which spares the loss a node.
fn cross_entropy(b: &mut Builder, logits: &str, labels: &str, dims: &[i64]) -> (String, String) {
    let rows = b.float(dims.first().copied().unwrap_or(1) as f32);
    let log_p = b.node("LogSoftmax", &[logits], [("axis", Attr::Int(1))]);
    let depth = b.ints(&dims[dims.len().min(1)..dims.len().min(2)]);
    let off_on = b.fresh("off_on");
    let values: TensorProto = floats(&off_on, &[2], &[0.0, -1.0]);
    b.constants.push(values);
    let one_hot = b.node("OneHot", &[labels, &depth, &off_on], [("axis", Attr::Int(-1))]);
    let picked = b.node("Mul", &[&log_p, &one_hot], []);
    let total = b.node("ReduceSum", &[&picked], [("keepdims", Attr::Int(0))]);
    let loss = b.node("Div", &[&total, &rows], []);
    let p = b.node("Exp", &[&log_p], []);
    let difference = b.node("Add", &[&p, &one_hot], []);
    (loss, b.node("Div", &[&difference, &rows], []))
}

fn mean_squared_error(b: &mut Builder, output: &str, target: &str, dims: &[i64]) -> (String, String) {
    let difference = b.node("Sub", &[output, target], []);
    let square = b.node("Mul", &[&difference, &difference], []);
    let loss = b.node("ReduceMean", &[&square], [("keepdims", Attr::Int(0))]);
    let half = b.float((dims.iter().product::<i64>().max(1) as f64 / 2.0) as f32);
    (loss, b.node("Div", &[&difference, &half], []))
}
