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

/// Emits the loss of `output` against `target`; returns the names of the scalar loss and of its
/// gradient at `output`. `classes` is the number of columns of `output`.
pub fn emit(loss: Loss, b: &mut Builder, output: &str, target: &str, classes: i64) -> (String, String) {
    match loss {
        Loss::CrossEntropy => cross_entropy(b, output, target, classes),
        Loss::MeanSquaredError => mean_squared_error(b, output, target),
    }
}

// The gradient (softmax − one-hot) / B is written directly: shorter and more stable than the walk's.
fn cross_entropy(b: &mut Builder, logits: &str, labels: &str, classes: i64) -> (String, String) {
    let log_p = b.node("LogSoftmax", &[logits], [("axis", Attr::Int(1))]);
    let depth = b.ints(&[classes]);
    let off_on = b.fresh("off_on");
    let values: TensorProto = floats(&off_on, &[2], &[0.0, 1.0]);
    b.constants.push(values);
    let one_hot = b.node("OneHot", &[labels, &depth, &off_on], [("axis", Attr::Int(-1))]);
    let batch = b.node("Shape", &[logits], [("start", Attr::Int(0)), ("end", Attr::Int(1))]);
    let batch = b.node("Cast", &[&batch], [("to", Attr::Int(1))]);
    let picked = b.node("Mul", &[&log_p, &one_hot], []);
    let total = b.node("ReduceSum", &[&picked], [("keepdims", Attr::Int(0))]);
    let scalar = b.node("Squeeze", &[&batch], []);
    let mean = b.node("Div", &[&total, &scalar], []);
    let loss = b.node("Neg", &[&mean], []);
    let p = b.node("Exp", &[&log_p], []);
    let difference = b.node("Sub", &[&p, &one_hot], []);
    (loss, b.node("Div", &[&difference, &scalar], []))
}

fn mean_squared_error(b: &mut Builder, output: &str, target: &str) -> (String, String) {
    let difference = b.node("Sub", &[output, target], []);
    let square = b.node("Mul", &[&difference, &difference], []);
    let loss = b.node("ReduceMean", &[&square], [("keepdims", Attr::Int(0))]);
    let count = b.node("Size", &[output], []);
    let count = b.node("Cast", &[&count], [("to", Attr::Int(1))]);
    let two = b.float(2.0);
    let doubled = b.node("Mul", &[&difference, &two], []);
    (loss, b.node("Div", &[&doubled, &count], []))
}
