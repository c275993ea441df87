//! Gradients of convolutions, pools and resizing, over shapes and attributes.

use onnx_graph::build::Attr;
use proptest::prelude::*;

use crate::op_case::Case;
use crate::op_cases::{one, resized};

/// A window along one axis: size, kernel, stride, dilation, first and last pad; it fits.
fn window() -> impl Strategy<Value = (usize, i64, i64, i64, i64, i64)> {
    (1i64..4, 1i64..4, 1i64..3).prop_flat_map(|(kernel, stride, dilation)| {
        let reach = dilation * (kernel - 1) + 1;
        // A pad as wide as the window would leave windows of padding alone.
        (reach..reach + 5, 0..kernel, 0..kernel)
            .prop_map(move |(size, before, after)| (size as usize, kernel, stride, dilation, before, after))
    })
}

#[test]
fn resize_of_a_batch_of_unknown_size() {
    Case::new("Resize by Shape", &[&[2, 1, 3, 2]], true, |b| {
        let new = b.ints(&[4, 5]);
        let batch = b.node("Shape", &["x0"], [("end", Attr::Int(2))]);
        let sizes = b.node("Concat", &[&batch, &new], [("axis", Attr::Int(0))]);
        b.named_node("Resize", &["x0", "", "", &sizes], &["y"], [("mode", Attr::Text("linear"))]);
    })
    .check();
}

#[test]
fn every_way_to_resize() {
    for mode in ["nearest", "linear", "cubic"] {
        for place in
            ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"]
        {
            for to in [&[7, 2][..], &[3, 5], &[1, 1]] {
                let how = [("mode", Attr::Text(mode)), ("coordinate_transformation_mode", Attr::Text(place))];
                resized(&[1, 2, 3, 4], to, how).check();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn conv_over_strides_pads_and_dilations(
        (h, kh, sh, dh, top, bottom) in window(), (w, kw, sw, dw, left, right) in window(),
        n in 1usize..3, channels in prop::sample::select(vec![1usize, 2, 16]), outputs in 1usize..3, bias: bool,
    ) {
        let (x, k) = ([n, channels, h, w], [outputs, channels, kh as usize, kw as usize]);
        let shapes: Vec<&[usize]> = vec![&x, &k, std::slice::from_ref(&outputs)];
        let shapes = if bias { &shapes[..] } else { &shapes[..2] };
        let (strides, dilations, pads) = ([sh, sw], [dh, dw], [top, left, bottom, right]);
        one("Conv", shapes, true, [
            ("strides", Attr::Ints(&strides)), ("dilations", Attr::Ints(&dilations)), ("pads", Attr::Ints(&pads)),
        ]).check();
    }

    #[test]
    fn conv_in_groups_and_other_dimensions(
        (l, kl, sl, dl, first, last) in window(), group in 1usize..4, each in 1usize..3, outputs in 1usize..3,
        rank in 1usize..4, auto in prop::sample::select(vec!["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]),
    ) {
        let x = [&[2, group * each, l][..], &[2, 2][..rank - 1]].concat();
        let w = [&[group * outputs, each, kl as usize][..], &[2, 1][..rank - 1]].concat();
        let ones = [1i64; 2];
        let strides = [&[sl][..], &ones[..rank - 1]].concat();
        let dilations = [&[dl][..], &ones[..rank - 1]].concat();
        let pads = [&[first][..], &[1, 0][..rank - 1], &[last], &[0, 0][..rank - 1]].concat();
        let pads = if auto == "NOTSET" { pads } else { Vec::new() };
        one("Conv", &[&x, &w, &[group * outputs]], true, [
            ("group", Attr::Int(group as i64)), ("auto_pad", Attr::Text(auto)),
            ("strides", Attr::Ints(&strides)), ("dilations", Attr::Ints(&dilations)), ("pads", Attr::Ints(&pads)),
        ]).check();
    }

    #[test]
    fn transposed_conv_over_strides_pads_and_dilations(
        (h, kh, sh, dh, top, bottom) in window(), (w, kw, sw, dw, left, right) in window(),
        n in 1usize..3, channels in 1usize..3, outputs in 1usize..3, group in 1usize..3, more in 0i64..2,
    ) {
        // What is cut off must leave something.
        let left_over = |size: usize, k: i64, s: i64, d: i64, cut: i64| s * (size as i64 - 1) + d * (k - 1) + 1 - cut;
        prop_assume!(left_over(h, kh, sh, dh, top + bottom) > 0 && left_over(w, kw, sw, dw, left + right) > 0);
        let (x, k) = ([n, channels * group, h, w], [channels * group, outputs, kh as usize, kw as usize]);
        let (strides, dilations, pads) = ([sh, sw], [dh, dw], [top, left, bottom, right]);
        let output_padding = [more.min(sh - 1), more.min(sw - 1)];
        let case = one("ConvTranspose", &[&x, &k, &[outputs * group]], true, [
            ("strides", Attr::Ints(&strides)), ("dilations", Attr::Ints(&dilations)), ("pads", Attr::Ints(&pads)),
            ("group", Attr::Int(group as i64)), ("output_padding", Attr::Ints(&output_padding)),
        ]);
        case.check();
        case.with_open_sizes().check_once();
    }

    #[test]
    fn pools_rounded_up_and_padded_by_name(
        (h, kh, sh, _, top, bottom) in window(), (w, kw, sw, _, left, right) in window(),
        op in prop::sample::select(vec!["MaxPool", "AveragePool"]), ceil in 0i64..2, include in 0i64..2,
        auto in prop::sample::select(vec!["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]),
    ) {
        let (kernel, strides, pads) = ([kh, kw], [sh, sw], [top, left, bottom, right]);
        let pads = if auto == "NOTSET" { &pads[..] } else { &[] };
        let ceil = if auto == "NOTSET" { ceil } else { 0 };
        let shared = [
            ("kernel_shape", Attr::Ints(&kernel)), ("strides", Attr::Ints(&strides)), ("pads", Attr::Ints(pads)),
            ("ceil_mode", Attr::Int(ceil)), ("auto_pad", Attr::Text(auto)),
        ];
        let mut case = one(op, &[&[2, 2, h, w]], true, shared);
        if op == "AveragePool" {
            let count = onnx_graph::proto::AttributeProto {
                name: Some("count_include_pad".to_owned()), i: Some(include), r#type: Some(2), ..Default::default()
            };
            case.graph.node[0].attribute.push(count);
        }
        case.check();
    }

    #[test]
    fn max_pool_with_overlap(
        (h, kh, sh, dh, top, bottom) in window(), (w, kw, sw, dw, left, right) in window(),
        n in 1usize..3, channels in 1usize..3,
    ) {
        let (kernel, strides, dilations) = ([kh, kw], [sh, sw], [dh, dw]);
        let pads = [top, left, bottom, right];
        one("MaxPool", &[&[n, channels, h, w]], true, [
            ("kernel_shape", Attr::Ints(&kernel)), ("strides", Attr::Ints(&strides)),
            ("dilations", Attr::Ints(&dilations)), ("pads", Attr::Ints(&pads)),
        ]).check();
    }
}
