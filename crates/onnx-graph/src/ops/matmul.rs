//! `MatMul` of matrices, or of a stack of matrices with one matrix or an equal stack.

use super::{Gradient, Op, Site, Spread};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::shape::{Dim, Info, broadcast};

/// `a b`.
pub struct MatMul;

impl Op for MatMul {
    fn name(&self) -> &'static str {
        "MatMul"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let (a, b) = (s.x(0)?, s.x(1)?);
        let (Some(x), Some(y)) = (&a.dims, &b.dims) else { return Ok(vec![Info { ty: a.ty, dims: None }]) };
        if x.len() < 2 || y.len() < 2 {
            return Err(Error::new("a factor with fewer than 2 dimensions is not supported"));
        }
        let (inner, outer) = (&x[x.len() - 1], &y[y.len() - 2]);
        if let (Dim::Size(k), Dim::Size(l)) = (inner, outer)
            && k != l
        {
            return Err(Error::new(format!("the inner sizes {k} and {l} differ")));
        }
        let mut dims = broadcast(&x[..x.len() - 2], &y[..y.len() - 2])?;
        dims.extend([x[x.len() - 2].clone(), y[y.len() - 1].clone()]);
        Ok(vec![Info::new(a.ty, dims)])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let (a, b) = (g.x(0), g.x(1));
        let flip = |rank: usize| {
            let mut order: Vec<i64> = (0..rank as i64).collect();
            order.swap(rank - 1, rank - 2);
            order
        };
        let (rank_a, rank_b) =
            (g.inputs[0].rank("the left factor")?.len(), g.inputs[1].rank("the right factor")?.len());
        let bt = g.b.node("Transpose", &[&b], [("perm", Attr::Ints(&flip(rank_b)))]);
        let at = g.b.node("Transpose", &[&a], [("perm", Attr::Ints(&flip(rank_a)))]);
        Ok(vec![Some(g.b.node("MatMul", &[g.dy, &bt], [])), Some(g.b.node("MatMul", &[&at, g.dy], []))])
    }

    fn spread(&self, _input: usize) -> Spread {
        Spread::Stack
    }
}
