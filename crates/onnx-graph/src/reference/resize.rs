//! `Resize`.

use super::Call;
use super::value::{Value, count};
use crate::error::{Error, Result};
use crate::ops::resize::{Wanted, axes};

/// Axis by axis, each a product with its weights.
pub(super) fn resize(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let dims: Vec<Option<i64>> = x.dims.iter().map(|d| Some(*d as i64)).collect();
    let list = |i: usize| call.optional(i).map(|v| &v.data[..]).filter(|v| !v.is_empty());
    let wanted = match (list(2), list(3)) {
        (Some(scales), _) => Wanted::Scales(scales.iter().map(|v| Some(*v)).collect()),
        (None, Some(sizes)) => Wanted::Sizes(sizes.iter().map(|v| Some(*v)).collect()),
        (None, None) => return Err(Error::new("it has neither scales nor sizes")),
    };
    let axes = axes(call.node, &dims, &wanted)?;
    let mut y = x.clone();
    for axis in axes.unwrap_or_default() {
        let weights = axis.weights(call.node)?;
        let (from, to) = (axis.from as usize, axis.to as usize);
        let (outer, inner) = (count(&y.dims[..axis.at])?, count(&y.dims[axis.at + 1..])?);
        let mut dims = y.dims.clone();
        dims[axis.at] = to;
        let mut data = vec![0.0; count(&dims)?];
        for (o, row) in (0..outer).flat_map(|o| (0..to).map(move |row| (o, row))) {
            for k in (0..from).filter(|k| weights[row * from + k] != 0.0) {
                for i in 0..inner {
                    data[(o * to + row) * inner + i] +=
                        weights[row * from + k] * y.data[(o * from + k) * inner + i];
                }
            }
        }
        y = y.like(&dims, data)?;
    }
    Ok(vec![y])
}
