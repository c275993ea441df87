//! `Concat` along one axis. Gradient: split again.

use super::{Gradient, Op, Site, axis};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::int_attribute;
use crate::shape::{Dim, Info};

/// The inputs one after the other.
pub struct Concat;

impl Op for Concat {
    fn name(&self) -> &'static str {
        "Concat"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let first = s.x(0)?;
        let Some(dims) = &first.dims else { return Ok(vec![first.clone()]) };
        let at = axis(int_attribute(s.node, "axis", 0), dims.len())?;
        let mut dims = dims.clone();
        for i in 1..s.inputs.len() {
            let Some(more) = &s.x(i)?.dims else { return Ok(vec![Info { ty: first.ty, dims: None }]) };
            if more.len() != dims.len() {
                return Err(Error::new(format!(
                    "its input {i} has {} dimensions, not {}",
                    more.len(),
                    dims.len()
                )));
            }
            for (j, (to, from)) in dims.iter_mut().zip(more).enumerate() {
                *to = match (&*to, from) {
                    (Dim::Size(a), Dim::Size(b)) if j == at => Dim::Size(
                        a.checked_add(*b).ok_or_else(|| Error::new("the sum of its sizes is too large"))?,
                    ),
                    _ if j == at => Dim::Unknown,
                    (Dim::Size(a), Dim::Size(b)) if a != b => {
                        return Err(Error::new(format!("the sizes {a} and {b} of axis {j} differ")));
                    }
                    (Dim::Size(_), _) => to.clone(),
                    _ => from.clone(),
                };
            }
        }
        Ok(vec![Info::new(first.ty, dims)])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let at = axis(int_attribute(g.node, "axis", 0), g.dims(0)?.len())? as i64;
        let mut sizes = Vec::with_capacity(g.inputs.len());
        for i in 0..g.inputs.len() {
            let x = g.x(i);
            sizes.push(g.b.node("Shape", &[&x], [("start", Attr::Int(at)), ("end", Attr::Int(at + 1))]));
        }
        let known = g.inputs.iter().map(|x| match x.dims.as_ref().and_then(|d| d.get(at as usize)) {
            Some(Dim::Size(size)) => Some(*size),
            _ => None,
        });
        let sizes = match known.collect::<Option<Vec<i64>>>() {
            Some(known) => g.b.ints(&known),
            None => {
                let names: Vec<&str> = sizes.iter().map(String::as_str).collect();
                g.b.node("Concat", &names, [("axis", Attr::Int(0))])
            }
        };
        let parts: Vec<String> = g.inputs.iter().map(|_| g.b.fresh("part")).collect();
        let names: Vec<&str> = parts.iter().map(String::as_str).collect();
        g.b.named_node("Split", &[g.dy, &sizes], &names, [("axis", Attr::Int(at))]);
        Ok(parts.into_iter().map(Some).collect())
    }
}
