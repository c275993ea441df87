//! `Pad` with a constant. Gradient: cut out again.

use super::{Gradient, Op, Site};
use crate::error::{Error, Result};
use crate::model::attribute;
use crate::shape::{Dim, Info};

/// Elements around the input; negative pads cut.
pub struct Pad;

/// Pads before and after each of `rank` axes.
fn pads(s: &Site, rank: usize) -> Result<Vec<(i64, i64)>> {
    let pads = s.list("pads", 1)?.ok_or_else(|| Error::new("it has no pads"))?;
    let axes: Vec<usize> = match s.has(3).then(|| s.ints(3)) {
        None => (0..rank).collect(),
        Some(Some(axes)) => axes.iter().map(|a| super::axis(*a, rank)).collect::<Result<_>>()?,
        Some(None) => return Err(Error::new("its axes are not constant")),
    };
    if pads.len() != 2 * axes.len() || pads.iter().any(|p| p.unsigned_abs() > 1 << 30) {
        return Err(Error::new(format!("the pads {pads:?} do not fit {} axes", axes.len())));
    }
    let mut all = vec![(0, 0); rank];
    for (i, at) in axes.iter().enumerate() {
        all[*at] = (pads[i], pads[i + axes.len()]);
    }
    Ok(all)
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "Pad"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        let dims = x.rank("its input")?;
        let grow = |(d, (before, after)): (&Dim, &(i64, i64))| match d {
            Dim::Size(size) if size + before + after < 0 => {
                Err(Error::new(format!("a size of {size} cannot be cut by {before} and {after}")))
            }
            Dim::Size(size) => Ok(Dim::Size(size + before + after)),
            other if (*before, *after) == (0, 0) => Ok(other.clone()),
            _ => Ok(Dim::Unknown),
        };
        let pads = pads(s, dims.len())?;
        Ok(vec![Info::new(x.ty, dims.iter().zip(&pads).map(grow).collect::<Result<_>>()?)])
    }

    // Padding the other way round: what was added is cut, what was cut is zero.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let mode = attribute(g.node, "mode").and_then(|a| a.s.as_deref()).unwrap_or(b"constant");
        if mode != b"constant" {
            let mode = String::from_utf8_lossy(mode);
            return Err(Error::new(format!(
                "padding by `{mode}` cannot be differentiated here; only by a constant"
            )));
        }
        let pads = pads(&g.site(), g.dims(0)?.len())?;
        let back: Vec<i64> = pads.iter().map(|p| -p.0).chain(pads.iter().map(|p| -p.1)).collect();
        let back = g.b.ints(&back);
        let mut gradients = vec![None; g.node.input.len()];
        gradients[0] = Some(g.b.node("Pad", &[g.dy, &back], []));
        Ok(gradients)
    }
}
