//! Slow evaluation of graphs, to prove everything else against.
//!
//! Every number is computed in float64 by the shortest loops that say what the standard says, whatever
//! element type the graph states; nothing is rounded to float32 in between. Integers are exact up to
//! 2⁵³. It covers the ops that this crate supports and those that it emits; a kernel is one function
//! and a line in `KERNELS`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::error::{Error, Result};
use crate::model::{attribute, int_attribute, ints_attribute, node_label};
use crate::proto::{GraphProto, NodeProto};

mod activations;
mod control;
mod elementwise;
mod indexing;
mod movement;
mod normalise;
mod products;
mod reductions;
mod resize;
mod value;
mod windows;

pub use value::{MAX_VALUES, Value};

type Kernel = fn(&Call) -> Result<Vec<Value>>;

/// Every op that can be evaluated.
static KERNELS: &[(&str, Kernel)] = &[
    ("Abs", elementwise::abs),
    ("Add", elementwise::add),
    ("And", elementwise::and),
    ("ArgMax", reductions::arg_max),
    ("ArgMin", reductions::arg_min),
    ("AveragePool", windows::average_pool),
    ("BatchNormalization", normalise::batch_norm),
    ("Cast", elementwise::cast),
    ("Ceil", elementwise::ceil),
    ("Celu", activations::celu),
    ("Clip", elementwise::clip),
    ("Concat", movement::concat),
    ("Constant", movement::constant),
    ("ConstantOfShape", movement::constant_of_shape),
    ("Conv", windows::conv),
    ("ConvTranspose", windows::conv_transpose),
    ("Cos", elementwise::cos),
    ("Div", elementwise::div),
    ("Dropout", elementwise::dropout),
    ("Elu", activations::elu),
    ("Equal", elementwise::equal),
    ("Erf", activations::erf),
    ("Exp", elementwise::exp),
    ("Expand", movement::expand),
    ("Flatten", movement::flatten),
    ("Floor", elementwise::floor),
    ("Gather", indexing::gather),
    ("GatherElements", indexing::gather_elements),
    ("GatherND", indexing::gather_nd),
    ("Gelu", activations::gelu),
    ("Gemm", products::gemm),
    ("GlobalAveragePool", normalise::global_average_pool),
    ("GlobalMaxPool", normalise::global_max_pool),
    ("Greater", elementwise::greater),
    ("GreaterOrEqual", elementwise::greater_or_equal),
    ("GroupNormalization", normalise::group_norm),
    ("HardSigmoid", activations::hard_sigmoid),
    ("HardSwish", activations::hard_swish),
    ("Identity", elementwise::identity),
    ("InstanceNormalization", normalise::instance_norm),
    ("LayerNormalization", normalise::layer_norm),
    ("LeakyRelu", activations::leaky_relu),
    ("Less", elementwise::less),
    ("LessOrEqual", elementwise::less_or_equal),
    ("Log", elementwise::log),
    ("LogSoftmax", reductions::log_softmax),
    ("Loop", control::repeat),
    ("MatMul", products::matmul),
    ("Max", elementwise::max),
    ("MaxPool", windows::max_pool),
    ("Mean", elementwise::mean),
    ("Min", elementwise::min),
    ("Mish", activations::mish),
    ("Mul", elementwise::mul),
    ("Neg", elementwise::neg),
    ("NonZero", indexing::non_zero),
    ("Not", elementwise::not),
    ("OneHot", movement::one_hot),
    ("Or", elementwise::or),
    ("Pad", movement::pad),
    ("Pow", elementwise::pow),
    ("PRelu", activations::prelu),
    ("Range", movement::range),
    ("Reciprocal", elementwise::reciprocal),
    ("ReduceL1", reductions::reduce_l1),
    ("ReduceL2", reductions::reduce_l2),
    ("ReduceLogSum", reductions::reduce_log_sum),
    ("ReduceLogSumExp", reductions::reduce_log_sum_exp),
    ("ReduceMax", reductions::reduce_max),
    ("ReduceMean", reductions::reduce_mean),
    ("ReduceMin", reductions::reduce_min),
    ("ReduceProd", reductions::reduce_prod),
    ("ReduceSum", reductions::reduce_sum),
    ("ReduceSumSquare", reductions::reduce_sum_square),
    ("Relu", activations::relu),
    ("Reshape", movement::reshape),
    ("Resize", resize::resize),
    ("Round", elementwise::round),
    ("ScatterElements", indexing::scatter_elements),
    ("ScatterND", indexing::scatter_nd),
    ("Selu", activations::selu),
    ("Shape", movement::shape),
    ("Sigmoid", activations::sigmoid),
    ("Sign", elementwise::sign),
    ("Sin", elementwise::sin),
    ("Size", movement::size),
    ("Slice", movement::slice),
    ("Softmax", reductions::softmax),
    ("Softplus", activations::softplus),
    ("Softsign", activations::softsign),
    ("Split", movement::split),
    ("Sqrt", elementwise::sqrt),
    ("Squeeze", movement::squeeze),
    ("Sub", elementwise::sub),
    ("Sum", elementwise::sum),
    ("Tanh", activations::tanh),
    ("ThresholdedRelu", activations::thresholded_relu),
    ("Tile", movement::tile),
    ("Transpose", movement::transpose),
    ("Unsqueeze", movement::unsqueeze),
    ("Where", elementwise::choose),
];

/// Evaluates `graph` and returns every value in it by name, inner ones too.
///
/// # Errors
/// The node that cannot be evaluated, with the reason; a value that is missing; or a value of more than
/// [`MAX_VALUES`] elements.
pub fn evaluate(graph: &GraphProto, inputs: &[(&str, Value)]) -> Result<HashMap<String, Value>> {
    let mut scope = Scope { values: HashMap::new(), outer: None };
    for (name, value) in inputs {
        scope.values.insert((*name).to_owned(), value.clone());
    }
    scope.walk(graph)?;
    Ok(scope.values)
}

/// Evaluates one node by itself; inputs that it leaves out are `None`.
///
/// # Errors
/// As [`evaluate`].
pub(crate) fn evaluate_node(node: &NodeProto, inputs: Vec<Option<&Value>>) -> Result<Vec<Value>> {
    let scope = Scope { values: HashMap::new(), outer: None };
    kernel(node)?(&Call { node, inputs, scope: &scope })
}

fn kernel(node: &NodeProto) -> Result<Kernel> {
    let op = node.op_type.as_deref().unwrap_or("");
    let standard = matches!(node.domain.as_deref(), None | Some("" | "ai.onnx"));
    let found = KERNELS.iter().find(|(name, _)| standard && *name == op);
    found.map(|(_, kernel)| *kernel).ok_or_else(|| Error::new("there is no reference for this op"))
}

/// The values of a graph, and of the graph around it.
struct Scope<'s> {
    values: HashMap<String, Value>,
    outer: Option<&'s Scope<'s>>,
}

impl Scope<'_> {
    fn find(&self, name: &str) -> Option<&Value> {
        self.values.get(name).or_else(|| self.outer.and_then(|o| o.find(name)))
    }

    fn walk(&mut self, graph: &GraphProto) -> Result<()> {
        for tensor in &graph.initializer {
            // A constant that is also an input is only its default.
            if let Entry::Vacant(place) = self.values.entry(tensor.name.clone().unwrap_or_default()) {
                place.insert(Value::of(tensor)?);
            }
        }
        for node in &graph.node {
            let outputs = self.node(node).map_err(|e| Error::new(format!("{}: {e}", node_label(node))))?;
            for (name, value) in node.output.iter().zip(outputs) {
                self.values.insert(name.clone(), value);
            }
        }
        Ok(())
    }

    fn node(&self, node: &NodeProto) -> Result<Vec<Value>> {
        let kernel = kernel(node)?;
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            let found = self.find(name);
            if found.is_none() && !name.is_empty() {
                return Err(Error::new(format!("its input `{name}` has no value")));
            }
            inputs.push(found);
        }
        kernel(&Call { node, inputs, scope: self })
    }
}

/// One node with the values of its inputs.
struct Call<'a> {
    node: &'a NodeProto,
    inputs: Vec<Option<&'a Value>>,
    scope: &'a Scope<'a>,
}

impl<'a> Call<'a> {
    /// Input `i`, if the node has it.
    fn optional(&self, i: usize) -> Option<&'a Value> {
        self.inputs.get(i).copied().flatten()
    }

    /// Input `i`.
    fn x(&self, i: usize) -> Result<&'a Value> {
        self.optional(i).ok_or_else(|| Error::new(format!("its input {i} is missing")))
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        int_attribute(self.node, name, default)
    }

    fn ints(&self, name: &str) -> Option<Vec<i64>> {
        ints_attribute(self.node, name)
    }

    fn float(&self, name: &str, default: f32) -> f64 {
        f64::from(attribute(self.node, name).and_then(|a| a.f).unwrap_or(default))
    }

    /// Axes given as an attribute (older operator sets) or as input 1.
    fn axes(&self) -> Option<Vec<i64>> {
        self.ints("axes").or_else(|| self.optional(1).map(Value::to_ints))
    }
}
