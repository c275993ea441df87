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
    let known = |i: usize| node.input.get(i).and_then(|name| infos.get(name)).and_then(Info::sizes);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::GraphProto;
    use crate::reference::{Value, evaluate};
    use crate::shape::infer;
    use crate::tensor::DataType;

    /// Evaluates a convolution of [3, 2, …] with 24 kernels and a bias, as it is and rewritten.
    fn both(pixels: &[i64], kernel: &[i64], how: &[(&str, &[i64])]) {
        let shapes = [[&[3, 2], pixels].concat(), [&[24, 2], kernel].concat(), vec![24]];
        let mut b = Builder::new("f_");
        b.named_node("Conv", &["x0", "x1", "x2"], &["y"], []);
        for (name, values) in how {
            let mut one = Builder::new("");
            one.named_node("", &[], &[""], [(*name, Attr::Ints(values))]);
            b.nodes[0].attribute.append(&mut one.nodes[0].attribute);
        }
        let info = |dims: &[i64]| Info::new(DataType::Float, dims.iter().map(|d| Dim::Size(*d)).collect());
        let names = ["x0", "x1", "x2"];
        let mut graph = GraphProto {
            node: b.nodes,
            input: shapes.iter().zip(names).map(|(s, name)| info(s).value(name)).collect(),
            ..GraphProto::default()
        };
        let value = |dims: &Vec<i64>| {
            let dims: Vec<usize> = dims.iter().map(|d| *d as usize).collect();
            let count: usize = dims.iter().product();
            Value::floats(&dims, (0..count).map(|i| ((i * i + 7 * i) % 23) as f64 - 11.0).collect()).unwrap()
        };
        let feed: Vec<(&str, Value)> = names.into_iter().zip(shapes.iter().map(value)).collect();
        let before = evaluate(&graph, &feed).unwrap()["y"].clone();
        let infos = infer(&graph).unwrap();
        let mut b = Builder::new("l_");
        graph.node = batch_last(graph.node, &infos, &mut b).unwrap();
        assert_eq!(graph.node.len(), 5, "it was not rewritten");
        graph.initializer = b.constants;
        assert_eq!(evaluate(&graph, &feed).unwrap()["y"], before);
    }

    #[test]
    fn values_stay() {
        both(&[4, 5], &[3, 3], &[("pads", &[1, 1, 1, 1])]);
        both(&[5, 5], &[3, 2], &[("pads", &[0, 2, 1, 0]), ("dilations", &[1, 2])]);
        both(&[9], &[3], &[("pads", &[2, 0])]);
        both(&[3, 2, 2], &[2, 1, 2], &[("pads", &[0, 0, 1, 0, 0, 0])]);
    }

    #[test]
    fn images_with_more_pixels_than_kernels_stay_apart() {
        let info = |dims: [i64; 4]| Info::new(DataType::Float, dims.map(Dim::Size).to_vec());
        let infos = |kernels| {
            Infos::from([("x".to_owned(), info([8, 2, 5, 5])), ("w".to_owned(), info([kernels, 2, 3, 3]))])
        };
        let mut b = Builder::new("f_");
        b.named_node("Conv", &["x", "w"], &["y"], []);
        let mut l = Builder::new("l_");
        assert_eq!(batch_last(b.nodes.clone(), &infos(9), &mut l).unwrap(), b.nodes);
        assert_eq!(batch_last(b.nodes.clone(), &infos(10), &mut l).unwrap().len(), 5);
    }
}
