//! Reductions over axes.

use super::{Gradient, Op, Site, axis};
use crate::build::Attr;
use crate::error::Result;
use crate::model::int_attribute;
use crate::shape::{Dim, Info};

/// A reduction, and how dy becomes the gradient of its elements; `None`: as it is.
pub struct Reduce {
    name: &'static str,
    rule: Option<fn(&mut Gradient, &Reduced) -> String>,
}

/// A reduction's output and its gradient with the axes kept at size 1, and these axes.
pub struct Reduced {
    y: String,
    dy: String,
    axes: Vec<i64>,
}

/// Σ x.
pub static SUM: Reduce = Reduce { name: "ReduceSum", rule: None };

/// The mean: dy over how many elements were averaged, which is elements of x over elements of y.
pub static MEAN: Reduce = Reduce {
    name: "ReduceMean",
    rule: Some(|g, reduced| {
        let (x, y) = (g.x(0), g.y());
        let (all, kept) = (g.b.node("Size", &[&x], []), g.b.node("Size", &[&y], []));
        let count = g.b.node("Div", &[&all, &kept], []);
        let count = g.b.node("Cast", &[&count], [("to", Attr::Int(1))]);
        g.b.node("Div", &[&reduced.dy, &count], [])
    }),
};

/// The largest; equally large ones share the gradient, as in torch.
pub static MAX: Reduce = Reduce { name: "ReduceMax", rule: Some(chosen) };

/// The smallest; equally small ones share the gradient.
pub static MIN: Reduce = Reduce { name: "ReduceMin", rule: Some(chosen) };

/// Π x; slope y / x, which is no number where x is 0.
pub static PRODUCT: Reduce = Reduce {
    name: "ReduceProd",
    rule: Some(|g, reduced| {
        let x = g.x(0);
        let slope = g.b.node("Div", &[&reduced.y, &x], []);
        g.mul(&reduced.dy, &slope)
    }),
};

/// Σ x²; slope 2x.
pub static SUM_SQUARE: Reduce = Reduce {
    name: "ReduceSumSquare",
    rule: Some(|g, reduced| {
        let x = g.x(0);
        let slope = g.b.node("Add", &[&x, &x], []);
        g.mul(&reduced.dy, &slope)
    }),
};

/// Σ |x|; slope sign(x).
pub static L1: Reduce = Reduce {
    name: "ReduceL1",
    rule: Some(|g, reduced| {
        let x = g.x(0);
        let slope = g.b.node("Sign", &[&x], []);
        g.mul(&reduced.dy, &slope)
    }),
};

/// √Σ x²; slope x / y.
pub static L2: Reduce = Reduce {
    name: "ReduceL2",
    rule: Some(|g, reduced| {
        let x = g.x(0);
        let slope = g.b.node("Div", &[&x, &reduced.y], []);
        g.mul(&reduced.dy, &slope)
    }),
};

/// log Σ x; slope 1 / Σ x.
pub static LOG_SUM: Reduce = Reduce {
    name: "ReduceLogSum",
    rule: Some(|g, reduced| {
        let total = g.b.node("Exp", &[&reduced.y], []);
        g.b.node("Div", &[&reduced.dy, &total], [])
    }),
};

/// log Σ eˣ; slope exp(x − y).
pub static LOG_SUM_EXP: Reduce = Reduce {
    name: "ReduceLogSumExp",
    rule: Some(|g, reduced| {
        let x = g.x(0);
        let under = g.b.node("Sub", &[&x, &reduced.y], []);
        let slope = g.b.node("Exp", &[&under], []);
        g.mul(&reduced.dy, &slope)
    }),
};

fn chosen(g: &mut Gradient, reduced: &Reduced) -> String {
    let x = g.x(0);
    let mask = g.mask("Equal", &x, &reduced.y);
    let count = if reduced.axes.is_empty() { mask.clone() } else { g.sum(&mask, &reduced.axes, true) };
    let share = g.b.node("Div", &[&reduced.dy, &count], []);
    g.mul(&share, &mask)
}

/// The axes reduced: the attribute (operator sets before 13 and 18), else the second input, else all.
fn axes(s: &Site, rank: usize) -> Result<Vec<usize>> {
    let given = s.list("axes", 1)?.unwrap_or_default();
    if given.is_empty() && int_attribute(s.node, "noop_with_empty_axes", 0) != 0 {
        return Ok(Vec::new());
    }
    if given.is_empty() { Ok((0..rank).collect()) } else { given.iter().map(|a| axis(*a, rank)).collect() }
}

impl Op for Reduce {
    fn name(&self) -> &'static str {
        self.name
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        let dims = x.rank("its input")?;
        let reduced = axes(s, dims.len())?;
        let keep = int_attribute(s.node, "keepdims", 1) != 0;
        let shrink = |(i, d): (usize, &Dim)| match (reduced.contains(&i), keep) {
            (true, true) => Some(Dim::Size(1)),
            (true, false) => None,
            (false, _) => Some(d.clone()),
        };
        Ok(vec![Info::new(x.ty, dims.iter().enumerate().filter_map(shrink).collect())])
    }

    // The gradient gets its lost axes back and is spread over the input's shape.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let axes: Vec<i64> = axes(&g.site(), g.dims(0)?.len())?.iter().map(|a| *a as i64).collect();
        let (mut dy, mut y) = (g.dy.to_owned(), g.y());
        if int_attribute(g.node, "keepdims", 1) == 0 && !axes.is_empty() {
            let lost = g.b.ints(&axes);
            dy = g.b.node("Unsqueeze", &[&dy, &lost], []);
            y = g.b.node("Unsqueeze", &[&y, &lost], []);
        }
        if let Some(rule) = self.rule {
            dy = rule(g, &Reduced { y, dy, axes });
        }
        let x = g.x(0);
        let shape = g.b.node("Shape", &[&x], []);
        Ok(vec![Some(g.b.node("Expand", &[&dy, &shape], [])), None])
    }
}
