//! `Conv` in two dimensions, without groups.

use super::{Gradient, Op, input};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::{attribute, int_attribute, ints_attribute};
use crate::proto::NodeProto;
use crate::shape::{Dim, Info};

/// Cross-correlation of images [N, C, H, W] with kernels [O, C, h, w].
pub struct Conv;

/// Strides, dilations and pads (top, left, bottom, right).
pub(super) struct Window {
    pub(super) strides: Vec<i64>,
    pub(super) dilations: Vec<i64>,
    pub(super) pads: Vec<i64>,
}

/// Larger sizes, strides, dilations and pads are refused, so that their products fit into 64 bits.
const LIMIT: i64 = 1 << 30;

/// Reads a window's attributes; padding by name is refused, since it depends on the input's size.
pub(super) fn window(node: &NodeProto) -> Result<Window> {
    let auto = attribute(node, "auto_pad").and_then(|a| a.s.as_deref()).unwrap_or(b"NOTSET");
    if !matches!(auto, b"NOTSET" | b"VALID") {
        return Err(Error::new(format!(
            "auto_pad {} is not supported; give pads",
            String::from_utf8_lossy(auto)
        )));
    }
    let window = Window {
        strides: ints_attribute(node, "strides").unwrap_or_else(|| vec![1, 1]),
        dilations: ints_attribute(node, "dilations").unwrap_or_else(|| vec![1, 1]),
        pads: ints_attribute(node, "pads").unwrap_or_else(|| vec![0; 4]),
    };
    let fits = window.strides.len() == 2 && window.dilations.len() == 2 && window.pads.len() == 4;
    let sizes = window.strides.iter().chain(&window.dilations).all(|v| (1..=LIMIT).contains(v))
        && window.pads.iter().all(|v| (0..=LIMIT).contains(v));
    if fits && !sizes {
        return Err(Error::new("a stride, dilation or pad is impossible"));
    }
    if fits { Ok(window) } else { Err(Error::new("only two spatial dimensions are supported")) }
}

/// The output size along one spatial axis.
pub(super) fn out_size(size: &Dim, kernel: i64, w: &Window, axis: usize) -> Result<Dim> {
    if !(1..=LIMIT).contains(&kernel) {
        return Err(Error::new(format!("a window of {kernel} is impossible")));
    }
    let Dim::Size(size) = size else { return Ok(Dim::Unknown) };
    if !(0..=LIMIT).contains(size) {
        return Err(Error::new(format!("images of {size} pixels along a side are impossible")));
    }
    let room = size + w.pads[axis] + w.pads[axis + 2] - w.dilations[axis] * (kernel - 1) - 1;
    if room < 0 {
        return Err(Error::new(format!("a window of {kernel} does not fit into {size}")));
    }
    Ok(Dim::Size(room / w.strides[axis] + 1))
}

impl Op for Conv {
    fn name(&self) -> &'static str {
        "Conv"
    }

    fn infer(
        &self,
        node: &NodeProto,
        inputs: &[Info],
        _constant: &dyn Fn(usize) -> Option<Vec<i64>>,
    ) -> Result<Vec<Info>> {
        let (x, w) = (input(inputs, 0)?, input(inputs, 1)?);
        let ([n, c, h, wd], [o, k, kh, kw]) = (x.rank("the images")?, w.rank("the kernels")?) else {
            return Err(Error::new("images and kernels need 4 dimensions"));
        };
        if int_attribute(node, "group", 1) != 1 {
            return Err(Error::new("groups are not supported"));
        }
        if let (Dim::Size(c), Dim::Size(k)) = (c, k)
            && c != k
        {
            return Err(Error::new(format!("the images have {c} channels and the kernels {k}")));
        }
        let (Dim::Size(kh), Dim::Size(kw)) = (kh, kw) else {
            return Err(Error::new("the kernels' size is not known"));
        };
        let window = window(node)?;
        let dims = vec![n.clone(), o.clone(), out_size(h, *kh, &window, 0)?, out_size(wd, *kw, &window, 1)?];
        Ok(vec![Info::new(x.ty, dims)])
    }

    // dx: the transposed convolution, cut to the input's size. dw: images and gradients change roles,
    // batch and channels swapped, with stride and dilation exchanged.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let (x, w) = (g.x(0), g.x(1));
        let win = window(g.node)?;
        let (xs, ws) = (g.inputs[0].rank("the images")?.to_vec(), g.inputs[1].rank("the kernels")?.to_vec());
        let size = |d: &Dim| {
            if let Dim::Size(s) = d { Ok(*s) } else { Err(Error::new("the images' size is not known")) }
        };
        let (h, wd, kh, kw) = (size(&xs[2])?, size(&xs[3])?, size(&ws[2])?, size(&ws[3])?);
        // What a stride leaves over at the end must be given back by the transposed convolution.
        let rest = |s: i64, k: i64, a: usize| {
            (s + win.pads[a] + win.pads[a + 2] - win.dilations[a] * (k - 1) - 1) % win.strides[a]
        };
        let left = [rest(h, kh, 0), rest(wd, kw, 1)];
        let dx = g.b.node(
            "ConvTranspose",
            &[g.dy, &w],
            [
                ("strides", Attr::Ints(&win.strides)),
                ("dilations", Attr::Ints(&win.dilations)),
                ("pads", Attr::Ints(&win.pads)),
                ("output_padding", Attr::Ints(&left)),
            ],
        );
        let swap = [1, 0, 2, 3];
        let xt = g.b.node("Transpose", &[&x], [("perm", Attr::Ints(&swap))]);
        let dyt = g.b.node("Transpose", &[g.dy], [("perm", Attr::Ints(&swap))]);
        let mut dwt = g.b.node(
            "Conv",
            &[&xt, &dyt],
            [
                ("strides", Attr::Ints(&win.dilations)),
                ("dilations", Attr::Ints(&win.strides)),
                ("pads", Attr::Ints(&win.pads)),
            ],
        );
        if left != [0, 0] {
            let (starts, ends, axes) = (g.b.ints(&[0, 0]), g.b.ints(&[kh, kw]), g.b.ints(&[2, 3]));
            dwt = g.b.node("Slice", &[&dwt, &starts, &ends, &axes], []);
        }
        let dw = g.b.node("Transpose", &[&dwt], [("perm", Attr::Ints(&swap))]);
        let mut gradients = vec![Some(dx), Some(dw)];
        if g.node.input.len() > 2 {
            let axes = g.b.ints(&[0, 2, 3]);
            gradients.push(Some(g.b.node("ReduceSum", &[g.dy, &axes], [("keepdims", Attr::Int(0))])));
        }
        Ok(gradients)
    }
}
