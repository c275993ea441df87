//! `Tile`: the input repeated along its axes. Gradient: the repetitions added up.

use super::{Gradient, Op, Site};
use crate::error::{Error, Result};
use crate::shape::{Dim, Info};

/// Repeated along each axis.
pub struct Tile;

impl Op for Tile {
    fn name(&self) -> &'static str {
        "Tile"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        let Some(own) = &x.dims else { return Ok(vec![x.clone()]) };
        let Some(times) = s.ints(1) else { return Ok(vec![Info::new(x.ty, vec![Dim::Unknown; own.len()])]) };
        if times.len() != own.len() || times.iter().any(|t| *t < 0) {
            return Err(Error::new(format!("{times:?} repetitions of {} axes", own.len())));
        }
        let grow = |(d, t): (&Dim, &i64)| match (d, t) {
            (d, 1) => d.clone(),
            (Dim::Size(s), t) => s.checked_mul(*t).map_or(Dim::Unknown, Dim::Size),
            _ => Dim::Unknown,
        };
        Ok(vec![Info::new(x.ty, own.iter().zip(&times).map(grow).collect())])
    }

    // Repetitions are given axes of their own, which are summed.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let times = g.site().ints(1).ok_or_else(|| Error::new("its repetitions are not constant"))?;
        let (mut shape, mut axes) = (Vec::new(), Vec::new());
        for (dim, times) in g.dims(0)?.iter().zip(&times) {
            if *times != 1 {
                axes.push(shape.len() as i64);
                shape.push(*times);
            }
            shape.push(dim.size().unwrap_or(-1));
        }
        if shape.iter().filter(|s| **s == -1).count() > 1 {
            return Err(Error::new("the sizes of its input are not known"));
        }
        if axes.is_empty() {
            return Ok(vec![Some(g.dy.to_owned()), None]);
        }
        let shape = g.b.ints(&shape);
        let apart = g.b.node("Reshape", &[g.dy, &shape], []);
        Ok(vec![Some(g.sum(&apart, &axes, false)), None])
    }
}
