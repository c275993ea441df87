//! `Expand` to a larger shape. The walk sums the gradient back.

use super::{Gradient, Op, Site, Spread};
use crate::error::Result;
use crate::shape::{Info, broadcast};

/// The input repeated along its unit axes.
pub struct Expand;

impl Op for Expand {
    fn name(&self) -> &'static str {
        "Expand"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        let dims = match (&x.dims, s.values.sizes(1)) {
            (Some(dims), Some(shape)) => Some(broadcast(dims, &shape)?),
            _ => None,
        };
        Ok(vec![Info { ty: x.ty, dims }])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(vec![Some(g.dy.to_owned()), None])
    }

    fn spread(&self, input: usize) -> Spread {
        if input == 0 { Spread::Axes } else { Spread::Not }
    }
}
