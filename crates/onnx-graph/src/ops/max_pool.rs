//! `MaxPool`, windows may overlap. Gradient: added up at the indices of the maxima.

use super::window::Window;
use super::{Gradient, Op, Site};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::{int_attribute, ints_attribute};
use crate::shape::Info;
use crate::tensor::DataType;

/// The largest value of each window.
pub struct MaxPool;

/// Type and shape of a pool's output.
pub(super) fn pooled(s: &Site) -> Result<Info> {
    let x = s.x(0)?;
    let kernel = ints_attribute(s.node, "kernel_shape").unwrap_or_default();
    let window = Window::of(s.node, &kernel)?;
    let Some(dims) = &x.dims else { return Ok(x.clone()) };
    let [n, c, spatial @ ..] = &dims[..] else {
        return Err(Error::new("images need at least 3 dimensions"));
    };
    let mut out = vec![n.clone(), c.clone()];
    out.extend(window.output(spatial)?);
    Ok(Info::new(x.ty, out))
}

impl Op for MaxPool {
    fn name(&self) -> &'static str {
        "MaxPool"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        if int_attribute(s.node, "storage_order", 0) != 0 {
            return Err(Error::new("a storage_order other than row-major is not supported"));
        }
        let y = pooled(s)?;
        let indices = Info { ty: DataType::Int64, dims: y.dims.clone() };
        Ok(vec![y, indices])
    }

    // MaxUnpool would overwrite where windows overlap; scattering adds.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        if g.node.output.len() < 2 {
            let indices = g.b.fresh("indices");
            g.node.output.push(indices);
        }
        let (x, indices) = (g.x(0), g.node.output[1].clone());
        let flat = g.b.ints(&[-1]);
        let zeros = g.zeros(&x);
        let zeros = g.b.node("Reshape", &[&zeros, &flat], []);
        let at = g.b.node("Reshape", &[&indices, &flat], []);
        let dy = g.b.node("Reshape", &[g.dy, &flat], []);
        let dx = g.b.node(
            "ScatterElements",
            &[&zeros, &at, &dy],
            [("axis", Attr::Int(0)), ("reduction", Attr::Text("add"))],
        );
        Ok(vec![Some(g.shaped_as(0, &dx))])
    }
}
