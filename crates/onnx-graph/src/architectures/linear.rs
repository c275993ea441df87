//! `linear`: one fully connected layer on the flattened input.

use super::{Layers, Spec};
use crate::error::{Error, Result};

pub(super) fn build(spec: &Spec, layers: &mut Layers) -> Result<String> {
    if !spec.hidden.is_empty() {
        return Err(Error::new("`linear` has no hidden layers; use `mlp`"));
    }
    let (x, features) = layers.flat_input(spec);
    layers.dense("fc", &x, features, spec.classes)
}
