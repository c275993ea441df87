//! `MaxPool` in two dimensions, windows may overlap. Gradient: added up at the indices of the maxima.

use super::conv::{out_size, window};
use super::{Gradient, Op, input};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::{int_attribute, ints_attribute};
use crate::proto::NodeProto;
use crate::shape::Info;
use crate::tensor::DataType;

/// The largest value of each window.
pub struct MaxPool;

impl Op for MaxPool {
    fn name(&self) -> &'static str {
        "MaxPool"
    }

    fn infer(
        &self,
        node: &NodeProto,
        inputs: &[Info],
        _constant: &dyn Fn(usize) -> Option<Vec<i64>>,
    ) -> Result<Vec<Info>> {
        let x = input(inputs, 0)?;
        let [n, c, h, w] = x.rank("the images")? else { return Err(Error::new("images need 4 dimensions")) };
        if int_attribute(node, "ceil_mode", 0) != 0 || int_attribute(node, "storage_order", 0) != 0 {
            return Err(Error::new("ceil_mode and storage_order are not supported"));
        }
        let kernel = ints_attribute(node, "kernel_shape").unwrap_or_default();
        let [kh, kw] = kernel[..] else { return Err(Error::new("kernel_shape needs 2 sizes")) };
        let win = window(node)?;
        let y =
            Info::new(x.ty, vec![n.clone(), c.clone(), out_size(h, kh, &win, 0)?, out_size(w, kw, &win, 1)?]);
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
        let shape = g.b.node("Shape", &[&x], []);
        let zero = g.b.float(0.0);
        let zeros = g.b.node("Expand", &[&zero, &shape], []);
        let zeros = g.b.node("Reshape", &[&zeros, &flat], []);
        let at = g.b.node("Reshape", &[&indices, &flat], []);
        let dy = g.b.node("Reshape", &[g.dy, &flat], []);
        let dx = g.b.node(
            "ScatterElements",
            &[&zeros, &at, &dy],
            [("axis", Attr::Int(0)), ("reduction", Attr::Text("add"))],
        );
        Ok(vec![Some(g.b.node("Reshape", &[&dx, &shape], []))])
    }
}
