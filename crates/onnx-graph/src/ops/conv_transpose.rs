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
        let dw = if group == 1 { by_swapping(g, &spread) } else { in_groups(g, &spread, group)? };
        let mut gradients = vec![Some(dx), Some(dw)];
        if g.has(2) {
            gradients.push(Some(g.sum_by_channel(g.dy, spread.kernel.len() + 2)));
        }
        Ok(gradients)
    }
}

/// dw as a convolution: batch and channels swapped, stride and dilation exchanged.
fn by_swapping(g: &mut Gradient, spread: &Spread) -> String {
    let rank = spread.kernel.len() + 2;
    let swapped = swap(rank);
    let images = g.b.node("Transpose", &[g.dy], [("perm", Attr::Ints(&swapped))]);
    let x = g.x(0);
    let xt = g.b.node("Transpose", &[&x], [("perm", Attr::Ints(&swapped))]);
    let how = [
        ("strides", Attr::Ints(&spread.dilations)),
        ("dilations", Attr::Ints(&spread.strides)),
        ("pads", Attr::Ints(&spread.pads)),
    ];
    let dw = g.b.node("Conv", &[&images, &xt], how);
    // Output padding leaves more taps than the kernel has.
    let spatial: Vec<i64> = (2..rank as i64).collect();
    let starts = g.b.ints(&vec![0; spread.kernel.len()]);
    let (ends, axes) = (g.b.ints(&spread.kernel), g.b.ints(&spatial));
    let dw = g.b.node("Slice", &[&dw, &starts, &ends, &axes], []);
    g.b.node("Transpose", &[&dw], [("perm", Attr::Ints(&swapped))])
}

/// dw as a grouped convolution has it: as a convolution whose kernels are the batch, it could not be
/// differentiated again where the batch's size is not known.
fn in_groups(g: &mut Gradient, spread: &Spread, group: i64) -> Result<String> {
    let x = g.dims(0)?.get(2..).unwrap_or_default().to_vec();
    let n = spread.kernel.len();
    let axis = |i: usize| match (&x[i], &spread.out[i]) {
        (Dim::Size(out), Dim::Size(size)) => Ok(Axis {
            size: *size,
            kernel: spread.kernel[i],
            stride: spread.strides[i],
            dilation: spread.dilations[i],
            before: spread.pads[i],
            after: spread.pads[i + n],
            out: *out,
        }),
        _ => Err(Error::new("the images' size is not known")),
    };
    let axes: Vec<Axis> = (0..n).map(axis).collect::<Result<_>>()?;
    let kernels = g.dims(1)?.to_vec();
    weight_gradient(g, &Pair { x: g.dy, dy: &g.x(0) }, &axes, &kernels, group)
}
