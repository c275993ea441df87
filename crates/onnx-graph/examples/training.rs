//! Writes a network and its training graph (cross-entropy, SGD with momentum 0.9, weight decay 5e-4):
//! `training resnet18|lenet|mlp BATCH NETWORK.onnx TRAINING.onnx`. `benches/train.py` profiles it by op.

use std::error::Error;

use onnx_graph::architectures::{Spec, build};
use onnx_graph::loss::Loss;
use onnx_graph::passes::normal;
use onnx_graph::train::{Optimizer, Settings, Sgd, training};

const USAGE: &str = "usage: training resnet18|lenet|mlp BATCH NETWORK.onnx TRAINING.onnx";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [case, batch, network, graph] = &arguments[..] else { return Err(USAGE.into()) };
    let (name, spec) = match case.as_str() {
        "resnet18" => {
            ("resnet", Spec { input: vec![3, 32, 32], depth: Some(18), width: 64, ..Spec::default() })
        }
        "lenet" => ("lenet", Spec { input: vec![1, 28, 28], ..Spec::default() }),
        "mlp" => ("mlp", Spec { input: vec![64], hidden: vec![64], ..Spec::default() }),
        _ => return Err(USAGE.into()),
    };
    let model = normal(&build(name, &Spec { classes: 10, ..spec }, 0)?)?;
    let sgd = Sgd { momentum: 0.9, weight_decay: 5e-4, ..Sgd::default() };
    let made = training(&model, &Settings::new(Loss::CrossEntropy, Optimizer::Sgd(sgd), batch.parse()?))?;
    std::fs::write(network, model.to_bytes())?;
    std::fs::write(graph, made.model.to_bytes())?;
    Ok(())
}
