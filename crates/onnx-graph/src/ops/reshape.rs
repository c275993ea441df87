//! `Reshape` to a constant shape. Gradient: reshape back.

use super::{Gradient, Op, input};
use crate::error::{Error, Result};
use crate::proto::NodeProto;
use crate::shape::{Dim, Info};

/// The same elements in another shape; −1 is what is left, 0 keeps the input's size.
pub struct Reshape;

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "Reshape"
    }

    fn infer(
        &self,
        _node: &NodeProto,
        inputs: &[Info],
        constant: &dyn Fn(usize) -> Option<Vec<i64>>,
    ) -> Result<Vec<Info>> {
        let x = input(inputs, 0)?;
        let Some(shape) = constant(1) else { return Ok(vec![Info { ty: x.ty, dims: None }]) };
        let known = x.dims.as_deref().unwrap_or_default();
        let mut dims: Vec<Dim> = Vec::with_capacity(shape.len());
        for (i, size) in shape.iter().enumerate() {
            dims.push(match size {
                0 => known.get(i).cloned().unwrap_or(Dim::Unknown),
                -1 => Dim::Unknown,
                size if *size > 0 => Dim::Size(*size),
                _ => return Err(Error::new(format!("the shape {shape:?} is impossible"))),
            });
        }
        let sizes = |dims: &[Dim]| {
            dims.iter().try_fold(1i64, |n, d| if let Dim::Size(s) = d { n.checked_mul(*s) } else { None })
        };
        if let (Some(total), Some(open)) =
            (sizes(known).filter(|_| x.dims.is_some()), shape.iter().position(|s| *s == -1))
        {
            let rest: Option<i64> = dims
                .iter()
                .enumerate()
                .filter(|(i, _)| *i != open)
                .try_fold(1i64, |n, (_, d)| if let Dim::Size(s) = d { n.checked_mul(*s) } else { None });
            if let Some(rest) = rest.filter(|r| *r > 0) {
                if total % rest != 0 {
                    return Err(Error::new(format!("{total} elements do not fit into the shape {shape:?}")));
                }
                dims[open] = Dim::Size(total / rest);
            }
        }
        Ok(vec![Info::new(x.ty, dims)])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let x = g.x(0);
        let shape = g.b.node("Shape", &[&x], []);
        Ok(vec![Some(g.b.node("Reshape", &[g.dy, &shape], [])), None])
    }
}
