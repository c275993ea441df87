//! `GlobalAveragePool` and `GlobalMaxPool`: one value per channel.

use super::{Gradient, Op, Site};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::shape::{Dim, Info};

fn pooled(s: &Site) -> Result<Vec<Info>> {
    let x = s.x(0)?;
    let Some(dims) = &x.dims else { return Ok(vec![x.clone()]) };
    let [n, c, spatial @ ..] = &dims[..] else {
        return Err(Error::new("images need at least 2 dimensions"));
    };
    let kept = [n.clone(), c.clone()].into_iter().chain(spatial.iter().map(|_| Dim::Size(1)));
    Ok(vec![Info::new(x.ty, kept.collect())])
}

/// The mean over all pixels.
pub struct GlobalAveragePool;

impl Op for GlobalAveragePool {
    fn name(&self) -> &'static str {
        "GlobalAveragePool"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        pooled(s)
    }

    // Every pixel gets its share; a size that is not known is asked for in the graph.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let (x, y) = (g.x(0), g.y());
        let shape = g.b.node("Shape", &[&x], []);
        let all = g.b.node("Size", &[&x], []);
        let kept = g.b.node("Size", &[&y], []);
        let count = g.b.node("Div", &[&all, &kept], []);
        let count = g.b.node("Cast", &[&count], [("to", Attr::Int(1))]);
        let share = g.b.node("Div", &[g.dy, &count], []);
        Ok(vec![Some(g.b.node("Expand", &[&share, &shape], []))])
    }
}

/// The largest of all pixels.
pub struct GlobalMaxPool;

impl Op for GlobalMaxPool {
    fn name(&self) -> &'static str {
        "GlobalMaxPool"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        pooled(s)
    }

    // The first of equal maxima takes the gradient.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let x = g.x(0);
        let pixels = g.b.ints(&[0, 0, -1]);
        let flat = g.b.node("Reshape", &[&x, &pixels], []);
        let at = g.b.node("ArgMax", &[&flat], [("axis", Attr::Int(2))]);
        let dy = g.b.node("Reshape", &[g.dy, &pixels], []);
        let shape = g.b.node("Shape", &[&flat], []);
        let zero = g.b.float(0.0);
        let zeros = g.b.node("Expand", &[&zero, &shape], []);
        let dx = g.b.node("ScatterElements", &[&zeros, &at, &dy], [("axis", Attr::Int(2))]);
        Ok(vec![Some(g.shaped_as(0, &dx))])
    }
}
