//! Types and shapes of values, and their inference along a graph.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::model::node_label;
use crate::ops::{self, Site};
use crate::proto::{
    Dimension, DimensionValue, GraphProto, NodeProto, TensorProto, TensorShapeProto, TensorType, TypeProto,
    TypeValue, ValueInfoProto,
};
use crate::tensor::{DataType, read_ints};

/// One dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// A known size.
    Size(i64),
    /// A symbolic size, equal wherever the same name stands.
    Name(String),
    /// Nothing is known.
    Unknown,
}

/// Element type and shape of a value; `dims` is `None` if not even the rank is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Element type.
    pub ty: DataType,
    /// Dimensions.
    pub dims: Option<Vec<Dim>>,
}

impl Info {
    /// A value of this type and shape.
    pub fn new(ty: DataType, dims: Vec<Dim>) -> Self {
        Info { ty, dims: Some(dims) }
    }

    /// That of a constant.
    pub fn of_constant(tensor: &TensorProto) -> Self {
        let dims = tensor.dims.iter().map(|d| Dim::Size(*d)).collect();
        Info::new(DataType::from_code(tensor.data_type.unwrap_or(0)), dims)
    }

    /// The dimensions, or an error that names the value's role.
    ///
    /// # Errors
    /// If the rank is not known.
    pub fn rank(&self, what: &str) -> Result<&[Dim]> {
        self.dims.as_deref().ok_or_else(|| Error::new(format!("the shape of {what} is not known")))
    }

    /// As a graph states it.
    pub fn value(&self, name: &str) -> ValueInfoProto {
        let dim = |d: &Dim| Dimension {
            value: match d {
                Dim::Size(size) => Some(DimensionValue::Size(*size)),
                Dim::Name(name) => Some(DimensionValue::Name(name.clone())),
                Dim::Unknown => None,
            },
            denotation: None,
        };
        let shape = self.dims.as_ref().map(|dims| TensorShapeProto { dim: dims.iter().map(dim).collect() });
        let tensor = TensorType { elem_type: Some(self.ty.code()), shape };
        let ty = TypeProto { value: Some(TypeValue::Tensor(tensor)), denotation: None };
        ValueInfoProto { name: Some(name.to_owned()), r#type: Some(ty), ..ValueInfoProto::default() }
    }
}

/// Types and shapes by value name.
pub type Infos = HashMap<String, Info>;

/// Infers type and shape of every value of `graph` whose ops are supported, and checks that they fit.
///
/// # Errors
/// The node whose op is not supported or whose inputs do not fit.
pub fn infer(graph: &GraphProto) -> Result<Infos> {
    let mut infos = Infos::new();
    let mut constants = integers(graph);
    for value in &graph.input {
        infos.insert(value.name.clone().unwrap_or_default(), Info::of(value));
    }
    for tensor in &graph.initializer {
        infos.insert(tensor.name.clone().unwrap_or_default(), Info::of_constant(tensor));
    }
    for node in &graph.node {
        let outputs = infer_node(node, &infos, &constants)?;
        for (name, info) in node.output.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
            if infos.insert(name.clone(), info).is_some() {
                return Err(Error::new(format!("{}: the value `{name}` is made twice", node_label(node))));
            }
        }
        if let (Some(values), [name, ..]) = (ops::constant_ints(node), &node.output[..]) {
            constants.insert(name.clone(), values);
        }
    }
    Ok(infos)
}

/// The int64 constants of a graph, by name.
pub(crate) fn integers(graph: &GraphProto) -> HashMap<String, Vec<i64>> {
    let named = |t: &TensorProto| Some((t.name.clone()?, read_ints(t).ok()?));
    graph.initializer.iter().filter_map(named).collect()
}

/// Types and shapes of a node's inputs; nothing is known of one that is left out.
pub(crate) fn site_inputs(node: &NodeProto, infos: &Infos) -> Result<Vec<Info>> {
    let known = |name: &String| match infos.get(name) {
        Some(info) => Ok(info.clone()),
        None if name.is_empty() => Ok(Info { ty: DataType::Other(0), dims: None }),
        None => Err(Error::new(format!("{}: its input `{name}` is not made before it", node_label(node)))),
    };
    node.input.iter().map(known).collect()
}

/// Types and shapes of the outputs of one node.
///
/// # Errors
/// As [`infer`].
pub(crate) fn infer_node(
    node: &NodeProto,
    infos: &Infos,
    constants: &HashMap<String, Vec<i64>>,
) -> Result<Vec<Info>> {
    let op = ops::find(node)?;
    let inputs = site_inputs(node, infos)?;
    let constant = |index: usize| node.input.get(index).and_then(|name| constants.get(name).cloned());
    op.infer(&Site { node, inputs: &inputs, constant: &constant })
        .map_err(|e| Error::new(format!("{}: {e}", node_label(node))))
}

/// The shape of two operands broadcast against each other, as in numpy.
///
/// # Errors
/// If two known sizes do not fit.
pub fn broadcast(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>> {
    let rank = a.len().max(b.len());
    let at =
        |dims: &[Dim], i: usize| (i + dims.len()).checked_sub(rank).map_or(Dim::Size(1), |i| dims[i].clone());
    let join = |i: usize| match (at(a, i), at(b, i)) {
        (x, y) if x == y => Ok(x),
        (Dim::Size(1), y) => Ok(y),
        (x, Dim::Size(1)) => Ok(x),
        (Dim::Size(x), Dim::Size(y)) => {
            Err(Error::new(format!("the sizes {x} and {y} of axis {i} do not fit")))
        }
        (Dim::Size(x), _) | (_, Dim::Size(x)) => Ok(Dim::Size(x)),
        _ => Ok(Dim::Unknown),
    };
    (0..rank).map(join).collect()
}
