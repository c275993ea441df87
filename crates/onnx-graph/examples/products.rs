//! Writes the Hessian-product graph of a ResNet-18 for images of 3 × 32 × 32, and the network itself:
//! `products NETWORK.onnx PRODUCTS.onnx`. `benches/dynamics.py` times the graph.

use std::error::Error;

use onnx_graph::architectures::{Spec, build};
use onnx_graph::hessian::{Curvature, products};
use onnx_graph::loss::Loss;
use onnx_graph::passes::normal;
use onnx_graph::train::trainable;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(network), Some(graph)) = (arguments.next(), arguments.next()) else {
        return Err("usage: products NETWORK.onnx PRODUCTS.onnx".into());
    };
    let spec = Spec { input: vec![3, 32, 32], classes: 10, depth: Some(18), width: 64, ..Spec::default() };
    let model = normal(&build("resnet", &spec, 0)?)?;
    let names = trainable(model.graph()?);
    let made = products(&model, Loss::CrossEntropy, &names, Curvature::Hessian, false)?;
    std::fs::write(network, model.to_bytes())?;
    std::fs::write(graph, made.model.to_bytes())?;
    Ok(())
}
