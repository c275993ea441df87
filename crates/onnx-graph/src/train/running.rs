//! Running statistics of batch normalisation: state that follows the batches and is not trained.

use crate::build::{Attr, Builder};
use crate::error::{Error, Result};
use crate::model::{attribute, int_attribute, node_label};
use crate::proto::GraphProto;
use crate::shape::Infos;
use crate::tensor::elements;

/// The normalisations that learn.
#[derive(Default)]
pub(super) struct Running {
    layers: Vec<Layer>,
}

/// One of them, with the names of its input, its running statistics and those of the batch.
struct Layer {
    label: String,
    x: String,
    running: [String; 2],
    batch: [String; 2],
    momentum: f32,
}

impl Running {
    /// Puts every normalisation whose scale moves into training mode: it then normalises by the batch's
    /// mean and variance, and gives them.
    pub fn switch_on(graph: &mut GraphProto, moving: &[String]) -> Result<Self> {
        let mut layers = Vec::new();
        let mut b = Builder::new("running_");
        for node in &mut graph.node {
            if node.op_type.as_deref() != Some("BatchNormalization") {
                continue;
            }
            let [x, scale, _, mean, variance] = &node.input[..] else {
                return Err(Error::new(format!("{} needs five inputs", node_label(node))));
            };
            if !moving.contains(scale) || int_attribute(node, "training_mode", 0) != 0 {
                continue;
            }
            let constant = |name: &String| graph.initializer.iter().any(|t| t.name.as_ref() == Some(name));
            if !constant(mean) || !constant(variance) {
                return Err(Error::new(format!("{}: its statistics are not constant", node_label(node))));
            }
            let y = node.output.first().cloned().unwrap_or_default();
            let layer = Layer {
                label: node_label(node),
                x: x.clone(),
                running: [mean.clone(), variance.clone()],
                batch: [format!("{y}.mean"), format!("{y}.variance")],
                momentum: attribute(node, "momentum").and_then(|a| a.f).unwrap_or(0.9),
            };
            node.attribute.retain(|a| !matches!(a.name.as_deref(), Some("training_mode" | "momentum")));
            // With momentum 0 the node's own running statistics are the batch's.
            node.attribute.push(Attr::Int(1).named("training_mode"));
            node.attribute.push(Attr::Float(0.0).named("momentum"));
            node.output = std::iter::once(y).chain(layer.batch.clone()).collect();
            // ONNX Runtime writes these two outputs over inputs 3 and 4, whoever else reads them.
            for (input, running) in node.input.iter_mut().skip(3).zip(&layer.running) {
                *input = b.node("Neg", &[running], []);
            }
            layers.push(layer);
        }
        graph.node.splice(0..0, b.nodes);
        Ok(Running { layers })
    }

    /// Emits the new running statistics: their names in the model, and those of their new values. As in
    /// torch, the running variance follows the unbiased one.
    pub fn update(&self, b: &mut Builder, infos: &Infos) -> Result<Vec<(String, String)>> {
        let mut out = Vec::new();
        for layer in &self.layers {
            let count = count(infos, &layer.x)
                .ok_or_else(|| Error::new(format!("{}: the size of its input is not known", layer.label)))?;
            if count < 2 {
                return Err(Error::new(format!("{}: one value has no variance", layer.label)));
            }
            let unbiased = count as f64 / (count - 1) as f64;
            let take = f64::from(1.0 - layer.momentum);
            for ((old, batch), share) in layer.running.iter().zip(&layer.batch).zip([take, take * unbiased]) {
                let (keep, share) = (b.float(layer.momentum), b.float(share as f32));
                let kept = b.node("Mul", &[old, &keep], []);
                let taken = b.node("Mul", &[batch, &share], []);
                out.push((old.clone(), b.node("Add", &[&kept, &taken], [])));
            }
        }
        Ok(out)
    }
}

/// Values of a channel over the batch.
fn count(infos: &Infos, x: &str) -> Option<usize> {
    let dims = infos.get(x)?.dims.as_ref()?;
    let sizes: Vec<i64> =
        dims.iter().enumerate().filter(|(i, _)| *i != 1).map(|(_, d)| d.size()).collect::<Option<_>>()?;
    elements(&sizes).ok()
}
