//! Convolutions of many small images as one of a single image.

use crate::build::{Attr, Builder};
use crate::error::{Error, Result};
use crate::model::{int_attribute, node_label};
use crate::ops::window::{Axis, Window};
use crate::proto::NodeProto;
use crate::shape::{Dim, Info, Infos};

/// Rewrites every convolution of a batch whose images have fewer pixels than there are kernels, if its sizes are
/// known and its stride is 1: channels stay, and the last axis holds pixels and batch, [1, C, …, W·N], so that a
/// step of one pixel is a step of N.
///
/// ONNX Runtime convolves such images one after the other and spreads each out on one thread. Milliseconds for
/// 3 × 3 on two cores, from N images [C, H, H] to as many channels, before and after: 128 of [256, 8, 8] 65 and 50,
/// 32 of [512, 4, 4] 15 and 12, 8 of [512, 14, 14] 44 and 38; but 128 of [128, 16, 16] 50 and 57.
pub(crate) fn batch_last(nodes: Vec<NodeProto>, infos: &Infos, b: &mut Builder) -> Result<Vec<NodeProto>> {
    let mut out = Vec::with_capacity(nodes.len());
    for node in nodes {
        let sizes = sizes(&node, infos);
        let sizes = sizes.map_err(|e| Error::new(format!("{}: {e}", node_label(&node))))?;
        match sizes {
            Some(sizes) => {
                emit(&node, &sizes, b);
                out.append(&mut b.nodes);
            }
            None => out.push(node),
        }
    }
    Ok(out)
}

/// The sizes of a convolution that is to be rewritten.
struct Sizes {
    batch: i64,
    channels: i64,
    kernels: i64,
    axes: Vec<Axis>,
}

fn sizes(node: &NodeProto, infos: &Infos) -> Result<Option<Sizes>> {
    let known = |i: usize| {
        let dims =
            node.input.get(i).and_then(|name| infos.get(name)).and_then(|info: &Info| info.dims.as_ref())?;
        let size = |d: &Dim| if let Dim::Size(s) = d { Some(*s) } else { None };
        dims.iter().map(size).collect::<Option<Vec<i64>>>()
    };
    if node.op_type.as_deref() != Some("Conv") || int_attribute(node, "group", 1) != 1 {
        return Ok(None);
    }
    let (Some(images), Some(weights)) = (known(0), known(1)) else { return Ok(None) };
    let ([batch, channels, pixels @ ..], [kernels, _, kernel @ ..]) = (&images[..], &weights[..]) else {
        return Ok(None);
    };
    let window = Window::of(node, kernel)?;
    let spatial: Vec<Dim> = pixels.iter().map(|s| Dim::Size(*s)).collect();
    let axes = window.axes(&spatial)?;
    let few = axes.iter().fold(1i64, |n, a| n.saturating_mul(a.out)) < *kernels;
    let taps = kernel.iter().any(|k| *k > 1);
    let plain = axes.iter().all(|a| a.stride == 1);
    let (batch, channels, kernels) = (*batch, *channels, *kernels);
    Ok((few && taps && plain && batch > 1).then_some(Sizes { batch, channels, kernels, axes }))
}

fn emit(node: &NodeProto, sizes: &Sizes, b: &mut Builder) {
    let Sizes { batch, channels, kernels, axes } = sizes;
    let rank = axes.len() as i64 + 2;
    let end = axes.len() - 1;
    let each = |of: fn(&Axis) -> i64| {
        let wide = |(i, a): (usize, &Axis)| if i == end { of(a) * batch } else { of(a) };
        axes.iter().enumerate().map(wide).collect::<Vec<i64>>()
    };
    let input = |i: usize| node.input.get(i).map_or("", String::as_str);
    let last: Vec<i64> = (1..rank).chain([0]).collect();
    let images = b.node("Transpose", &[input(0)], [("perm", Attr::Ints(&last))]);
    let one = b.ints(&[&[1, *channels], &each(|a| a.size)[..]].concat());
    let images = b.node("Reshape", &[&images, &one], []);
    let mut inputs = vec![images.as_str(), input(1)];
    inputs.extend(node.input.get(2).map(String::as_str));
    let (dilations, pads) = (each(|a| a.dilation), [each(|a| a.before), each(|a| a.after)].concat());
    let made = b.node("Conv", &inputs, [("dilations", Attr::Ints(&dilations)), ("pads", Attr::Ints(&pads))]);
    let out: Vec<i64> = axes.iter().map(|a| a.out).collect();
    let apart = b.ints(&[&[*kernels], &out[..], &[*batch]].concat());
    let made = b.node("Reshape", &[&made, &apart], []);
    let first: Vec<i64> = std::iter::once(rank - 1).chain(0..rank - 1).collect();
    let outputs: Vec<&str> = node.output.iter().map(String::as_str).collect();
    b.named_node("Transpose", &[&made], &outputs, [("perm", Attr::Ints(&first))]);
}
