//! The gradient of `Conv` at its weights: which formulation is fastest depends on the shape.

use super::Gradient;
use super::window::{Axis, pads, swap};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::shape::Dim;

/// Each tap of a kernel adds three nodes: larger kernels are not taken apart.
const MOST_TAPS: i64 = 64;
/// Groups leave no other way, up to here.
const MOST_TAPS_IN_GROUPS: i64 = 1024;

/// Images and the gradient of their convolution, by name.
pub(super) struct Pair<'a> {
    pub(super) x: &'a str,
    pub(super) dy: &'a str,
}

/// Emits dW [O, C / groups, …].
///
/// Milliseconds on two cores (x86-64 with AVX-512, float32) for images [N, C, H, H] and O kernels of k × k, stride
/// s; a product of that many multiplications alone would take the last column:
///
/// | N, C, O, H, k, s | tap by tap | axes swapped | channels last | product |
/// |---|---|---|---|---|
/// | 128, 64, 64, 32, 3, 1 | 105 | | 71 | 50 |
/// | 128, 128, 128, 16, 3, 1 | 90 | | 60 | 50 |
/// | 128, 512, 512, 4, 3, 1 | 72 | | 55 | 50 |
/// | 128, 64, 128, 32, 3, 2 | 76 | | 37 | 25 |
/// | 128, 64, 128, 32, 1, 2 | 10 | | 26 | 3 |
/// | 32, 64, 64, 32, 3, 1 | 28 | 62 | 17 | 12 |
/// | 32, 6, 16, 14, 5, 1 | 1.6 | 0.3 | 0.3 | 0.1 |
/// | 4, 3, 64, 224, 7, 2 | 52 | 14 | 8 | 5 |
///
/// So channels come last wherever they can, and only kernels of one tap are one product. Groups have no other way
/// than tap by tap; where taps lie apart along the last axis, they are taken one by one if there are at most as many
/// as channels (32 channels, 3 × 3: 1.1 × torch against 2.0), else the axes are swapped.
pub(super) fn weight_gradient(
    g: &mut Gradient,
    pair: &Pair,
    axes: &[Axis],
    kernels: &[Dim],
    group: i64,
) -> Result<String> {
    let taps = axes.iter().fold(1i64, |n, a| n.saturating_mul(a.kernel));
    let sizes = (kernels.first().and_then(Dim::size), kernels.get(1).and_then(Dim::size));
    if group > 1 {
        let (Some(outputs), Some(channels)) = sizes else {
            return Err(Error::new("the number of kernels in groups is not known"));
        };
        if taps > MOST_TAPS_IN_GROUPS {
            return Err(Error::new(format!("grouped kernels of {taps} taps are too large to train")));
        }
        return Ok(by_taps(g, pair, axes, (outputs, channels, group)));
    }
    let dense = axes.last().is_some_and(|a| a.dilation == 1);
    Ok(match sizes {
        (Some(outputs), Some(channels)) if taps == 1 || (!dense && taps <= channels.min(MOST_TAPS)) => {
            by_taps(g, pair, axes, (outputs, channels, 1))
        }
        (_, Some(channels)) if dense => channels_last(g, pair, axes, channels),
        _ => by_swapping(g, pair, axes),
    })
}

/// The weight gradient as one convolution of a single image, whose channels are the batch and whose last axis
/// holds pixels and channels: [1, N, …, W·C]. Its kernels are the gradients [O, N, …], and a step of one pixel is
/// a step of C. The runtime's convolution then gathers runs of C values, and multiplies large matrices.
fn channels_last(g: &mut Gradient, pair: &Pair, axes: &[Axis], channels: i64) -> String {
    let rank = axes.len() + 2;
    let last: Vec<i64> = std::iter::once(0).chain(2..rank as i64).chain([1]).collect();
    let images = g.b.node("Transpose", &[pair.x], [("perm", Attr::Ints(&last))]);
    let front = g.b.ints(&[0]);
    let images = g.b.node("Unsqueeze", &[&images, &front], []);
    let kept = vec![0; axes.len()];
    let merged = g.b.ints(&[&[1, 0], &kept[1..], &[-1]].concat());
    let images = g.b.node("Reshape", &[&images, &merged], []);
    let kernels = g.b.node("Transpose", &[pair.dy], [("perm", Attr::Ints(&swap(rank)))]);
    let end = axes.len() - 1;
    let wide = |i: usize, value: i64| if i == end { value * channels } else { value };
    let each = |of: &dyn Fn(&Axis) -> i64| {
        axes.iter().enumerate().map(|(i, a)| wide(i, of(a))).collect::<Vec<i64>>()
    };
    let pads = [each(&|a| a.before), each(&|a| a.back().0)].concat();
    let strides: Vec<i64> = axes.iter().map(|a| a.dilation).collect();
    let how = [
        ("strides", Attr::Ints(&strides)),
        ("dilations", Attr::Ints(&each(&|a| a.stride))),
        ("pads", Attr::Ints(&pads)),
    ];
    let dw = g.b.node("Conv", &[&images, &kernels], how);
    let dw = g.b.node("Squeeze", &[&dw, &front], []);
    // [O, …, taps·C], with more taps than the kernel has where the last window leaves pixels over.
    let apart = g.b.ints(&[&kept[..], &[-1, channels]].concat());
    let dw = g.b.node("Reshape", &[&dw, &apart], []);
    let dw = cut(g, &dw, axes, 1);
    let order: Vec<i64> = [0, rank as i64 - 1].into_iter().chain(1..rank as i64 - 1).collect();
    g.b.node("Transpose", &[&dw], [("perm", Attr::Ints(&order))])
}

/// Leaves the kernel's own taps of `dw`, whose spatial axes begin at `first`.
fn cut(g: &mut Gradient, dw: &str, axes: &[Axis], first: i64) -> String {
    if axes.iter().all(|a| a.back().1 == 0) {
        return dw.to_owned();
    }
    let kernel: Vec<i64> = axes.iter().map(|a| a.kernel).collect();
    let spatial: Vec<i64> = (first..first + axes.len() as i64).collect();
    let (starts, ends, spatial) = (g.b.ints(&vec![0; axes.len()]), g.b.ints(&kernel), g.b.ints(&spatial));
    g.b.node("Slice", &[dw, &starts, &ends, &spatial], [])
}

/// The weight gradient as a convolution in which images and gradients change roles: batch and channels
/// swapped, stride and dilation exchanged.
fn by_swapping(g: &mut Gradient, pair: &Pair, axes: &[Axis]) -> String {
    let rank = axes.len() + 2;
    let perm = swap(rank);
    let xt = g.b.node("Transpose", &[pair.x], [("perm", Attr::Ints(&perm))]);
    let dyt = g.b.node("Transpose", &[pair.dy], [("perm", Attr::Ints(&perm))]);
    // What the last window leaves over would give more taps than the kernel has.
    let end: Vec<i64> = axes.iter().map(|a| a.back().0).collect();
    let pads: Vec<i64> = axes.iter().map(|a| a.before).chain(end).collect();
    let (strides, dilations): (Vec<i64>, Vec<i64>) = axes.iter().map(|a| (a.dilation, a.stride)).unzip();
    let dwt = g.b.node(
        "Conv",
        &[&xt, &dyt],
        [
            ("strides", Attr::Ints(&strides)),
            ("dilations", Attr::Ints(&dilations)),
            ("pads", Attr::Ints(&pads)),
        ],
    );
    let dwt = cut(g, &dwt, axes, 2);
    g.b.node("Transpose", &[&dwt], [("perm", Attr::Ints(&perm))])
}

/// The weight gradient tap by tap: the pixels under a tap [C, N·h·w] times the gradients [O, N·h·w].
/// `outputs` of all groups, `channels` of one group.
fn by_taps(
    g: &mut Gradient,
    pair: &Pair,
    axes: &[Axis],
    (outputs, channels, group): (i64, i64, i64),
) -> String {
    let rank = axes.len() + 2;
    let perm = swap(rank);
    let mut xt = g.b.node("Transpose", &[pair.x], [("perm", Attr::Ints(&perm))]);
    let around = pads(axes);
    if around.iter().any(|p| *p != 0) {
        let (before, after) = around.split_at(axes.len());
        let all: Vec<i64> = [&[0, 0], before, &[0, 0], after].concat();
        let all = g.b.ints(&all);
        xt = g.b.node("Pad", &[&xt, &all], []);
    }
    let rows = |count: i64| if group == 1 { vec![count, -1] } else { vec![group, count, -1] };
    let (of_x, of_dy) = (g.b.ints(&rows(channels)), g.b.ints(&rows(outputs / group.max(1))));
    let dyt = g.b.node("Transpose", &[pair.dy], [("perm", Attr::Ints(&perm))]);
    let dyt = g.b.node("Reshape", &[&dyt, &of_dy], []);
    let spatial: Vec<i64> = (2..rank as i64).collect();
    let strides: Vec<i64> = axes.iter().map(|a| a.stride).collect();
    let (spatial, steps) = (g.b.ints(&spatial), g.b.ints(&strides));
    let mut products = Vec::new();
    for tap in taps(axes) {
        let start: Vec<i64> = tap.iter().zip(axes).map(|(t, a)| t * a.dilation).collect();
        let end: Vec<i64> = start.iter().zip(axes).map(|(s, a)| s + a.stride * (a.out - 1) + 1).collect();
        let (start, end) = (g.b.ints(&start), g.b.ints(&end));
        let pixels = g.b.node("Slice", &[&xt, &start, &end, &spatial, &steps], []);
        let pixels = g.b.node("Reshape", &[&pixels, &of_x], []);
        products.push(if group == 1 {
            g.b.node("Gemm", &[&dyt, &pixels], [("transB", Attr::Int(1))])
        } else {
            let turned = g.b.node("Transpose", &[&pixels], [("perm", Attr::Ints(&[0, 2, 1]))]);
            g.b.node("MatMul", &[&dyt, &turned], [])
        });
    }
    let products: Vec<&str> = products.iter().map(String::as_str).collect();
    let dw = g.b.node("Concat", &products, [("axis", Attr::Int(0))]);
    let mut shape: Vec<i64> = axes.iter().map(|a| a.kernel).collect();
    shape.extend([outputs, channels]);
    let shape = g.b.ints(&shape);
    let dw = g.b.node("Reshape", &[&dw, &shape], []);
    let n = axes.len() as i64;
    let order: Vec<i64> = [n, n + 1].into_iter().chain(0..n).collect();
    g.b.node("Transpose", &[&dw], [("perm", Attr::Ints(&order))])
}

/// Every tap of a kernel, row by row.
fn taps(axes: &[Axis]) -> Vec<Vec<i64>> {
    axes.iter().fold(vec![Vec::new()], |all, axis| {
        let longer = |tap: &Vec<i64>| (0..axis.kernel).map(|k| [&tap[..], &[k]].concat()).collect::<Vec<_>>();
        all.iter().flat_map(longer).collect()
    })
}
