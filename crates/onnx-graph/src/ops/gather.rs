//! `Gather` of whole slices. Gradient: added up where they came from.

use super::{Gradient, Op, Site, axis};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::int_attribute;
use crate::shape::Info;

/// Slices along one axis, by indices of any shape.
pub struct Gather;

impl Op for Gather {
    fn name(&self) -> &'static str {
        "Gather"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let (x, indices) = (s.x(0)?, s.x(1)?);
        let (Some(dims), Some(rows)) = (&x.dims, &indices.dims) else {
            return Ok(vec![Info { ty: x.ty, dims: None }]);
        };
        let at = axis(int_attribute(s.node, "axis", 0), dims.len())?;
        Ok(vec![Info::new(x.ty, [&dims[..at], rows, &dims[at + 1..]].concat())])
    }

    // The gathered axis is brought to the front, and rows are added there.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let rank = g.dims(0)?.len();
        let picked = g.dims(1)?.len();
        let at = axis(int_attribute(g.node, "axis", 0), rank)?;
        if at != 0 && picked > 1 {
            return Err(Error::new("indices of several dimensions along a later axis are not supported"));
        }
        let front: Vec<i64> =
            std::iter::once(at).chain((0..rank).filter(|a| *a != at)).map(|a| a as i64).collect();
        let mut back = vec![0i64; rank];
        front.iter().enumerate().for_each(|(i, a)| back[*a as usize] = i as i64);
        let (x, indices) = (g.x(0), g.x(1));
        let mut dy = g.dy.to_owned();
        if picked == 0 {
            let axes = g.b.ints(&[at as i64]);
            dy = g.b.node("Unsqueeze", &[&dy, &axes], []);
        }
        let (mut rows, mut from) = (dy, x);
        if at != 0 {
            rows = g.b.node("Transpose", &[&rows], [("perm", Attr::Ints(&front))]);
            from = g.b.node("Transpose", &[&from], [("perm", Attr::Ints(&front))]);
        }
        // Indices [I…] become [I…, 1], as ScatterND counts rows.
        let flat = g.b.ints(&[-1, 1]);
        let list = g.b.node("Reshape", &[&indices, &flat], []);
        let shape = g.b.node("Shape", &[&from], []);
        let rest = g.b.node("Shape", &[&from], [("start", Attr::Int(1))]);
        let open = g.b.ints(&[-1]);
        let rows_shape = g.b.node("Concat", &[&open, &rest], [("axis", Attr::Int(0))]);
        let rows = g.b.node("Reshape", &[&rows, &rows_shape], []);
        let zero = g.b.float(0.0);
        let zeros = g.b.node("Expand", &[&zero, &shape], []);
        let sum = g.b.node("ScatterND", &[&zeros, &list, &rows], [("reduction", Attr::Text("add"))]);
        let dx = if at == 0 { sum } else { g.b.node("Transpose", &[&sum], [("perm", Attr::Ints(&back))]) };
        Ok(vec![Some(dx), None])
    }
}
