//! Types and shapes of values, and their inference along a graph.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::inner;
use crate::known::{Known, Values};
use crate::model::node_label;
use crate::ops::{self, Site};
use crate::proto::{
    Dimension, DimensionValue, GraphProto, NodeProto, TensorProto, TensorShapeProto, TensorType, TypeProto,
    TypeValue, ValueInfoProto,
};
use crate::tensor::DataType;

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

impl Dim {
    /// The size, if it is known.
    pub fn size(&self) -> Option<i64> {
        if let Dim::Size(size) = self { Some(*size) } else { None }
    }
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

    /// The sizes of all axes, if all are known.
    pub fn sizes(&self) -> Option<Vec<i64>> {
        self.dims.as_ref()?.iter().map(Dim::size).collect()
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

/// Larger sizes are refused, so that sums of some fit into 64 bits.
const LARGEST: i64 = 1 << 48;

/// Types and shapes by value name.
pub type Infos = HashMap<String, Info>;

/// Infers type and shape of every value of `graph`. Outputs of an op that is not supported are as the
/// graph states them, if it does.
///
/// # Errors
/// The node whose inputs do not fit, or the op that hides a shape which is needed.
pub fn infer(graph: &GraphProto) -> Result<Infos> {
    Ok(inferred(graph)?.infos)
}

/// Types, shapes, and the small values that are known before anything runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inferred {
    pub(crate) infos: Infos,
    pub(crate) known: Known,
}

impl Inferred {
    /// Notes a constant.
    pub(crate) fn constant(&mut self, tensor: &TensorProto) {
        let name = tensor.name.as_deref().unwrap_or("");
        self.infos.insert(name.to_owned(), Info::of_constant(tensor));
        self.known.constant(name, tensor);
    }

    /// Types and shapes of a node's inputs; nothing is known of one that is left out.
    pub(crate) fn inputs(&self, node: &NodeProto) -> Result<Vec<Info>> {
        let known = |name: &String| match self.infos.get(name) {
            Some(info) => Ok(info.clone()),
            None if name.is_empty() => Ok(Info { ty: DataType::Other(0), dims: None }),
            None => Err(Error::new(format!("its input `{name}` is not made before it"))),
        };
        node.input.iter().map(known).collect()
    }

    /// Types and shapes of the outputs of one node, and their values as far as they are known.
    pub(crate) fn node(&mut self, node: &NodeProto) -> Result<Vec<Info>> {
        let inputs = self.inputs(node)?;
        let values = Values::of(node, &self.known);
        let possible = |info: &Info| {
            let impossible = |d: &&Dim| matches!(d, Dim::Size(s) if !(0..=LARGEST).contains(s));
            let found = info.dims.iter().flatten().find(impossible);
            found.map_or(Ok(()), |d| Err(Error::new(format!("an axis of {d:?} is impossible"))))
        };
        inputs.iter().try_for_each(possible)?;
        let outputs = match inner::outputs(self, node) {
            Some(outputs) => outputs,
            None => ops::find(node)?.infer(&Site { node, inputs: &inputs, values: &values })?,
        };
        outputs.iter().try_for_each(possible)?;
        let first = inputs.first().and_then(|x| x.dims.as_deref());
        let values = self.known.values(node, first, &outputs);
        for (name, value) in node.output.iter().zip(values) {
            self.known.insert(name, value);
        }
        Ok(outputs)
    }

    /// Adds what the constants and nodes of a graph make; its inputs are known.
    ///
    /// # Errors
    /// As [`infer`].
    pub(crate) fn walk(&mut self, graph: &GraphProto) -> Result<()> {
        graph.initializer.iter().for_each(|tensor| self.constant(tensor));
        let stated: HashMap<&str, &ValueInfoProto> = graph
            .value_info
            .iter()
            .chain(&graph.output)
            .filter_map(|v| Some((v.name.as_deref()?, v)))
            .collect();
        let mut unsupported = None;
        for node in &graph.node {
            let outputs = match (self.node(node), ops::find(node)) {
                (Ok(outputs), _) => outputs,
                (Err(_), Err(e)) => {
                    self.inputs(node).map_err(|e| Error::new(format!("{}: {e}", node_label(node))))?;
                    unsupported.get_or_insert(e);
                    Vec::new()
                }
                (Err(e), Ok(_)) => {
                    // The op that hid a shape is to be named, not the one that misses it.
                    let hidden = self.inputs(node).is_ok_and(|i| i.iter().any(|info| info.dims.is_none()));
                    let wrong = Error::new(format!("{}: {e}", node_label(node)));
                    return Err(unsupported.filter(|_| hidden).unwrap_or(wrong));
                }
            };
            let unknown = |name: &String| {
                stated.get(name.as_str()).map_or(Info { ty: DataType::Other(0), dims: None }, |v| Info::of(v))
            };
            let mut outputs = outputs.into_iter();
            for name in &node.output {
                let info = outputs.next();
                if !name.is_empty()
                    && self.infos.insert(name.clone(), info.unwrap_or_else(|| unknown(name))).is_some()
                {
                    return Err(Error::new(format!(
                        "{}: the value `{name}` is made twice",
                        node_label(node)
                    )));
                }
            }
        }
        Ok(())
    }
}

/// As [`infer`], with the known values.
///
/// # Errors
/// As [`infer`].
pub(crate) fn inferred(graph: &GraphProto) -> Result<Inferred> {
    let mut all = Inferred::default();
    for value in &graph.input {
        all.infos.insert(value.name.clone().unwrap_or_default(), Info::of(value));
    }
    all.walk(graph)?;
    Ok(all)
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
