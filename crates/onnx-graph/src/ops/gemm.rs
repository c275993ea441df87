//! `Gemm`: α · op(A) op(B) + β · C.

use super::{Gradient, Op, Site, Spread};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::{attribute, int_attribute};
use crate::shape::{Dim, Info, broadcast};

/// α · op(A) op(B) + β · C, where op transposes if asked.
pub struct Gemm;

impl Op for Gemm {
    fn name(&self) -> &'static str {
        "Gemm"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let matrix = |i: usize, flag: &str| -> Result<(Dim, Dim)> {
            match s.x(i)?.rank("a factor")? {
                [r, c] if int_attribute(s.node, flag, 0) != 0 => Ok((c.clone(), r.clone())),
                [r, c] => Ok((r.clone(), c.clone())),
                other => Err(Error::new(format!("a factor has {} dimensions, not 2", other.len()))),
            }
        };
        let ((rows, k), (l, columns)) = (matrix(0, "transA")?, matrix(1, "transB")?);
        if let (Dim::Size(k), Dim::Size(l)) = (&k, &l)
            && k != l
        {
            return Err(Error::new(format!("the inner sizes {k} and {l} differ")));
        }
        let dims = vec![rows, columns];
        if let Some(addend) = s.inputs.get(2).and_then(|c| c.dims.as_deref()) {
            let sum = broadcast(addend, &dims).map_err(|e| Error::new(format!("the addend: {e}")))?;
            let grown = |(to, size): (&Dim, &Dim)| *size == Dim::Size(1) && !matches!(to, Dim::Size(1));
            if addend.len() > 2 || sum.iter().zip(&dims).any(grown) {
                return Err(Error::new("the addend is larger than the product"));
            }
        }
        Ok(vec![Info::new(s.x(0)?.ty, dims)])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let (a, b) = (g.x(0), g.x(1));
        let flag = |name: &str| i64::from(int_attribute(g.node, name, 0) != 0);
        let (ta, tb) = (flag("transA"), flag("transB"));
        let alpha = attribute(g.node, "alpha").and_then(|a| a.f).unwrap_or(1.0);
        let beta = attribute(g.node, "beta").and_then(|a| a.f).unwrap_or(1.0);
        let mut product = |x: &str, y: &str, tx: i64, ty: i64| {
            g.b.node(
                "Gemm",
                &[x, y],
                [("alpha", Attr::Float(alpha)), ("transA", Attr::Int(tx)), ("transB", Attr::Int(ty))],
            )
        };
        let da = if ta == 0 { product(g.dy, &b, 0, 1 - tb) } else { product(&b, g.dy, tb, 1) };
        let db = if tb == 0 { product(&a, g.dy, 1 - ta, 0) } else { product(g.dy, &a, 1, ta) };
        let mut gradients = vec![Some(da), Some(db)];
        if g.node.input.len() > 2 {
            let dc = if (beta - 1.0).abs() > 0.0 {
                let factor = g.b.float(beta);
                g.b.node("Mul", &[g.dy, &factor], [])
            } else {
                g.dy.to_owned()
            };
            gradients.push(Some(dc));
        }
        Ok(gradients)
    }

    // Only the addend is broadcast; the factors are matrices.
    fn spread(&self, input: usize) -> Spread {
        if input == 2 { Spread::Axes } else { Spread::Not }
    }
}
