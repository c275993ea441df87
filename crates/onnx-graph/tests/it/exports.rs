//! Models as exporters write them (`tests/golden/exports`) load, compute what their framework computes, have
//! known shapes, and differentiate.

use onnx_graph::model::Model;
use onnx_graph::passes::normal;
use onnx_graph::reference::{Value, evaluate};
use onnx_graph::sensitivity::{Seed, sensitivity};
use onnx_graph::shape::{Dim, infer};

use crate::numeric::{central, close};

/// Every `<name>.onnx` of the folder.
fn names() -> Vec<String> {
    let folder = format!("{}/../../tests/golden/exports", env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.filter_map(|f| f.strip_suffix(".onnx").map(str::to_owned)).collect();
    names.sort();
    assert!(!names.is_empty());
    names
}

struct Case {
    model: Model,
    input: String,
    output: String,
    x: Value,
    y: Vec<f64>,
}

fn case(name: &str) -> Case {
    let folder = format!("{}/../../tests/golden/exports", env!("CARGO_MANIFEST_DIR"));
    let mut model = Model::read(&std::fs::read(format!("{folder}/{name}.onnx")).unwrap()).unwrap();
    let arrays = crate::npz::read(&format!("exports/{name}.npz"));
    let output: String = arrays["name"].data.iter().map(|b| *b as u8 as char).collect();
    // A classifier's labels are another output.
    model.0.graph.as_mut().unwrap().output.retain(|v| v.name.as_deref() == Some(&output));
    let x = Value::floats(&arrays["input"].shape, arrays["input"].data.clone()).unwrap();
    Case { input: model.inputs().remove(0).0, model, output, x, y: arrays["output"].data.clone() }
}

fn run(model: &Model, input: &str, x: &Value, output: &str) -> Value {
    let mut values = evaluate(model.graph().unwrap(), &[(input, x.clone())]).unwrap();
    values.remove(output).unwrap()
}

#[test]
fn exported_models_keep_their_values_and_have_known_shapes() {
    for name in names() {
        let case = case(&name);
        let model = normal(&case.model).unwrap_or_else(|e| panic!("{name}: {e}"));
        let y = run(&model, &case.input, &case.x, &case.output);
        let scale = case.y.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let error = y.data.iter().zip(&case.y).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs())) / scale;
        println!("{name}: error {error:.1e}");
        // Weights are float32, and frameworks add in float32 or fold into it.
        assert!(y.data.len() == case.y.len() && error < 1e-5, "{name}: {error:e}");
        let mut silent = model.graph().unwrap().clone();
        silent.output.iter_mut().for_each(|v| v.r#type = None);
        let dims = infer(&silent).unwrap_or_else(|e| panic!("{name}: {e}"))[&case.output].dims.clone();
        let known = |(d, size): (&Dim, &usize)| *d == Dim::Size(*size as i64);
        let dims = dims.unwrap_or_else(|| panic!("{name}: the output's rank is not known"));
        assert!(dims[1..].iter().zip(&y.dims[1..]).all(known), "{name}: {dims:?} for {:?}", y.dims);
    }
}

#[test]
fn exported_models_differentiate() {
    for name in names() {
        let case = case(&name);
        let graph = sensitivity(&case.model, &case.output, &Seed::Channel(0), &[&case.input])
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let gradient = run(&graph, &case.input, &case.x, &format!("gradient.{}", case.input));
        assert_eq!(gradient.dims, case.x.dims, "{name}");
        let model = normal(&case.model).unwrap();
        for p in (0..case.x.data.len()).step_by((case.x.data.len() / 9) | 1) {
            let numeric = central(case.x.data[p], |v| {
                let mut x = case.x.clone();
                x.data[p] = v;
                let y = run(&model, &case.input, &x, &case.output);
                let row = y.dims[1..].iter().product::<usize>();
                y.data.chunks(row).map(|row| row[0]).sum()
            });
            close(gradient.data[p], numeric, 1e-7, &format!("{name} at {p}"));
        }
    }
}
