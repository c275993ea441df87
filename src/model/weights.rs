//! Large constants of a graph, given to the runtime beside it: there it neither parses nor copies them.

use std::borrow::Cow;
use std::sync::Arc;

use onnx_graph::model::Model;
use onnx_graph::proto::{StringStringEntryProto, TensorProto};
use onnx_graph::tensor::{DataType, read_floats};
use ort::value::{DynValue, Tensor};

use super::session::failed;
use crate::stage::Failure;

/// What is smaller stays in the graph, where the runtime reads shapes and scalars from it.
const LARGE: usize = 4096;

/// The runtime parses no larger graph: protobuf counts its bytes in 31 bits.
pub(super) const LARGEST_GRAPH: usize = i32::MAX as usize;

/// Refuses a graph that the runtime could not parse.
pub(super) fn fits(bytes: usize) -> Result<(), Failure> {
    if bytes <= LARGEST_GRAPH {
        return Ok(());
    }
    let gigabytes = bytes as f64 / 1e9;
    let message = format!("the graph has {gigabytes:.1} GB; ONNX Runtime takes up to 2.1 GB in one piece");
    Err(Failure::new(message)
        .hint("on the processor (`provider: cpu`) large float32 weights are handed over beside the graph"))
}

/// A graph as the runtime takes it.
pub(super) struct Parts<'a> {
    pub(super) graph: Cow<'a, [u8]>,
    /// Values of constants that the graph only names.
    pub(super) weights: Vec<(String, Arc<DynValue>)>,
    /// Bytes of both together.
    pub(super) size: usize,
}

impl<'a> Parts<'a> {
    /// A graph with all its constants in it.
    pub(super) fn whole(graph: &'a [u8]) -> Self {
        Parts { graph: Cow::Borrowed(graph), weights: Vec::new(), size: graph.len() }
    }

    /// The large float32 constants of a model, and the model without them.
    ///
    /// # Errors
    /// If a constant lacks its data, or the graph is too large without them.
    pub(super) fn of(mut model: Model) -> Result<Self, Failure> {
        let (mut weights, mut size) = (Vec::new(), 0);
        for tensor in model.0.graph.iter_mut().flat_map(|graph| &mut graph.initializer) {
            let bytes = tensor.raw_data.as_ref().map_or(0, |raw| raw.len());
            if tensor.data_type == Some(DataType::Float.code()) && bytes >= LARGE {
                let name = tensor.name.clone().unwrap_or_default();
                weights.push((name, Arc::new(value(tensor)?)));
                size += bytes;
                elsewhere(tensor, bytes);
            }
        }
        // Before it is copied.
        fits(model.size())?;
        let graph = model.to_bytes();
        Ok(Parts { size: size + graph.len(), graph: Cow::Owned(graph), weights })
    }
}

/// The constant as a value of the runtime.
fn value(tensor: &TensorProto) -> Result<DynValue, Failure> {
    let values = read_floats(tensor).map_err(|e| Failure::new(e.to_string()))?;
    let made = Tensor::from_array((tensor.dims.clone(), values));
    Ok(made.map_err(failed("a constant cannot be made"))?.into_dyn())
}

/// Takes the data out of a constant. The runtime asks for the name of a file; none is opened, for the value is given.
fn elsewhere(tensor: &mut TensorProto, bytes: usize) {
    let entry =
        |key: &str, value: String| StringStringEntryProto { key: Some(key.into()), value: Some(value) };
    tensor.raw_data = None;
    tensor.external_data = vec![
        entry("location", "given".to_owned()),
        entry("offset", "0".to_owned()),
        entry("length", bytes.to_string()),
    ];
    tensor.data_location = Some(1);
}
