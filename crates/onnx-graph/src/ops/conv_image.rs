//! The gradient of `Conv` at its images: which formulation is faster depends on the shape.

use super::Gradient;
use super::window::{Axis, swap};
use crate::build::Attr;
use crate::shape::Dim;

/// A convolution with turned kernels computes a value for each pixel of the images, the transposed convolution for
/// each of the gradient: up to this ratio of the two the first is faster.
const MORE_PIXELS: f64 = 1.25;

/// Emits dx in the images' shape.
///
/// Milliseconds on two cores (x86-64 with AVX-512, float32) for images [N, C, H, H] and O kernels of k × k, stride 1:
///
/// | N, C, O, H, k | transposed | turned kernels |
/// |---|---|---|
/// | 128, 64, 64, 32, 3 | 65 | 53 |
/// | 128, 128, 128, 16, 3 | 60 | 50 |
/// | 128, 256, 256, 8, 3 | 62 | 62 |
/// | 128, 512, 512, 4, 3 | 86 | 63 |
/// | 32, 6, 16, 14, 5, without pads | 0.5 | 0.8 |
///
/// With stride 2, four convolutions, one for each parity of a pixel, take 51 where the transposed one takes 39.
pub(super) fn image_gradient(g: &mut Gradient, axes: &[Axis], kernels: &[Dim], group: i64) -> String {
    let reach = |a: &Axis| (a.kernel - 1) * a.dilation;
    let plain = |a: &Axis| a.stride == 1 && a.before <= reach(a) && a.after <= reach(a);
    let ratio: f64 = axes.iter().map(|a| a.size as f64 / a.out.max(1) as f64).product();
    match (kernels.first().and_then(Dim::size), kernels.get(1).and_then(Dim::size)) {
        (Some(outputs), Some(channels)) if group == 1 && axes.iter().all(plain) && ratio <= MORE_PIXELS => {
            let turned = turned(g, axes, outputs, channels);
            let before: Vec<i64> = axes.iter().map(|a| reach(a) - a.before).collect();
            let after = axes.iter().map(|a| reach(a) - a.after);
            let pads: Vec<i64> = before.iter().copied().chain(after).collect();
            let dilations: Vec<i64> = axes.iter().map(|a| a.dilation).collect();
            let how = [("dilations", Attr::Ints(&dilations)), ("pads", Attr::Ints(&pads))];
            g.b.node("Conv", &[g.dy, &turned], how)
        }
        _ => transposed(g, axes, group),
    }
}

/// The transposed convolution, cut to the images' size.
fn transposed(g: &mut Gradient, axes: &[Axis], group: i64) -> String {
    let back: Vec<(i64, i64)> = axes.iter().map(Axis::back).collect();
    let pads: Vec<i64> = axes.iter().map(|a| a.before).chain(back.iter().map(|b| b.0)).collect();
    // What a stride leaves over at the end must be given back.
    let more: Vec<i64> = back.iter().map(|b| b.1).collect();
    let (strides, dilations): (Vec<i64>, Vec<i64>) = axes.iter().map(|a| (a.stride, a.dilation)).unzip();
    let w = g.x(1);
    let how = [
        ("strides", Attr::Ints(&strides)),
        ("dilations", Attr::Ints(&dilations)),
        ("pads", Attr::Ints(&pads)),
        ("output_padding", Attr::Ints(&more)),
        ("group", Attr::Int(group)),
    ];
    g.b.node("ConvTranspose", &[g.dy, &w], how)
}

/// The kernels [O, C, …] as [C, O, …], each turned by half a turn.
fn turned(g: &mut Gradient, axes: &[Axis], outputs: i64, channels: i64) -> String {
    let w = g.x(1);
    let taps: i64 = axes.iter().map(|a| a.kernel).product();
    if taps == 1 {
        return g.b.node("Transpose", &[&w], [("perm", Attr::Ints(&swap(axes.len() + 2)))]);
    }
    // As a plain matrix's, the runtime transposes fast; rows of O values are then put in another order.
    let rows = g.b.ints(&[outputs, -1]);
    let flat = g.b.node("Reshape", &[&w, &rows], []);
    let flat = g.b.node("Transpose", &[&flat], [("perm", Attr::Ints(&[1, 0]))]);
    let apart = g.b.ints(&[channels, taps, outputs]);
    let apart = g.b.node("Reshape", &[&flat, &apart], []);
    let (from, to, axis, back) = (g.b.ints(&[-1]), g.b.ints(&[i64::MIN]), g.b.ints(&[1]), g.b.ints(&[-1]));
    let turned = g.b.node("Slice", &[&apart, &from, &to, &axis, &back], []);
    let turned = g.b.node("Transpose", &[&turned], [("perm", Attr::Ints(&[0, 2, 1]))]);
    let shape: Vec<i64> = [channels, outputs].into_iter().chain(axes.iter().map(|a| a.kernel)).collect();
    let shape = g.b.ints(&shape);
    g.b.node("Reshape", &[&turned, &shape], [])
}
