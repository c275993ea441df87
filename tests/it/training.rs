//! Whole runs of training: their recorded paths against the weights, and what must not change a result.

use std::path::Path;

use onnx_graph::architectures::{Spec, build};
use onnx_graph::loss::Loss;
use onnx_graph::model::Model;
use onnx_graph::random::Random;
use onnx_graph::train::{Optimizer, Quantity, Record, Settings, Sgd, Training, training};
use sulcus::model::{
    Host, Places, Rates, Recording, Request, Runtime, Sampler, Schedule, Trained, Values, train,
};

const ROWS: usize = 48;
const RATE: f32 = 0.05;
const ALL: [Quantity; 6] = [
    Quantity::Displacement,
    Quantity::Step,
    Quantity::Velocity,
    Quantity::Gradient,
    Quantity::VelocityDisplacement,
    Quantity::Distance,
];

fn runtime() -> &'static Runtime {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sulcus").join("onnxruntime");
    let places = Places { cache: Some(cache), ..Places::default() };
    Host::new(places, false, |_| {}).runtime().expect("ONNX Runtime can be fetched and loaded")
}

fn model() -> Model {
    let spec = Spec {
        input: vec![6],
        classes: 3,
        hidden: vec![8],
        activation: "Tanh".to_owned(),
        scale: 1.0,
        ..Spec::default()
    };
    build("mlp", &spec, 5).expect("it is built")
}

fn settings(batch: usize) -> Settings {
    let sgd = Sgd { momentum: 0.8, weight_decay: 0.01, ..Sgd::default() };
    Settings::new(Loss::CrossEntropy, Optimizer::Sgd(sgd), batch)
}

/// What a run told.
#[derive(Debug, Default)]
struct Taken {
    steps: Vec<usize>,
    losses: Vec<f32>,
    values: Vec<Vec<f32>>,
}

fn run(
    training: &Training,
    settings: &Settings,
    steps: usize,
    record: Option<Recording>,
) -> (Trained, Taken) {
    let mut random = Random::new(3);
    let data = (0..ROWS * 6).map(|_| random.uniform() as f32 - 0.5).collect();
    let labels = (0..ROWS).map(|_| random.below(3) as i64).collect();
    let mut path = Taken { values: vec![Vec::new(); training.recorded.len()], ..Taken::default() };
    let request = Request {
        training,
        optimizer: settings.optimizer,
        data: (vec![6], data),
        target: (Vec::new(), Values::I64(labels)),
        batch_size: settings.batch,
        group: 1,
        whole: settings.whole,
        sampler: Sampler::Epoch,
        augment: None,
        seed: 2,
        rates: Rates { first: f64::from(RATE), schedule: Schedule::Constant, warmup: 0, epoch: 4, steps },
        pauses: [0, 0],
        stops: Vec::new(),
        resume: None,
        record,
        stop: settings.stop,
    };
    let trained = train(runtime(), request, &["cpu".to_owned()], 1, &mut |p| {
        path.steps.extend(p.recorded);
        path.losses.extend(p.losses);
        path.values.iter_mut().zip(p.values).for_each(|(all, new)| all.extend(new));
        Ok(())
    });
    (trained.expect("it trains"), path)
}

fn flat(training: &Training) -> Vec<f32> {
    training.states.iter().flat_map(|s| s.values.clone()).collect()
}

fn difference(a: &[f32], b: &[f32]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn close(found: f32, wanted: f64, what: &str) {
    let error = (f64::from(found) - wanted).abs();
    assert!(error <= 2e-5 * wanted.abs() + 1e-9, "{what}: {found} instead of {wanted}");
}

/// A recording of everything, with two directions and a sketch of 16 buckets.
fn everything(spaced: bool, times: Vec<usize>, start: Vec<f32>) -> (Record, Recording) {
    let elements = start.len();
    let mut random = Random::new(9);
    let directions: Vec<f32> = (0..2 * elements).map(|_| random.uniform() as f32 - 0.5).collect();
    let bucket = (0..elements).map(|_| random.below(16) as i64).collect();
    let sign = (0..elements).map(|_| if random.bits() & 1 == 0 { 1.0 } else { -1.0 }).collect();
    let reference = (0..elements).map(|i| i as f32 * 0.01).collect();
    let vector = |values| (vec![elements as i64], Values::F32(values));
    let inputs = vec![
        ("start".to_owned(), vector(start)),
        ("reference".to_owned(), vector(reference)),
        ("directions".to_owned(), (vec![2, elements as i64], Values::F32(directions))),
        ("bucket".to_owned(), (vec![elements as i64], Values::I64(bucket))),
        ("sign".to_owned(), vector(sign)),
    ];
    let record = Record { quantities: ALL.to_vec(), directions: 2, sketch: 16, weights: true, spaced };
    (record, Recording { times, inputs })
}

fn fed<'a>(recording: &'a [(String, (Vec<i64>, Values))], name: &str) -> &'a [f32] {
    let found = recording.iter().find(|(n, _)| n == name).map(|(_, (_, values))| values);
    match found {
        Some(Values::F32(values)) => values,
        _ => panic!("{name} is fed"),
    }
}

#[test]
fn what_is_recorded_is_what_the_weights_say() {
    let start = flat(&training(&model(), &settings(12)).expect("it is built"));
    let (record, recording) = everything(false, Vec::new(), start.clone());
    let inputs = recording.inputs.clone();
    let settings = Settings { record: Some(record), ..settings(12) };
    let graph = training(&model(), &settings).expect("it is built");
    let (_, path) = run(&graph, &settings, 30, Some(recording));
    assert_eq!(path.steps, (1..=30).collect::<Vec<_>>());
    let column = |name: &str| {
        let at = graph.recorded.iter().position(|r| r.name == name);
        &path.values[at.unwrap_or_else(|| panic!("{name} is recorded"))]
    };
    let (elements, weights) = (start.len(), column("weights"));
    let mut before = start.clone();
    for step in 0..30 {
        let now = &weights[step * elements..(step + 1) * elements];
        let (moved, stepped) = (difference(now, &start), difference(now, &before));
        let apart = difference(now, fed(&inputs, "reference"));
        let velocity: Vec<f64> = stepped.iter().map(|s| s / f64::from(RATE)).collect();
        close(column("displacement_squared")[step], dot(&moved, &moved), "displacement");
        close(column("distance_squared")[step], dot(&apart, &apart), "distance");
        // The weights are rounded, so that their differences know the step less well than the graph does.
        let rough = |found: f32, wanted: f64, what: &str| {
            let error = (f64::from(found) - wanted).abs();
            assert!(error <= 2e-3 * wanted.abs() + 1e-6, "{what}: {found} instead of {wanted}");
        };
        rough(column("step_squared")[step], dot(&stepped, &stepped), "step");
        rough(column("velocity_squared")[step], dot(&velocity, &velocity), "velocity");
        rough(column("velocity_displacement")[step], dot(&velocity, &moved), "velocity · displacement");
        for (i, direction) in fed(&inputs, "directions").chunks_exact(elements).enumerate() {
            let direction: Vec<f64> = direction.iter().map(|d| f64::from(*d)).collect();
            rough(column("position")[2 * step + i], dot(&direction, &moved), "position");
            rough(column("momentum")[2 * step + i], dot(&direction, &velocity), "momentum");
        }
        let mut sketch = [0.0; 16];
        if let Some((_, (_, Values::I64(buckets)))) = inputs.iter().find(|(name, _)| name == "bucket") {
            for ((bucket, sign), moved) in buckets.iter().zip(fed(&inputs, "sign")).zip(&moved) {
                sketch[*bucket as usize] += f64::from(*sign) * moved;
            }
        }
        sketch.iter().zip(&column("sketch")[16 * step..]).for_each(|(w, f)| rough(*f, *w, "sketch"));
        before = now.to_vec();
    }
}

#[test]
fn recording_changes_nothing_and_its_spacing_neither() {
    let plain = settings(12);
    let graph = training(&model(), &plain).expect("it is built");
    let (unrecorded, path) = run(&graph, &plain, 50, None);
    let start = flat(&graph);
    let (record, recording) = everything(false, Vec::new(), start.clone());
    let every = Settings { record: Some(record), ..settings(12) };
    let graph = training(&model(), &every).expect("it is built");
    let (recorded, all) = run(&graph, &every, 50, Some(recording));
    let times = [1, 2, 5, 17, 40];
    let (record, recording) = everything(true, times.to_vec(), start);
    let spaced = Settings { record: Some(record), ..settings(12) };
    let graph = training(&model(), &spaced).expect("it is built");
    let (rarely, some) = run(&graph, &spaced, 50, Some(recording));
    assert_eq!(unrecorded.parameters, recorded.parameters);
    assert_eq!(unrecorded.parameters, rarely.parameters);
    assert_eq!(path.losses, all.losses);
    assert_eq!(path.losses, some.losses);
    // The last step of a call is always given; the caller leaves it out.
    assert_eq!(some.steps, [1, 2, 5, 17, 40, 50]);
    for (recorded, (all, part)) in graph.recorded.iter().zip(all.values.iter().zip(&some.values)) {
        let width = recorded.width.unwrap_or(1);
        for (values, step) in part.chunks_exact(width).zip(&some.steps) {
            assert_eq!(values, &all[(step - 1) * width..step * width], "{} at {step}", recorded.name);
        }
    }
}

#[test]
fn descent_on_all_rows_stops_where_the_gradient_is_short() {
    let settings = Settings { whole: true, stop: Some(0.05), accuracy: true, ..settings(ROWS) };
    let graph = training(&model(), &settings).expect("it is built");
    let (trained, path) = run(&graph, &settings, 20_000, None);
    assert!(trained.steps > 10 && trained.steps < 20_000, "{} steps", trained.steps);
    assert_eq!(path.losses.len(), trained.steps);
    let never = Settings { stop: Some(1e-30), ..settings };
    let graph = training(&model(), &never).expect("it is built");
    let (longer, _) = run(&graph, &never, trained.steps, None);
    assert_eq!(longer.parameters, trained.parameters);
}

#[test]
fn frozen_parameters_stay_and_others_move() {
    let mut settings = settings(12);
    settings.rates.insert("fc1.weight".to_owned(), 0.0);
    settings.rates.insert("fc1.bias".to_owned(), 0.0);
    let graph = training(&model(), &settings).expect("it is built");
    let names: Vec<&str> = graph.states.iter().map(|s| s.parameter.as_str()).collect();
    assert_eq!(names, ["fc2.weight", "fc2.bias"]);
    let (trained, _) = run(&graph, &settings, 8, None);
    let moved = trained.model(&model(), &graph.states).expect("it fits");
    let values = |model: &Model, name: &str| {
        let constants = &model.graph().expect("a graph").initializer;
        constants.iter().find(|t| t.name.as_deref() == Some(name)).expect("a constant").raw_data.clone()
    };
    assert_eq!(values(&moved, "fc1.weight"), values(&model(), "fc1.weight"));
    assert_ne!(values(&moved, "fc2.weight"), values(&model(), "fc2.weight"));
}
