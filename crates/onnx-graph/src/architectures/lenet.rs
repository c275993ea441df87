//! `lenet`: two convolutions with pooling, then three fully connected layers (LeCun et al. 1998, with
//! max pooling and the activation asked for).
//!
//! Kernels are 5×5, and 3×3 where an image has fewer than 20 pixels along a side; convolutions are
//! padded so that sizes stay, and each pooling halves them.

use super::{Draw, Kernel, Layers, Spec};
use crate::error::{Error, Result};

pub(super) fn build(spec: &Spec, layers: &mut Layers) -> Result<String> {
    let [channels, height, width] = spec.image("lenet")?;
    if height < 4 || width < 4 {
        return Err(Error::new(format!("`lenet` needs images of at least 4×4 pixels, not {height}×{width}")));
    }
    let kernel = if height.min(width) < 20 { 3 } else { 5 };
    let hidden = match spec.hidden[..] {
        [] => [120, 84],
        [a, b] => [a, b],
        _ => return Err(Error::new("`lenet` has two hidden layers")),
    };
    let act = spec.activation.as_str();
    let conv = |layers: &mut Layers, name: &str, x: &str, inputs: usize, outputs: usize| {
        let draw = Draw::Uniform(inputs * kernel * kernel);
        layers.conv(name, x, Kernel::same(inputs, outputs, kernel), draw, Some(draw))
    };
    let input = layers.input.clone();
    let x = conv(layers, "conv1", &input, channels, 6)?;
    let x = layers.op(act, "act1", &x);
    let x = layers.max_pool("pool1", &x);
    let x = conv(layers, "conv2", &x, 6, 16)?;
    let x = layers.op(act, "act2", &x);
    let x = layers.max_pool("pool2", &x);
    let x = layers.op("Flatten", "flat", &x);
    let features = 16 * (height / 2 / 2) * (width / 2 / 2);
    let x = layers.dense("fc1", &x, features, hidden[0])?;
    let x = layers.op(act, "act3", &x);
    let x = layers.dense("fc2", &x, hidden[0], hidden[1])?;
    let x = layers.op(act, "act4", &x);
    layers.dense("fc3", &x, hidden[1], spec.classes)
}
