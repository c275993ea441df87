//! Which statistics a batch normalisation uses.

use onnx_graph::model::Model;
use onnx_graph::proto::AttributeProto;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a batch normalisation normalises by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchNorm {
    /// Its running statistics: rows do not see each other.
    #[default]
    Running,
    /// The statistics of each batch of `batch_size` rows.
    Batch,
}

/// Makes every batch normalisation of a model use the statistics of its batch.
pub fn by_batch(model: &mut Model) {
    for node in model.0.graph.iter_mut().flat_map(|g| &mut g.node) {
        if node.op_type.as_deref() != Some("BatchNormalization") {
            continue;
        }
        node.attribute.retain(|a| a.name.as_deref() != Some("training_mode"));
        node.attribute.push(AttributeProto {
            name: Some("training_mode".to_owned()),
            r#type: Some(2),
            i: Some(1),
            ..AttributeProto::default()
        });
        // The runtime writes running statistics in this mode, wanted or not.
        let y = node.output.first().cloned().unwrap_or_default();
        node.output = vec![y.clone(), format!("{y}.mean"), format!("{y}.variance")];
    }
}
