//! One net as several exporters write it (`tests/golden/opsets`), operator sets 7 to 24: every file has zennit's
//! maps, through YAML and ONNX Runtime.

use std::collections::BTreeSet;
use std::path::Path;

use onnx_graph::model::Model;
use onnx_graph::shape::Dim;

use super::npz::{Array, difference, read_file};
use super::support::Project;
use sulcus::table::read_path;

const COMPOSITES: [&str; 5] =
    ["epsilon", "epsilon_plus", "epsilon_gamma_box", "epsilon_alpha2_beta1_flat", "gradient"];

/// A file, by its name, with what it says of itself.
struct File {
    stage: String,
    opset: i64,
    channels_last: bool,
    ops: BTreeSet<String>,
}

fn folder() -> String {
    format!("{}/tests/golden/opsets", env!("CARGO_MANIFEST_DIR"))
}

fn files() -> Vec<File> {
    let names = std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut stages: Vec<String> = names.filter_map(|n| n.strip_suffix(".onnx").map(str::to_owned)).collect();
    stages.sort();
    let file = |stage: String| {
        let model = Model::read_file(Path::new(&format!("{}/{stage}.onnx", folder()))).unwrap();
        let (_, input) = model.inputs().remove(0);
        let ops = model.graph().unwrap().node.iter().filter_map(|n| n.op_type.clone()).collect();
        let standard = |domain: &Option<String>| matches!(domain.as_deref(), None | Some("" | "ai.onnx"));
        let set = model.0.opset_import.iter().find(|o| standard(&o.domain)).unwrap();
        let channels_last = input.dims.unwrap().last() == Some(&Dim::Size(2));
        File { stage, opset: set.version.unwrap(), channels_last, ops }
    };
    stages.into_iter().map(file).collect()
}

/// [N, C, H, W] as [N, H, W, C].
fn turned(array: &Array) -> Array {
    let [n, c, h, w] = array.shape[..] else { panic!("images") };
    let from = |i: usize| ((i / (h * w * c)) * c + i % c) * h * w + i / c % (h * w);
    Array { shape: vec![n, h, w, c], data: (0..n * c * h * w).map(|i| array.data[from(i)]).collect() }
}

#[test]
fn every_export_of_a_net_has_the_maps_of_zennit() {
    let files = files();
    let golden = read_file(&format!("{}/maps.npz", folder()));
    let list = COMPOSITES.join(", ");
    let mut yaml = String::from(
        "name: opsets\nstages:\n  data: { uses: ingest.arrays, with: { path: maps.npz, columns: [input, input_last] } }\n",
    );
    for File { stage, channels_last, .. } in &files {
        let input = if *channels_last { "input_last" } else { "input" };
        yaml += &format!(
            "  model_{stage}: {{ uses: ingest.model, with: {{ path: {stage}.onnx }} }}\n  {stage}:\n    uses: \
             lrp.attribute\n    matrix: {{ composite: [{list}] }}\n    in: {{ model: model_{stage}, data: data }}\n    \
             with: {{ composite: \"${{matrix.composite}}\", box: [-4.0, 4.0], input: {input} }}\n"
        );
    }
    let project = Project::new(&yaml);
    for name in files.iter().map(|f| format!("{}.onnx", f.stage)).chain(["maps.npz".to_owned()]) {
        std::fs::copy(format!("{}/{name}", folder()), project.path(&name)).unwrap();
    }
    project.ok(&["run"]);
    let mut wrong = Vec::new();
    for File { stage, opset, channels_last, .. } in &files {
        for composite in COMPOSITES {
            let path = format!("results/opsets/{stage}/composite={composite}/table.parquet");
            let maps = read_path(&project.path(&path), None).unwrap().tensor_f32("relevance").unwrap();
            let wanted = if *channels_last { turned(&golden[composite]) } else { golden[composite].clone() };
            let error = difference(&maps.values, &wanted);
            println!("{stage} (operator set {opset}) {composite}: {error:.1e} of the peak");
            if error.is_nan() || error > 1e-4 {
                wrong.push(format!("{stage} {composite}: {error:e}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the files are there for: operator sets, exporters, and the forms that they write.
#[test]
fn the_exports_cover_what_they_are_there_for() {
    let files = files();
    let of = |exporter: &str| {
        let own = files.iter().filter(|f| f.stage.starts_with(exporter));
        own.map(|f| f.opset).collect::<BTreeSet<i64>>()
    };
    assert!(of("torch_script").is_superset(&(7..=22).collect()));
    assert!(of("torch_dynamo").is_superset(&(18..=24).collect()));
    assert!(of("keras").is_superset(&BTreeSet::from([9, 11, 13, 18])));
    let with = |op: &str| files.iter().filter(|f| f.ops.contains(op)).count();
    assert!(with("BatchNormalization") > 0 && with("BatchNormalization") < files.len());
    assert!(with("Dropout") > 0);
    assert!(files.iter().any(|f| f.channels_last) && files.iter().any(|f| !f.channels_last));
    assert_eq!(with("MaxPool") + with("Concat"), 2 * files.len());
}
