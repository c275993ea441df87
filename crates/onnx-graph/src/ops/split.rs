//! `Split` along one axis. Gradient: put together again.

use super::{Gradient, Op, Site, axis};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::int_attribute;
use crate::shape::{Dim, Info};

/// Parts of the input, of given or of equal sizes.
pub struct Split;

/// The sizes of the parts, as far as they are known.
fn sizes(s: &Site, size: &Dim) -> Result<Vec<Dim>> {
    let count = s.node.output.len();
    if let Some(given) = s.list("split", 1)? {
        if given.len() != count || given.iter().any(|v| *v < 0) {
            return Err(Error::new(format!("the sizes {given:?} do not fit {count} outputs")));
        }
        if let Dim::Size(size) = size
            && given.iter().try_fold(0i64, |n, v| n.checked_add(*v)) != Some(*size)
        {
            return Err(Error::new(format!("the sizes {given:?} do not add up to {size}")));
        }
        return Ok(given.into_iter().map(Dim::Size).collect());
    }
    let Dim::Size(size) = size else { return Ok(vec![Dim::Unknown; count]) };
    let each = (size + count as i64 - 1) / (count as i64).max(1);
    Ok((0..count as i64).map(|i| Dim::Size((size - i * each).clamp(0, each))).collect())
}

impl Op for Split {
    fn name(&self) -> &'static str {
        "Split"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        let Some(dims) = &x.dims else { return Ok(vec![x.clone(); s.node.output.len()]) };
        let at = axis(int_attribute(s.node, "axis", 0), dims.len())?;
        let part = |size: Dim| {
            let mut own = dims.clone();
            own[at] = size;
            Info::new(x.ty, own)
        };
        Ok(sizes(s, &dims[at])?.into_iter().map(part).collect())
    }

    // Parts that nothing depends on give zeros.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let at = axis(int_attribute(g.node, "axis", 0), g.dims(0)?.len())? as i64;
        let mut parts = Vec::with_capacity(g.dys.len());
        for (dy, y) in g.dys.iter().cloned().zip(g.node.output.clone()) {
            parts.push(match dy {
                Some(dy) => dy,
                None => {
                    let shape = g.b.node("Shape", &[&y], []);
                    let zero = g.b.float(0.0);
                    g.b.node("Expand", &[&zero, &shape], [])
                }
            });
        }
        let names: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(vec![Some(g.b.node("Concat", &names, [("axis", Attr::Int(at))])), None])
    }
}
