//! Losses: nodes that make a scalar loss and its gradient at the model's output.

use crate::build::{Attr, Builder};
use crate::proto::TensorProto;
use crate::tensor::floats;

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Mean over the batch of −log softmax(logits)[label], as torch's `CrossEntropyLoss`. Targets are
    /// int64 class indices [B].
    CrossEntropy,
    /// Mean over all elements of (output − target)², as torch's `MSELoss`.
    MeanSquaredError,
    /// Rows come in threes: two that were judged alike, then the odd one. With the products of outputs as
    /// similarities s, the mean over triplets of −log(exp s₁₂ / (exp s₁₂ + exp s₁₃ + exp s₂₃)) (Hebart et
    /// al. 2020). There are no targets.
    OddOneOut,
    /// Rows come in threes: an anchor, one that is like it, one that is not. The mean over triplets of
    /// max(0, d(anchor, alike) − d(anchor, other) + margin), d(x, y) = ‖x − y + 1e-6‖, as torch's
    /// `TripletMarginLoss`. There are no targets.
    Triplet {
        /// By how much the other is to be farther away.
        margin: f32,
    },
}

/// Keeps the gradient of a distance of zero finite; torch's value.
const APART: f32 = 1e-6;

impl Loss {
    /// Rows that belong together.
    pub fn group(self) -> usize {
        if self.has_targets() { 1 } else { 3 }
    }

    /// Is each row held against a target?
    pub fn has_targets(self) -> bool {
        matches!(self, Loss::CrossEntropy | Loss::MeanSquaredError)
    }
}

/// Emits the loss of `output` [B, …], whose sizes are `dims`, against `target`; returns the names of the
/// scalar loss and of its gradient at `output`.
pub fn emit(loss: Loss, b: &mut Builder, output: &str, target: &str, dims: &[i64]) -> (String, String) {
    match loss {
        Loss::CrossEntropy => cross_entropy(b, output, target, dims),
        Loss::MeanSquaredError => mean_squared_error(b, output, target, dims),
        Loss::OddOneOut => odd_one_out(b, output, dims),
        Loss::Triplet { margin } => triplet(b, output, margin, dims),
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

/// The rows [B / 3, 3, width] of each triplet.
fn in_threes(b: &mut Builder, output: &str, dims: &[i64]) -> String {
    let width = dims.iter().skip(1).product::<i64>();
    let threes = b.ints(&[-1, 3, width]);
    b.node("Reshape", &[output, &threes], [])
}

/// The similarities [B / 3, 3] of each three rows: first and second, first and third, second and third.
fn similarities(b: &mut Builder, output: &str, dims: &[i64]) -> (String, String) {
    let rows = in_threes(b, output, dims);
    let turned = b.node("Transpose", &[&rows], [("perm", Attr::Ints(&[0, 2, 1]))]);
    let products = b.node("MatMul", &[&rows, &turned], []);
    let nine = b.ints(&[-1, 9]);
    let flat = b.node("Reshape", &[&products, &nine], []);
    let pairs = b.ints(&[1, 2, 5]);
    (rows, b.node("Gather", &[&flat, &pairs], [("axis", Attr::Int(1))]))
}

/// Emits how many triplets have their odd row where the outputs put it, thrice: once for each row.
pub fn odd_ones(b: &mut Builder, output: &str, dims: &[i64]) -> String {
    let (_, pairs) = similarities(b, output, dims);
    let largest = b.node("ArgMax", &[&pairs], [("axis", Attr::Int(1)), ("keepdims", Attr::Int(0))]);
    let first = b.ints(&[0]);
    let same = b.node("Equal", &[&largest, &first], []);
    thrice(b, &same)
}

/// Emits how many triplets have the alike row nearer to the anchor than the other, thrice: once for each row.
pub fn nearer(b: &mut Builder, output: &str, dims: &[i64]) -> String {
    let [(_, alike), (_, other)] = distances(b, output, dims);
    let nearer = b.node("Less", &[&alike, &other], []);
    thrice(b, &nearer)
}

fn thrice(b: &mut Builder, is: &str) -> String {
    let ones = b.node("Cast", &[is], [("to", Attr::Int(1))]);
    let count = b.node("ReduceSum", &[&ones], [("keepdims", Attr::Int(0))]);
    let three = b.float(3.0);
    b.node("Mul", &[&count, &three], [])
}

// With d the gradient at the similarities, that at the rows is the symmetric 3×3 matrix of d times them.
fn odd_one_out(b: &mut Builder, output: &str, dims: &[i64]) -> (String, String) {
    let triplets = b.float((dims.first().copied().unwrap_or(3) / 3).max(1) as f32);
    let (rows, pairs) = similarities(b, output, dims);
    let log_p = b.node("LogSoftmax", &[&pairs], [("axis", Attr::Int(1))]);
    let wanted = b.fresh("wanted");
    b.constants.push(floats(&wanted, &[3], &[-1.0, 0.0, 0.0]));
    let picked = b.node("Mul", &[&log_p, &wanted], []);
    let total = b.node("ReduceSum", &[&picked], [("keepdims", Attr::Int(0))]);
    let loss = b.node("Div", &[&total, &triplets], []);
    let p = b.node("Exp", &[&log_p], []);
    let difference = b.node("Add", &[&p, &wanted], []);
    let d = b.node("Div", &[&difference, &triplets], []);
    let pads = b.ints(&[0, 0, 0, 1]);
    let with_zero = b.node("Pad", &[&d, &pads], []);
    let places = b.ints(&[3, 0, 1, 0, 3, 2, 1, 2, 3]);
    let nine = b.node("Gather", &[&with_zero, &places], [("axis", Attr::Int(1))]);
    let square = b.ints(&[-1, 3, 3]);
    let matrix = b.node("Reshape", &[&nine, &square], []);
    let flow = b.node("MatMul", &[&matrix, &rows], []);
    let shape = b.ints(dims);
    (loss, b.node("Reshape", &[&flow, &shape], []))
}

/// Difference [T, 1, width] and distance [T, 1, 1] from the anchor to the alike row, then to the other.
fn distances(b: &mut Builder, output: &str, dims: &[i64]) -> [(String, String); 2] {
    let rows = in_threes(b, output, dims);
    let apart = b.float(APART);
    let last = b.ints(&[2]);
    let row = |b: &mut Builder, at: i64| {
        let at = b.ints(&[at]);
        b.node("Gather", &[&rows, &at], [("axis", Attr::Int(1))])
    };
    let anchor = row(b, 0);
    [1, 2].map(|at| {
        let to = row(b, at);
        let between = b.node("Sub", &[&anchor, &to], []);
        let difference = b.node("Add", &[&between, &apart], []);
        let square = b.node("Mul", &[&difference, &difference], []);
        let total = b.node("ReduceSum", &[&square, &last], [("keepdims", Attr::Int(1))]);
        let distance = b.node("Sqrt", &[&total], []);
        (difference, distance)
    })
}

// The gradient of a distance is the difference over it; only triplets that miss the margin have one.
fn triplet(b: &mut Builder, output: &str, margin: f32, dims: &[i64]) -> (String, String) {
    let triplets = b.float((dims.first().copied().unwrap_or(3) / 3).max(1) as f32);
    let [(to_alike, alike), (to_other, other)] = distances(b, output, dims);
    let (margin, zero) = (b.float(margin), b.float(0.0));
    let gap = b.node("Sub", &[&alike, &other], []);
    let miss = b.node("Add", &[&gap, &margin], []);
    let hinge = b.node("Relu", &[&miss], []);
    let total = b.node("ReduceSum", &[&hinge], [("keepdims", Attr::Int(0))]);
    let loss = b.node("Div", &[&total, &triplets], []);
    let misses = b.node("Greater", &[&miss, &zero], []);
    let active = b.node("Cast", &[&misses], [("to", Attr::Int(1))]);
    let weight = b.node("Div", &[&active, &triplets], []);
    let flow = |b: &mut Builder, difference: &str, distance: &str| {
        let direction = b.node("Div", &[difference, distance], []);
        b.node("Mul", &[&direction, &weight], [])
    };
    let pull = flow(b, &to_alike, &alike);
    let push = flow(b, &to_other, &other);
    let anchor = b.node("Sub", &[&pull, &push], []);
    let back = b.node("Neg", &[&pull], []);
    let all = b.node("Concat", &[&anchor, &back, &push], [("axis", Attr::Int(1))]);
    let shape = b.ints(dims);
    (loss, b.node("Reshape", &[&all, &shape], []))
}
