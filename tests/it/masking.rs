//! Masked images as a user runs them: a pretrained face net whose curves are known.

use std::path::PathBuf;

use super::lrp::COMPOSITES;
use super::npz::read;
use super::support::Project;
use sulcus::table::read_path;

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// An array of 32-bit floats as an npy file.
pub fn npy(shape: &str, values: impl Iterator<Item = f32>) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.flat_map(f32::to_le_bytes));
    bytes
}

/// `pipelines/face-net.yaml`, which fetches the net: it is not ours to pass on.
#[test]
fn masking_curves_of_a_pretrained_face_net() {
    let project = Project::new(&std::fs::read_to_string(repository("pipelines/face-net.yaml")).unwrap());
    let faces = std::fs::read(repository("data/lfw-patches/rnet.npy")).unwrap();
    std::fs::create_dir_all(project.path("data/lfw-patches")).unwrap();
    std::fs::write(project.path("data/lfw-patches/rnet.npy"), &faces).unwrap();
    let values: Vec<f32> = faces[faces.len() - 100 * 1728 * 4..]
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let golden = read("lrp/real/rnet_lfw.npz");
    for (row, index) in golden["lfw_index"].data.iter().enumerate() {
        // Those from 100 on are no faces.
        let Some(face) = values.chunks_exact(1728).nth(*index as usize) else { continue };
        let far = face.iter().zip(golden["input"].row(row)).map(|(a, b)| (f64::from(*a) - b).abs());
        assert!(far.fold(0.0, f64::max) < 1e-5, "the faces are made as the golden ones were");
    }
    project.ok(&["run", "masked"]);
    let text = std::fs::read(repository("tests/golden/lrp/real/rnet_lfw.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let wanted = &json["masking_mean_pface_and_accuracy"];
    let mut worst: f64 = 0.0;
    for composite in COMPOSITES {
        let path = project.path(&format!("results/face-net/masked/composite={composite}/curve.parquet"));
        let curve = read_path(&path, None).unwrap();
        let (orders, fractions) = (curve.strings("order").unwrap(), curve.f64s("fraction").unwrap());
        assert_eq!(orders.len(), 20);
        for (row, (order, fraction)) in orders.iter().zip(&fractions).enumerate() {
            let places = json["fractions"].as_array().unwrap();
            let place = places.iter().position(|f| f.as_f64() == Some(*fraction)).unwrap();
            let golden = &wanted[composite][format!("{order}_relevant_first")][place];
            for (column, value) in ["probability", "accuracy"].iter().zip(golden.as_array().unwrap()) {
                let found = curve.f64s(column).unwrap()[row];
                let difference = (found - value.as_f64().unwrap()).abs();
                worst = worst.max(difference);
                assert!(difference <= 0.01, "{composite} {order} {fraction} {column}: {found}, not {value}");
            }
        }
    }
    println!("masking curves of eight methods: {worst:e} at most");
}

/// Two nets of one architecture and two seeds, trained on faces, with everything that is made of their maps.
const STUDY: &str = "
name: study
stages:
  patches:
    uses: ingest.arrays
    with: { arrays: { image: patches.npy, label: labels.npy } }
  some: { uses: table.sample, in: { table: patches }, with: { n: 24, seed: 1 } }
  net:
    uses: model.build
    matrix: { seed: [0, 1, 2] }
    with: { architecture: lenet, input: [1, 25, 25], classes: 2, seed: \"${matrix.seed}\" }
  train:
    uses: model.train
    matrix: net
    in: { model: net, data: patches }
    with: { input: image, target: label, epochs: 10, batch_size: 20, learning_rate: 0.05, momentum: 0.9, seed: \"${matrix.seed}\" }
  maps:
    uses: lrp.attribute
    matrix: train
    in: { model: train.model, data: some }
    with: { composite: epsilon_plus_flat, target: label }
  transfer:
    uses: lrp.transfer
    in: { models: \"train[*].model\", data: some, maps: \"maps[*].table\" }
    with: { fractions: [0.05, 0.2], fill: FILL, resamples: 50 }
  agreement: { uses: lrp.compare, in: { maps: \"maps[*].table\" }, with: { resamples: 50 } }
  consensus:
    uses: lrp.mask
    matrix: train
    in: { model: train.model, data: some, maps: agreement.consensus }
    with: { fractions: [0.0, 0.2], resamples: 50 }
  heat: { uses: lrp.render, in: { maps: \"maps[*].table\", data: some }, with: { images: 3 } }
  sanity:
    uses: lrp.randomise
    in: { model: \"train[seed=0].model\", data: some }
    with: { explain: { composite: epsilon_plus_flat }, resamples: 50 }
  parts:
    uses: lrp.regions
    matrix: train
    in: { maps: maps.table }
    with: { landmarks: { eyes: [8, 11], mouth: [18, 11] }, resamples: 50 }
";

#[test]
fn maps_of_three_seeds_are_masked_transferred_compared_and_drawn() {
    let project = Project::new(&STUDY.replace("FILL", "dataset_mean"));
    for name in ["patches.npy", "labels.npy"] {
        std::fs::copy(repository("data/lfw-patches").join(name), project.path(name)).unwrap();
    }
    project.ok(&["run"]);
    let table =
        |path: &str| read_path(&project.path(&format!("results/study/{path}.parquet")), None).unwrap();
    let matrix = table("transfer/matrix");
    // 3 × 3 pairs, 3 orders, 2 fractions.
    assert_eq!(matrix.rows(), 54);
    assert_eq!(matrix.names()[..3], ["maps_seed", "model_seed", "order"]);
    // A random mask does not depend on whose maps they are.
    let key = |row: usize| {
        let text = |name: &str| matrix.strings(name).unwrap()[row].clone();
        (text("order"), text("model_seed"), text("fraction"))
    };
    let accuracy = matrix.f64s("logit").unwrap();
    for row in (0..54).filter(|r| key(*r).0 == "random") {
        let twin = (0..54).find(|r| key(*r) == key(row)).unwrap();
        assert_eq!(accuracy[row], accuracy[twin]);
    }
    let contrasts = table("transfer/contrasts");
    let names = contrasts.strings("contrast").unwrap();
    assert!(names.iter().all(|n| n == "self - other"), "{names:?}");
    let low = contrasts.f64s("low").unwrap();
    let (value, high) = (contrasts.f64s("value").unwrap(), contrasts.f64s("high").unwrap());
    assert!(low.iter().zip(&high).all(|(l, h)| l <= h), "{low:?} {value:?} {high:?}");
    assert_eq!(table("agreement/pairs").rows(), 12);
    let consensus = table("consensus/seed=0/curve");
    let (orders, accuracy) = (consensus.strings("order").unwrap(), consensus.f64s("probability").unwrap());
    let at = |order: &str, place: usize| {
        let rows: Vec<usize> = (0..orders.len()).filter(|r| orders[*r] == order).collect();
        accuracy[rows[place]]
    };
    assert_eq!(at("most", 0), at("least", 0));
    assert!(at("most", 1) < at("least", 1), "the pixels that matter to all are worth more than the others");
    assert!(project.read("results/study/heat/figure.svg").matches("<image").count() == 12);
    sane(&table("sanity/similarity"));
    let parts = table("parts/seed=1/summary");
    assert_eq!(parts.strings("region").unwrap(), ["eyes", "mouth"]);
    for column in ["share", "area"] {
        assert!((parts.f64s(column).unwrap().iter().sum::<f64>() - 1.0).abs() < 1e-9, "{column}");
    }
    // Only what depends on the fill runs again.
    project.edit("sulcus.yaml", "fill: dataset_mean", "fill: { blur: 2.0 }");
    let again = project.ok(&["run", "--json"]).json();
    assert_eq!(again["executed"], serde_json::json!(["transfer"]));
}

/// Shuffling the last layer is the first step both ways, and a net without any of its weights looks elsewhere.
fn sane(table: &sulcus::table::Frame) {
    let texts = |name: &str| table.strings(name).unwrap();
    let (orders, steps, measures) = (texts("order"), table.i64s("step").unwrap(), texts("measure"));
    let value = |order: &str, step: i64, measure: &str| {
        let here = |r: &usize| orders[*r] == order && steps[*r] == step && measures[*r] == measure;
        let row = (0..table.rows()).find(here).unwrap();
        table.f64s("value").unwrap()[row]
    };
    let last = *steps.iter().max().unwrap();
    assert_eq!(table.rows() as i64, last * 4);
    for measure in ["spearman", "ssim"] {
        assert_eq!(value("cascading", 1, measure), value("independent", 1, measure));
        assert!(value("cascading", last, measure) < 0.95, "{measure}");
    }
}

#[test]
fn mistakes_are_found_before_anything_runs() {
    let wrong = |from: &str, to: &str, message: &str| {
        let project = Project::new(&STUDY.replace("FILL", "zero").replace(from, to));
        for name in ["patches.npy", "labels.npy"] {
            std::fs::copy(repository("data/lfw-patches").join(name), project.path(name)).unwrap();
        }
        let ran = project.sulcus(&["check"]);
        assert_eq!(ran.code, 2, "{}", ran.text());
        assert!(ran.stderr.contains(message), "{}", ran.text());
    };
    wrong("fill: zero", "fill: zeros", "fill");
    wrong("fractions: [0.05, 0.2]", "fractions: [0.2, 0.05]", "the fractions must rise");
    wrong("fractions: [0.05, 0.2]", "fractions: [5]", "numbers from 0 to 1");
    wrong("fractions: [0.05, 0.2]", "orders: []", "name each order once");
    wrong(
        "maps: \"maps[*].table\" }\n    with",
        "maps: \"maps[seed=0].table\" }\n    with",
        "there are maps of 1 models and 3 models",
    );
    wrong("maps: agreement.consensus", "maps: some", "the table has no column `relevance`");
    wrong("{ composite: epsilon_plus_flat }", "{ composite: epsilonn }", "did you mean");
    wrong("landmarks: { eyes: [8, 11], mouth: [18, 11] }, ", "", "regions come from one of three");
    wrong("with: { images: 3 }", "with: { images: 0 }", "there must be 1 to 500 images");
}
