//! `Flatten` to a matrix. Gradient: reshape back.

use super::{Gradient, Op, Site, product};
use crate::error::{Error, Result};
use crate::model::int_attribute;
use crate::shape::Info;

/// All axes before `axis` become the rows, the others the columns.
pub struct Flatten;

impl Op for Flatten {
    fn name(&self) -> &'static str {
        "Flatten"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        let dims = x.rank("its input")?;
        let axis = int_attribute(s.node, "axis", 1);
        let at = if axis < 0 { axis + dims.len() as i64 } else { axis };
        let at = usize::try_from(at)
            .ok()
            .filter(|a| *a <= dims.len())
            .ok_or_else(|| Error::new(format!("there is no axis {axis}")))?;
        Ok(vec![Info::new(x.ty, vec![product(&dims[..at]), product(&dims[at..])])])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(vec![Some(g.shaped_as(0, g.dy))])
    }
}
