//! `ConvTranspose`: the adjoint of a convolution, whose gradient is that convolution.

use super::conv::kernel_sizes;
use super::conv_weight::{Pair, weight_gradient};
use super::window::{Axis, Spread, swap};
use super::{Gradient, Op, Site};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::int_attribute;
use crate::shape::{Dim, Info};

/// Every pixel of [N, C, …] spreads its kernel of [C, O / groups, …].
pub struct ConvTranspose;

fn spread(s: &Site) -> Result<Spread> {
    let (x, w) = (s.x(0)?.rank("the images")?, s.x(1)?.rank("the kernels")?);
    if x.len() < 3 || x.len() != w.len() {
        let (x, w) = (x.len(), w.len());
        return Err(Error::new(format!("images of {x} and kernels of {w} dimensions; both need 3 to 5")));
    }
    Spread::of(s.node, &kernel_sizes(w)?, &x[2..])
}

impl Op for ConvTranspose {
    fn name(&self) -> &'static str {
        "ConvTranspose"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let spread = spread(s)?;
        let (x, w) = (s.x(0)?.rank("the images")?, s.x(1)?.rank("the kernels")?);
        let group = int_attribute(s.node, "group", 1);
        if let (Dim::Size(c), Dim::Size(k)) = (&x[1], &w[0])
            && (group < 1 || c != k || c % group != 0)
        {
            return Err(Error::new(format!("{c} channels do not fit {k} kernels in {group} groups")));
        }
        let outputs = w[1].size().and_then(|o| o.checked_mul(group)).map_or(Dim::Unknown, Dim::Size);
        let dims = [x[0].clone(), outputs].into_iter().chain(spread.out).collect();
        Ok(vec![Info::new(s.x(0)?.ty, dims)])
    }

    // dx is the convolution of dy. dw is that convolution's weight gradient, in which dy is the image and x
    // the gradient.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let spread = spread(&g.site())?;
        let group = int_attribute(g.node, "group", 1);
        let w = g.x(1);
        let how = [
            ("strides", Attr::Ints(&spread.strides)),
            ("dilations", Attr::Ints(&spread.dilations)),
            ("pads", Attr::Ints(&spread.pads)),
            ("group", Attr::Int(group)),
        ];
        let dx = g.b.node("Conv", &[g.dy, &w], how);
        let dw = match axes(g, &spread)? {
            Some(axes) if group > 1 => in_groups(g, &axes, group)?,
            _ => by_swapping(g, &spread, group)?,
        };
        let mut gradients = vec![Some(dx), Some(dw)];
        if g.has(2) {
            gradients.push(Some(g.sum_by_channel(g.dy, spread.kernel.len() + 2)));
        }
        Ok(gradients)
    }
}

/// dw as a convolution: batch and channels swapped, stride and dilation exchanged. Groups stay groups, over stacked
/// batches.
fn by_swapping(g: &mut Gradient, spread: &Spread, group: i64) -> Result<String> {
    let rank = spread.kernel.len() + 2;
    let swapped = swap(rank);
    let images = if group == 1 {
        g.b.node("Transpose", &[g.dy], [("perm", Attr::Ints(&swapped))])
    } else {
        stacked(g, group)?
    };
    let x = g.x(0);
    let xt = g.b.node("Transpose", &[&x], [("perm", Attr::Ints(&swapped))]);
    let how = [
        ("strides", Attr::Ints(&spread.dilations)),
        ("dilations", Attr::Ints(&spread.strides)),
        ("pads", Attr::Ints(&spread.pads)),
        ("group", Attr::Int(group)),
    ];
    let dw = g.b.node("Conv", &[&images, &xt], how);
    // Output padding leaves more taps than the kernel has.
    let spatial: Vec<i64> = (2..rank as i64).collect();
    let starts = g.b.ints(&vec![0; spread.kernel.len()]);
    let (ends, axes) = (g.b.ints(&spread.kernel), g.b.ints(&spatial));
    let dw = g.b.node("Slice", &[&dw, &starts, &ends, &axes], []);
    Ok(g.b.node("Transpose", &[&dw], [("perm", Attr::Ints(&swapped))]))
}

/// dy [N, G·o, …] as [o, G·N, …].
fn stacked(g: &mut Gradient, group: i64) -> Result<String> {
    let w = g.dims(1)?;
    let rank = w.len() as i64;
    let o = w.get(1).and_then(Dim::size).ok_or_else(|| Error::new("the number of channels is not known"))?;
    let spatial = g.b.node("Shape", &[g.dy], [("start", Attr::Int(2))]);
    let (apart, together) = (g.b.ints(&[-1, group, o]), g.b.ints(&[o, -1]));
    let apart = g.b.node("Concat", &[&apart, &spatial], [("axis", Attr::Int(0))]);
    let together = g.b.node("Concat", &[&together, &spatial], [("axis", Attr::Int(0))]);
    let images = g.b.node("Reshape", &[g.dy, &apart], []);
    let order: Vec<i64> = [2, 1, 0].into_iter().chain(3..=rank).collect();
    let images = g.b.node("Transpose", &[&images], [("perm", Attr::Ints(&order))]);
    Ok(g.b.node("Reshape", &[&images, &together], []))
}

/// dw as a grouped convolution has it: as a convolution whose kernels are the batch, it could not be
/// differentiated again where the batch's size is not known.
fn in_groups(g: &mut Gradient, axes: &[Axis], group: i64) -> Result<String> {
    let kernels = g.dims(1)?.to_vec();
    weight_gradient(g, &Pair { x: g.dy, dy: &g.x(0) }, axes, &kernels, group)
}

/// The axes of the convolution that dx is, from dy to x, if the images' size is known.
fn axes(g: &Gradient, spread: &Spread) -> Result<Option<Vec<Axis>>> {
    let x = g.dims(0)?.get(2..).unwrap_or_default();
    let n = spread.kernel.len();
    let axis = |i: usize| {
        Some(Axis {
            size: spread.out[i].size()?,
            kernel: spread.kernel[i],
            stride: spread.strides[i],
            dilation: spread.dilations[i],
            before: spread.pads[i],
            after: spread.pads[i + n],
            out: x[i].size()?,
        })
    };
    Ok((0..n).map(axis).collect())
}
