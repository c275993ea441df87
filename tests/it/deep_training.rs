//! Deep normalised networks in ONNX Runtime against torch's float64 values (`tests/golden/deep`).

use std::path::{Path, PathBuf};

use onnx_graph::loss::Loss;
use onnx_graph::model::Model;
use onnx_graph::passes::normal;
use onnx_graph::random::Random;
use onnx_graph::shape::Dim;
use onnx_graph::train::{Optimizer, Settings, Sgd, Training, training};
use sulcus::model::{Host, Places, Rates, Request, Runtime, Sampler, Schedule, Values, train};

use super::npz::{Array, read_file, root};

/// The networks with torch's values.
fn cases() -> Vec<PathBuf> {
    let files = std::fs::read_dir(format!("{}/deep", root())).expect("the folder is there");
    let paths = files.map(|e| e.expect("an entry").path());
    let mut found: Vec<PathBuf> = paths.filter(|p| p.extension().is_some_and(|e| e == "onnx")).collect();
    assert!(!found.is_empty(), "there is no network in {}/deep", root());
    found.sort();
    found
}

fn runtime() -> &'static Runtime {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sulcus").join("onnxruntime");
    let places = Places { cache: Some(cache), ..Places::default() };
    Host::new(places, false, |_| {}).runtime().expect("ONNX Runtime can be fetched and loaded")
}

struct Run {
    training: Training,
    after: Vec<f32>,
    losses: Vec<f32>,
}

/// Trains on the case's data; `after` holds all states behind the last step.
fn run(model: &Model, counts: &[usize], sgd: Sgd, (rate, steps): (f64, usize)) -> Run {
    let &[rows, batch, _, classes, data_seed, order_seed] = counts else { panic!("six counts") };
    let settings = Settings::new(Loss::CrossEntropy, Optimizer::Sgd(sgd), batch);
    let training = training(model, &settings).expect("it is built");
    let row: Vec<i64> = model.inputs()[0].1.dims.iter().flatten().skip(1).map(size).collect();
    let width = row.iter().product::<i64>() as usize;
    let mut random = Random::new(data_seed as u64);
    let data = (0..rows * width).map(|_| (random.uniform() * 2.0 - 1.0) as f32).collect();
    let labels = (0..rows).map(|_| random.below(classes) as i64).collect();
    let request = Request {
        training: &training,
        optimizer: settings.optimizer,
        data: (row, data),
        target: (Vec::new(), Values::I64(labels)),
        batch_size: batch,
        group: 1,
        whole: false,
        sampler: Sampler::Epoch,
        augment: None,
        seed: order_seed as u64,
        rates: Rates { first: rate, schedule: Schedule::Constant, warmup: 0, epoch: 3, steps },
        pauses: [0, 0],
        stops: Vec::new(),
        resume: None,
        record: None,
        stop: None,
    };
    let mut losses = Vec::new();
    let trained = train(runtime(), request, &["cpu".to_owned()], 2, &mut |p| {
        losses.extend(p.losses);
        Ok(())
    });
    let after = trained.expect("it trains").parameters.concat();
    Run { training, after, losses }
}

/// The running statistics in the order of the model's constants.
fn statistics(model: &Model, run: &Run) -> Vec<f64> {
    let mut rest = &run.after[run.training.elements()..];
    let mut named = Vec::new();
    for state in &run.training.states[run.training.trained..] {
        let (own, behind) = rest.split_at(state.values.len());
        named.push((state.parameter.as_str(), own));
        rest = behind;
    }
    let constants = &model.graph().expect("a graph").initializer;
    let place = |name: &str| constants.iter().position(|t| t.name.as_deref() == Some(name));
    named.sort_by_key(|(name, _)| place(name));
    named.iter().flat_map(|(_, own)| own.iter().map(|v| f64::from(*v))).collect()
}

fn size(dim: &Dim) -> i64 {
    if let Dim::Size(size) = dim { *size } else { panic!("a known size") }
}

/// The length of the difference, as a share of what is wanted.
fn apart(found: &[f64], wanted: &Array) -> f64 {
    assert_eq!(found.len(), wanted.data.len());
    let square: f64 = found.iter().zip(&wanted.data).map(|(f, w)| (f - w).powi(2)).sum();
    (square / wanted.data.iter().map(|w| w * w).sum::<f64>()).sqrt()
}

#[test]
fn golden_deep_networks() {
    for path in cases() {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let golden = read_file(&path.with_extension("npz").to_string_lossy());
        let model = normal(&Model::read_file(&path).expect("it is read")).expect("it has a normal form");
        let counts = golden["counts"].indices();
        let [rate, momentum, decay] = golden["sgd"].data[..] else { panic!("three numbers") };

        // A step of plain descent; a power of two loses nothing of the gradient to rounding.
        let one = run(&model, &counts, Sgd::default(), (64.0, 1));
        let first: Vec<f32> = one.training.states.iter().flat_map(|s| s.values.clone()).collect();
        let trained = one.training.elements();
        let moved = first.iter().zip(&one.after).take(trained);
        let gradient: Vec<f64> = moved.map(|(a, b)| (f64::from(*a) - f64::from(*b)) / 64.0).collect();
        let statistics = statistics(&model, &one);
        let gradient = apart(&gradient, &golden["gradient"]);
        let statistics = apart(&statistics, &golden["statistics"]);

        let sgd = Sgd { momentum: momentum as f32, weight_decay: decay as f32, ..Sgd::default() };
        let many = run(&model, &counts, sgd, (rate, counts[2]));
        assert_eq!(many.losses.len(), golden["losses"].data.len());
        let losses: Vec<f64> = many
            .losses
            .iter()
            .zip(&golden["losses"].data)
            .map(|(f, w)| (f64::from(*f) / w - 1.0).abs())
            .collect();
        let theirs = &golden["torch_float32_loss_error"].data;
        let own = golden["torch_float32_gradient_error"].data[0];
        let largest = |errors: &[f64]| errors.iter().fold(0.0, |m: f64, e| m.max(*e));
        println!("{name}: gradient {gradient:.1e} (torch's float32 {own:.1e}), statistics {statistics:.1e}");
        println!(
            "{name}: largest error of a loss {:.1e} (torch's float32 {:.1e})",
            largest(&losses),
            largest(theirs)
        );
        assert!(
            gradient <= 1e-5 && statistics <= 1e-5,
            "{name}: gradient {gradient:e}, statistics {statistics:e}"
        );
        assert!(largest(&losses) <= 1e-4, "{name}: losses {losses:?}");
    }
}
