//! `Conv` in one, two or three dimensions, with groups.

use super::conv_image::image_gradient;
use super::conv_weight::{Pair, weight_gradient};
use super::window::Window;
use super::{Gradient, Op, Site};
use crate::error::{Error, Result};
use crate::model::int_attribute;
use crate::shape::{Dim, Info};

/// Cross-correlation of images [N, C, …] with kernels [O, C / groups, …].
pub struct Conv;

/// The sizes of the kernels' spatial axes, which must be known.
pub(super) fn kernel_sizes(dims: &[Dim]) -> Result<Vec<i64>> {
    let sizes: Option<Vec<i64>> = dims.iter().skip(2).map(Dim::size).collect();
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

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let kernels = g.dims(1)?.to_vec();
        let window = Window::of(g.node, &kernel_sizes(&kernels)?)?;
        let axes = window.axes(g.dims(0)?.get(2..).unwrap_or_default())?;
        let group = int_attribute(g.node, "group", 1);
        let dx = image_gradient(g, &axes, &kernels, group);
        let dw = weight_gradient(g, &Pair { x: &g.x(0), dy: g.dy }, &axes, &kernels, group)?;
        let mut gradients = vec![Some(dx), Some(dw)];
        if g.has(2) {
            gradients.push(Some(g.sum_by_channel(g.dy, kernels.len())));
        }
        Ok(gradients)
    }
}
