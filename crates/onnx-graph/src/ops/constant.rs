//! `Constant`: a value written into the node.

use super::{Gradient, Op, Site};
use crate::error::{Error, Result};
use crate::model::attribute;
use crate::proto::{NodeProto, TensorProto};
use crate::shape::Info;
use crate::tensor::{floats, ints};

/// A value written into the node.
pub struct Constant;

/// The tensor that a `Constant` node holds.
pub(crate) fn tensor(node: &NodeProto) -> Option<TensorProto> {
    if let Some(tensor) = attribute(node, "value").and_then(|a| a.t.clone()) {
        return Some(tensor);
    }
    let float = attribute(node, "value_float").and_then(|a| a.f).map(|v| floats("", &[], &[v]));
    let int = attribute(node, "value_int").and_then(|a| a.i).map(|v| ints("", &[], &[v]));
    let list = |n: usize| [n as i64];
    let floats = attribute(node, "value_floats").map(|a| floats("", &list(a.floats.len()), &a.floats));
    let ints = attribute(node, "value_ints").map(|a| ints("", &list(a.ints.len()), &a.ints));
    float.or(int).or(floats).or(ints)
}

impl Op for Constant {
    fn name(&self) -> &'static str {
        "Constant"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let tensor = tensor(s.node).ok_or_else(|| Error::new("it holds no tensor"))?;
        Ok(vec![Info::of_constant(&tensor)])
    }

    fn gradient(&self, _g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(Vec::new())
    }
}
