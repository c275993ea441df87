//! `Transpose`. Gradient: the inverse permutation.

use super::{Gradient, Op, Site, axis};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::ints_attribute;
use crate::proto::NodeProto;
use crate::shape::Info;

/// The axes in another order, by default reversed.
pub struct Transpose;

fn order(node: &NodeProto, rank: usize) -> Result<Vec<usize>> {
    let Some(perm) = ints_attribute(node, "perm") else { return Ok((0..rank).rev().collect()) };
    let order: Vec<usize> = perm.iter().map(|a| axis(*a, rank)).collect::<Result<_>>()?;
    if order.len() != rank || (0..rank).any(|a| !order.contains(&a)) {
        return Err(Error::new(format!("perm {perm:?} is no order of {rank} axes")));
    }
    Ok(order)
}

impl Op for Transpose {
    fn name(&self) -> &'static str {
        "Transpose"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        let Some(dims) = &x.dims else { return Ok(vec![x.clone()]) };
        let order = order(s.node, dims.len())?;
        Ok(vec![Info::new(x.ty, order.iter().map(|a| dims[*a].clone()).collect())])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let order = order(g.node, g.dims(0)?.len())?;
        let mut back = vec![0i64; order.len()];
        order.iter().enumerate().for_each(|(i, a)| back[*a] = i as i64);
        Ok(vec![Some(g.b.node("Transpose", &[g.dy], [("perm", Attr::Ints(&back))]))])
    }
}
