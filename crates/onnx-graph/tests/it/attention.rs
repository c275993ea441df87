//! AttnLRP on a small attention model, whatever exporter wrote it, against its authors' own functions
//! (`tests/golden/attention`), evaluated in float64.

use onnx_graph::model::Model;
use onnx_graph::reference::{Value, evaluate};
use onnx_graph::relevance::composite::Composite;
use onnx_graph::relevance::{Options, Start, attribution};

use crate::npz::{difference, read};

fn exports() -> Vec<std::path::PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/exports");
    let files = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let ours = |p: &std::path::PathBuf| {
        let name = p.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("torch_attention") && name.ends_with(".onnx")
    };
    files.filter(ours).collect()
}

#[test]
fn every_export_has_the_authors_map() {
    let golden = read("attention/maps.npz");
    let input = Value::floats(&golden["input"].shape, golden["input"].data.clone()).unwrap();
    let exports = exports();
    assert!(exports.len() >= 4, "{exports:?}");
    for path in exports {
        let model = Model::read_file(&path).unwrap();
        let composite = Composite { unsigned: true, ..Composite::named("attn_lrp").unwrap() };
        let options =
            Options { start: Start::Predicted, from_logit: true, conservation: true, ..Options::default() };
        let made =
            attribution(&model, &composite, &options).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let values = evaluate(made.model.graph().unwrap(), &[("x", input.clone())]).unwrap();
        let error = difference(&values["relevance"].data, &golden["relevance"]);
        assert!(error <= 1e-5, "{}: {error:e} of the peak", path.display());
        // Each layer's loss is accounted for: what arrives at the input is what began less what was taken.
        let table = &values["conservation"];
        for image in 0..2 {
            let lines = table.data.chunks_exact(4).skip(image * made.lines.len()).take(made.lines.len());
            for (line, counts) in made.lines.iter().zip(lines) {
                let [out, into, bias, stabiliser] = counts[..] else { unreachable!() };
                let rest = out - into - bias - stabiliser;
                assert!(rest.abs() <= 1e-9 * out.abs().max(1.0), "{line:?}: {counts:?}");
            }
        }
    }
}

/// The usual composites have no rule for attention and say so.
#[test]
fn other_composites_name_what_they_lack() {
    let model = Model::read_file(&exports()[0]).unwrap();
    let error = attribution(&model, &Composite::named("epsilon").unwrap(), &Options::default()).unwrap_err();
    assert!(error.0.contains("has no rule"), "{error}");
}
