//! `lrp.*` as a user runs them: the golden nets through YAML, ONNX Runtime and Parquet.

use super::npz::{difference, read, read_file, root};
use super::support::Project;
use sulcus::table::read_path;

pub const COMPOSITES: [&str; 8] = [
    "epsilon",
    "epsilon_plus",
    "epsilon_plus_flat",
    "epsilon_alpha2_beta1",
    "epsilon_alpha2_beta1_flat",
    "epsilon_gamma_box",
    "gradient",
    "gradient_x_input",
];

/// A file of the repository's own nets, which other tests use too.
pub fn golden(name: &str) -> String {
    format!("{}/tests/golden/lrp/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A file of the golden cases that are tested: those of `SULCUS_GOLDEN`, or the repository's own.
fn case(name: &str) -> String {
    format!("{}/lrp/{name}", root())
}

/// The model files of each net; at least one.
fn nets() -> Vec<(String, Vec<String>)> {
    let folder = case("");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}"));
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = names.filter(|n| n.ends_with(".onnx")).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} holds no case");
    let mut nets: Vec<(String, Vec<String>)> = Vec::new();
    for file in files {
        let net = file.split('.').next().unwrap().to_owned();
        match nets.last_mut().filter(|(name, _)| *name == net) {
            Some((_, files)) => files.push(file),
            None => nets.push((net, vec![file])),
        }
    }
    nets
}

/// The composites that a net has golden maps of.
fn composites(net: &str) -> Vec<String> {
    let keys = read(&format!("lrp/{net}.npz")).into_keys();
    keys.filter_map(|key| key.strip_prefix("relevance_").map(str::to_owned)).collect()
}

/// How many maps there are of nets with their stage and file.
pub fn maps_of(nets: &[(String, String, String)]) -> usize {
    nets.iter().map(|(net, ..)| composites(net).len()).sum()
}

#[test]
fn golden_maps_through_a_workflow() {
    let (project, nets) = golden_project();
    project.ok(&["run"]);
    assert_eq!(compared(&project, &nets), maps_of(&nets));
    let again = project.sulcus(&["run"]);
    assert!(again.stderr.contains("0 executed"), "{}", again.stderr);
}

/// A project that draws the maps of every net with every composite; nets with their stage and file.
pub fn golden_project() -> (Project, Vec<(String, String, String)>) {
    let mut yaml = String::from("name: golden\nstages:\n");
    let mut files = Vec::new();
    for (net, models) in nets() {
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(case(&format!("{net}.json"))).unwrap()).unwrap();
        yaml += &format!(
            "  data_{net}:\n    uses: ingest.arrays\n    with: {{ path: {net}.npz, columns: [input, target] }}\n"
        );
        let list = composites(&net).join(", ");
        for file in models {
            let stage = file.trim_end_matches(".onnx").replace('.', "_");
            yaml += &format!(
                "  model_{stage}:\n    uses: ingest.model\n    with: {{ path: {file} }}\n  {stage}:\n    uses: \
                 lrp.attribute\n    matrix: {{ composite: [{list}] }}\n    in: {{ model: model_{stage}, data: \
                 data_{net} }}\n    with: {{ composite: \"${{matrix.composite}}\", box: [{}, {}], input: input, \
                 target: {{ column: target }} }}\n",
                json["low"], json["high"]
            );
            files.push((net.clone(), stage, file));
        }
    }
    let project = Project::new(&yaml);
    for (net, _, file) in &files {
        for name in [format!("{net}.npz"), file.clone()] {
            std::fs::copy(case(&name), project.path(&name)).unwrap();
        }
    }
    (project, files)
}

/// Compares the maps that were drawn with the golden ones, and counts them.
pub fn compared(project: &Project, nets: &[(String, String, String)]) -> usize {
    let mut count = 0;
    for (net, stage, file) in nets {
        let golden = read(&format!("lrp/{net}.npz"));
        for composite in composites(net) {
            let path = project.path(&format!("results/golden/{stage}/composite={composite}/table.parquet"));
            let Ok(table) = read_path(&path, None) else { continue };
            count += 1;
            assert_eq!(table.names(), ["id", "target", "logit", "relevance"], "{stage} {composite}");
            let error = difference(
                &table.tensor_f32("relevance").unwrap().values,
                &golden[&format!("relevance_{composite}")],
            );
            println!("{file} {composite}: {error:.1e} of the peak");
            assert!(error <= 1e-4, "{stage} {composite}: {error:e} of the peak");
            let classes = golden["logits"].shape[1];
            for (row, (class, logit)) in
                table.i64s("target").unwrap().iter().zip(table.f64s("logit").unwrap()).enumerate()
            {
                assert_eq!(golden["target"].row(row)[*class as usize], 1.0);
                assert!((logit - golden["logits"].data[row * classes + *class as usize]).abs() <= 1e-5);
            }
        }
    }
    count
}

/// A transformer as torch exports it, against the map of AttnLRP's authors.
#[test]
fn a_transformer_through_a_workflow() {
    let yaml = "
name: attention
stages:
  model: { uses: ingest.model, with: { path: model.onnx } }
  data: { uses: ingest.arrays, with: { path: maps.npz, columns: [input] } }
  named:
    uses: lrp.attribute
    in: { model: model, data: data }
    with: { composite: attn_lrp, stabiliser: unsigned, start: logit }
  listed:
    uses: lrp.attribute
    in: { model: model, data: data }
    with: { composite: LIST, stabiliser: unsigned, start: logit }
";
    let list = "[{ ops: [Gemm, MatMul], rule: epsilon }, { ops: [MatMul], rule: product }, \
                { ops: [Softmax], rule: softmax }, { ops: [LayerNormalization], rule: layer_norm }]";
    let project = Project::new(&yaml.replace("LIST", list));
    let golden_folder = format!("{}/tests/golden", env!("CARGO_MANIFEST_DIR"));
    for (from, to) in
        [("exports/torch_attention_ts13.onnx", "model.onnx"), ("attention/maps.npz", "maps.npz")]
    {
        std::fs::copy(format!("{golden_folder}/{from}"), project.path(to)).unwrap();
    }
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for stage in ["named", "listed"] {
        let path = project.path(&format!("results/attention/{stage}/table.parquet"));
        let maps = read_path(&path, None).unwrap().tensor_f32("relevance").unwrap();
        let error =
            difference(&maps.values, &read_file(&format!("{golden_folder}/attention/maps.npz"))["relevance"]);
        assert!(error <= 1e-4, "{stage}: {error:e} of the peak");
    }
}

const SMALL: &str = "
name: small
stages:
  model: { uses: ingest.model, with: { path: vgg_small.onnx } }
  data: { uses: ingest.arrays, with: { path: vgg_small.npz, columns: [input, target] } }
  maps:
    uses: lrp.attribute
    in: { model: model, data: data }
    with: WITH
";

fn small(with: &str) -> Project {
    let project = Project::new(&SMALL.replace("WITH", with));
    for name in ["vgg_small.onnx", "vgg_small.npz"] {
        std::fs::copy(golden(name), project.path(name)).unwrap();
    }
    project
}

#[test]
fn entries_of_a_list_override_and_the_table_accounts() {
    // The same as epsilon_gamma_box, written out.
    let project = small(
        "{ composite: [{ ops: [Conv], first: true, rule: zbox }, { ops: [Conv], rule: gamma, gamma: 0.25 }, \
         { ops: [Gemm], rule: epsilon }], box: [-3.0, 3.0], input: input, target: { column: target }, \
         conservation: true }",
    );
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let table = read_path(&project.path("results/small/maps/table.parquet"), None).unwrap();
    let error = difference(
        &table.tensor_f32("relevance").unwrap().values,
        &read_file(&golden("vgg_small.npz"))["relevance_epsilon_gamma_box"],
    );
    assert!(error <= 1e-4, "{error:e}");
    let table = read_path(&project.path("results/small/maps/conservation.parquet"), None).unwrap();
    let column = |name: &str| table.f64s(name).unwrap();
    let (out, into) = (column("relevance_out"), column("relevance_in"));
    let (bias, stabiliser) = (column("absorbed_by_bias"), column("absorbed_by_stabiliser"));
    assert!(out.len() > 10);
    for i in 0..out.len() {
        let lost = out[i] - into[i] - bias[i] - stabiliser[i];
        assert!(lost.abs() <= 1e-4, "layer {i} loses {lost:e} of {:e}", out[i]);
    }
}

#[test]
fn averaged_gradients_keep_their_laws() {
    let project = small("{ composite: integrated_gradients, samples: 256, input: input, start: one }");
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let table = read_path(&project.path("results/small/maps/table.parquet"), None).unwrap();
    let maps = table.tensor_f32("relevance").unwrap();
    // Completeness: the map sums to the logit less that of a black image, which is the same for all rows of
    // one class.
    let sums: Vec<f64> = maps
        .values
        .chunks(maps.row_size())
        .zip(table.f64s("logit").unwrap())
        .map(|(map, logit)| logit - map.iter().map(|v| f64::from(*v)).sum::<f64>())
        .collect();
    let classes = table.i64s("target").unwrap();
    for (i, a) in sums.iter().enumerate() {
        for (j, b) in sums.iter().enumerate().filter(|(j, _)| classes[*j] == classes[i]) {
            assert!((a - b).abs() < 2e-2, "rows {i} and {j}: {a} against {b}");
        }
    }
}

#[test]
fn mistakes_are_named_before_anything_runs() {
    for (with, wanted) in [
        ("{ composite: epsilon_gamma_box }", "the box rule needs the bounds"),
        ("{ composite: epsilonn }", "did you mean"),
        ("{ composite: epsilon, box: [1.0, 0.0] }", "below the upper one"),
        ("{ composite: epsilon, target: { column: nothing } }", "no column `nothing`"),
        ("{ composite: epsilon, keep: [labl] }", "no column `labl`"),
    ] {
        let ran = small(with).sulcus(&["check"]);
        assert_eq!(ran.code, 2, "{with}: {}", ran.stderr);
        assert!(ran.stderr.contains(wanted), "{with}: {}", ran.stderr);
    }
}

#[test]
fn maps_of_half_precision_are_near_and_small() {
    let run = |precision: &str| {
        let project = small(&format!("{{ composite: epsilon, input: input, precision: {precision} }}"));
        project.ok(&["run"]);
        let path = project.path("results/small/maps/table.parquet");
        let maps = read_path(&path, None).unwrap().tensor_f32("relevance").unwrap().values;
        (maps, std::fs::metadata(path).unwrap().len() as f64)
    };
    let ((full, large), (half, small)) = (run("float32"), run("float16"));
    assert!(full.iter().zip(&half).any(|(f, h)| f != h));
    assert!(full.iter().zip(&half).all(|(f, h)| (f - h).abs() <= f.abs() / 2048.0));
    assert!(small < 0.75 * large, "{small} and {large} bytes");
}
