//! Gradients at inputs and inner tensors.

use onnx_graph::architectures::build;
use onnx_graph::model::Model;
use onnx_graph::reference::{Value, evaluate};
use onnx_graph::sensitivity::{Seed, sensitivity};

use crate::architectures::small;
use crate::numeric::{central, close};
use crate::op_case::spaced;

fn lenet() -> Model {
    build("lenet", &small("lenet", "Tanh"), 3).unwrap()
}

fn run(model: &Model, feed: &[(&str, Value)]) -> std::collections::HashMap<String, Value> {
    evaluate(model.graph().unwrap(), feed).unwrap()
}

#[test]
fn the_gradient_of_a_class_at_the_image() {
    let model = lenet();
    let graph = sensitivity(&model, "logits", &Seed::Channel(2), &["input"]).unwrap();
    let x = spaced(&[2, 1, 8, 8], 1);
    let gradient = &run(&graph, &[("input", x.clone())])["gradient.input"];
    assert_eq!(gradient.dims, x.dims);
    for p in (0..x.data.len()).step_by(5) {
        let numeric = central(x.data[p], |v| {
            let mut x = x.clone();
            x.data[p] = v;
            let y = &run(&model, &[("input", x)])["logits"];
            y.data.chunks(3).map(|row| row[2]).sum()
        });
        close(gradient.data[p], numeric, 1e-7, &format!("at {p}"));
    }
}

#[test]
fn inner_tensors_on_both_ends() {
    let model = lenet();
    let x = spaced(&[2, 1, 8, 8], 1);
    let values = run(&model, &[("input", x.clone())]);
    let seed = Value { data: spaced(&values["act2"].dims, 5).data, ..values["act2"].clone() };
    let graph = sensitivity(&model, "act2", &Seed::Fed, &["pool1", "input"]).unwrap();
    let made = run(&graph, &[("input", x.clone()), ("seed", seed.clone())]);
    assert_eq!(made["gradient.pool1"].dims, values["pool1"].dims);
    // Through the inner tensor and on to the image: the same as the image's own.
    let rest = sensitivity(&model, "pool1", &Seed::Fed, &["input"]).unwrap();
    let on = run(&rest, &[("input", x), ("seed", made["gradient.pool1"].clone())]);
    for (a, b) in on["gradient.input"].data.iter().zip(&made["gradient.input"].data) {
        close(*a, *b, 1e-12, "chain");
    }
}

#[test]
fn what_is_not_there_is_named() {
    let model = lenet();
    for (of, seed, wrt, what) in [
        ("logit", Seed::Fed, "input", "`logit`"),
        ("logits", Seed::Fed, "conv9", "`conv9`"),
        ("logits", Seed::Channel(3), "input", "0 to 2"),
        ("logits", Seed::Channel(-1), "input", "0 to 2"),
        ("conv1", Seed::Fed, "conv2", "does not depend"),
    ] {
        let error = sensitivity(&model, of, &seed, &[wrt]).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}
