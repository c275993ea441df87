//! One net as several exporters write it (`tests/golden/opsets`): every file has zennit's maps in float64.

use std::path::Path;

use onnx_graph::model::Model;
use onnx_graph::reference::{Value, evaluate};
use onnx_graph::relevance::composite::Composite;
use onnx_graph::relevance::{Bounds, Options, Start, attribution};
use onnx_graph::shape::Dim;

use crate::npz::{Array, difference, read_file};

/// [N, H, W, C] as [N, C, H, W].
fn channels_first(values: &[f64], [n, c, h, w]: [usize; 4]) -> Vec<f64> {
    let from = |i: usize| (i / (c * h * w) * h * w + i % (h * w)) * c + i / (h * w) % c;
    (0..n * c * h * w).map(|i| values[from(i)]).collect()
}

#[test]
fn every_export_of_a_net_has_the_maps_of_zennit_in_float64() {
    let folder = format!("{}/../../tests/golden/opsets", env!("CARGO_MANIFEST_DIR"));
    let golden = read_file(&format!("{folder}/maps.npz"));
    let names = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = names.filter(|f| f.ends_with(".onnx")).collect();
    files.sort();
    let wanted: Vec<(&String, &Array)> = golden
        .iter()
        .filter(|(name, _)| !["input", "input_last", "logits"].contains(&name.as_str()))
        .collect();
    assert!(files.len() > 50 && wanted.len() > 4);
    let mut wrong = Vec::new();
    for file in &files {
        let model = Model::read_file(Path::new(&format!("{folder}/{file}"))).unwrap();
        let (input, info) = model.inputs().remove(0);
        let last = info.dims.unwrap().last() == Some(&Dim::Size(2));
        let x = &golden[if last { "input_last" } else { "input" }];
        let x = Value::floats(&x.shape, x.data.clone()).unwrap();
        for (name, wanted) in &wanted {
            let bounds = Some(Bounds { low: vec![-4.0], high: vec![4.0] });
            let options = Options { bounds, start: Start::Predicted, ..Options::default() };
            let made = match attribution(&model, &Composite::named(name).unwrap(), &options) {
                Ok(made) => made,
                Err(error) => {
                    wrong.push(format!("{file} {name}: {error}"));
                    continue;
                }
            };
            let mut values = evaluate(made.model.graph().unwrap(), &[(&input, x.clone())]).unwrap();
            let map = values.remove("relevance").unwrap().data;
            let map = if last { channels_first(&map, [3, 2, 12, 12]) } else { map };
            let error = difference(&map, wanted);
            println!("{file} {name}: {error:.1e} of the peak");
            // Exporters fold batch normalisation in float32.
            if error.is_nan() || error > 1e-5 {
                wrong.push(format!("{file} {name}: {error:e}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
