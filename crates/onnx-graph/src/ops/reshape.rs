//! `Reshape` to a constant shape. Gradient: reshape back.

use super::{Gradient, Op, Site};
use crate::error::{Error, Result};
use crate::shape::{Dim, Info};

/// The same elements in another shape; −1 is what is left, 0 keeps the input's size.
pub struct Reshape;

/// What is left of the sizes `from` for the open axis of `to`; symbolic sizes on both sides cancel. `None`
/// if that is not known, `Some(None)` if it is no whole number.
fn rest(from: &[Dim], to: &[Dim], open: usize) -> Option<Option<i64>> {
    let mut from = from.to_vec();
    let mut taken = 1i64;
    for dim in to.iter().enumerate().filter(|(i, _)| *i != open).map(|(_, d)| d) {
        match dim {
            Dim::Size(size) => taken = taken.checked_mul(*size)?,
            Dim::Name(_) => {
                from.remove(from.iter().position(|d| d == dim)?);
            }
            Dim::Unknown => return None,
        }
    }
    let size = |d: &Dim| if let Dim::Size(s) = d { Some(*s) } else { None };
    let total = from.iter().try_fold(1i64, |n, d| n.checked_mul(size(d)?))?;
    if taken == 0 { None } else { Some((total % taken == 0).then(|| total / taken)) }
}

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "Reshape"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        let Some(shape) = s.ints(1) else { return Ok(vec![Info { ty: x.ty, dims: None }]) };
        let known = x.dims.as_deref().unwrap_or_default();
        let mut dims: Vec<Dim> = Vec::with_capacity(shape.len());
        for (i, size) in shape.iter().enumerate() {
            dims.push(match size {
                0 => known.get(i).cloned().unwrap_or(Dim::Unknown),
                -1 => Dim::Unknown,
                size if *size > 0 => Dim::Size(*size),
                _ => return Err(Error::new(format!("the shape {shape:?} is impossible"))),
            });
        }
        if let (Some(_), Some(open)) = (&x.dims, shape.iter().position(|s| *s == -1))
            && let Some(size) = rest(known, &dims, open)
        {
            let fits =
                size.ok_or_else(|| Error::new(format!("its elements do not fit into the shape {shape:?}")))?;
            dims[open] = Dim::Size(fits);
        }
        Ok(vec![Info::new(x.ty, dims)])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let x = g.x(0);
        let shape = g.b.node("Shape", &[&x], []);
        Ok(vec![Some(g.b.node("Reshape", &[g.dy, &shape], [])), None])
    }
}
