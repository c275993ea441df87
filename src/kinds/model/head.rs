//! `model.head`: a new last layer for a trained network.

use onnx_graph::architectures::with_head;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts;
use crate::kinds::artefacts::put_model;
use crate::stage::{Complaint, Dim, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports};

/// A new last layer for a trained network.
pub struct Head;

/// Parameters of `model.head`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Outputs of the new layer.
    pub outputs: usize,
    /// Seed of its first weights.
    #[serde(default)]
    pub seed: u64,
}

impl Kind for Head {
    type Params = Params;
    const NAME: &'static str = "model.head";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "A new last layer for a trained network, to be fine-tuned.\n\n\
        The fully connected layer that makes the first output is replaced by a freshly drawn one with \
        another number of outputs; all other weights stay. Weights and bias are uniform in ±1/√fan_in \
        and keep their names, so that `model.train` can be told to `freeze` the rest or to give it other \
        `learning_rates`. A softmax behind the layer stays where it is. The run's record names the \
        layer's parameters.";
    const EXAMPLE: &'static str = "\
head:
  uses: model.head
  in: { model: pretrained.model }
  with: { outputs: 2, seed: 0 }
tune:
  uses: model.train
  in: { model: head.model, data: split.train }
  with: { epochs: 3, learning_rate: 0.01, learning_rates: { \"conv*\": 0.1 }, freeze: [\"conv1.*\"] }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![Port::new("model", PortType::Model, "the model whose last layer is replaced")],
            outputs: vec![Port::new("model", PortType::Model, "the model with the new layer")],
            ..Ports::default()
        }
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        if params.outputs == 0 {
            return Err(Complaint::param("outputs", "at least one output is needed"));
        }
        let Some(mut signature) = context.input("model").model().cloned() else { return Ok(Outputs::new()) };
        if let Some(last) = signature.outputs.first_mut().and_then(|o| o.shape.last_mut()) {
            *last = Dim::Size(params.outputs as u64);
        }
        Ok(Outputs::from([("model".to_owned(), Facts::Model(signature))]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let old = facts::read(io.input("model")?)?;
        let (model, names) =
            with_head(&old, params.outputs, params.seed).map_err(|e| Failure::new(e.to_string()))?;
        io.note("parameters", names);
        put_model(io, "model", &model)?;
        Ok(())
    }
}
