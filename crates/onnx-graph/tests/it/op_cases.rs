//! Cases of every op: its usual one first, then its other attributes.

use onnx_graph::build::Attr;
use onnx_graph::proto::AttributeProto;
use onnx_graph::tensor::{floats, ints};

use super::op_case::Case;

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
pub fn with_ints<const N: usize>(
    op: &str,
    dims: &[usize],
    ints: &[i64],
    attributes: [(&str, Attr); N],
) -> Case {
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

/// The cases of an op; none if it is not known here.
pub fn cases(op: &str) -> Vec<Case> {
    plain(op).into_iter().chain(others(op)).collect()
}

/// One case of an op.
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

/// Cases with other attributes.
fn others(op: &str) -> Vec<Case> {
    let add = || [("reduction", Attr::Text("add"))];
    match op {
        "BatchNormalization" => {
            // With momentum 0 the running outputs are the batch's statistics, and no second reduction is made.
            let mut still = batch_norm(1, &[3, 2, 4]);
            still.graph.node[0].attribute.push(AttributeProto {
                name: Some("momentum".to_owned()),
                f: Some(0.0),
                r#type: Some(1),
                ..Default::default()
            });
            let of = |dims: &[usize]| batch_norm(1, dims);
            // Statistics, given or running, that depend on what is differentiated.
            let mut given = one(op, &[&[2, 3, 4], &[3], &[3], &[3], &[3]], true, []);
            given.inputs[4].data.iter_mut().for_each(|v| *v = v.abs() + 0.5);
            let kept = Case::new(
                "BatchNormalization and its statistics",
                &[&[2, 3, 4], &[3], &[3], &[3], &[3]],
                true,
                |b| {
                    let outputs = ["a", "m", "v"];
                    b.named_node(
                        op,
                        &["x0", "x1", "x2", "x3", "x4"],
                        &outputs,
                        [("training_mode", Attr::Int(1))],
                    );
                    let axes = b.ints(&[1]);
                    let column = b.node("Unsqueeze", &["v", &axes], []);
                    let product = b.node("Mul", &["a", &column], []);
                    let column = b.node("Unsqueeze", &["m", &axes], []);
                    b.named_node("Add", &[&product, &column], &["y"], []);
                },
            );
            vec![of(&[4, 2]), of(&[3, 2, 4]), of(&[2, 3, 2, 2]), still, given, kept]
        }
        "Concat" => vec![one(op, &[&[2, 3], &[1, 3]], false, [("axis", Attr::Int(-2))])],
        "Conv" => convolutions(),
        "ConvTranspose" => vec![
            one(op, &[&[2, 4, 3], &[4, 3, 4], &[6]], true, window(&[2], &[1], &[1, 2], 2)),
            one(op, &[&[1, 2, 3, 2], &[2, 1, 2, 3]], true, window(&[1, 2], &[2, 1], &[0; 4], 2)),
            one(op, &[&[1, 2, 2, 3, 2], &[2, 3, 2, 2, 1]], true, window(&[2, 1, 1], &[1; 3], &[0; 6], 1)),
        ],
        "Gelu" => vec![one(op, &[&[3, 4]], true, [("approximate", Attr::Text("tanh"))])],
        "Gemm" => vec![one(
            op,
            &[&[4, 3], &[4, 2], &[3, 1]],
            false,
            [("transA", Attr::Int(1)), ("alpha", Attr::Float(0.5)), ("beta", Attr::Float(-2.0))],
        )],
        "LayerNormalization" => vec![
            one(op, &[&[2, 3, 4], &[3, 4]], true, [("axis", Attr::Int(1))]),
            one(op, &[&[3, 4], &[3, 4], &[3, 4]], true, [("axis", Attr::Int(0))]),
        ],
        "Add" | "Sub" | "Mul" | "Div" | "Min" | "Max" => vec![one(op, &[&[2, 1, 3], &[4, 1]], true, [])],
        "MatMul" => {
            vec![one(op, &[&[2, 1, 3, 4], &[3, 4, 2]], true, []), one(op, &[&[3, 4], &[2, 4, 2]], true, [])]
        }
        "MaxPool" | "AveragePool" => {
            let (kernel, strides, pads) = ([3, 2], [2, 1], [1, 0, 1, 1]);
            let how = |ceil: i64| {
                [
                    ("kernel_shape", Attr::Ints(&kernel)),
                    ("strides", Attr::Ints(&strides)),
                    ("pads", Attr::Ints(&pads)),
                    ("ceil_mode", Attr::Int(ceil)),
                ]
            };
            vec![one(op, &[&[2, 2, 6, 4]], true, how(0)), one(op, &[&[2, 2, 6, 4]], true, how(1))]
        }
        "Pad" => {
            let mode = |mode, dims: &[usize], pads: &[i64]| {
                let mut case = with_ints(op, dims, pads, [("mode", Attr::Text(mode))]);
                case.label += mode;
                case
            };
            let value = Case::new("Pad by a value", &[&[2, 3], &[1]], true, |b| {
                let pads = b.ints(&[1, -1, 0, 2]);
                b.named_node(op, &["x0", &pads, "x1"], &["y"], []);
            });
            vec![
                mode("reflect", &[2, 4, 3], &[0, 3, 1, 1, 2, 2]),
                mode("reflect", &[5], &[0, 4]),
                mode("edge", &[2, 4, 1], &[0, 5, 1, 1, 2, 3]),
                mode("wrap", &[2, 4, 3], &[1, 4, 0, 2, 0, 3]),
                value,
            ]
        }
        "ReduceMax" | "ReduceMean" | "ReduceL2" | "ReduceLogSumExp" | "ReduceProd" | "ReduceSum" => vec![
            one(op, &[&[3, 4]], true, [("keepdims", Attr::Int(0))]),
            with_ints(op, &[2, 3, 4], &[-1, 0], [("keepdims", Attr::Int(1))]),
        ],
        "Resize" => ["nearest", "linear", "cubic"]
            .into_iter()
            .flat_map(|mode| {
                ["half_pixel", "align_corners", "asymmetric"].map(|place| {
                    let place = ("coordinate_transformation_mode", Attr::Text(place));
                    resized(&[1, 2, 3, 4], &[7, 2], [("mode", Attr::Text(mode)), place])
                })
            })
            .collect(),
        "ScatterElements" => vec![scattering(op, &[&[3, 2], &[2, 2]], (&[2, 2], &[0, 1, 0, -3]), add())],
        "ScatterND" => vec![scattering(op, &[&[3, 2], &[3, 2]], (&[3, 1], &[2, 0, 2]), add())],
        "Slice" => vec![sliced(&[4, 7], &[(0, 1, 3, 1), (1, 0, i64::MAX, 3)])],
        "Softmax" | "LogSoftmax" => vec![one(op, &[&[2, 3, 4]], true, [("axis", Attr::Int(1))])],
        "Transpose" => vec![one(op, &[&[2, 3, 4]], true, [("perm", Attr::Ints(&[1, 2, 0]))])],
        _ => Vec::new(),
    }
}

/// Attributes of a window.
fn window<'a>(
    strides: &'a [i64],
    dilations: &'a [i64],
    pads: &'a [i64],
    group: i64,
) -> [(&'static str, Attr<'a>); 4] {
    [
        ("strides", Attr::Ints(strides)),
        ("dilations", Attr::Ints(dilations)),
        ("pads", Attr::Ints(pads)),
        ("group", Attr::Int(group)),
    ]
}

/// One to three dimensions, with every formulation of the gradients.
fn convolutions() -> Vec<Case> {
    let conv = |shapes: &[&[usize]], strides: &[i64], dilations: &[i64], pads: &[i64], group| {
        one("Conv", shapes, true, window(strides, dilations, pads, group))
    };
    vec![
        conv(&[&[2, 3, 7], &[4, 3, 3], &[4]], &[2], &[1], &[1, 1], 1),
        conv(&[&[2, 4, 5, 5], &[4, 1, 3, 3], &[4]], &[1; 2], &[1; 2], &[1; 4], 4),
        conv(&[&[2, 4, 6, 5], &[6, 2, 3, 2]], &[2, 1], &[1, 2], &[1, 0, 0, 1], 2),
        conv(&[&[2, 2, 6, 7], &[3, 2, 2, 3]], &[1; 2], &[2; 2], &[0; 4], 1),
        conv(&[&[1, 16, 6, 7], &[2, 16, 2, 3]], &[1; 2], &[2; 2], &[0; 4], 1),
        conv(&[&[1, 2, 4, 4, 3], &[3, 2, 2, 2, 2], &[3]], &[1, 2, 1], &[1; 3], &[1, 0, 1, 0, 0, 0], 1),
        conv(&[&[2, 3, 4, 4], &[5, 3, 1, 1]], &[2; 2], &[1; 2], &[0; 4], 1),
    ]
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
            "Shape" | "Size" | "ArgMax" | "ArgMin" | "NonZero" | "Ceil" | "Floor" | "Round" | "Sign" => {
                b.named_node(op, &["x0"], &["made"], []);
            }
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
pub fn batch_norm(training: i64, dims: &[usize]) -> Case {
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
pub fn scattering<const N: usize>(
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
pub fn sliced(dims: &[usize], ranges: &[(i64, i64, i64, i64)]) -> Case {
    Case::new(&format!("Slice {dims:?} {ranges:?}"), &[dims], false, |b| {
        let list = |pick: fn(&(i64, i64, i64, i64)) -> i64| ranges.iter().map(pick).collect::<Vec<i64>>();
        let (axes, starts) = (b.ints(&list(|r| r.0)), b.ints(&list(|r| r.1)));
        let (ends, steps) = (b.ints(&list(|r| r.2)), b.ints(&list(|r| r.3)));
        b.named_node("Slice", &["x0", &starts, &ends, &axes, &steps], &["y"], []);
    })
}
