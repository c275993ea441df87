//! Training graphs in the real ONNX Runtime against torch's values (`tests/golden/training`).

use std::path::{Path, PathBuf};

use onnx_graph::architectures::{Spec, build};
use onnx_graph::loss::Loss;
use onnx_graph::random::Random;
use onnx_graph::relevance::composite::Composite;
use onnx_graph::relevance::{Options, Start, attribution};
use onnx_graph::train::{Settings, Training, training};
use serde_json::Value as Json;
use sulcus::model::{Coming, Host, Places, Runtime, Session, Values};

use super::case::optimizer;

type Fed = Vec<(String, (Vec<i64>, Values))>;

/// The runtime that all tests share.
pub fn runtime() -> &'static Runtime {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sulcus").join("onnxruntime");
    let places = Places { cache: Some(cache), ..Places::default() };
    Host::new(places, false, |_| {}).runtime().expect("ONNX Runtime can be fetched and loaded")
}

fn cases() -> Vec<(String, Json)> {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folder = std::env::var_os("SULCUS_GOLDEN").map_or_else(own, PathBuf::from).join("training");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("golden cases are there").flatten().map(|e| e.path()).collect();
    files.retain(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("sgd_")));
    files.sort();
    assert!(!files.is_empty(), "the folder holds no case");
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a case can be read");
        let name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        (name, serde_json::from_str(&text).expect("a case is JSON"))
    };
    files.into_iter().map(read).collect()
}

fn sizes(list: &Json) -> Vec<usize> {
    list.as_array().expect("a list").iter().map(|v| v.as_u64().expect("a size") as usize).collect()
}

fn graph(case: &Json) -> (Training, Spec) {
    let spec = Spec {
        input: sizes(&case["spec"]["input"]),
        classes: case["spec"]["classes"].as_u64().expect("classes") as usize,
        hidden: sizes(&case["spec"]["hidden"]),
        activation: case["spec"]["activation"].as_str().expect("an activation").to_owned(),
        scale: 1.0,
        ..Spec::default()
    };
    let name = case["architecture"].as_str().expect("an architecture");
    let model = build(name, &spec, case["seed"].as_u64().expect("a seed")).expect("it is built");
    let loss = if case["loss"] == "cross_entropy" { Loss::CrossEntropy } else { Loss::MeanSquaredError };
    let batch = case["batch"].as_u64().expect("a batch") as usize;
    let settings = Settings::new(loss, optimizer(&case["optimizer"]), batch);
    (training(&model, &settings).expect("it is differentiated"), spec)
}

/// Data, targets and batches as the case's seed draws them.
fn feed(case: &Json, spec: &Spec) -> Fed {
    let number = |key: &str| case[key].as_u64().expect("a number") as usize;
    let (rows, steps, batch) = (number("rows"), number("steps"), number("batch"));
    let mut random = Random::new(case["data_seed"].as_u64().expect("a seed"));
    let symmetric = |n: usize, random: &mut Random| {
        (0..n).map(|_| (random.uniform() * 2.0 - 1.0) as f32).collect::<Vec<f32>>()
    };
    let dims: Vec<i64> = std::iter::once(&rows).chain(&spec.input).map(|d| *d as i64).collect();
    let data = symmetric(dims.iter().product::<i64>() as usize, &mut random);
    let target = if case["loss"] == "cross_entropy" {
        (vec![rows as i64], Values::I64((0..rows).map(|_| random.below(spec.classes) as i64).collect()))
    } else {
        (vec![rows as i64, spec.classes as i64], Values::F32(symmetric(rows * spec.classes, &mut random)))
    };
    let order: Vec<i64> = if batch == rows {
        (0..steps).flat_map(|_| 0..rows as i64).collect()
    } else {
        (0..steps * batch).map(|_| random.below(rows) as i64).collect()
    };
    let rate = case["learning_rate"].as_f64().expect("a rate") as f32;
    let mut fed = vec![
        ("data".to_owned(), (dims, Values::F32(data))),
        ("target".to_owned(), target),
        ("order".to_owned(), (vec![steps as i64, batch as i64], Values::I64(order))),
        ("learning_rate".to_owned(), (vec![steps as i64], Values::F32(vec![rate; steps]))),
    ];
    let optimizer = optimizer(&case["optimizer"]);
    for (i, (name, _)) in optimizer.scalars(1).into_iter().enumerate() {
        let values = (1..=steps as u64).map(|step| optimizer.scalars(step)[i].1).collect();
        fed.push((name.to_owned(), (vec![steps as i64], Values::F32(values))));
    }
    fed
}

pub fn first(training: &Training) -> Fed {
    let mut fed = Fed::new();
    for state in &training.states {
        fed.push((state.value.0.clone(), (state.dims.clone(), Values::F32(state.values.clone()))));
        for (name, _) in &state.slots {
            let zeros = vec![0.0; state.values.len()];
            fed.push((name.clone(), (state.dims.clone(), Values::F32(zeros))));
        }
    }
    fed
}

/// Values that must be floats.
pub fn floats(values: &Values) -> &[f32] {
    match values {
        Values::F32(values) => values,
        Values::I64(_) => panic!("floats were expected"),
    }
}

#[test]
fn golden_training_in_onnx_runtime() {
    for (name, case) in cases() {
        let (training, spec) = graph(&case);
        let mut session =
            Session::new(runtime(), &training.model.to_bytes(), &["cpu".to_owned()], 1).expect("a session");
        let mut inputs = first(&training);
        inputs.extend(feed(&case, &spec));
        let outputs = session.run(inputs).expect("the graph runs");
        let mut worst = 0.0f64;
        for state in &training.states {
            let found = floats(&outputs[&state.value.1].1);
            let wanted: Vec<f64> = case["last"][&state.parameter]
                .as_array()
                .expect("torch's values")
                .iter()
                .map(|v| v.as_f64().expect("a number"))
                .collect();
            assert_eq!(found.len(), wanted.len());
            let difference: f64 = found.iter().zip(&wanted).map(|(f, w)| (f64::from(*f) - w).powi(2)).sum();
            let size: f64 = wanted.iter().map(|w| w * w).sum();
            worst = worst.max((difference / size).sqrt());
        }
        println!("{name}: relative error of the weights {worst:.1e}");
        assert!(worst < 1e-4, "{name}: {worst:e}");
    }
}

#[test]
fn many_steps_in_one_loop_are_the_single_steps_bit_for_bit() {
    let (_, case) = cases().into_iter().find(|(name, _)| name == "sgd_mlp_1000").expect("the case is there");
    let (training, spec) = graph(&case);
    let mut session =
        Session::new(runtime(), &training.model.to_bytes(), &["cpu".to_owned()], 1).expect("a session");
    let fed = feed(&case, &spec);
    let batch = fed[2].1.0[1];
    let steps = |from: usize, count: usize| {
        let mut part = fed.clone();
        if let Values::I64(order) = &fed[2].1.1 {
            let rows = order[from * batch as usize..(from + count) * batch as usize].to_vec();
            part[2].1 = (vec![count as i64, batch], Values::I64(rows));
        }
        part[3].1 = (vec![count as i64], Values::F32(floats(&fed[3].1.1)[from..from + count].to_vec()));
        part
    };
    let mut run = |state: Fed, part: Fed| {
        let outputs = session.run(state.into_iter().chain(part).collect()).expect("the graph runs");
        let names = training.states.iter().flat_map(|s| std::iter::once(&s.value).chain(&s.slots));
        names.map(|(from, to)| (from.clone(), outputs[to].clone())).collect::<Fed>()
    };
    let at_once = run(first(&training), steps(0, 20));
    let one_by_one = (0..20).fold(first(&training), |state, step| run(state, steps(step, 1)));
    assert_eq!(at_once, one_by_one);
}

/// What is handed over beside the graph counts as what stands in it, to the bit.
#[test]
fn weights_beside_the_graph_are_those_in_it() {
    let spec = Spec { input: vec![3, 16, 16], classes: 4, width: 8, hidden: vec![32], ..Spec::default() };
    let model = build("vgg", &spec, 3).expect("a net");
    let options = Options { start: Start::Predicted, ..Options::default() };
    let composite = Composite::named("epsilon_plus_flat").expect("a composite");
    let graph = attribution(&model, &composite, &options).expect("a graph").model;
    let cpu = ["cpu".to_owned()];
    let values = (0..5 * 3 * 16 * 16).map(|i| (i * 37 % 101) as f32 / 101.0).collect();
    let input =
        || vec![(graph.inputs().remove(0).0, (vec![5, 3, 16, 16], Values::F32(Clone::clone(&values))))];
    let mut whole = Session::new(runtime(), &graph.to_bytes(), &cpu, 1).expect("a session");
    let mut parted = Session::of(runtime(), graph.clone(), &cpu, 1).expect("a session");
    assert_eq!(whole.run(input()).expect("a run"), parted.run(input()).expect("a run"));
}

#[test]
fn a_session_that_cannot_be_made_is_told_of_when_it_is_asked_for() {
    let mut model =
        build("linear", &Spec { input: vec![2], classes: 2, ..Spec::default() }, 0).expect("a net");
    let graph = model.0.graph.as_mut().expect("a graph");
    graph.node[0].op_type = Some("NoSuchOp".to_owned());
    std::thread::scope(|scope| {
        let mut coming = Coming::of(scope, || Session::of(runtime(), model, &["cpu".to_owned()], 1));
        let told = coming.get().err().expect("no session").message;
        assert!(told.contains("NoSuchOp"), "{told}");
        assert!(coming.get().is_err());
    });
}
