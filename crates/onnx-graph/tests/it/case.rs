//! What the golden training cases say, read alike by every test binary.

use onnx_graph::train::{Adam, Optimizer, Sgd};
use serde_json::Value as Json;

/// The optimizer that a case names, as torch's of the same settings.
pub fn optimizer(settings: &Json) -> Optimizer {
    let number = |v: &Json| v.as_f64().unwrap_or(0.0) as f32;
    let weight_decay = number(&settings["weight_decay"]);
    if settings["kind"] == "sgd" || settings.is_null() {
        return Optimizer::Sgd(Sgd {
            momentum: number(&settings["momentum"]),
            dampening: number(&settings["dampening"]),
            weight_decay,
            nesterov: settings["nesterov"] == true,
        });
    }
    Optimizer::Adam(Adam {
        beta1: number(&settings["betas"][0]),
        beta2: number(&settings["betas"][1]),
        epsilon: number(&settings["eps"]),
        weight_decay,
        decoupled: settings["kind"] == "adamw",
    })
}
