//! `Squeeze` and `Unsqueeze`: axes of size 1 taken away and added. Gradient: the shape given back.

use super::{Gradient, Op, Site, axis};
use crate::error::{Error, Result};
use crate::shape::{Dim, Info};

/// Without the named axes, or without all of size 1.
pub struct Squeeze;

impl Op for Squeeze {
    fn name(&self) -> &'static str {
        "Squeeze"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        let Some(dims) = &x.dims else { return Ok(vec![x.clone()]) };
        let gone: Vec<usize> = match s.list("axes", 1)? {
            Some(axes) => axes.iter().map(|a| axis(*a, dims.len())).collect::<Result<_>>()?,
            None if dims.iter().all(|d| matches!(d, Dim::Size(_))) => {
                (0..dims.len()).filter(|i| dims[*i] == Dim::Size(1)).collect()
            }
            None => return Ok(vec![Info { ty: x.ty, dims: None }]),
        };
        if let Some(Dim::Size(size)) =
            gone.iter().map(|i| &dims[*i]).find(|d| matches!(d, Dim::Size(s) if *s != 1))
        {
            return Err(Error::new(format!("an axis of size {size} cannot be taken away")));
        }
        let kept = dims.iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(_, d)| d.clone());
        Ok(vec![Info::new(x.ty, kept.collect())])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let dy = g.dy.to_owned();
        Ok(vec![Some(g.shaped_as(0, &dy)), None])
    }
}

/// With new axes of size 1.
pub struct Unsqueeze;

impl Op for Unsqueeze {
    fn name(&self) -> &'static str {
        "Unsqueeze"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        let Some(dims) = &x.dims else { return Ok(vec![x.clone()]) };
        let axes = s.list("axes", 1)?.ok_or_else(|| Error::new("it has no axes"))?;
        let rank = dims.len() + axes.len();
        let new: Vec<usize> = axes.iter().map(|a| axis(*a, rank)).collect::<Result<_>>()?;
        let mut old = dims.iter().cloned();
        let mut all = Vec::with_capacity(rank);
        for i in 0..rank {
            let size = if new.contains(&i) { Some(Dim::Size(1)) } else { old.next() };
            all.push(size.ok_or_else(|| Error::new(format!("the axes {axes:?} name one axis twice")))?);
        }
        Ok(vec![Info::new(x.ty, all)])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let dy = g.dy.to_owned();
        Ok(vec![Some(g.shaped_as(0, &dy)), None])
    }
}
