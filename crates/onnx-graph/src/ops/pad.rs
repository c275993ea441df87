//! `Pad`. Gradient: cut out again, with copies of elements added where they came from.

use super::{Gradient, Op, Site};
use crate::build::Attr;
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

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let pads = pads(&g.site(), g.dims(0)?.len())?;
        let mut gradients = vec![None; g.node.input.len()];
        let mode = attribute(g.node, "mode").and_then(|a| a.s.clone()).unwrap_or(b"constant".to_vec());
        if mode == b"constant" {
            let dx = cut(g, &pads);
            if g.has(2) {
                // The value stands wherever no input does.
                let sums = [g.dy, &dx].map(|v| g.b.node("ReduceSum", &[v], [("keepdims", Attr::Int(0))]));
                let value = g.b.node("Sub", &[&sums[0], &sums[1]], []);
                gradients[2] = Some(g.shaped_as(2, &value));
            }
            gradients[0] = Some(dx);
            return Ok(gradients);
        }
        let mut dy = g.dy.to_owned();
        for (at, (before, after)) in pads.into_iter().enumerate().filter(|(_, p)| *p != (0, 0)) {
            let Dim::Size(size) = g.dims(0)?[at] else {
                return Err(Error::new(format!("the size of axis {at}, which it pads, is not known")));
            };
            dy = folded(g, &dy, &Copied { at, size, before, after }, &mode)?;
        }
        gradients[0] = Some(dy);
        Ok(gradients)
    }
}

/// Padding the other way round: what was added is cut, what was cut is zero.
fn cut(g: &mut Gradient, pads: &[(i64, i64)]) -> String {
    let back: Vec<i64> = pads.iter().map(|p| -p.0).chain(pads.iter().map(|p| -p.1)).collect();
    let back = g.b.ints(&back);
    g.b.node("Pad", &[g.dy, &back], [])
}

/// An axis with copies of its own elements around it.
struct Copied {
    at: usize,
    size: i64,
    before: i64,
    after: i64,
}

/// The gradient along one axis: the inner part, to which the copies are added where they came from.
fn folded(g: &mut Gradient, dy: &str, axis: &Copied, mode: &[u8]) -> Result<String> {
    let &Copied { size, before, after, .. } = axis;
    let most = match mode {
        b"reflect" => size - 1,
        b"wrap" => size,
        b"edge" => i64::MAX,
        other => {
            let other = String::from_utf8_lossy(other);
            return Err(Error::new(format!("there is no padding by `{other}`")));
        }
    };
    let mode = String::from_utf8_lossy(mode);
    if before < 0 || after < 0 {
        return Err(Error::new(format!("padding by `{mode}` that cuts as well cannot be differentiated")));
    }
    if before.max(after) > most || size < 1 {
        let at = axis.at;
        return Err(Error::new(format!(
            "pads of {before} and {after} by `{mode}` are more than axis {at} of size {size} allows ({most})"
        )));
    }
    let mut sum = axis.slice(g, dy, (before, before + size, 1));
    let end = before + size + after;
    // Of each side the copies, in the order of their sources, and the place of the first source.
    for (first, last, begin) in [(0, before, true), (before + size, end, false)] {
        let count = last - first;
        if count == 0 {
            continue;
        }
        let (copies, to, width) = match &*mode {
            "edge" => {
                let copies = axis.slice(g, dy, (first, last, 1));
                (g.sum(&copies, &[axis.at as i64], true), if begin { 0 } else { size - 1 }, 1)
            }
            "wrap" => {
                let to = if begin { size - count } else { 0 };
                (axis.slice(g, dy, (first, last, 1)), to, count)
            }
            _ => {
                // Backwards: the end that lies before the first element is the smallest number.
                let stop = if first == 0 { i64::MIN } else { first - 1 };
                let to = if begin { 1 } else { size - 1 - count };
                (axis.slice(g, dy, (last - 1, stop, -1)), to, count)
            }
        };
        let copies = axis.widened(g, &copies, to, size - to - width);
        sum = g.b.node("Add", &[&sum, &copies], []);
    }
    Ok(sum)
}

impl Copied {
    /// A range (start, end, step) of the axis.
    fn slice(&self, g: &mut Gradient, value: &str, (start, end, step): (i64, i64, i64)) -> String {
        let [start, end, at, step] = [start, end, self.at as i64, step].map(|v| g.b.ints(&[v]));
        g.b.node("Slice", &[value, &start, &end, &at, &step], [])
    }

    /// Zeros before and after `value` along the axis.
    fn widened(&self, g: &mut Gradient, value: &str, before: i64, after: i64) -> String {
        let (pads, at) = (g.b.ints(&[before, after]), g.b.ints(&[self.at as i64]));
        g.b.node("Pad", &[value, &pads, "", &at], [])
    }
}
