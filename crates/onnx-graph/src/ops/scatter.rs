//! Elements and slices picked by indices, and put there: the gradient of each is the other.

use super::{Gradient, Op, Site, axis};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::{attribute, int_attribute};
use crate::proto::NodeProto;
use crate::shape::{Dim, Info};

/// Whether a scattering node adds to what is there; it replaces otherwise.
fn adds(node: &NodeProto) -> Result<bool> {
    match attribute(node, "reduction").and_then(|a| a.s.as_deref()) {
        Some(b"add") => Ok(true),
        None | Some(b"none") => Ok(false),
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            Err(Error::new(format!("the reduction `{other}` cannot be differentiated; `add` and `none` can")))
        }
    }
}

/// The gradient of what was scattered into: dy, with zeros where it was replaced.
fn kept(g: &mut Gradient, op: &str, along: Option<i64>) -> Result<String> {
    if adds(g.node)? {
        return Ok(g.dy.to_owned());
    }
    let (indices, updates) = (g.x(1), g.x(2));
    let zeros = g.zeros(&updates);
    Ok(match along {
        Some(at) => g.b.node(op, &[g.dy, &indices, &zeros], [("axis", Attr::Int(at))]),
        None => g.b.node(op, &[g.dy, &indices, &zeros], []),
    })
}

/// Single elements along one axis.
pub struct GatherElements;

impl Op for GatherElements {
    fn name(&self) -> &'static str {
        "GatherElements"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        Ok(vec![Info { ty: s.x(0)?.ty, dims: s.x(1)?.dims.clone() }])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let (x, indices) = (g.x(0), g.x(1));
        let at = axis(int_attribute(g.node, "axis", 0), g.dims(0)?.len())? as i64;
        let zeros = g.zeros(&x);
        let how = [("axis", Attr::Int(at)), ("reduction", Attr::Text("add"))];
        Ok(vec![Some(g.b.node("ScatterElements", &[&zeros, &indices, g.dy], how)), None])
    }
}

/// Single elements replaced, or added to, along one axis.
pub struct ScatterElements;

impl Op for ScatterElements {
    fn name(&self) -> &'static str {
        "ScatterElements"
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let indices = g.x(1);
        let at = axis(int_attribute(g.node, "axis", 0), g.dims(0)?.len())? as i64;
        let kept = kept(g, "ScatterElements", Some(at))?;
        let picked = g.b.node("GatherElements", &[g.dy, &indices], [("axis", Attr::Int(at))]);
        Ok(vec![Some(kept), None, Some(picked)])
    }
}

/// Slices by indices [.., k] into the first k axes.
pub struct GatherNd;

impl Op for GatherNd {
    fn name(&self) -> &'static str {
        "GatherND"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let (x, indices) = (s.x(0)?, s.x(1)?);
        if int_attribute(s.node, "batch_dims", 0) != 0 {
            return Err(Error::new("batch_dims are not supported"));
        }
        let (Some(dims), Some([front @ .., Dim::Size(k)])) = (&x.dims, indices.dims.as_deref()) else {
            return Ok(vec![Info { ty: x.ty, dims: None }]);
        };
        let rest = usize::try_from(*k).ok().and_then(|k| dims.get(k..));
        let rest = rest.ok_or_else(|| Error::new(format!("{k} indices into {} axes", dims.len())))?;
        Ok(vec![Info::new(x.ty, [front, rest].concat())])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let (x, indices) = (g.x(0), g.x(1));
        let zeros = g.zeros(&x);
        let how = [("reduction", Attr::Text("add"))];
        Ok(vec![Some(g.b.node("ScatterND", &[&zeros, &indices, g.dy], how)), None])
    }
}

/// Slices replaced, or added to, by indices [.., k] into the first k axes.
pub struct ScatterNd;

impl Op for ScatterNd {
    fn name(&self) -> &'static str {
        "ScatterND"
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let indices = g.x(1);
        let kept = kept(g, "ScatterND", None)?;
        let picked = g.b.node("GatherND", &[g.dy, &indices], []);
        Ok(vec![Some(kept), None, Some(picked)])
    }
}
