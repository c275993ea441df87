//! Brains and models, as a user compares them.

use std::path::Path;

use onnx_graph::architectures::{Spec, build};
use onnx_graph::shape::{Dim, Info};
use onnx_graph::tensor::DataType;
use serde_json::Value;

use super::support::Project;

/// A project with the shipped pipeline and the data it reads.
fn project() -> Project {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = Project::with(&[]);
    for folder in ["grasshopper", "fmri-events"] {
        std::fs::create_dir_all(project.path(&format!("data/{folder}"))).expect("a folder can be made");
        for entry in std::fs::read_dir(root.join("data").join(folder)).expect("data").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            std::fs::copy(entry.path(), project.path(&format!("data/{folder}/{name}"))).expect("a copy");
        }
    }
    let text = std::fs::read_to_string(root.join("pipelines/brain-models.yaml")).expect("the pipeline");
    project.write("sulcus.yaml", &text);
    project
}

#[test]
fn a_model_more_computes_its_own_steps_and_the_lists_that_gather() {
    let project = project();
    let all = project.executed();
    assert!(all.iter().any(|n| n == "encode[hidden=4]"), "{all:?}");
    project.edit("sulcus.yaml", "hidden: [4, 64]", "hidden: [4, 64, 16]");
    let more = project.executed();
    let (own, gathered): (Vec<&String>, Vec<&String>) = more.iter().partition(|n| n.contains("[hidden=16]"));
    assert_eq!(own.len(), 4, "{more:?}");
    assert!(gathered.iter().all(|n| !n.contains('[')), "{more:?}");
}

#[test]
fn rows_that_entered_training_cannot_be_scored() {
    let project = project();
    project.edit(
        "sulcus.yaml",
        "model.infer\n    matrix: train\n    in: { model: train.model, data: split.test }",
        "model.infer\n    matrix: train\n    in: { model: train.model, data: split.train }",
    );
    for stage in ["encode", "cka"] {
        let ran = project.sulcus(&["run", stage]);
        assert_eq!(ran.code, 1);
        let text = &ran.stderr;
        assert!(text.contains("600 rows entered training and cannot be scored: "), "{stage}: {text}");
    }
}

/// Pictures through a network: neither their names, nor the network's, nor any parameter says more than `SIDE`.
const PICTURES: &str = "\
stages:
  pictures: { uses: ingest.images, with: { path: pictures, size: [SIDE, SIDE], color: gray } }
  net: { uses: ingest.model, with: { path: network.onnx } }
  activations: { uses: model.infer, in: { model: net, data: pictures }, with: { input: image } }
  brain: { uses: ingest.table, with: { path: brain.csv } }
  encode:
    uses: brain.encode
    in: { features: activations, responses: brain }
    with: { features: [logits], targets: [rate], folds: 3, inner: 2, draws: 20 }
";

/// Thirty pictures with responses, read at a side of 12 pixels, and a network of this seed.
fn pictures(seed: u64) -> Project {
    let project = Project::with(&[("sulcus.yaml", &PICTURES.replace("SIDE", "12"))]);
    std::fs::create_dir_all(project.path("pictures")).expect("a folder can be made");
    let mut table = "id,rate\n".to_owned();
    for number in 0..30_u32 {
        let pixel = |x: u32, y: u32| image::Luma([((x * x * number + 7 * y + number * number) % 251) as u8]);
        let name = format!("p{number:02}.png");
        let picture = image::ImageBuffer::from_fn(32, 32, pixel);
        picture.save(project.path(&format!("pictures/{name}"))).expect("a picture can be written");
        table += &format!("pictures/{name},{}\n", (number * 37) % 23);
    }
    project.write("brain.csv", &table);
    std::fs::write(project.path("network.onnx"), network(seed)).expect("a model can be written");
    project
}

/// A residual network of this seed that takes pictures of any size.
fn network(seed: u64) -> Vec<u8> {
    let spec = Spec { input: vec![1, 12, 12], classes: 5, width: 4, ..Spec::default() };
    let mut model = build("resnet", &spec, seed).expect("it is built");
    let graph = model.0.graph.as_mut().expect("a graph");
    let side = |name: &str| Dim::Name(name.to_owned());
    let dims = vec![side("N"), Dim::Size(1), side("H"), side("W")];
    let name = graph.input[0].name.clone().unwrap_or_default();
    graph.input[0] = Info { ty: DataType::Float, dims: Some(dims) }.value(&name);
    model.to_bytes()
}

fn scores(project: &Project) -> Vec<String> {
    let shown: Value = project.sulcus(&["show", "encode.scores", "--json", "-n", "100"]).json();
    let rows = shown["rows"].as_array().expect("rows").iter();
    rows.map(|row| row[4].as_str().expect("a value").to_owned()).collect()
}

/// Brain-Score vision 2503: the size of the pictures was not in the key of the activations, so that those of another
/// size were taken, without a word.
#[test]
fn vision_2503_another_input_size_finds_no_old_activations() {
    let project = pictures(1);
    project.executed();
    let before = scores(&project);
    assert!(before.iter().all(|s| s.parse::<f64>().is_ok_and(f64::is_finite)), "{before:?}");
    project.edit("sulcus.yaml", "size: [12, 12]", "size: [16, 16]");
    assert_eq!(project.executed(), ["pictures", "activations", "encode"]);
    assert_ne!(scores(&project), before);
    project.edit("sulcus.yaml", "size: [16, 16]", "size: [12, 12]");
    assert_eq!(project.executed(), Vec::<String>::new());
    assert_eq!(scores(&project), before);
}

/// Brain-Score vision 2472: activations went by the model's name, and stayed when its weights changed.
#[test]
fn vision_2472_changed_weights_of_one_name_find_no_old_activations() {
    let project = pictures(1);
    project.executed();
    let before = scores(&project);
    std::fs::write(project.path("network.onnx"), network(2)).expect("a model can be written");
    assert_eq!(project.executed(), ["net", "activations", "encode"]);
    assert_ne!(scores(&project), before);
    std::fs::write(project.path("network.onnx"), network(1)).expect("a model can be written");
    assert_eq!(project.executed(), Vec::<String>::new());
    assert_eq!(scores(&project), before);
}

/// The same for what is done to the input inside the model, and for the seed of a training.
#[test]
fn another_scale_or_seed_finds_no_old_activations() {
    let project = project();
    project.ok(&["run", "encode"]);
    project.edit("sulcus.yaml", "momentum: 0.9, seed: 1", "momentum: 0.9, seed: 2");
    let weights = project.executed();
    project.edit("sulcus.yaml", "input: [40], classes: 4", "input: [40], scale: 0.5, classes: 4");
    let scale = project.executed();
    for (what, steps) in [("weights", weights), ("scale", scale)] {
        for step in ["activations[hidden=4]", "activations[hidden=64]", "encode[hidden=64]"] {
            assert!(steps.iter().any(|n| n == step), "{what}: {step} is not among {steps:?}");
        }
    }
}

/// Two hundred folds of six hundred features take minutes; a step that is over its time ends after the fold at hand.
#[test]
fn a_long_encoding_ends_at_its_timeout() {
    let workflow = "\
stages:
  data: { uses: ingest.arrays, with: { arrays: { x: x.npy, y: y.npy } } }
  encode:
    uses: brain.encode
    timeout: 1s
    in: { features: data, responses: data }
    with: { features: [x], targets: [y], folds: 200 }
";
    let project = Project::with(&[("sulcus.yaml", workflow)]);
    for (name, width) in [("x", 600), ("y", 4)] {
        let value = |at: usize| ((at * 7919 + at * at % 10_007 * 31) % 1009) as f32 / 1009.0;
        let bytes = super::masking::npy(&format!("(1000, {width})"), (0..1000 * width).map(value));
        std::fs::write(project.path(&format!("{name}.npy")), bytes).expect("data can be written");
    }
    let begun = std::time::Instant::now();
    let ran = project.sulcus(&["run"]);
    assert!(ran.code == 1 && ran.stderr.contains("stopped after its timeout of 1 s"), "{}", ran.stderr);
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

#[test]
fn inner_tensors_are_pooled() {
    let workflow = "\
stages:
  pictures: { uses: ingest.images, with: { path: pictures, size: [12, 12], color: gray } }
  net: { uses: model.build, with: { architecture: vgg, width: 4, input: [1, 12, 12], classes: 3, seed: 1 } }
  whole: { uses: model.infer, in: { model: net, data: pictures }, with: { input: image, tensors: [features.0] } }
  mean: { uses: model.infer, in: { model: net, data: pictures }, with: { input: image, tensors: [features.0], pool: { features.0: mean } } }
  max: { uses: model.infer, in: { model: net, data: pictures }, with: { input: image, tensors: [features.0], pool: { features.0: max } } }
";
    let project = pictures(1);
    project.write("sulcus.yaml", workflow);
    project.ok(&["run"]);
    let maps = |stage: &str| {
        let path = project.path(&format!("results/sulcus/{stage}/table.parquet"));
        sulcus::table::read_path(&path, None).expect("a table").tensor_f32("features.0").expect("maps")
    };
    let (whole, mean, max) = (maps("whole"), maps("mean"), maps("max"));
    assert_eq!((whole.row_shape, mean.row_shape, max.row_shape), (vec![4, 12, 12], vec![4], vec![4]));
    assert_eq!(mean.values.len(), 30 * 4);
    for (at, map) in whole.values.chunks(144).enumerate() {
        let expected = map.iter().map(|v| f64::from(*v)).sum::<f64>() / 144.0;
        assert!((f64::from(mean.values[at]) - expected).abs() < 1e-6, "{at}");
        assert!(max.values[at] == map.iter().copied().fold(f32::MIN, f32::max), "{at}");
    }
    // What cannot be pooled is found before a run, with the nearest name.
    for (from, to, words) in [
        ("pool: { features.0: mean }", "pool: { feature.0: mean }", "did you mean `features.0`?"),
        ("pool: { feature.0: mean }", "pool: { logits: mean }", "`logits` has nothing behind its channels"),
        ("pool: { logits: mean }", "pool: { features.0: median }", "unknown variant `median`"),
    ] {
        project.edit("sulcus.yaml", from, to);
        let ran = project.sulcus(&["run"]);
        assert!(ran.code == 2 && ran.stderr.contains(words), "{}", ran.stderr);
    }
}

/// Models of 92 images against human IT (Kriegeskorte et al. 2008), by the command: the published order, with
/// intervals, under the ceiling.
#[test]
fn images92_models_keep_their_published_order() {
    const MODELS: [&str; 8] =
        ["animacy", "FaceBodyManmadeNatobj", "monkeyIT", "EVA", "HMAX", "V1", "Silhouette", "RADON"];
    let Some(data) = super::npz::images92() else { return };
    let table = |column: &str, rdms: Vec<(String, Vec<f64>)>| {
        let mut text = format!("{column},first,second,dissimilarity\n");
        for (name, rdm) in rdms {
            let pairs = (0..92).flat_map(|i| (i + 1..92).map(move |j| (i, j)));
            for ((i, j), value) in pairs.zip(rdm) {
                text += &format!("{name},{i},{j},{value}\n");
            }
        }
        text
    };
    let models = MODELS.iter().enumerate();
    let models = models.map(|(m, name)| ((*name).to_owned(), data["models"].row(m).to_vec())).collect();
    // A subject is the mean of two sessions.
    let sessions = &data["hIT_subject_session"];
    let pairs = sessions.shape[2];
    let subject = |s: usize| {
        let both = sessions.row(s);
        (format!("s{s}"), (0..pairs).map(|k| (both[k] + both[pairs + k]) / 2.0).collect())
    };
    let subjects = (0..sessions.shape[0]).map(subject).collect();
    let workflow = "\
stages:
  models: { uses: ingest.table, with: { path: models.csv } }
  subjects: { uses: ingest.table, with: { path: subjects.csv } }
  rsa:
    uses: brain.rsa
    in: { models: models, subjects: subjects }
    with: { measures: [spearman], model: model, subject: subject, draws: 200, seed: 1 }
";
    let project = Project::with(&[
        ("sulcus.yaml", workflow),
        ("models.csv", &table("model", models)),
        ("subjects.csv", &table("subject", subjects)),
    ]);
    project.ok(&["run"]);
    let frame =
        sulcus::table::read_path(&project.path("results/sulcus/rsa/scores.parquet"), None).expect("scores");
    let (names, column) =
        (frame.strings("model").expect("names"), |name: &str| frame.f64s(name).expect("numbers"));
    let (value, low, high) = (column("value"), column("low"), column("high"));
    let mut order = Vec::new();
    for (name, expected) in [
        ("animacy", 0.38622),
        ("monkeyIT", 0.296324),
        ("FaceBodyManmadeNatobj", 0.276596),
        ("EVA", 0.245389),
        ("HMAX", 0.159868),
        ("V1", 0.026514),
    ] {
        let at = names.iter().position(|own| own == name).expect("a model");
        println!("{name:22} {:.3} [{:.3}, {:.3}]", value[at], low[at], high[at]);
        assert!((value[at] - expected).abs() < 1e-5, "{name}: {} is not {expected}", value[at]);
        assert!(low[at] < value[at] && value[at] < high[at]);
        order.push(value[at]);
    }
    assert!(order.windows(2).all(|w| w[0] > w[1]), "{order:?}");
    let (lower, upper) = (column("ceiling_low")[0], column("ceiling_high")[0]);
    println!("ceiling {lower:.3} to {upper:.3}");
    assert!((lower - 0.372313).abs() < 1e-5 && (upper - 0.665721).abs() < 1e-5, "{lower} {upper}");
}

#[test]
fn a_bids_event_table_is_a_table() {
    let workflow = "stages:\n  events:\n    uses: ingest.table\n    with: { path: sub-01_events.tsv, null_values: [n/a] }\n  reaction:\n    uses: table.sql\n    in: { events: events }\n    with: { query: 'SELECT AVG(response_time) AS mean, COUNT(*) AS trials FROM events' }\n";
    let events = "onset\tduration\ttrial_type\tresponse_time\n1.2\t0.6\tgo\t1.5\n5.6\t0.6\tstop\tn/a\n9\t0.6\tgo\t0.5\n";
    let project = Project::with(&[("sulcus.yaml", workflow), ("sub-01_events.tsv", events)]);
    project.ok(&["run"]);
    let shown = project.ok(&["show", "reaction", "--json"]).stdout;
    let value: Value = serde_json::from_str(&shown).expect("JSON");
    let cell = |at: usize| value["rows"][0][at].as_str().and_then(|c| c.parse::<f64>().ok());
    assert_eq!((cell(0), cell(1)), (Some(1.0), Some(3.0)), "{shown}");
}
