//! `mlp`: fully connected layers with an activation between them.

use super::{Layers, Spec};
use crate::error::{Error, Result};

pub(super) fn build(spec: &Spec, layers: &mut Layers) -> Result<String> {
    if spec.hidden.is_empty() {
        return Err(Error::new("`mlp` needs the widths of its hidden layers"));
    }
    let (mut x, mut width) = layers.flat_input(spec);
    for (i, next) in spec.hidden.iter().enumerate() {
        x = layers.dense(&format!("fc{}", i + 1), &x, width, *next)?;
        x = layers.op(&spec.activation, &format!("act{}", i + 1), &x);
        width = *next;
    }
    layers.dense(&format!("fc{}", spec.hidden.len() + 1), &x, width, spec.classes)
}
