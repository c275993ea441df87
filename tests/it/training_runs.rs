//! `model.head` and `model.train` as a user runs them.

use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use onnx_graph::build::{Attr, Builder};
use onnx_graph::model::Model;
use onnx_graph::proto::GraphProto;
use onnx_graph::shape::{Dim, Info};
use onnx_graph::tensor::{DataType, floats};

use super::masking::npy;
use super::support::Project;

/// Trains on ten digits, then replaces the head and learns whether a digit is odd.
const TUNED: &str = "
name: tuned
stages:
  digits:
    uses: ingest.arrays
    with: { arrays: { image: images.npy, label: labels.npy } }
  parity:
    uses: table.sql
    in: { digits: digits }
    with: { query: \"SELECT id, image, label % 2 AS label FROM digits\" }
  net: { uses: model.build, with: { architecture: lenet, input: [1, 8, 8], classes: 10, scale: 0.0625 } }
  first:
    uses: model.train
    in: { model: net, data: digits }
    with: { input: image, target: label, epochs: 4, learning_rate: 0.05, momentum: 0.9 }
  head: { uses: model.head, in: { model: first.model }, with: { outputs: 2, seed: 3 } }
  tune:
    uses: model.train
    in: { model: head, data: parity }
    with:
      { input: image, target: label, epochs: 3, learning_rate: 0.05, momentum: 0.9, freeze: [\"conv1.*\"], learning_rates: { \"conv*\": 0.1 } }
";

/// A project with the shipped digits.
pub fn digits(workflow: &str) -> Project {
    let project = Project::new(workflow);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits");
    for name in ["images.npy", "labels.npy"] {
        std::fs::copy(folder.join(name), project.path(name)).unwrap();
    }
    project
}

#[test]
fn a_new_head_learns_another_question() {
    let project = digits(TUNED);
    project.ok(&["run"]);
    let path = project.path("results/tuned/tune/history.parquet");
    let history = sulcus::table::read_path(&path, None).unwrap();
    let accuracy = history.f64s("accuracy").unwrap();
    // Even and odd digits are about half each.
    assert!(accuracy[0] > 0.8 && *accuracy.last().unwrap() > 0.95, "{accuracy:?}");
    // Labels are checked against the new number of outputs.
    project.edit("sulcus.yaml", "in: { model: head, data: parity }", "in: { model: head, data: digits }");
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("the model has the classes 0 to 1"), "{}", ran.stderr);
}

/// A run of some seconds that records and measures, with checkpoints.
const LONG: &str = "
name: long
stages:
  digits:
    uses: ingest.arrays
    with: { arrays: { image: images.npy, label: labels.npy } }
  split: { uses: table.split, in: { table: digits }, with: { parts: { train: 0.8, test: 0.2 }, seed: 1 } }
  net: { uses: model.build, with: { architecture: lenet, input: [1, 8, 8], classes: 10, scale: 0.0625 } }
  train:
    uses: model.train
    in: { model: net, data: split.train, validation: split.test }
    threads: 1
    with:
      input: image
      target: label
      steps: 2500
      optimizer: adam
      learning_rate: 0.002
      schedule: cosine
      augment: { flip: true, crop: 1 }
      record: { every: 7 }
      checkpoint_steps: 100
";

fn outputs(project: &Project) -> Vec<Vec<u8>> {
    let path = |name: &str| project.path(&format!("results/long/train/{name}"));
    ["model.onnx", "history.parquet", "trajectory.parquet"].map(|n| std::fs::read(path(n)).unwrap()).to_vec()
}

fn checkpoints(project: &Project) -> Vec<std::path::PathBuf> {
    let all = walkdir::WalkDir::new(project.path(".sulcus/checkpoints")).into_iter().flatten();
    let files = all.map(walkdir::DirEntry::into_path);
    files.filter(|path| path.extension().is_some_and(|e| e == "onnx")).collect()
}

#[test]
fn a_killed_training_goes_on_to_the_same_bytes() {
    let whole = digits(LONG);
    whole.ok(&["run"]);
    assert_eq!(checkpoints(&whole), Vec::<std::path::PathBuf>::new());
    let wanted = outputs(&whole);
    let project = digits(LONG);
    let mut kills = 0;
    for _ in 0..3 {
        let before = checkpoints(&project);
        let mut run = project.command(&["run"]);
        let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Until it has kept a further checkpoint, or is done.
        while run.try_wait().unwrap().is_none() && checkpoints(&project).iter().all(|p| before.contains(p)) {
            sleep(Duration::from_millis(5));
        }
        kills += usize::from(run.try_wait().unwrap().is_none());
        run.kill().unwrap();
        run.wait().unwrap();
    }
    assert_eq!(kills, 3, "the run is too short to be killed");
    assert!(!checkpoints(&project).is_empty());
    let ran = project.ok(&["run", "-v"]);
    assert!(ran.stderr.contains("going on behind step"), "{}", ran.stderr);
    assert!(outputs(&project) == wanted);
    assert!(checkpoints(&project).is_empty());
}

/// The models of declared steps: those of shorter runs, bound by other stages as any model is.
#[test]
fn models_of_declared_steps_are_outputs() {
    let short = LONG.replace("schedule: cosine", "seed: 5").replace("steps: 2500", "steps: 150");
    let trained = digits(&short);
    trained.ok(&["run"]);
    let long = short.replace("steps: 150", "steps: 400\n      checkpoints: [0, 150, 400]");
    let asked = "  answers:
    uses: model.infer
    matrix: { behind: [0, 150, 400] }
    in: { model: \"train.step_${matrix.behind}\", data: split.test }
    with: { input: image }
";
    let project = digits(&format!("{long}{asked}"));
    project.ok(&["run"]);
    let model = |project: &Project, name: &str| {
        std::fs::read(project.path(&format!("results/long/train/{name}.onnx"))).unwrap()
    };
    assert!(model(&project, "step_150") == model(&trained, "model"));
    assert!(model(&project, "step_400") == model(&project, "model"));
    let first = Model::read(&model(&project, "step_0")).unwrap();
    let net = Model::read(&std::fs::read(project.path("results/long/net/model.onnx")).unwrap()).unwrap();
    let weights = |model: &Model| {
        let mut all = model.graph().unwrap().initializer.clone();
        all.retain(|t| t.name.as_deref().is_some_and(|n| n.contains("weight")));
        all.iter().map(|t| onnx_graph::tensor::read_floats(t).unwrap()).collect::<Vec<_>>()
    };
    assert!(!weights(&net).is_empty());
    assert_eq!(weights(&first), weights(&net));
    // The cells of one stage, as one data set: the axis is a folder's name.
    assert!(project.path("results/long/answers/behind=150/table.parquet").is_file());
    let bad = digits(&long.replace("[0, 150, 400]", "[0, 401]")).sulcus(&["run"]);
    assert_eq!(bad.code, 2, "{}", bad.text());
    assert!(bad.stderr.contains("step 401 is to be kept, and the run has 400 steps"), "{}", bad.stderr);
}

#[test]
fn what_a_killed_training_kept_is_taken_over_or_made_again() {
    let workflow = LONG.replace("steps: 2500", "steps: 2500\n      checkpoints: [50, 150, 2500]");
    let kept = |project: &Project| {
        let path = |step: usize| std::fs::read(project.path(&format!("results/long/train/step_{step}.onnx")));
        [50, 150, 2500].map(|step| path(step).unwrap())
    };
    let whole = digits(&workflow);
    whole.ok(&["run"]);
    for damaged in [false, true] {
        let project = digits(&workflow);
        let mut run = project.command(&["run"]);
        let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let of_step = |project: &Project, step: &str| {
            let mut files = checkpoints(project).into_iter();
            files.find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(step)))
        };
        let counted = |project: &Project| checkpoints(project).len();
        // Both early models are kept, and behind them a checkpoint.
        while run.try_wait().unwrap().is_none()
            && (of_step(&project, "150-").is_none() || counted(&project) < 3)
        {
            sleep(Duration::from_millis(5));
        }
        sleep(Duration::from_millis(300));
        assert!(run.try_wait().unwrap().is_none(), "the run is too short to be killed");
        run.kill().unwrap();
        run.wait().unwrap();
        if damaged {
            let path = of_step(&project, "50-").unwrap();
            std::fs::write(path, b"torn").unwrap();
        }
        let ran = project.ok(&["run", "-v"]);
        assert_eq!(ran.stderr.contains("going on behind step"), !damaged, "{}", ran.stderr);
        assert!(outputs(&project) == outputs(&whole));
        assert!(kept(&project) == kept(&whole));
        assert!(checkpoints(&project).is_empty());
    }
}

#[test]
fn a_damaged_checkpoint_and_one_of_other_settings_are_not_used() {
    let project = digits(LONG);
    let kill = || {
        let mut run = project.command(&["run"]);
        let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while run.try_wait().unwrap().is_none() && checkpoints(&project).is_empty() {
            sleep(Duration::from_millis(5));
        }
        run.kill().unwrap();
        run.wait().unwrap();
    };
    kill();
    let path = checkpoints(&project).pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    project.edit("sulcus.yaml", "steps: 2500", "steps: 300");
    let ran = project.ok(&["run", "-v"]);
    assert!(!ran.stderr.contains("going on behind step"), "{}", ran.stderr);
    project.edit("sulcus.yaml", "steps: 300", "steps: 2500");
    let ran = project.ok(&["run", "-v"]);
    assert!(!ran.stderr.contains("going on behind step"), "{}", ran.stderr);
}

#[test]
fn a_lost_loss_stops_the_step_and_names_the_last_good_model() {
    // θ ← −9 θ: the weights grow beyond all bounds.
    let workflow = LONG.replace("optimizer: adam", "weight_decay: 10").replace("rate: 0.002", "rate: 1.0");
    let workflow = workflow.replace("checkpoint_steps: 100", "checkpoint_steps: 2");
    let project = digits(&workflow);
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("the loss is") && ran.stderr.contains("at step"), "{}", ran.stderr);
    let kept = checkpoints(&project).pop().unwrap();
    let name = kept.file_name().unwrap().to_string_lossy().into_owned();
    assert!(ran.stderr.contains(&name), "{}", ran.stderr);
    std::fs::copy(kept, project.path("last.onnx")).unwrap();
    project.write(
        "use.yaml",
        "
name: use
stages:
  digits: { uses: ingest.arrays, with: { arrays: { image: images.npy, label: labels.npy } } }
  last: { uses: ingest.model, with: { path: last.onnx } }
  answers: { uses: model.infer, in: { model: last, data: digits }, with: { input: image } }
",
    );
    project.ok(&["run", "use.yaml"]);
}

/// Triplets of points in one of four directions: two of one direction, then one of another.
fn triplets(project: &Project) {
    let mut random = onnx_graph::random::Random::new(1);
    let mut values = Vec::new();
    for _ in 0..200 {
        let alike = random.below(4);
        let odd = (alike + 1 + random.below(3)) % 4;
        for direction in [alike, alike, odd] {
            for axis in 0..4 {
                values.push((0.3 * random.normal()) as f32 + f32::from(u8::from(axis == direction)));
            }
        }
    }
    std::fs::write(project.path("points.npy"), npy("(600, 4)", values.into_iter())).unwrap();
}

#[test]
fn triplets_are_learnt_and_their_number_is_checked() {
    let project = Project::new(
        "
name: odd
stages:
  points: { uses: ingest.arrays, with: { arrays: { point: points.npy } } }
  net: { uses: model.build, with: { architecture: linear, input: [4], classes: 3, seed: 2 } }
  train:
    uses: model.train
    in: { model: net, data: points }
    with: { loss: odd_one_out, input: point, epochs: 30, batch_size: 30, learning_rate: 0.1, momentum: 0.9 }
",
    );
    triplets(&project);
    project.ok(&["run"]);
    let history = sulcus::table::read_path(&project.path("results/odd/train/history.parquet"), None).unwrap();
    let (loss, accuracy) = (history.f64s("loss").unwrap(), history.f64s("accuracy").unwrap());
    // Chance is a third.
    assert!(loss[29] < 0.7 * loss[0] && accuracy[29] > 0.75, "{loss:?} {accuracy:?}");
    project.edit("sulcus.yaml", "batch_size: 30", "batch_size: 32");
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("the batch is a multiple of 3"), "{}", ran.stderr);
    // The same rows as anchor, like, unlike.
    project.edit("sulcus.yaml", "batch_size: 32", "batch_size: 30");
    project.edit("sulcus.yaml", "loss: odd_one_out", "loss: triplet, margin: 0.5");
    project.ok(&["run"]);
    let history = sulcus::table::read_path(&project.path("results/odd/train/history.parquet"), None).unwrap();
    let (loss, accuracy) = (history.f64s("loss").unwrap(), history.f64s("accuracy").unwrap());
    assert!(loss[29] < 0.7 * loss[0] && accuracy[29] > 0.9, "{loss:?} {accuracy:?}");
}

/// Trains `net.onnx`.
const OWN: &str = "
name: own
stages:
  digits:
    uses: ingest.arrays
    with: { arrays: { image: images.npy, label: labels.npy } }
  net: { uses: ingest.model, with: { path: net.onnx } }
  train:
    uses: model.train
    in: { model: net, data: digits }
    with: { input: image, target: label, steps: 20, learning_rate: 0.001 }
";

/// A project with a net of one convolution for images of any size, and what `more` makes of its values per channel.
fn own_net(more: impl FnOnce(&mut Builder, &str) -> String) -> Project {
    let mut b = Builder::new("n_");
    b.named_node("Conv", &["image", "conv.weight"], &["conv"], []);
    b.named_node("GlobalAveragePool", &["conv"], &["pool"], []);
    b.named_node("Flatten", &["pool"], &["flat"], []);
    let output = more(&mut b, "flat");
    let open = |name: &str| Dim::Name(name.to_owned());
    let images = Info::new(DataType::Float, vec![open("N"), Dim::Size(1), open("H"), open("W")]);
    let scores = Info { ty: DataType::Float, dims: None };
    b.constants.push(floats("conv.weight", &[10, 1, 3, 3], &[0.1; 90]));
    let model = Model::new(GraphProto {
        node: b.nodes,
        initializer: b.constants,
        input: vec![images.value("image")],
        output: vec![scores.value(&output)],
        ..GraphProto::default()
    });
    let project = digits(OWN);
    std::fs::write(project.path("net.onnx"), model.to_bytes()).unwrap();
    project
}

#[test]
fn open_sizes_are_those_of_the_data() {
    let project = own_net(|_, flat| flat.to_owned());
    project.ok(&["run"]);
    // The trained model takes images of any size as before.
    let trained = Model::read_file(&project.path("results/own/train/model.onnx")).unwrap();
    assert_eq!(trained.inputs()[0].1.dims.as_ref().unwrap()[2], Dim::Name("H".to_owned()));
}

#[test]
fn what_cannot_be_trained_is_named_with_its_op() {
    let unknown = own_net(|b, flat| {
        b.named_node("Einsum", &[flat], &["sum"], [("equation", Attr::Text("ij->ij"))]);
        "sum".to_owned()
    });
    let ran = unknown.sulcus(&["run"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("node `sum_Einsum` (Einsum): this op is not supported here; supported: Clip"),
        "{}",
        ran.stderr
    );

    // How many values are not zero is known when they are there.
    let open = own_net(|b, flat| {
        b.named_node("NonZero", &[flat], &["places"], []);
        let (zero, one) = (b.ints(&[0]), b.ints(&[1]));
        let places = b.node("Gather", &["places", &one], []);
        let places = b.node("Squeeze", &[&places, &zero], []);
        b.named_node("Gather", &[flat, &places], &["picked"], [("axis", Attr::Int(1))]);
        "picked".to_owned()
    });
    let ran = open.sulcus(&["run"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("(NonZero): the shape of what it gives is not known before it runs"),
        "{}",
        ran.stderr
    );
}

/// A net whose steps are large enough for two threads.
const WIDE: &str = "
name: long
stages:
  digits:
    uses: ingest.arrays
    with: { arrays: { image: images.npy, label: labels.npy } }
  net: { uses: model.build, with: { architecture: mlp, input: [1, 8, 8], hidden: [512, 512], classes: 10, scale: 0.0625 } }
  train:
    uses: model.train
    in: { model: net, data: digits }
    threads: 2
    with:
      { input: image, target: label, steps: 600, batch_size: 64, learning_rate: 0.05, momentum: 0.9, checkpoint_steps: 50 }
";

/// All weights of the trained model, one after the other.
fn weights(project: &Project) -> Vec<f64> {
    let bytes = std::fs::read(project.path("results/long/train/model.onnx")).unwrap();
    let model = Model::read(&bytes).unwrap();
    model.graph().unwrap().initializer.iter().flat_map(|t| onnx_graph::tensor::numbers(t).unwrap()).collect()
}

/// Two threads may add up in another order: docs/training.md states how far that may lead.
#[test]
fn two_threads_and_a_kill_lead_to_the_same_weights_within_what_is_stated() {
    let project = digits(WIDE);
    project.ok(&["run"]);
    let first = weights(&project);
    project.ok(&["run", "train", "--force"]);
    let again = weights(&project);
    let killed = digits(WIDE);
    let mut run = killed.command(&["run"]);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while run.try_wait().unwrap().is_none() && checkpoints(&killed).is_empty() {
        sleep(Duration::from_millis(5));
    }
    assert!(run.try_wait().unwrap().is_none(), "the run is too short to be killed");
    run.kill().unwrap();
    run.wait().unwrap();
    let ran = killed.ok(&["run", "-v"]);
    assert!(ran.stderr.contains("going on behind step"), "{}", ran.stderr);
    let largest = first.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
    for (what, other) in [("again", again), ("killed", weights(&killed))] {
        let far = first.iter().zip(&other).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs()));
        println!("{what}: {:e} of the largest weight", far / largest);
        assert!(far <= 1e-5 * largest, "{what}: {far:e} of {largest}");
    }
}
