//! `Add`, `Sub`, `Mul`, `Div`, `Pow` with broadcasting. The walk sums gradients over broadcast axes.

use super::{Gradient, Op, Site, Spread};
use crate::error::Result;
use crate::shape::{Info, broadcast};

/// Type of the first of two operands, and their common shape.
pub(super) fn joined(s: &Site) -> Result<Info> {
    let (a, b) = (s.x(0)?, s.x(1)?);
    let dims = match (&a.dims, &b.dims) {
        (Some(x), Some(y)) => Some(broadcast(x, y)?),
        _ => None,
    };
    Ok(Info { ty: a.ty, dims })
}

/// `a + b`.
pub struct Add;

impl Op for Add {
    fn name(&self) -> &'static str {
        "Add"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        Ok(vec![joined(s)?])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(vec![Some(g.dy.to_owned()), Some(g.dy.to_owned())])
    }

    fn spread(&self, _input: usize) -> Spread {
        Spread::Axes
    }
}

/// `a − b`.
pub struct Sub;

impl Op for Sub {
    fn name(&self) -> &'static str {
        "Sub"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        Ok(vec![joined(s)?])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let negative = g.b.node("Neg", &[g.dy], []);
        Ok(vec![Some(g.dy.to_owned()), Some(negative)])
    }

    fn spread(&self, _input: usize) -> Spread {
        Spread::Axes
    }
}

/// `a · b`, element by element.
pub struct Mul;

impl Op for Mul {
    fn name(&self) -> &'static str {
        "Mul"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        Ok(vec![joined(s)?])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let (a, b) = (g.x(0), g.x(1));
        Ok(vec![Some(g.dy_times(&b)), Some(g.dy_times(&a))])
    }

    fn spread(&self, _input: usize) -> Spread {
        Spread::Axes
    }
}

/// `a / b`.
pub struct Div;

impl Op for Div {
    fn name(&self) -> &'static str {
        "Div"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        Ok(vec![joined(s)?])
    }

    // da = dy / b; db = −dy · y / b.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let (b, y) = (g.x(1), g.y());
        let da = g.b.node("Div", &[g.dy, &b], []);
        let scaled = g.mul(&da, &y);
        Ok(vec![Some(da), Some(g.b.node("Neg", &[&scaled], []))])
    }

    fn spread(&self, _input: usize) -> Spread {
        Spread::Axes
    }
}

/// `a` to the power `b`.
pub struct Pow;

impl Op for Pow {
    fn name(&self) -> &'static str {
        "Pow"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        Ok(vec![joined(s)?])
    }

    // da = dy · b · a^(b−1); db = dy · y · ln a, which is no number where a is negative, as in torch.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let (a, b, y) = (g.x(0), g.x(1), g.y());
        let one = g.b.float(1.0);
        let less = g.b.node("Sub", &[&b, &one], []);
        let power = g.b.node("Pow", &[&a, &less], []);
        let slope = g.mul(&b, &power);
        let log = g.b.node("Log", &[&a], []);
        let growth = g.mul(&y, &log);
        Ok(vec![Some(g.dy_times(&slope)), Some(g.dy_times(&growth))])
    }

    fn spread(&self, _input: usize) -> Spread {
        Spread::Axes
    }
}
