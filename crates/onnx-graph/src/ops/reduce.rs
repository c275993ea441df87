//! `ReduceSum` and `ReduceMean` over constant axes.

use super::{Gradient, Op, Site, axis};
use crate::build::Attr;
use crate::error::Result;
use crate::model::int_attribute;
use crate::shape::{Dim, Info};

/// The axes reduced: the attribute (operator sets before 13 and 18), else the second input, else all.
fn axes(s: &Site, rank: usize) -> Result<Vec<usize>> {
    let given = s.list("axes", 1)?.unwrap_or_default();
    if given.is_empty() && int_attribute(s.node, "noop_with_empty_axes", 0) != 0 {
        return Ok(Vec::new());
    }
    if given.is_empty() { Ok((0..rank).collect()) } else { given.iter().map(|a| axis(*a, rank)).collect() }
}

/// Type and shape of a reduction.
fn reduced(s: &Site) -> Result<Info> {
    let x = s.x(0)?;
    let dims = x.rank("its input")?;
    let reduced = axes(s, dims.len())?;
    let keep = int_attribute(s.node, "keepdims", 1) != 0;
    let shrink = |(i, d): (usize, &Dim)| match (reduced.contains(&i), keep) {
        (true, true) => Some(Dim::Size(1)),
        (true, false) => None,
        (false, _) => Some(d.clone()),
    };
    Ok(Info::new(x.ty, dims.iter().enumerate().filter_map(shrink).collect()))
}

/// Gives the gradient its lost axes back and spreads it over the input's shape.
fn spread(g: &mut Gradient) -> Result<String> {
    let x = g.x(0);
    let shape = g.b.node("Shape", &[&x], []);
    let mut dy = g.dy.to_owned();
    if int_attribute(g.node, "keepdims", 1) == 0 {
        let axes: Vec<i64> = axes(&g.site(), g.dims(0)?.len())?.iter().map(|a| *a as i64).collect();
        let axes = g.b.ints(&axes);
        dy = g.b.node("Unsqueeze", &[&dy, &axes], []);
    }
    Ok(g.b.node("Expand", &[&dy, &shape], []))
}

/// Σ x.
pub struct ReduceSum;

impl Op for ReduceSum {
    fn name(&self) -> &'static str {
        "ReduceSum"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        Ok(vec![reduced(s)?])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(vec![Some(spread(g)?), None])
    }
}

/// Mean of x.
pub struct ReduceMean;

impl Op for ReduceMean {
    fn name(&self) -> &'static str {
        "ReduceMean"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        Ok(vec![reduced(s)?])
    }

    // Divided by how many elements were averaged: elements of x over elements of y.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let (x, y) = (g.x(0), g.y());
        let whole = spread(g)?;
        let all = g.b.node("Size", &[&x], []);
        let kept = g.b.node("Size", &[&y], []);
        let count = g.b.node("Div", &[&all, &kept], []);
        let count = g.b.node("Cast", &[&count], [("to", Attr::Int(1))]);
        Ok(vec![Some(g.b.node("Div", &[&whole, &count], [])), None])
    }
}
