//! Every op's gradient, over shapes and attributes.

use onnx_graph::build::Attr;
use onnx_graph::ops::OPS;
use onnx_graph::tensor::{floats, ints};
use proptest::prelude::*;

use crate::numeric::Case;

/// A node called after its op on `x0`, `x1`, ….
pub fn one<const N: usize>(
    op: &str,
    shapes: &[&[usize]],
    symbolic: bool,
    attributes: [(&str, Attr); N],
) -> Case {
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

/// A node on positive numbers: square roots, logarithms and powers need them.
fn positive(op: &str, shapes: &[&[usize]]) -> Case {
    let mut case = one(op, shapes, true, []);
    case.inputs.iter_mut().flat_map(|x| &mut x.data).for_each(|v| *v = v.abs() + 0.5);
    case
}

fn plain(op: &str) -> Option<Case> {
    Some(match op {
        "Add" | "Sub" | "Mul" | "Div" | "Min" | "Max" => one(op, &[&[2, 3], &[2, 3]], true, []),
        "Sum" | "Mean" => one(op, &[&[2, 3], &[3], &[2, 1]], true, []),
        "Conv" => one(op, &[&[2, 3, 5, 4], &[2, 3, 3, 2], &[2]], true, []),
        "ConvTranspose" => one(op, &[&[2, 3, 4, 3], &[3, 2, 3, 2], &[2]], true, []),
        "Gemm" => one(op, &[&[3, 4], &[2, 4], &[2]], true, [("transB", Attr::Int(1))]),
        "MatMul" => one(op, &[&[3, 4], &[4, 2]], true, []),
        "MaxPool" | "AveragePool" => one(op, &[&[2, 2, 5, 4]], true, [("kernel_shape", Attr::Ints(&[2, 2]))]),
        "GlobalMaxPool" | "GlobalAveragePool" => one(op, &[&[2, 3, 4, 3]], true, []),
        "BatchNormalization" => batch_norm(0, &[2, 3, 4]),
        "Reshape" => with_ints(op, &[2, 3, 4], &[0, -1], []),
        "ReduceSum" | "ReduceMean" | "Squeeze" => with_ints(op, &[2, 1, 4], &[1], []),
        "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceSumSquare" | "ReduceL1" | "ReduceL2"
        | "ReduceLogSumExp" => with_ints(op, &[2, 3, 4], &[1], [("keepdims", Attr::Int(0))]),
        "ReduceLogSum" => {
            let mut case = with_ints(op, &[2, 3, 4], &[2, 0], []);
            case.inputs[0].data.iter_mut().for_each(|v| *v = v.abs() + 0.5);
            case
        }
        "Tile" => with_ints(op, &[2, 3], &[2, 3], []),
        "GatherElements" => scattering(op, &[&[2, 3]], (&[3, 3], &[0, 1, 1, 1, 1, 0, 0, -1, 0]), []),
        "ScatterElements" => scattering(op, &[&[3, 3], &[2, 2]], (&[2, 2], &[0, 2, 1, 0]), []),
        "GatherND" => scattering(op, &[&[3, 2, 2]], (&[2, 2], &[2, 0, -1, 1]), []),
        "ScatterND" => scattering(op, &[&[3, 2], &[2, 2]], (&[2, 1], &[2, 0]), []),
        "LayerNormalization" => one(op, &[&[3, 2, 4], &[4], &[4]], true, []),
        "InstanceNormalization" => one(op, &[&[2, 3, 2, 2], &[3], &[3]], true, []),
        "GroupNormalization" => one(op, &[&[2, 4, 3], &[4], &[4]], true, [("num_groups", Attr::Int(2))]),
        "Resize" => resized(&[1, 2, 4, 3], &[5, 6], [("mode", Attr::Text("linear"))]),
        "Unsqueeze" => with_ints(op, &[2, 4], &[0, 2], []),
        "Expand" => with_ints(op, &[2, 1, 4], &[5, 2, 3, 1], []),
        "Gather" => with_ints(op, &[3, 4], &[2, 0, 2, -1], [("axis", Attr::Int(1))]),
        "Pad" => with_ints(op, &[3, 4], &[1, 0, 2, -1], []),
        "PRelu" => one(op, &[&[2, 3, 4], &[3, 1]], true, []),
        "Sqrt" | "Log" | "Reciprocal" => positive(op, &[&[3, 4]]),
        "Pow" => positive(op, &[&[3, 4], &[4]]),
        "Clip" => one(op, &[&[3, 4], &[], &[]], true, []).with_values(&[(1, -0.61), (2, 0.83)], 1),
        "Concat" => one(op, &[&[2, 1, 3], &[2, 4, 3], &[2, 2, 3]], true, [("axis", Attr::Int(1))]),
        "Split" => parts(&[2, 5]),
        "Slice" => sliced(&[4, 7], &[(1, -1, i64::MIN, -2)]),
        "Where" => Case::new(op, &[&[2, 3], &[3]], true, |b| {
            let zero = b.float(0.0);
            b.named_node("Greater", &["x0", &zero], &["condition"], []);
            b.named_node("Where", &["condition", "x0", "x1"], &["y"], []);
        }),
        "And" | "Or" | "Not" | "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Shape"
        | "Size" | "Cast" | "Constant" | "Ceil" | "Floor" | "Round" | "Sign" | "ArgMax" | "ArgMin"
        | "NonZero" | "OneHot" | "Range" | "ConstantOfShape" => masked(op),
        "Flatten" | "Identity" | "Relu" | "Sigmoid" | "Softmax" | "LogSoftmax" | "Tanh" | "Abs" | "Cos"
        | "Exp" | "Neg" | "Sin" | "LeakyRelu" | "Elu" | "Transpose" | "Dropout" | "Celu" | "Erf" | "Gelu"
        | "HardSigmoid" | "HardSwish" | "Mish" | "Selu" | "Softplus" | "Softsign" | "ThresholdedRelu" => {
            one(op, &[&[3, 4]], true, [])
        }
        _ => return None,
    })
}

/// `x0` times a factor that an op without a gradient makes of `x0`.
fn masked(op: &str) -> Case {
    Case::new(op, &[&[3, 4]], true, |b| {
        let zero = b.float(0.0);
        for (name, value) in [("zero", 0), ("two", 2), ("ten", 10)] {
            b.constants.push(ints(name, &[], &[value]));
        }
        b.constants.extend([ints("three", &[1], &[3]), floats("pair", &[2], &[0.0, 1.0])]);
        match op {
            "Shape" | "Size" | "ArgMax" | "ArgMin" | "NonZero" => b.named_node(op, &["x0"], &["made"], []),
            "ConstantOfShape" => b.named_node(op, &["three"], &["made"], []),
            "OneHot" => b.named_node(op, &["three", "three", "pair"], &["made"], []),
            "Range" => b.named_node(op, &["zero", "ten", "two"], &["made"], []),
            "Constant" => b.named_node(op, &[], &["made"], [("value_float", Attr::Float(3.0))]),
            "Cast" => b.named_node(op, &["x0"], &["made"], [("to", Attr::Int(7))]),
            "Not" | "And" | "Or" => {
                b.named_node("Greater", &["x0", &zero], &["above"], []);
                let inputs: &[&str] = if op == "Not" { &["above"] } else { &["above", "above"] };
                b.named_node(op, inputs, &["made"], []);
            }
            _ => b.named_node(op, &["x0", &zero], &["made"], []),
        }
        b.named_node("Cast", &["made"], &["factor"], [("to", Attr::Int(1))]);
        let (total, flat) = (b.ints(&[0]), b.ints(&[-1]));
        b.named_node("Reshape", &["factor", &flat], &["list"], []);
        b.named_node("ReduceSum", &["list", &total], &["sum"], []);
        b.named_node("Mul", &["x0", "sum"], &["y"], []);
    })
}

/// Normalisation of `x0` with learned scale and bias; the running statistics are constants.
fn batch_norm(training: i64, dims: &[usize]) -> Case {
    let c = dims[1];
    let label = format!("BatchNormalization {training} {dims:?}");
    Case::new(&label, &[dims, &[c], &[c]], true, |b| {
        let mean: Vec<f32> = (0..c).map(|i| i as f32 * 0.3 - 0.2).collect();
        let variance: Vec<f32> = (0..c).map(|i| i as f32 * 0.5 + 0.4).collect();
        b.constants.push(floats("mean", &[c as i64], &mean));
        b.constants.push(floats("variance", &[c as i64], &variance));
        let outputs: &[&str] =
            if training == 0 { &["y"] } else { &["y", "running_mean", "running_variance"] };
        b.named_node(
            "BatchNormalization",
            &["x0", "x1", "x2", "mean", "variance"],
            outputs,
            [("training_mode", Attr::Int(training)), ("epsilon", Attr::Float(0.01))],
        );
    })
}

/// A node on `x0`, the indices `at` and perhaps `x1`.
fn scattering<const N: usize>(
    op: &str,
    shapes: &[&[usize]],
    (dims, values): (&[i64], &[i64]),
    attributes: [(&str, Attr); N],
) -> Case {
    Case::new(&format!("{op} {shapes:?} {values:?}"), shapes, false, |b| {
        b.constants.push(ints("at", dims, values));
        let inputs: &[&str] = if shapes.len() == 1 { &["x0", "at"] } else { &["x0", "at", "x1"] };
        b.named_node(op, inputs, &["y"], attributes);
    })
}

/// Images resized to `to` pixels.
pub fn resized<const N: usize>(dims: &[usize], to: &[i64], attributes: [(&str, Attr); N]) -> Case {
    Case::new(&format!("Resize {dims:?} {to:?}"), &[dims], false, |b| {
        let sizes: Vec<i64> = dims[..2].iter().map(|d| *d as i64).chain(to.iter().copied()).collect();
        let sizes = b.ints(&sizes);
        b.named_node("Resize", &["x0", "", "", &sizes], &["y"], attributes);
    })
}

/// Two of three parts of `x0` along axis 1, put together the other way round.
fn parts(dims: &[usize]) -> Case {
    Case::new(&format!("Split {dims:?}"), &[dims], true, |b| {
        let sizes = b.ints(&[1, dims[1] as i64 - 3, 2]);
        b.named_node("Split", &["x0", &sizes], &["p", "q", "r"], [("axis", Attr::Int(1))]);
        b.named_node("Tanh", &["r"], &["t"], []);
        b.named_node("Concat", &["t", "p"], &["y"], [("axis", Attr::Int(1))]);
    })
}

/// Ranges (axis, start, end, step) of `x0`.
fn sliced(dims: &[usize], ranges: &[(i64, i64, i64, i64)]) -> Case {
    Case::new(&format!("Slice {dims:?} {ranges:?}"), &[dims], false, |b| {
        let list = |pick: fn(&(i64, i64, i64, i64)) -> i64| ranges.iter().map(pick).collect::<Vec<i64>>();
        let (axes, starts) = (b.ints(&list(|r| r.0)), b.ints(&list(|r| r.1)));
        let (ends, steps) = (b.ints(&list(|r| r.2)), b.ints(&list(|r| r.3)));
        b.named_node("Slice", &["x0", &starts, &ends, &axes, &steps], &["y"], []);
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
fn batch_normalisation_by_the_batch() {
    for dims in [&[4, 2][..], &[3, 2, 4], &[2, 3, 2, 2]] {
        batch_norm(1, dims).check();
    }
    // With momentum 0 the running outputs are the batch's statistics, and no second reduction is made.
    let mut case = batch_norm(1, &[3, 2, 4]);
    let momentum = onnx_graph::proto::AttributeProto {
        name: Some("momentum".to_owned()),
        f: Some(0.0),
        r#type: Some(1),
        ..Default::default()
    };
    case.graph.node[0].attribute.push(momentum);
    case.check();
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

#[test]
fn scattering_that_adds() {
    let add = || [("reduction", Attr::Text("add"))];
    scattering("ScatterElements", &[&[3, 2], &[2, 2]], (&[2, 2], &[0, 1, 0, -3]), add()).check();
    scattering("ScatterND", &[&[3, 2], &[3, 2]], (&[3, 1], &[2, 0, 2]), add()).check();
}

#[test]
fn layer_normalisation_over_several_axes_without_bias() {
    one("LayerNormalization", &[&[2, 3, 4], &[3, 4]], true, [("axis", Attr::Int(1))]).check();
    one("LayerNormalization", &[&[3, 4], &[3, 4], &[3, 4]], true, [("axis", Attr::Int(0))]).check();
}

#[test]
fn gelu_by_a_tanh() {
    one("Gelu", &[&[3, 4]], true, [("approximate", Attr::Text("tanh"))]).check();
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
