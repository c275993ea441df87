//! `ReduceSum` and `ReduceMean` over constant axes.

use super::{Gradient, Op, axis, input};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::{int_attribute, ints_attribute};
use crate::proto::NodeProto;
use crate::shape::{Dim, Info};

/// The axes reduced: the attribute (operator sets before 13 and 18), else the second input, else all.
fn axes(node: &NodeProto, rank: usize, constant: &dyn Fn(usize) -> Option<Vec<i64>>) -> Result<Vec<usize>> {
    let given = match ints_attribute(node, "axes") {
        Some(axes) => axes,
        None if node.input.len() > 1 => constant(1).ok_or_else(|| Error::new("its axes are not constant"))?,
        None => Vec::new(),
    };
    if given.is_empty() && int_attribute(node, "noop_with_empty_axes", 0) != 0 {
        return Err(Error::new("no axes and `noop_with_empty_axes` together are not supported"));
    }
    if given.is_empty() { Ok((0..rank).collect()) } else { given.iter().map(|a| axis(*a, rank)).collect() }
}

fn infer(
    node: &NodeProto,
    inputs: &[Info],
    constant: &dyn Fn(usize) -> Option<Vec<i64>>,
) -> Result<Vec<Info>> {
    let x = input(inputs, 0)?;
    let dims = x.rank("its input")?;
    let reduced = axes(node, dims.len(), constant)?;
    let keep = int_attribute(node, "keepdims", 1) != 0;
    let shrink = |(i, d): (usize, &Dim)| match (reduced.contains(&i), keep) {
        (true, true) => Some(Dim::Size(1)),
        (true, false) => None,
        (false, _) => Some(d.clone()),
    };
    Ok(vec![Info::new(x.ty, dims.iter().enumerate().filter_map(shrink).collect())])
}

/// Gives the gradient its lost axes back and spreads it over the input's shape.
fn spread(g: &mut Gradient) -> Result<String> {
    let x = g.x(0);
    let shape = g.b.node("Shape", &[&x], []);
    let mut dy = g.dy.to_owned();
    if int_attribute(g.node, "keepdims", 1) == 0 {
        let axes = match (g.node.input.get(1).cloned(), ints_attribute(g.node, "axes")) {
            (Some(axes), _) => axes,
            (None, Some(axes)) => g.b.ints(&axes),
            (None, None) => {
                let rank = g.inputs[0].rank("its input")?.len();
                g.b.ints(&(0..rank as i64).collect::<Vec<i64>>())
            }
        };
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

    fn infer(
        &self,
        node: &NodeProto,
        inputs: &[Info],
        constant: &dyn Fn(usize) -> Option<Vec<i64>>,
    ) -> Result<Vec<Info>> {
        infer(node, inputs, constant)
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

    fn infer(
        &self,
        node: &NodeProto,
        inputs: &[Info],
        constant: &dyn Fn(usize) -> Option<Vec<i64>>,
    ) -> Result<Vec<Info>> {
        infer(node, inputs, constant)
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
