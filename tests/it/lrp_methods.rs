//! What `lrp.attribute` can be asked for, through YAML: targets and starts, inner tensors and channels, lists of
//! entries, averaged gradients.

use onnx_graph::build::{Attr, Builder};
use onnx_graph::model::Model;
use onnx_graph::proto::GraphProto;
use onnx_graph::shape::{Dim, Info};
use onnx_graph::tensor::{DataType, floats};

use super::lrp::golden;
use super::masking::npy;
use super::npz::{Array, read_file};
use super::support::Project;
use sulcus::table::{Frame, read_path};

/// A project with one `lrp.attribute` on `vgg_small` for each of the named parameters.
fn project(stages: &[(&str, &str)]) -> Project {
    let mut yaml = String::from(
        "name: methods\nstages:\n  model: { uses: ingest.model, with: { path: vgg_small.onnx } }\n  data: { uses: \
         ingest.arrays, with: { path: vgg_small.npz, columns: [input, target] } }\n",
    );
    for (name, with) in stages {
        yaml += &format!(
            "  {name}: {{ uses: lrp.attribute, in: {{ model: model, data: data }}, with: {{ input: input, {with} }} }}\n"
        );
    }
    let project = Project::new(&yaml);
    for name in ["vgg_small.onnx", "vgg_small.npz"] {
        std::fs::copy(golden(name), project.path(name)).unwrap();
    }
    project
}

fn table(project: &Project, stage: &str) -> Frame {
    read_path(&project.path(&format!("results/methods/{stage}/table.parquet")), None).unwrap()
}

/// Runs the stages; all maps of each.
fn maps(stages: &[(&str, &str)]) -> Vec<Vec<f32>> {
    let project = project(stages);
    project.ok(&["run"]);
    stages.iter().map(|(name, _)| table(&project, name).tensor_f32("relevance").unwrap().values).collect()
}

/// The largest difference, as a share of the largest value.
fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let peak = b.iter().fold(0.0, |peak: f32, v| peak.max(v.abs()));
    assert!(peak > 0.0);
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / peak
}

/// The golden map of one row.
fn golden_row(golden: &Array, row: usize) -> Vec<f32> {
    golden.row(row).iter().map(|v| *v as f32).collect()
}

const INNER: &str = "/2/Conv_output_0";

#[test]
fn gradients_without_noise_average_to_the_gradient_at_an_inner_tensor() {
    let found = maps(&[
        ("once", &format!("composite: gradient, at: {INNER}")),
        ("mean", &format!("composite: smooth_grad, noise: 0.0, samples: 3, at: {INNER}")),
        ("noisy", "composite: smooth_grad, samples: 2, seed: 1"),
        ("again", "composite: smooth_grad, samples: 2, seed: 1, target: predicted"),
        ("other", "composite: smooth_grad, samples: 2, seed: 2"),
    ]);
    assert_eq!(found[0].len(), 4 * 8 * 32 * 32);
    assert!(apart(&found[1], &found[0]) < 1e-6);
    assert_eq!(found[2], found[3]);
    assert!(apart(&found[4], &found[2]) > 1e-3);
}

#[test]
fn integrated_gradients_belong_to_the_input() {
    let ran =
        project(&[("maps", &format!("composite: integrated_gradients, at: {INNER}"))]).sulcus(&["check"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("no map at an inner tensor"), "{}", ran.stderr);
}

/// Each golden row explains the largest logit or the second.
#[test]
fn targets_and_starts_are_those_of_the_golden_maps() {
    let project = project(&[
        ("first", "composite: epsilon, target: predicted"),
        ("second", "composite: epsilon, target: runner_up"),
        ("scaled", "composite: epsilon, target: predicted, start: logit"),
        ("against", "composite: epsilon, target: contrast"),
        ("class0", "composite: epsilon, target: { class: 0 }"),
        ("class1", "composite: epsilon, target: { class: 1 }"),
        ("class2", "composite: epsilon, target: { class: 2 }"),
        ("class3", "composite: epsilon, target: { class: 3 }"),
        ("class4", "composite: epsilon, target: { class: 4 }"),
        ("class5", "composite: epsilon, target: { class: 5 }"),
    ]);
    project.ok(&["run"]);
    let arrays = read_file(&golden("vgg_small.npz"));
    let golden = &arrays["relevance_epsilon"];
    let maps = |stage: &str| table(&project, stage).tensor_f32("relevance").unwrap();
    let row = |stage: &str, row: usize| {
        let all = maps(stage);
        all.values[row * all.row_size()..][..all.row_size()].to_vec()
    };
    for (number, start) in arrays["target"].data.chunks(6).enumerate() {
        let logits = arrays["logits"].row(number);
        let class = start.iter().position(|v| *v == 1.0).unwrap();
        let stage = if logits.iter().all(|v| *v <= logits[class]) { "first" } else { "second" };
        assert!(apart(&row(stage, number), &golden_row(golden, number)) < 1e-4, "{stage} {number}");
    }
    let (first, classes) = (table(&project, "first"), 6);
    for (number, class) in first.i64s("target").unwrap().into_iter().enumerate() {
        let logit = first.f64s("logit").unwrap()[number] as f32;
        let scaled: Vec<f32> = row("first", number).iter().map(|v| v * logit).collect();
        assert!(apart(&row("scaled", number), &scaled) < 1e-4);
        // Rules are linear in what arrives: a class less the mean of the others.
        let mut contrast = vec![0.0_f32; golden.row(0).len()];
        for other in 0..classes {
            let weight = if other == class { 1.0 } else { -1.0 / (classes - 1) as f32 };
            let map = row(&format!("class{other}"), number);
            contrast.iter_mut().zip(map).for_each(|(sum, v)| *sum += weight * v);
        }
        assert!(apart(&row("against", number), &contrast) < 1e-4);
    }
}

/// A map goes in two parts: to an inner tensor, and from there with what arrived as the start.
#[test]
fn relevance_goes_on_from_an_inner_tensor() {
    let yaml = format!(
        "  inner: {{ uses: lrp.attribute, in: {{ model: model, data: data }}, with: {{ input: input, composite: \
         epsilon_plus, at: {INNER}, keep: [input] }} }}\n  rest: {{ uses: lrp.attribute, in: {{ model: model, data: \
         inner }}, with: {{ input: input, composite: epsilon_plus, tensor: {INNER}, target: {{ column: relevance }} }} \
         }}\n"
    );
    let project = project(&[("whole", "composite: epsilon_plus, target: predicted")]);
    project.write("sulcus.yaml", &(project.read("sulcus.yaml") + &yaml));
    project.ok(&["run"]);
    let inner = table(&project, "inner").tensor_f32("relevance").unwrap();
    assert_eq!(inner.row_shape, [8, 32, 32]);
    let maps = |stage: &str| table(&project, stage).tensor_f32("relevance").unwrap().values;
    assert!(apart(&maps("rest"), &maps("whole")) < 1e-4);
}

/// A channel of an inner tensor, against the same start written by hand.
#[test]
fn a_channel_is_a_start_of_ones_at_its_places() {
    let yaml = format!(
        "  starts: {{ uses: ingest.arrays, with: {{ arrays: {{ start: start.npy }} }} }}\n  both: {{ uses: table.sql, in: \
         {{ d: data, s: starts }}, with: {{ query: \"SELECT d.id AS id, d.input AS input, s.start AS start FROM d JOIN s \
         ON d.id = s.id\" }} }}\n  hand: {{ uses: lrp.attribute, in: {{ model: model, data: both }}, with: {{ input: \
         input, composite: epsilon_plus_flat, tensor: {INNER}, target: {{ column: start }} }} }}\n"
    );
    let of = |more: &str| format!("composite: {more}, tensor: {INNER}, target: {{ channel: 5 }}");
    let stages = [
        ("channel", of("epsilon_plus_flat")),
        ("gradient", of("gradient")),
        ("smooth", of("smooth_grad, noise: 0.0, samples: 2")),
        ("missing", of("epsilon").replace("channel: 5", "channel: 8")),
    ];
    let stages: Vec<(&str, &str)> = stages.iter().map(|(name, with)| (*name, with.as_str())).collect();
    let project = project(&stages);
    project.write("sulcus.yaml", &(project.read("sulcus.yaml") + &yaml));
    let ones = (0..4 * 8 * 1024).map(|i| f32::from(u8::from(i / 1024 % 8 == 5)));
    std::fs::write(project.path("start.npy"), npy("(4, 8, 32, 32)", ones)).unwrap();
    let ran = project.sulcus(&["run", "-k"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("there is no channel 8"), "{}", ran.stderr);
    let (channel, hand) = (table(&project, "channel"), table(&project, "hand"));
    let maps = |frame: &Frame| frame.tensor_f32("relevance").unwrap().values;
    assert!(apart(&maps(&channel), &maps(&hand)) < 1e-6);
    assert_eq!(channel.i64s("target").unwrap(), [5; 4]);
    let (sums, wanted) = (channel.f64s("logit").unwrap(), hand.f64s("logit").unwrap());
    assert!(
        sums.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-3 * b.abs().max(1.0)),
        "{sums:?} {wanted:?}"
    );
    assert!(apart(&maps(&table(&project, "smooth")), &maps(&table(&project, "gradient"))) < 1e-6);
}

/// Without biases nothing is lost; with them what is lost is what the sums of the golden maps lack.
#[test]
fn completeness_is_what_a_map_lacks() {
    let project = project(&[
        (
            "biased",
            "composite: epsilon_plus, target: { column: target }, completeness: true, sum_channels: true",
        ),
        ("free", "composite: epsilon_plus, zero_bias: true, start: logit, completeness: true"),
        (
            "channel",
            &format!(
                "composite: epsilon_plus, zero_bias: true, tensor: {INNER}, target: {{ channel: 1 }}, completeness: true"
            ),
        ),
        ("path", "composite: integrated_gradients, samples: 64, completeness: true"),
        ("none", "composite: epsilon_plus, target: contrast, completeness: true"),
    ]);
    project.ok(&["run"]);
    let column = |stage: &str| table(&project, stage).f64s("completeness").unwrap();
    let golden = &read_file(&golden("vgg_small.npz"))["relevance_epsilon_plus"];
    for (row, found) in column("biased").into_iter().enumerate() {
        let lacks = (golden.row(row).iter().sum::<f64>() - 1.0).abs();
        assert!((found - lacks).abs() < 1e-4, "{found} {lacks}");
    }
    assert!(column("free").iter().all(|c| *c < 1e-3), "{:?}", column("free"));
    assert!(column("channel").iter().all(|c| *c < 1e-2), "{:?}", column("channel"));
    // A black image has a logit too, which the path leaves out.
    let table = table(&project, "path");
    let maps = table.tensor_f32("relevance").unwrap();
    for (row, logit) in table.f64s("logit").unwrap().into_iter().enumerate() {
        let sum: f64 =
            maps.values[row * maps.row_size()..][..maps.row_size()].iter().map(|v| f64::from(*v)).sum();
        assert!((column("path")[row] - ((sum - logit) / logit).abs()).abs() < 1e-6);
    }
    assert!(column("none").iter().all(|c| c.is_nan()));
}

#[test]
fn entries_match_by_op_name_and_place() {
    let found = maps(&[
        ("named", "composite: epsilon_plus_flat"),
        (
            "pattern",
            "composite: [{ names: [\"/0/*\"], rule: flat }, { ops: [Conv], rule: zplus }, { rule: epsilon, ops: [Gemm] }]",
        ),
        (
            "first",
            "composite: [{ ops: [Conv], first: true, rule: flat }, { ops: [Conv], rule: zplus }, { ops: [Gemm], rule: epsilon }]",
        ),
        ("over", "composite: [{ names: [\"/17/*\"], rule: wsquare }, epsilon_plus_flat]"),
        ("last", "composite: [{ ops: [Gemm], last: true, rule: wsquare }, epsilon_plus_flat]"),
        ("zero", "composite: [{ ops: [Conv, Gemm], rule: zero }]"),
        ("tiny", "composite: [{ ops: [Conv, Gemm], rule: epsilon, epsilon: 1.0e-20 }]"),
        ("epsilon", "composite: epsilon"),
    ]);
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0], found[2]);
    assert_eq!(found[3], found[4]);
    assert!(apart(&found[3], &found[0]) > 1e-3);
    // 1e-20 is lost in any denominator of 32 bits; 1e-6 is not.
    assert_eq!(found[5], found[6]);
    let off = apart(&found[5], &found[7]);
    assert!(off > 0.0 && off < 1e-2, "{off}");
}

/// x [1, 2] → Gemm → `op` → Gemm → logits [1, 2]: first layer W, second V, no bias.
pub fn two_layers(op: &str) -> Model {
    let mut b = Builder::new("");
    b.constants.push(floats("w", &[2, 2], &W.concat()));
    b.constants.push(floats("v", &[2, 2], &V.concat()));
    let z = b.node("Gemm", &["x", "w"], [("transB", Attr::Int(1))]);
    let y = b.node(op, &[&z], []);
    b.named_node("Gemm", &[&y, "v"], &["logits"], [("transB", Attr::Int(1))]);
    let info =
        |name: &str| Info::new(DataType::Float, vec![Dim::Name("N".to_owned()), Dim::Size(2)]).value(name);
    Model::new(GraphProto {
        node: b.nodes,
        initializer: b.constants,
        input: vec![info("x")],
        output: vec![info("logits")],
        ..GraphProto::default()
    })
}

const W: [[f32; 2]; 2] = [[1.0, -0.5], [0.25, 0.75]];
const V: [[f32; 2]; 2] = [[-1.0, 0.5], [0.5, 2.0]];
const X: [f32; 2] = [0.8, 0.4];

/// The map of class 0 of two layers, and what the program says.
fn small_map(op: &str, composite: &str) -> (Option<Vec<f32>>, String) {
    let project = Project::new(&format!(
        "name: methods\nstages:\n  model: {{ uses: ingest.model, with: {{ path: net.onnx }} }}\n  data: {{ uses: \
         ingest.arrays, with: {{ arrays: {{ x: x.npy }} }} }}\n  maps: {{ uses: lrp.attribute, in: {{ model: model, data: \
         data }}, with: {{ composite: {composite}, target: {{ class: 0 }} }} }}\n"
    ));
    std::fs::write(project.path("net.onnx"), two_layers(op).to_bytes()).unwrap();
    std::fs::write(project.path("x.npy"), npy("(1, 2)", X.into_iter())).unwrap();
    let ran = project.sulcus(&["run"]);
    let maps = (ran.code == 0).then(|| table(&project, "maps").tensor_f32("relevance").unwrap().values);
    (maps, ran.stderr)
}

/// The values of the first layer.
fn hidden() -> [f32; 2] {
    W.map(|w| w[0] * X[0] + w[1] * X[1])
}

#[test]
fn a_gradient_overrides_a_named_composite_where_an_op_has_no_rule() {
    let (none, stderr) = small_map("Exp", "epsilon");
    assert!(none.is_none() && stderr.contains("rule: gradient"), "{stderr}");
    let (map, stderr) = small_map("Exp", "[{ ops: [Exp], rule: gradient }, epsilon]");
    let map = map.unwrap_or_else(|| panic!("{stderr}"));
    // Second layer y V / Σ, then exp, then first layer x W / z.
    let (z, y) = (hidden(), hidden().map(f32::exp));
    let logit = y[0] * V[0][0] + y[1] * V[0][1];
    let arrived = [0, 1].map(|j| y[j] * (y[j] * V[0][j] / logit));
    let wanted = [0, 1].map(|i| (0..2).map(|j| X[i] * W[j][i] * arrived[j] / z[j]).sum::<f32>());
    assert!(apart(&map, &wanted) < 1e-4, "{map:?} {wanted:?}");
}

#[test]
fn guided_backprop_keeps_what_is_positive_both_ways() {
    let map = small_map("Relu", "guided_backprop").0.unwrap();
    let passed = [0, 1].map(|j| if hidden()[j] > 0.0 { V[0][j].max(0.0) } else { 0.0 });
    let wanted = [0, 1].map(|i| W[0][i] * passed[0] + W[1][i] * passed[1]);
    // One unit is let through, one has a negative gradient.
    assert_eq!(passed, [0.0, 0.5]);
    assert!(apart(&map, &wanted) < 1e-6, "{map:?} {wanted:?}");
}

#[test]
fn mistakes_of_a_list_are_named_at_their_place() {
    for (with, wanted) in [
        ("composite: [{ ops: [Conv], rule: zplus }, epsilonn]", "did you mean `epsilon`"),
        ("composite: [{ ops: [Conv], rule: gradient }, smooth_grad]", "cannot be part of a list"),
        ("composite: [{ ops: [Conv], first: true, rule: zplus }, epsilon_gamma_box]", "needs the bounds"),
    ] {
        let ran = project(&[("maps", with)]).sulcus(&["check"]);
        assert_eq!(ran.code, 2, "{with}: {}", ran.stderr);
        assert!(ran.stderr.contains(wanted), "{with}: {}", ran.stderr);
    }
}
