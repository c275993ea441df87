//! Every op's gradient and second derivative, over shapes and attributes.

use onnx_graph::build::{Attr, Builder};
use onnx_graph::grad::backward;
use onnx_graph::ops::OPS;
use proptest::prelude::*;

use crate::op_case::{Case, run};
use crate::op_cases::{cases, one, sliced, with_ints};

#[test]
fn every_op_has_the_right_derivatives() {
    for op in OPS {
        let cases = cases(op.name());
        assert!(!cases.is_empty(), "{} has no case: add one to op_cases.rs", op.name());
        cases.iter().for_each(Case::check);
    }
}

#[test]
fn equal_inputs_of_an_extreme_share_its_gradient() {
    for op in ["Max", "Min"] {
        let mut case = one(op, &[&[3], &[3], &[3]], false, []);
        for (x, values) in case.inputs.iter_mut().zip([[1.0, 2.0, 5.0], [1.0, 2.0, 5.0], [1.0, 7.0, 3.0]]) {
            x.data = values.to_vec();
        }
        let shares = if op == "Max" {
            [[3.0, 0.0, 2.0], [3.0, 0.0, 2.0], [3.0, 1.0, 0.0]]
        } else {
            [[3.0, 2.0, 0.0], [3.0, 2.0, 0.0], [3.0, 0.0, 1.0]]
        };
        let feed = case.feed(&case.inputs[0]);
        let derived = case.derived();
        let values = run(op, &derived.graph, &feed);
        for (name, shares) in derived.gradients.iter().zip(shares) {
            let dy = &values["dy"].data;
            let wanted: Vec<f64> =
                dy.iter().zip(shares).map(|(d, n)| if n == 0.0 { 0.0 } else { d / n }).collect();
            assert_eq!(values[name].data, wanted, "{op} {name}");
        }
    }
}

#[test]
fn pads_that_cannot_be_differentiated_are_named() {
    let pads = [
        ("reflect", [3, 0], "more than axis 0 of size 3 allows (2)"),
        ("wrap", [1, 4], "more than axis 0 of size 3 allows (3)"),
        ("edge", [-1, 2], "cuts as well"),
        ("mirror", [1, 1], "no padding by `mirror`"),
    ];
    for (mode, pads, wanted) in pads {
        let case = with_ints("Pad", &[3], &pads, [("mode", Attr::Text(mode))]);
        let error = backward(&case.graph, &[("y", "dy")], &["x0"], Builder::new("g_")).unwrap_err();
        assert!(error.to_string().contains(wanted) && error.to_string().contains("(Pad)"), "{mode}: {error}");
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
    fn arithmetic_broadcasts(op in prop::sample::select(vec!["Add", "Sub", "Mul", "Div", "Min", "Max", "Sum"]), (a, b) in broadcast(), swap: bool) {
        let (a, b) = if swap { (b, a) } else { (a, b) };
        one(op, &[&a, &b], false, []).check();
    }

    #[test]
    fn slices_forwards_and_backwards(
        rows in 1usize..6, columns in 1usize..6, start in -7i64..7, end in -7i64..7,
        step in prop::sample::select(vec![-3i64, -2, -1, 1, 2, 3]),
    ) {
        sliced(&[rows, columns], &[(1, start, end, step), (0, 0, i64::MAX, 1)]).check();
    }

    #[test]
    fn pads_that_copy(mode in prop::sample::select(vec!["reflect", "edge", "wrap"]),
        sizes in prop::collection::vec((1usize..5, 0i64..5, 0i64..5), 1..4)) {
        let most = |size: usize| match mode { "reflect" => size as i64 - 1, "wrap" => size as i64, _ => 5 };
        let dims: Vec<usize> = sizes.iter().map(|s| s.0).collect();
        let before = sizes.iter().map(|s| s.1.min(most(s.0)));
        let pads: Vec<i64> = before.chain(sizes.iter().map(|s| s.2.min(most(s.0)))).collect();
        with_ints("Pad", &dims, &pads, [("mode", Attr::Text(mode))]).check();
    }

    #[test]
    fn transposes_of_any_order(dims in prop::collection::vec(1usize..4, 1..5), seed: u64) {
        let order: Vec<i64> =
            onnx_graph::random::Random::new(seed).permutation(dims.len()).iter().map(|a| *a as i64).collect();
        one("Transpose", &[&dims], true, [("perm", Attr::Ints(&order))]).check();
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
    fn reductions_over_any_axes(op in prop::sample::select(vec!["ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2", "ReduceLogSumExp"]),
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
