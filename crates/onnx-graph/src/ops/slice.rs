//! `Slice` of constant ranges. Gradient: put back among zeros.

use super::{Gradient, Op, Site, axis};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::shape::{Dim, Info};

/// Ranges of some axes: inputs starts, ends, axes, steps.
pub struct Slice;

/// Axis, start, end and step of every range.
fn ranges(s: &Site, rank: usize) -> Result<Vec<(usize, i64, i64, i64)>> {
    let constant =
        |i: usize, what: &str| s.ints(i).ok_or_else(|| Error::new(format!("its {what} are not constant")));
    let (starts, ends) = (constant(1, "starts")?, constant(2, "ends")?);
    let axes = if s.has(3) { constant(3, "axes")? } else { (0..starts.len() as i64).collect() };
    let steps = if s.has(4) { constant(4, "steps")? } else { vec![1; starts.len()] };
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err(Error::new("its starts, ends, axes and steps differ in length"));
    }
    if steps.contains(&0) {
        return Err(Error::new("a step of 0 is impossible"));
    }
    let all = axes.iter().zip(&starts).zip(&ends).zip(&steps);
    all.map(|(((a, start), end), step)| Ok((axis(*a, rank)?, *start, *end, *step))).collect()
}

/// First place, and number of places, of a range over an axis of `size`.
fn places(size: i64, start: i64, end: i64, step: i64) -> (i64, i64) {
    let from_front = |v: i64| if v < 0 { v.saturating_add(size) } else { v };
    let (start, end) = (from_front(start), from_front(end));
    if step > 0 {
        let (start, end) = (start.clamp(0, size), end.clamp(0, size));
        (start, ((end - start).max(0) + step - 1) / step)
    } else {
        let (start, end) = (start.clamp(-1, size - 1), end.clamp(-1, size - 1));
        (start, ((start - end).max(0) - step - 1) / -step)
    }
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "Slice"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        let Some(dims) = &x.dims else { return Ok(vec![x.clone()]) };
        let mut dims = dims.clone();
        let dynamic = [1, 2, 3, 4].into_iter().any(|i| s.has(i) && s.ints(i).is_none());
        if dynamic {
            return Ok(vec![Info::new(x.ty, vec![Dim::Unknown; dims.len()])]);
        }
        for (at, start, end, step) in ranges(s, dims.len())? {
            dims[at] = match &dims[at] {
                Dim::Size(size) => Dim::Size(places(*size, start, end, step).1),
                other if start == 0 && end == i64::MAX && step == 1 => other.clone(),
                _ => Dim::Unknown,
            };
        }
        Ok(vec![Info::new(x.ty, dims)])
    }

    // One axis after the other, the last first: the gradient is scattered into zeros along it.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let dims = g.dims(0)?.to_vec();
        let mut dy = g.dy.to_owned();
        for (at, start, end, step) in ranges(&g.site(), dims.len())? {
            let Dim::Size(size) = dims[at] else {
                return Err(Error::new("a slice of an axis of unknown size cannot be differentiated"));
            };
            let (first, count) = places(size, start, end, step);
            if (first, count, step) == (0, size, 1) {
                continue;
            }
            dy = if step == 1 {
                let pads: Vec<i64> = (0..dims.len())
                    .map(|a| if a == at { first } else { 0 })
                    .chain((0..dims.len()).map(|a| if a == at { size - first - count } else { 0 }))
                    .collect();
                let pads = g.b.ints(&pads);
                g.b.node("Pad", &[&dy, &pads], [])
            } else {
                scattered(g, &dy, at, size, (0..count).map(|i| first + i * step).collect())
            };
        }
        let mut gradients = vec![None; g.node.input.len()];
        gradients[0] = Some(dy);
        Ok(gradients)
    }
}

/// Rows of `dy` along axis `at` put at `places` of an axis of `size`: a product with a matrix of zeros
/// and ones would cost more, so each place takes its row (or a row of zeros) by index.
fn scattered(g: &mut Gradient, dy: &str, at: usize, size: i64, places: Vec<i64>) -> String {
    let zeros = places.len() as i64;
    let row = |p: i64| places.iter().position(|q| *q == p).map_or(zeros, |i| i as i64);
    let rows: Vec<i64> = (0..size).map(row).collect();
    let mut from = dy.to_owned();
    if rows.contains(&zeros) {
        // One row of zeros is put behind the others.
        let axes = g.b.ints(&[at as i64]);
        let pads = g.b.ints(&[0, 1]);
        from = g.b.node("Pad", &[dy, &pads, "", &axes], []);
    }
    let rows = g.b.ints(&rows);
    g.b.node("Gather", &[&from, &rows], [("axis", Attr::Int(at as i64))])
}
