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

    // dx: the transposed convolution, cut to the input's size.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let win = window(g.node)?;
        let (xs, ws) = (g.inputs[0].rank("the images")?, g.inputs[1].rank("the kernels")?);
        let size = |d: &Dim| {
            if let Dim::Size(s) = d { Ok(*s) } else { Err(Error::new("the images' size is not known")) }
        };
        let axis = |a: usize| -> Result<Axis> {
            let (size, kernel) = (size(&xs[a + 2])?, size(&ws[a + 2])?);
            let room = size + win.pads[a] + win.pads[a + 2] - win.dilations[a] * (kernel - 1) - 1;
            Ok(Axis { kernel, out: room / win.strides[a] + 1, left: room % win.strides[a] })
        };
        let axes = [axis(0)?, axis(1)?];
        let dx = g.b.node(
            "ConvTranspose",
            &[g.dy, &g.x(1)],
            [
                ("strides", Attr::Ints(&win.strides)),
                ("dilations", Attr::Ints(&win.dilations)),
                ("pads", Attr::Ints(&win.pads)),
                // What a stride leaves over at the end must be given back.
                ("output_padding", Attr::Ints(&[axes[0].left, axes[1].left])),
            ],
        );
        let taps = axes[0].kernel.saturating_mul(axes[1].kernel);
        let dw = match (&ws[0], &ws[1]) {
            // With at least as many channels as taps, a product per tap is faster. Measured on one core as
            // time ÷ torch: 32 channels, 3×3: 1.1 against 2.0; 64 channels, 1×1: 0.6 against 2.3; but
            // 6 channels, 5×5: 1.8 against 1.4.
            (Dim::Size(outputs), Dim::Size(channels)) if taps <= *channels && taps <= MOST_TAPS => {
                by_taps(g, &win, &axes, *outputs)
            }
            _ => by_swapping(g, &win, &axes),
        };
        let mut gradients = vec![Some(dx), Some(dw)];
        if g.node.input.len() > 2 {
            let axes = g.b.ints(&[0, 2, 3]);
            gradients.push(Some(g.b.node("ReduceSum", &[g.dy, &axes], [("keepdims", Attr::Int(0))])));
        }
        Ok(gradients)
    }
}

/// Each tap of a kernel adds three nodes: larger kernels are not taken apart.
const MOST_TAPS: i64 = 64;

/// Kernel and output size along one spatial axis, and what the stride leaves over at the end.
struct Axis {
    kernel: i64,
    out: i64,
    left: i64,
}

const SWAP: [i64; 4] = [1, 0, 2, 3];

/// The weight gradient as a convolution in which images and gradients change roles: batch and channels
/// swapped, stride and dilation exchanged.
fn by_swapping(g: &mut Gradient, win: &Window, axes: &[Axis; 2]) -> String {
    let x = g.x(0);
    let xt = g.b.node("Transpose", &[&x], [("perm", Attr::Ints(&SWAP))]);
    let dyt = g.b.node("Transpose", &[g.dy], [("perm", Attr::Ints(&SWAP))]);
    let mut dwt = g.b.node(
        "Conv",
        &[&xt, &dyt],
        [
            ("strides", Attr::Ints(&win.dilations)),
            ("dilations", Attr::Ints(&win.strides)),
            ("pads", Attr::Ints(&win.pads)),
        ],
    );
    if axes.iter().any(|a| a.left != 0) {
        let kernel = [axes[0].kernel, axes[1].kernel];
        let (starts, ends, axes) = (g.b.ints(&[0, 0]), g.b.ints(&kernel), g.b.ints(&[2, 3]));
        dwt = g.b.node("Slice", &[&dwt, &starts, &ends, &axes], []);
    }
    g.b.node("Transpose", &[&dwt], [("perm", Attr::Ints(&SWAP))])
}

/// The weight gradient tap by tap: the pixels under a tap [C, N·h·w] times the gradients [O, N·h·w].
fn by_taps(g: &mut Gradient, win: &Window, axes: &[Axis; 2], outputs: i64) -> String {
    let x = g.x(0);
    let matrix = g.b.ints(&[0, -1]);
    let mut xt = g.b.node("Transpose", &[&x], [("perm", Attr::Ints(&SWAP))]);
    if let [top, left, bottom, right] = win.pads[..]
        && win.pads.iter().any(|p| *p != 0)
    {
        let pads = g.b.ints(&[0, 0, top, left, 0, 0, bottom, right]);
        xt = g.b.node("Pad", &[&xt, &pads], []);
    }
    let dyt = g.b.node("Transpose", &[g.dy], [("perm", Attr::Ints(&SWAP))]);
    let dyt = g.b.node("Reshape", &[&dyt, &matrix], []);
    let (spatial, steps) = (g.b.ints(&[2, 3]), g.b.ints(&win.strides));
    let mut products = Vec::new();
    for (u, v) in (0..axes[0].kernel).flat_map(|u| (0..axes[1].kernel).map(move |v| (u, v))) {
        let start = [u * win.dilations[0], v * win.dilations[1]];
        let end = [0, 1].map(|a| start[a] + win.strides[a] * (axes[a].out - 1) + 1);
        let (start, end) = (g.b.ints(&start), g.b.ints(&end));
        let pixels = g.b.node("Slice", &[&xt, &start, &end, &spatial, &steps], []);
        let pixels = g.b.node("Reshape", &[&pixels, &matrix], []);
        products.push(g.b.node("Gemm", &[&dyt, &pixels], [("transB", Attr::Int(1))]));
    }
    let products: Vec<&str> = products.iter().map(String::as_str).collect();
    let dw = g.b.node("Concat", &products, [("axis", Attr::Int(0))]);
    let shape = g.b.ints(&[axes[0].kernel, axes[1].kernel, outputs, -1]);
    let dw = g.b.node("Reshape", &[&dw, &shape], []);
    g.b.node("Transpose", &[&dw], [("perm", Attr::Ints(&[2, 3, 0, 1]))])
}
