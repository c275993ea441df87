//! Every op's gradient, over shapes and attributes.

use onnx_graph::build::Attr;
use onnx_graph::ops::OPS;
use proptest::prelude::*;

use crate::numeric::Case;

/// A node called after its op on `x0`, `x1`, ….
fn one<const N: usize>(op: &str, shapes: &[&[usize]], symbolic: bool, attributes: [(&str, Attr); N]) -> Case {
    let names: Vec<String> = (0..shapes.len()).map(|i| format!("x{i}")).collect();
    let inputs: Vec<&str> = names.iter().map(String::as_str).collect();
    Case::new(&format!("{op} {shapes:?}"), shapes, symbolic, |b| {
        b.named_node(op, &inputs, &["y"], attributes);
    })
}

/// A node on `x0` and the integer constant `ints`.
fn with_ints<const N: usize>(op: &str, dims: &[usize], ints: &[i64], attributes: [(&str, Attr); N]) -> Case {
    let case = Case::new(&format!("{op} {dims:?} {ints:?}"), &[dims], false, |b| {
        b.named_node(op, &["x0", "ints"], &["y"], attributes);
    });
    case.with_ints("ints", ints)
}

fn plain(op: &str) -> Option<Case> {
    Some(match op {
        "Add" | "Sub" | "Mul" => one(op, &[&[2, 3], &[2, 3]], true, []),
        "Conv" => one(op, &[&[2, 3, 5, 4], &[2, 3, 3, 2], &[2]], true, []),
        "Gemm" => one(op, &[&[3, 4], &[2, 4], &[2]], true, [("transB", Attr::Int(1))]),
        "MatMul" => one(op, &[&[3, 4], &[4, 2]], true, []),
        "MaxPool" => one(op, &[&[2, 2, 5, 4]], true, [("kernel_shape", Attr::Ints(&[2, 2]))]),
        "Reshape" => with_ints(op, &[2, 3, 4], &[0, -1], []),
        "ReduceSum" | "ReduceMean" => with_ints(op, &[2, 3, 4], &[1], []),
        "Flatten" | "Identity" | "Relu" | "Sigmoid" | "Softmax" | "LogSoftmax" | "Tanh" => {
            one(op, &[&[3, 4]], true, [])
        }
        _ => return None,
    })
}

#[test]
fn every_op_has_the_right_gradient() {
    for op in OPS {
        let case = plain(op.name());
        case.unwrap_or_else(|| panic!("{} has no case here: add one", op.name())).check();
    }
}

#[test]
fn gradients_that_meet_in_one_value_are_added() {
    Case::new("x² + x·tanh x", &[&[2, 3]], false, |b| {
        b.named_node("Mul", &["x0", "x0"], &["square"], []);
        b.named_node("Tanh", &["x0"], &["t"], []);
        b.named_node("Mul", &["x0", "t"], &["twist"], []);
        b.named_node("Add", &["square", "twist"], &["y"], []);
    })
    .check();
}

#[test]
fn a_gradient_passes_through_many_layers() {
    Case::new("layers", &[&[2, 1, 6, 6], &[2, 1, 3, 3], &[2], &[3, 18]], true, |b| {
        let one = [1; 4];
        b.named_node("Conv", &["x0", "x1", "x2"], &["a"], [("pads", Attr::Ints(&one))]);
        b.named_node("Tanh", &["a"], &["b"], []);
        let (two, three) = ([2, 2], [3, 3]);
        let window =
            [("kernel_shape", Attr::Ints(&three)), ("strides", Attr::Ints(&two)), ("pads", Attr::Ints(&one))];
        b.named_node("MaxPool", &["b"], &["c"], window);
        b.named_node("Flatten", &["c"], &["d"], []);
        b.named_node("Gemm", &["d", "x3"], &["e"], [("transB", Attr::Int(1))]);
        b.named_node("LogSoftmax", &["e"], &["y"], [("axis", Attr::Int(1))]);
    })
    .check();
}

/// A window along one axis: size, kernel, stride, dilation, first and last pad; it fits.
fn window() -> impl Strategy<Value = (usize, i64, i64, i64, i64, i64)> {
    (1i64..4, 1i64..4, 1i64..3).prop_flat_map(|(kernel, stride, dilation)| {
        let reach = dilation * (kernel - 1) + 1;
        // A pad as wide as the window would leave windows of padding alone.
        (reach..reach + 5, 0..kernel, 0..kernel)
            .prop_map(move |(size, before, after)| (size as usize, kernel, stride, dilation, before, after))
    })
}

/// Two shapes that broadcast against each other.
fn broadcast() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    (prop::collection::vec(1usize..4, 1..4), 0usize..3).prop_flat_map(|(full, cut)| {
        let cut = cut.min(full.len());
        let (n, tail) = (full.len(), full[cut..].to_vec());
        let ones = |dims: Vec<usize>, len| {
            prop::collection::vec(any::<bool>(), len)
                .prop_map(move |flat| dims.iter().zip(flat).map(|(d, f)| if f { 1 } else { *d }).collect())
        };
        (ones(full, n), ones(tail, n - cut))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn arithmetic_broadcasts(op in prop::sample::select(vec!["Add", "Sub", "Mul"]), (a, b) in broadcast(), swap: bool) {
        let (a, b) = if swap { (b, a) } else { (a, b) };
        one(op, &[&a, &b], false, []).check();
    }

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

    #[test]
    fn gemm_with_every_flag(
        m in 1usize..4, k in 1usize..4, n in 1usize..4, ta in 0i64..2, tb in 0i64..2,
        alpha in -2i8..3, beta in -2i8..3, addend in 0usize..6,
    ) {
        let a = if ta == 0 { [m, k] } else { [k, m] };
        let b = if tb == 0 { [k, n] } else { [n, k] };
        let addends: [&[usize]; 5] = [&[n], &[m, n], &[1, n], &[m, 1], &[]];
        let mut shapes: Vec<&[usize]> = vec![&a, &b];
        shapes.extend(addends.get(addend));
        one("Gemm", &shapes, false, [
            ("transA", Attr::Int(ta)), ("transB", Attr::Int(tb)),
            ("alpha", Attr::Float(f32::from(alpha) / 2.0)), ("beta", Attr::Float(f32::from(beta) / 2.0)),
        ]).check();
    }

    #[test]
    fn matmul_of_stacks((s, t) in broadcast(), m in 1usize..3, k in 1usize..4, n in 1usize..3) {
        one("MatMul", &[&[&s[..], &[m, k]].concat(), &[&t[..], &[k, n]].concat()], false, []).check();
    }

    #[test]
    fn softmax_along_any_axis(op in prop::sample::select(vec!["Softmax", "LogSoftmax"]),
        dims in prop::collection::vec(1usize..4, 1..4), at in -4i64..4) {
        let rank = dims.len() as i64;
        prop_assume!(at >= -rank && at < rank);
        one(op, &[&dims], false, [("axis", Attr::Int(at))]).check();
    }

    #[test]
    fn reductions_over_any_axes(op in prop::sample::select(vec!["ReduceSum", "ReduceMean"]),
        dims in prop::collection::vec(1usize..4, 1..5), chosen in prop::collection::vec(any::<bool>(), 4),
        from_the_end: bool, keep in 0i64..2) {
        let rank = dims.len() as i64;
        let axes: Vec<i64> = (0..rank).filter(|a| chosen[*a as usize])
            .map(|a| if from_the_end { a - rank } else { a }).collect();
        if axes.is_empty() {
            one(op, &[&dims], false, [("keepdims", Attr::Int(keep))]).check();
        } else {
            with_ints(op, &dims, &axes, [("keepdims", Attr::Int(keep))]).check();
        }
    }

    #[test]
    fn flatten_at_any_axis(dims in prop::collection::vec(1usize..4, 1..5), at in -4i64..5) {
        let rank = dims.len() as i64;
        prop_assume!(at >= -rank && at <= rank);
        one("Flatten", &[&dims], true, [("axis", Attr::Int(at))]).check();
    }

    #[test]
    fn reshape_with_kept_and_open_sizes(dims in prop::collection::vec(1usize..4, 1..4), at in 0usize..3) {
        let total: usize = dims[1..].iter().product();
        let ints = match at { 0 => vec![0, -1], 1 => vec![-1], _ => vec![-1, total as i64, 1] };
        with_ints("Reshape", &dims, &ints, []).check();
    }
}
