//! Relevance maps against those of zennit (`tests/golden/lrp`), evaluated in float64.

use std::collections::{BTreeMap, HashSet};

use onnx_graph::architectures::{Spec, build};
use onnx_graph::build::{Attr, Builder};
use onnx_graph::model::Model;
use onnx_graph::passes::normal;
use onnx_graph::proto::GraphProto;
use onnx_graph::reference::{Value, evaluate};
use onnx_graph::relevance::composite::{Composite, Entry, Rule, STABILISER};
use onnx_graph::relevance::{Bounds, Options, Start, attribution};
use onnx_graph::shape::{Dim, Info};
use onnx_graph::tensor::{DataType, floats, read_floats};

use crate::npz::{Array, cases, difference, read, read_file, root};

fn value(array: &Array) -> Value {
    Value::floats(&array.shape, array.data.clone()).unwrap()
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

/// Every file of the golden nets with its net's name; at least one.
fn nets() -> Vec<(String, std::path::PathBuf)> {
    let folder = format!("{}/lrp", root());
    let files =
        std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}")).map(|e| e.unwrap().path());
    let mut nets: Vec<_> = files
        .filter(|p| p.extension().is_some_and(|e| e == "onnx"))
        .map(|p| (p.file_name().unwrap().to_str().unwrap().split('.').next().unwrap().to_owned(), p))
        .collect();
    nets.sort();
    assert!(!nets.is_empty(), "{folder} holds no case");
    nets
}

fn bounds(net: &str) -> Bounds {
    let path = format!("{}/lrp/{net}.json", root());
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let list = |key: &str| match &json[key] {
        serde_json::Value::Array(all) => all.iter().map(|v| v.as_f64().unwrap() as f32).collect(),
        one => vec![one.as_f64().unwrap() as f32],
    };
    Bounds { low: list("low"), high: list("high") }
}

/// A net of the repository, whatever golden cases are tested.
fn own_net(name: &str) -> (Model, BTreeMap<String, Array>) {
    let path = format!("{}/../../tests/golden/lrp/{name}", env!("CARGO_MANIFEST_DIR"));
    (Model::read_file(format!("{path}.onnx").as_ref()).unwrap(), read_file(&format!("{path}.npz")))
}

#[test]
fn every_golden_map_of_every_file() {
    let mut worst: BTreeMap<String, f64> = BTreeMap::new();
    for (net, path) in nets() {
        let golden = read(&format!("lrp/{net}.npz"));
        let model = Model::read_file(&path).unwrap();
        for key in golden.keys().filter(|k| k.starts_with("relevance_")) {
            let name = key.trim_start_matches("relevance_");
            let label = format!("{} {name}", path.file_name().unwrap().to_string_lossy());
            let options = Options { bounds: Some(bounds(&net)), ..Options::default() };
            let made = attribution(&model, &Composite::named(name).unwrap(), &options)
                .unwrap_or_else(|e| panic!("{label}: {e}"));
            let inputs = [("input", value(&golden["input"])), ("start", value(&golden["target"]))];
            let values =
                evaluate(made.model.graph().unwrap(), &inputs).unwrap_or_else(|e| panic!("{label}: {e}"));
            let logits = &values[&made.explained];
            for (a, b) in logits.data.iter().zip(&golden["logits"].data) {
                assert!((a - b).abs() <= 1e-5, "{label}: logit {a} against {b}");
            }
            let error = difference(&values["relevance"].data, &golden[key]);
            println!("{label}: {error:.1e} of the peak");
            worst.insert(label, error);
        }
    }
    assert!(!worst.is_empty(), "the golden nets hold no map");
    for (label, error) in &worst {
        assert!(*error <= 1e-4, "{label}: {error:e} of the peak");
    }
    // Evaluated in float64, all but the files whose exporter folded in float32 are far closer than that.
    let close = worst.values().filter(|e| **e <= 1e-6).count();
    assert!(close * 2 > worst.len(), "only {close} of {} maps are within 1e-6", worst.len());
}

fn unit(rule: &str) -> Rule {
    match rule {
        "epsilon_1e-6" => Rule::Epsilon { epsilon: 1e-6 },
        "epsilon_0.25" => Rule::Epsilon { epsilon: 0.25 },
        "gamma_0.25" => Rule::Gamma { gamma: 0.25 },
        "gamma_1" => Rule::Gamma { gamma: 1.0 },
        "zplus" => Rule::ZPlus,
        "alpha2_beta1" => Rule::AlphaBeta { alpha: 2.0, beta: 1.0 },
        "alpha1_beta0" => Rule::AlphaBeta { alpha: 1.0, beta: 0.0 },
        "zbox" => Rule::ZBox,
        "wsquare" => Rule::WSquare,
        "flat" => Rule::Flat,
        "norm" => Rule::Norm,
        "gradient" => Rule::Gradient,
        other => panic!("{other}"),
    }
}

fn one_rule(rule: Rule) -> Composite {
    let entry =
        Entry { ops: Vec::new(), families: Vec::new(), names: Vec::new(), first: false, last: false, rule };
    Composite::custom(vec![entry])
}

/// A model of one node: inputs, constants and attributes as given.
fn single_layer(node: impl FnOnce(&mut Builder), shape: &[usize], rank: usize) -> Model {
    let mut b = Builder::new("");
    node(&mut b);
    let known =
        |(i, d): (usize, &usize)| if i == 0 { Dim::Name("N".to_owned()) } else { Dim::Size(*d as i64) };
    let info = |dims: Vec<Dim>| Info::new(DataType::Float, dims);
    Model::new(GraphProto {
        node: b.nodes,
        initializer: b.constants,
        input: vec![info(shape.iter().enumerate().map(known).collect()).value("x")],
        output: vec![info(vec![Dim::Unknown; rank]).value("y")],
        ..GraphProto::default()
    })
}

#[test]
fn every_golden_unit_rule() {
    for name in cases("lrp", "unit") {
        unit_rules(&name, &read(&name));
    }
}

fn unit_rules(name: &str, golden: &BTreeMap<String, Array>) {
    let (low, high) = (golden["box"].data[0] as f32, golden["box"].data[1] as f32);
    // cin, cout, hw, k, stride, pad, groups, fin, fout.
    let size = |place: usize| golden["params"].data[place] as i64;
    let (strides, pads) = ([size(4); 2], [size(5); 4]);
    let mut checked = 0;
    for key in golden.keys() {
        let parts: Vec<&str> = key.splitn(2, '.').collect();
        let [layer, rest] = parts[..] else { continue };
        if ["input", "weight", "bias", "output", "relevance_out"].contains(&rest) || layer == "sum2" {
            continue;
        }
        // The name of a rule may hold a point: `gamma_0.25.bias`.
        let (rule, bias) = rest.rsplit_once('.').filter(|(_, b)| b.ends_with("bias")).unwrap_or((rest, ""));
        let of = |name: &str| &golden[&format!("{layer}.{name}")];
        let (x, r) = (of("input"), of("relevance_out"));
        let tensor = |name: &str, a: &Array| {
            floats(name, &a.shape.iter().map(|d| *d as i64).collect::<Vec<_>>(), &single(&a.data))
        };
        let model = single_layer(
            |b| match layer {
                "conv" | "linear" => {
                    b.constants.extend([tensor("w", of("weight")), tensor("b", of("bias"))]);
                    if layer == "conv" {
                        let window = [
                            ("pads", Attr::Ints(&pads)),
                            ("strides", Attr::Ints(&strides)),
                            ("group", Attr::Int(size(6))),
                        ];
                        b.named_node("Conv", &["x", "w", "b"], &["y"], window);
                    } else {
                        b.named_node("Gemm", &["x", "w", "b"], &["y"], [("transB", Attr::Int(1))]);
                    }
                }
                "globalavg" => b.named_node("GlobalAveragePool", &["x"], &["y"], []),
                "avgpool2" => {
                    let two = [2, 2];
                    let window = [("kernel_shape", Attr::Ints(&two)), ("strides", Attr::Ints(&two))];
                    b.named_node("AveragePool", &["x"], &["y"], window);
                }
                pool => {
                    let include = i64::from(!pool.ends_with("excl"));
                    let op = if pool.starts_with("max") { "MaxPool" } else { "AveragePool" };
                    let (three, two, one) = ([3, 3], [2, 2], [1; 4]);
                    let mut window = vec![
                        ("kernel_shape", Attr::Ints(&three)),
                        ("strides", Attr::Ints(&two)),
                        ("pads", Attr::Ints(&one)),
                    ];
                    if op == "AveragePool" {
                        window.push(("count_include_pad", Attr::Int(include)));
                        let window: [_; 4] = window.try_into().ok().unwrap();
                        b.named_node(op, &["x"], &["y"], window);
                    } else {
                        let window: [_; 3] = window.try_into().ok().unwrap();
                        b.named_node(op, &["x"], &["y"], window);
                    }
                }
            },
            &x.shape,
            r.shape.len(),
        );
        let options = Options {
            bounds: Some(Bounds { low: vec![low], high: vec![high] }),
            zero_bias: bias == "zerobias",
            ..Options::default()
        };
        let made =
            attribution(&model, &one_rule(unit(rule)), &options).unwrap_or_else(|e| panic!("{key}: {e}"));
        let values = evaluate(made.model.graph().unwrap(), &[("x", value(x)), ("start", value(r))])
            .unwrap_or_else(|e| panic!("{key}: {e}"));
        let error = difference(&values["relevance"].data, &golden[key]);
        println!("{name} {key}: {error:.1e} of the peak");
        assert!(error <= 1e-5, "{key}: {error:e} of the peak");
        checked += 1;
    }
    assert!(checked > 0, "{name} holds no rule");
}

#[test]
fn the_conservation_table_accounts_for_everything() {
    for (net, path) in nets() {
        let golden = read(&format!("lrp/{net}.npz"));
        let model = Model::read_file(&path).unwrap();
        for name in ["epsilon", "epsilon_plus_flat", "epsilon_alpha2_beta1", "epsilon_gamma_box"] {
            let label = format!("{} {name}", path.display());
            let options = Options { bounds: Some(bounds(&net)), conservation: true, ..Options::default() };
            let made = attribution(&model, &Composite::named(name).unwrap(), &options).unwrap();
            let inputs = [("input", value(&golden["input"])), ("start", value(&golden["target"]))];
            let values = evaluate(made.model.graph().unwrap(), &inputs).unwrap();
            let table = &values["conservation"];
            assert_eq!(table.dims, [golden["input"].shape[0], made.lines.len(), 4], "{label}");
            for (i, row) in table.data.chunks(4).enumerate() {
                let line = &made.lines[i % made.lines.len()];
                let lost = row[0] - row[1] - row[2] - row[3];
                assert!(lost.abs() <= 1e-4, "{label}: {line:?} loses {lost:e} of {row:?}");
            }
        }
    }
}

/// Of the relevance that starts at 1 in each golden row, the largest share that does not arrive at the input, and the
/// largest that the stabiliser did not take.
fn losses(
    model: &Model,
    name: &str,
    golden: &BTreeMap<String, Array>,
    options: Options,
    stabiliser: f32,
) -> (f64, f64) {
    let mut composite = Composite::named(name).unwrap();
    for entry in &mut composite.entries {
        if let Rule::Epsilon { epsilon } = &mut entry.rule {
            *epsilon = stabiliser;
        }
    }
    let made =
        attribution(model, &composite, &Options { conservation: true, stabiliser, ..options }).unwrap();
    let inputs = [("input", value(&golden["input"])), ("start", value(&golden["target"]))];
    let values = evaluate(made.model.graph().unwrap(), &inputs).unwrap();
    let (maps, rows) = (&values["relevance"].data, golden["input"].shape[0]);
    let tables = values["conservation"].data.chunks(4 * made.lines.len());
    let (mut lost, mut unaccounted) = (0.0_f64, 0.0_f64);
    for (map, table) in maps.chunks(maps.len() / rows).zip(tables) {
        let gone = 1.0 - map.iter().sum::<f64>();
        let taken: f64 = table.chunks(4).map(|line| line[3]).sum();
        lost = lost.max(gone.abs());
        unaccounted = unaccounted.max((gone - taken).abs());
        assert!(table.chunks(4).all(|line| line[2] == 0.0), "{name}: a bias takes a share");
    }
    (lost, unaccounted)
}

/// Without biases only the stabiliser takes relevance. It may take much: where a unit is driven by its bias
/// alone the denominator is near zero, and where nothing contributes positively that of z+ is zero. A smaller
/// one leaves rules that see all contributions with what comes in.
#[test]
fn golden_nets_with_zero_biases_conserve() {
    for (net, path) in nets() {
        let golden = read(&format!("lrp/{net}.npz"));
        let model = Model::read_file(&path).unwrap();
        let all = golden.keys().filter_map(|key| key.strip_prefix("relevance_"));
        for name in all.filter(|name| !name.starts_with("gradient")) {
            let sees_all = ["epsilon", "epsilon_gamma_box"].contains(&name);
            for stabiliser in [1e-6].into_iter().chain(sees_all.then_some(1e-12)) {
                let label = format!("{} {name} {stabiliser:e}", path.file_name().unwrap().to_string_lossy());
                let options = Options { zero_bias: true, bounds: Some(bounds(&net)), ..Options::default() };
                let (lost, unaccounted) = losses(&model, name, &golden, options, stabiliser);
                println!("{label}: {lost:.1e} lost, {unaccounted:.1e} of it not by the stabiliser");
                assert!(unaccounted <= 1e-4, "{label}: {unaccounted:e} is not accounted for");
                assert!(lost <= 1e-4 || stabiliser > 1e-12, "{label}: {lost:e} is lost");
            }
        }
    }
}

/// The net in normal form, with every bias set to zero.
fn without_biases(model: &Model) -> Model {
    let mut model = normal(model).unwrap();
    let graph = model.0.graph.as_mut().unwrap();
    let mut biases = HashSet::new();
    for node in &graph.node {
        match node.op_type.as_deref() {
            Some("Conv" | "Gemm") => biases.extend(node.input.get(2).cloned()),
            Some("BatchNormalization") => biases.extend(node.input[2..4].iter().cloned()),
            Some("Add") => biases.extend(node.input.iter().cloned()),
            _ => {}
        }
    }
    for tensor in graph.initializer.iter_mut().filter(|t| biases.contains(t.name.as_deref().unwrap())) {
        *tensor = floats(
            tensor.name.as_deref().unwrap(),
            &tensor.dims,
            &vec![0.0; read_floats(tensor).unwrap().len()],
        );
    }
    model
}

/// A net without biases conserves with the usual stabiliser. Where branches meet, one may bring nothing of the
/// sign that a rule of one sign looks for: there is no share to pass on, and the stabiliser keeps what arrives.
#[test]
fn golden_nets_without_biases_conserve() {
    for (net, path) in nets() {
        let golden = read(&format!("lrp/{net}.npz"));
        let model = without_biases(&Model::read_file(&path).unwrap());
        let branches = model.graph().unwrap().node.iter().any(|n| {
            let constant =
                |x: &String| model.graph().unwrap().initializer.iter().any(|t| t.name.as_ref() == Some(x));
            n.op_type.as_deref() == Some("Add") && !n.input.iter().any(constant)
        });
        let all = golden.keys().filter_map(|key| key.strip_prefix("relevance_"));
        for name in all.filter(|name| !name.starts_with("gradient")) {
            let label = format!("{} {name}", path.file_name().unwrap().to_string_lossy());
            let sees_all = ["epsilon", "epsilon_gamma_box"].contains(&name);
            let options = Options { bounds: Some(bounds(&net)), ..Options::default() };
            let (lost, unaccounted) = losses(&model, name, &golden, options, STABILISER);
            println!("{label}: {lost:.1e} lost, {unaccounted:.1e} of it not by the stabiliser");
            assert!(unaccounted <= 1e-4, "{label}: {unaccounted:e} is not accounted for");
            assert!(lost <= 1e-4 || (branches && !sees_all), "{label}: {lost:e} is lost");
        }
    }
}

/// `Exp` has no rule; by its gradient it passes on exp(z) · R.
#[test]
fn a_gradient_in_the_place_of_a_rule_has_its_line() {
    let model = single_layer(|b| b.named_node("Exp", &["x"], &["y"], []), &[1, 2], 2);
    let options = Options { conservation: true, ..Options::default() };
    let made = attribution(&model, &one_rule(Rule::Gradient), &options).unwrap();
    let inputs = [("x", vec![0.5, -1.0]), ("start", vec![1.0, 2.0])];
    let inputs = inputs.map(|(name, values)| (name, Value::floats(&[1, 2], values).unwrap()));
    let values = evaluate(made.model.graph().unwrap(), &inputs).unwrap();
    let passed = 0.5_f64.exp() + 2.0 * (-1.0_f64).exp();
    assert_eq!(
        made.lines.iter().map(|l| (l.op.as_str(), l.rule.as_str())).collect::<Vec<_>>(),
        [("Exp", "gradient")]
    );
    for (found, wanted) in values["conservation"].data.iter().zip([3.0, passed, 0.0, 0.0]) {
        assert!((found - wanted).abs() < 1e-6, "{found} against {wanted}");
    }
}

/// Relevance that starts in one channel of an inner tensor is that of a start given by hand.
#[test]
fn a_channel_starts_where_its_places_are() {
    let (model, golden) = own_net("vgg_small");
    let tensor = Some("/5/Conv_output_0".to_owned());
    for (from_logit, composite) in [(false, "epsilon_plus_flat"), (true, "epsilon"), (false, "gradient")] {
        let run = |start: Start| {
            let options = Options { tensor: tensor.clone(), start, from_logit, ..Options::default() };
            let made = attribution(&model, &Composite::named(composite).unwrap(), &options).unwrap();
            let Some([_, Dim::Size(c), Dim::Size(h), Dim::Size(w)]) = made.explained_info.dims.as_deref()
            else {
                panic!("{:?}", made.explained_info)
            };
            let shape = [golden["input"].shape[0], *c as usize, *h as usize, *w as usize];
            let mut inputs = vec![("input", value(&golden["input"]))];
            if start == Start::Given {
                let places = shape[2] * shape[3];
                let in_two = |i: usize| f64::from(u8::from(i / places % shape[1] == 2));
                let all = (0..shape.iter().product()).map(in_two).collect();
                inputs.push(("start", Value::floats(&shape, all).unwrap()));
            }
            evaluate(made.model.graph().unwrap(), &inputs).unwrap().remove("relevance").unwrap().data
        };
        let (made, wanted) = (run(Start::Channel(2)), run(Start::Given));
        assert!(wanted.iter().any(|v| *v != 0.0));
        assert_eq!(made, wanted, "{composite}");
    }
    let options = Options { tensor, start: Start::Channel(99), ..Options::default() };
    let error = attribution(&model, &Composite::named("epsilon").unwrap(), &options).unwrap_err().0;
    assert!(error.contains("no channel 99") && error.contains("/5/Conv_output_0"), "{error}");
}

#[test]
fn starts_are_made_in_the_graph() {
    let (model, golden) = own_net("mlp_small");
    let composite = Composite::named("epsilon").unwrap();
    let run = |options: Options, start: Option<Vec<f64>>| {
        let made = attribution(&model, &composite, &options).unwrap();
        let mut inputs = vec![("input", value(&golden["input"]))];
        let start = start.map(|s| Value::floats(&golden["logits"].shape, s).unwrap());
        inputs.extend(start.map(|s| ("start", s)));
        evaluate(made.model.graph().unwrap(), &inputs).unwrap().remove("relevance").unwrap().data
    };
    let classes = golden["logits"].shape[1];
    let ranked = |row: &[f64]| {
        let mut order: Vec<usize> = (0..classes).collect();
        order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
        order
    };
    let starts = |make: &dyn Fn(&[f64], usize) -> f64| -> Vec<f64> {
        let rows = golden["logits"].data.chunks(classes);
        rows.flat_map(|row| (0..classes).map(|c| make(row, c)).collect::<Vec<_>>()).collect()
    };
    let one = |yes: bool| f64::from(u8::from(yes));
    let cases: [(Start, bool, Vec<f64>); 4] = [
        (Start::Predicted, false, starts(&|row, c| one(ranked(row)[0] == c))),
        (Start::Predicted, true, starts(&|row, c| one(ranked(row)[0] == c) * row[c])),
        (Start::RunnerUp, false, starts(&|row, c| one(ranked(row)[1] == c))),
        (
            Start::Contrast,
            false,
            starts(&|row, c| if ranked(row)[0] == c { 1.0 } else { -1.0 / (classes - 1) as f64 }),
        ),
    ];
    for (start, from_logit, given) in cases {
        let made = run(Options { start, from_logit, ..Options::default() }, None);
        let wanted = run(Options::default(), Some(given));
        for (a, b) in made.iter().zip(&wanted) {
            assert!((a - b).abs() < 1e-6, "{start:?}: {a} against {b}");
        }
    }
}

#[test]
fn an_op_without_a_rule_is_named() {
    let model = single_layer(
        |b| {
            b.named_node("Exp", &["x"], &["odd"], []);
            b.named_node("Relu", &["odd"], &["y"], []);
        },
        &[2, 3],
        2,
    );
    let error =
        attribution(&model, &Composite::named("epsilon").unwrap(), &Options::default()).unwrap_err().0;
    assert!(error.contains("Exp") && error.contains("rule: gradient"), "{error}");
    assert!(attribution(&model, &Composite::named("gradient").unwrap(), &Options::default()).is_ok());
}

/// Seven exports of one net by torch's two exporters, operator sets 9 to 21: groups, dilation, batch
/// normalisation folded and not, dropout, pools that overlap, Concat, Slice, a reshape by the batch's size.
#[test]
fn all_exports_of_a_net_have_the_maps_of_zennit() {
    let folder = format!("{}/../../tests/golden/exports", env!("CARGO_MANIFEST_DIR"));
    let golden = read_file(&format!("{folder}/torch_convolutional.maps.npz"));
    let entries = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let files: Vec<String> =
        entries.filter(|f| f.starts_with("torch_convolutional_") && f.ends_with(".onnx")).collect();
    assert!(files.len() >= 7 && golden.len() >= 7);
    for file in &files {
        let model = Model::read_file(std::path::Path::new(&format!("{folder}/{file}"))).unwrap();
        let input = read_file(&format!("{folder}/{}", file.replace(".onnx", ".npz")))["input"].clone();
        for (name, wanted) in &golden {
            let bounds = Some(Bounds { low: vec![-4.0], high: vec![4.0] });
            let options = Options { bounds, start: Start::Predicted, ..Options::default() };
            let made = attribution(&model, &Composite::named(name).unwrap(), &options)
                .unwrap_or_else(|e| panic!("{file} {name}: {e}"));
            let values = evaluate(made.model.graph().unwrap(), &[("x", value(&input))]).unwrap();
            let error = difference(&values["relevance"].data, wanted);
            assert!(error <= 1e-4, "{file} {name}: {error:e} of the peak");
        }
    }
}

/// Images with their channels last have the same maps, with their channels last.
#[test]
fn a_transposed_input_has_the_transposed_map() {
    let (mut model, golden) = own_net("vgg_small");
    let graph = model.0.graph.as_mut().unwrap();
    let [n, c, h, w] = golden["input"].shape[..] else { panic!("images") };
    let mut b = Builder::new("");
    b.named_node("Transpose", &["pixels"], &["input"], [("perm", Attr::Ints(&[0, 3, 1, 2]))]);
    graph.node.splice(0..0, b.nodes);
    let dims = [h, w, c].map(|d| Dim::Size(d as i64));
    let dims = std::iter::once(Dim::Name("N".to_owned())).chain(dims).collect();
    graph.input = vec![Info::new(DataType::Float, dims).value("pixels")];
    let turned = |array: &Array| -> Vec<f64> {
        let place = |i: usize| (i / (h * w * c), i % c, i / c % (h * w));
        (0..n * h * w * c).map(place).map(|(n, k, pixel)| array.data[(n * c + k) * h * w + pixel]).collect()
    };
    for name in ["epsilon", "epsilon_plus_flat", "epsilon_alpha2_beta1", "epsilon_gamma_box"] {
        let options =
            Options { bounds: Some(Bounds { low: vec![-3.0], high: vec![3.0] }), ..Options::default() };
        let made = attribution(&model, &Composite::named(name).unwrap(), &options).unwrap();
        let pixels = Value::floats(&[n, h, w, c], turned(&golden["input"])).unwrap();
        let inputs = [("pixels", pixels), ("start", value(&golden["target"]))];
        let values = evaluate(made.model.graph().unwrap(), &inputs).unwrap();
        let wanted = &golden[&format!("relevance_{name}")];
        let wanted = Array { shape: vec![n, h, w, c], data: turned(wanted) };
        let error = difference(&values["relevance"].data, &wanted);
        assert!(error <= 1e-4, "{name}: {error:e} of the peak");
    }
}

/// Batch normalisations of the own architectures hold a `weight` where the merged layer has one too.
#[test]
fn merged_layers_have_names_of_their_own() {
    for (name, batch_norm) in [("resnet", false), ("vgg", true)] {
        let spec =
            Spec { input: vec![3, 8, 8], classes: 3, depth: None, width: 4, batch_norm, ..Spec::default() };
        let model = build(name, &spec, 0).unwrap();
        let options = Options { start: Start::Predicted, ..Options::default() };
        let made = attribution(&model, &Composite::named("epsilon").unwrap(), &options).unwrap();
        let graph = made.model.graph().unwrap();
        let names: HashSet<&str> = graph.initializer.iter().filter_map(|t| t.name.as_deref()).collect();
        assert_eq!(names.len(), graph.initializer.len(), "{name}: two constants have one name");
        let (input, _) = model.inputs().remove(0);
        let x: Vec<f64> = (0..3 * 8 * 8).map(|i| f64::from(i * 37 % 101) / 101.0).collect();
        let feed = [(input.as_str(), Value::floats(&[1, 3, 8, 8], x).unwrap())];
        let plain = evaluate(normal(&model).unwrap().graph().unwrap(), &feed).unwrap();
        let values = evaluate(graph, &feed).unwrap();
        for (a, b) in values[&made.explained].data.iter().zip(&plain[&made.explained].data) {
            assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{name}: logit {a} against {b}");
        }
    }
}
