//! `Conv` in one, two or three dimensions, with groups.

use super::conv_weight::weight_gradient;
use super::window::Window;
use super::{Gradient, Op, Site};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::int_attribute;
use crate::shape::{Dim, Info};

/// Cross-correlation of images [N, C, …] with kernels [O, C / groups, …].
pub struct Conv;

/// The sizes of the kernels' spatial axes, which must be known.
pub(super) fn kernel_sizes(dims: &[Dim]) -> Result<Vec<i64>> {
    let size = |d: &Dim| if let Dim::Size(s) = d { Some(*s) } else { None };
    let sizes: Option<Vec<i64>> = dims.iter().skip(2).map(size).collect();
    sizes.ok_or_else(|| Error::new("the kernels' size is not known"))
}

impl Op for Conv {
    fn name(&self) -> &'static str {
        "Conv"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let (x, w) = (s.x(0)?, s.x(1)?);
        let kernels = w.rank("the kernels")?;
        let Some(images) = &x.dims else { return Ok(vec![Info { ty: x.ty, dims: None }]) };
        let ([n, c, spatial @ ..], [o, k, _, ..]) = (&images[..], kernels) else {
            return Err(Error::new("images and kernels need at least 3 dimensions"));
        };
        let group = int_attribute(s.node, "group", 1);
        if group < 1 {
            return Err(Error::new(format!("{group} groups are impossible")));
        }
        if let (Dim::Size(c), Dim::Size(k)) = (c, k)
            && k.checked_mul(group) != Some(*c)
        {
            return Err(Error::new(format!(
                "the images have {c} channels and the kernels {k} × {group} groups"
            )));
        }
        if let Dim::Size(o) = o
            && o % group != 0
        {
            return Err(Error::new(format!("{o} kernels do not divide into {group} groups")));
        }
        let window = Window::of(s.node, &kernel_sizes(kernels)?)?;
        let mut dims = vec![n.clone(), o.clone()];
        dims.extend(window.output(spatial)?);
        Ok(vec![Info::new(x.ty, dims)])
    }

    // dx: the transposed convolution, cut to the input's size.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let kernels = g.dims(1)?.to_vec();
        let window = Window::of(g.node, &kernel_sizes(&kernels)?)?;
        let axes = window.axes(g.dims(0)?.get(2..).unwrap_or_default())?;
        let group = int_attribute(g.node, "group", 1);
        let back: Vec<(i64, i64)> = axes.iter().map(super::window::Axis::back).collect();
        let pads: Vec<i64> = axes.iter().map(|a| a.before).chain(back.iter().map(|b| b.0)).collect();
        let more: Vec<i64> = back.iter().map(|b| b.1).collect();
        let w = g.x(1);
        let dx = g.b.node(
            "ConvTranspose",
            &[g.dy, &w],
            [
                ("strides", Attr::Ints(&window.strides)),
                ("dilations", Attr::Ints(&window.dilations)),
                ("pads", Attr::Ints(&pads)),
                // What a stride leaves over at the end must be given back.
                ("output_padding", Attr::Ints(&more)),
                ("group", Attr::Int(group)),
            ],
        );
        let dw = weight_gradient(g, &axes, &kernels, group)?;
        let mut gradients = vec![Some(dx), Some(dw)];
        if g.has(2) {
            let others: Vec<i64> = std::iter::once(0).chain(2..kernels.len() as i64).collect();
            let others = g.b.ints(&others);
            gradients.push(Some(g.b.node("ReduceSum", &[g.dy, &others], [("keepdims", Attr::Int(0))])));
        }
        Ok(gradients)
    }
}
