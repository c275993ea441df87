//! `Add`, `Sub`, `Mul` with broadcasting. The walk sums gradients over broadcast axes.

use super::{Gradient, Op, input};
use crate::error::Result;
use crate::proto::NodeProto;
use crate::shape::{Info, broadcast};

fn infer(inputs: &[Info]) -> Result<Vec<Info>> {
    let (a, b) = (input(inputs, 0)?, input(inputs, 1)?);
    let dims = match (&a.dims, &b.dims) {
        (Some(x), Some(y)) => Some(broadcast(x, y)?),
        _ => None,
    };
    Ok(vec![Info { ty: a.ty, dims }])
}

/// `a + b`.
pub struct Add;

impl Op for Add {
    fn name(&self) -> &'static str {
        "Add"
    }

    fn infer(
        &self,
        _node: &NodeProto,
        inputs: &[Info],
        _constant: &dyn Fn(usize) -> Option<Vec<i64>>,
    ) -> Result<Vec<Info>> {
        infer(inputs)
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(vec![Some(g.dy.to_owned()), Some(g.dy.to_owned())])
    }
}

/// `a − b`.
pub struct Sub;

impl Op for Sub {
    fn name(&self) -> &'static str {
        "Sub"
    }

    fn infer(
        &self,
        _node: &NodeProto,
        inputs: &[Info],
        _constant: &dyn Fn(usize) -> Option<Vec<i64>>,
    ) -> Result<Vec<Info>> {
        infer(inputs)
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let negative = g.b.node("Neg", &[g.dy], []);
        Ok(vec![Some(g.dy.to_owned()), Some(negative)])
    }
}

/// `a · b`, element by element.
pub struct Mul;

impl Op for Mul {
    fn name(&self) -> &'static str {
        "Mul"
    }

    fn infer(
        &self,
        _node: &NodeProto,
        inputs: &[Info],
        _constant: &dyn Fn(usize) -> Option<Vec<i64>>,
    ) -> Result<Vec<Info>> {
        infer(inputs)
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let (a, b) = (g.x(0), g.x(1));
        Ok(vec![Some(g.b.node("Mul", &[g.dy, &b], [])), Some(g.b.node("Mul", &[g.dy, &a], []))])
    }
}
