//! The ops: one file each with type and shape inference and gradient. A new op is its file and a
//! line in `OPS`.

use crate::build::Builder;
use crate::error::{Error, Result};
use crate::model::node_label;
use crate::proto::NodeProto;
use crate::shape::{Dim, Info};

mod arithmetic;
mod conv;
mod flatten;
mod gemm;
mod identity;
mod matmul;
mod max_pool;
mod reduce;
mod relu;
mod reshape;
mod sigmoid;
mod softmax;
mod tanh;

/// What this crate knows of an op.
pub trait Op: Sync {
    /// Its name in the standard.
    fn name(&self) -> &'static str;

    /// Types and shapes of its outputs; `constant(i)` gives the values of input `i` if it is a constant
    /// int64. An op that works element by element gives what it was given.
    ///
    /// # Errors
    /// If the inputs do not fit.
    fn infer(
        &self,
        _node: &NodeProto,
        inputs: &[Info],
        _constant: &dyn Fn(usize) -> Option<Vec<i64>>,
    ) -> Result<Vec<Info>> {
        Ok(vec![input(inputs, 0)?.clone()])
    }

    /// Emits the gradient of each input from that of the first output; `None` for inputs that have none.
    ///
    /// # Errors
    /// If this use of the op cannot be differentiated.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>>;
}

/// What an op sees when it is differentiated.
pub struct Gradient<'a> {
    /// Where to put nodes.
    pub b: &'a mut Builder,
    /// The forward node; the op may add outputs that it needs (MaxPool's indices).
    pub node: &'a mut NodeProto,
    /// Types and shapes of the inputs.
    pub inputs: &'a [Info],
    /// Name of the gradient of the first output.
    pub dy: &'a str,
}

impl Gradient<'_> {
    /// The name of input `i`.
    pub fn x(&self, i: usize) -> String {
        self.node.input.get(i).cloned().unwrap_or_default()
    }

    /// The name of the first output.
    pub fn y(&self) -> String {
        self.node.output.first().cloned().unwrap_or_default()
    }
}

/// Every supported op.
pub static OPS: &[&dyn Op] = &[
    &arithmetic::Add,
    &arithmetic::Sub,
    &arithmetic::Mul,
    &conv::Conv,
    &flatten::Flatten,
    &gemm::Gemm,
    &identity::Identity,
    &matmul::MatMul,
    &max_pool::MaxPool,
    &reduce::ReduceSum,
    &reduce::ReduceMean,
    &relu::Relu,
    &reshape::Reshape,
    &sigmoid::Sigmoid,
    &softmax::Softmax,
    &softmax::LogSoftmax,
    &tanh::Tanh,
];

/// The op of a node.
///
/// # Errors
/// Names node and op, and what is supported.
pub fn find(node: &NodeProto) -> Result<&'static dyn Op> {
    let name = node.op_type.as_deref().unwrap_or("");
    let standard = matches!(node.domain.as_deref(), None | Some("" | "ai.onnx"));
    let found = OPS.iter().copied().find(|op| standard && op.name() == name);
    found.ok_or_else(|| {
        let known: Vec<&str> = OPS.iter().map(|op| op.name()).collect();
        Error::new(format!(
            "{}: this op is not supported here; supported: {}",
            node_label(node),
            known.join(", ")
        ))
    })
}

/// The input `i`, or an error that says it is missing.
fn input(inputs: &[Info], i: usize) -> Result<&Info> {
    inputs.get(i).ok_or_else(|| Error::new(format!("its input {i} is missing")))
}

/// An axis counted from the front.
fn axis(axis: i64, rank: usize) -> Result<usize> {
    let counted = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(counted)
        .ok()
        .filter(|a| *a < rank)
        .ok_or_else(|| Error::new(format!("there is no axis {axis} in {rank} dimensions")))
}

/// The product of dimensions, if all are known.
fn product(dims: &[Dim]) -> Dim {
    match dims {
        [only] => only.clone(),
        _ => dims
            .iter()
            .try_fold(1i64, |n, d| if let Dim::Size(s) = d { n.checked_mul(*s) } else { None })
            .map_or(Dim::Unknown, Dim::Size),
    }
}
