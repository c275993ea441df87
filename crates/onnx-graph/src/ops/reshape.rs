//! `Reshape`. Gradient: reshape back.

use super::{Gradient, Op, Site};
use crate::error::{Error, Result};
use crate::model::int_attribute;
use crate::shape::{Dim, Info};

/// The same elements in another shape; −1 is what is left, 0 keeps the input's size.
pub struct Reshape;

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "Reshape"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        let Some(shape) = s.values.sizes(1) else {
            // The length of the shape is the rank.
            let rank = match s.inputs.get(1).and_then(|i| i.dims.as_deref()) {
                Some([Dim::Size(rank @ 0..=64)]) => Some(vec![Dim::Unknown; *rank as usize]),
                _ => None,
            };
            return Ok(vec![Info { ty: x.ty, dims: rank }]);
        };
        let keep = int_attribute(s.node, "allowzero", 0) == 0;
        let known = x.dims.as_deref();
        let mut dims: Vec<Dim> = Vec::with_capacity(shape.len());
        for (i, size) in shape.iter().enumerate() {
            dims.push(match size {
                Dim::Size(0) if keep => known.and_then(|k| k.get(i)).cloned().unwrap_or(Dim::Unknown),
                Dim::Size(-1) => Dim::Unknown,
                Dim::Size(size) if *size < 0 => {
                    return Err(Error::new(format!("a size of {size} is impossible")));
                }
                other => other.clone(),
            });
        }
        let open = shape.iter().position(|s| *s == Dim::Size(-1));
        if shape.iter().filter(|s| **s == Dim::Size(-1)).count() > 1 {
            return Err(Error::new("several sizes are left open"));
        }
        if let (Some(open), Some(known)) = (open, known) {
            dims[open] = rest(known, &dims, open)?;
        }
        Ok(vec![Info::new(x.ty, dims)])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(vec![Some(g.shaped_as(0, g.dy)), None])
    }
}

/// What is left for the size `open` of `to` when `from` is reshaped: sizes that both have, symbolic ones
/// too, cancel.
fn rest(from: &[Dim], to: &[Dim], open: usize) -> Result<Dim> {
    let mut symbols: Vec<&Dim> = from.iter().filter(|d| d.size().is_none()).collect();
    let total = from.iter().filter_map(Dim::size).try_fold(1i64, i64::checked_mul);
    let mut taken = Some(1i64);
    for (_, dim) in to.iter().enumerate().filter(|(i, _)| *i != open) {
        match dim {
            Dim::Size(size) => taken = taken.and_then(|t| t.checked_mul(*size)),
            Dim::Unknown => return Ok(Dim::Unknown),
            name => match symbols.iter().position(|s| *s == name) {
                Some(at) => drop(symbols.remove(at)),
                None => return Ok(Dim::Unknown),
            },
        }
    }
    let (Some(total), Some(taken)) = (total, taken.filter(|t| *t > 0)) else { return Ok(Dim::Unknown) };
    match symbols[..] {
        [] if total % taken != 0 => {
            Err(Error::new(format!("{total} elements do not fit into {taken} times a whole number")))
        }
        [] => Ok(Dim::Size(total / taken)),
        [only] if total == taken => Ok(only.clone()),
        _ => Ok(Dim::Unknown),
    }
}
