//! `vgg`: blocks of 3×3 convolutions with pooling between them (Simonyan and Zisserman 2015), of depth 11,
//! 13, 16 or 19, with layers named and weights drawn as in torchvision.
//!
//! A pooling that would leave nothing is left out, so that small images pass. Behind the convolutions stand
//! the fully connected layers of `hidden`, none if nothing is said; there is no dropout.

use super::{Draw, Kernel, Layers, Spec};
use crate::error::{Error, Result};

/// Convolutions of each of the five blocks.
fn blocks(depth: usize) -> [usize; 5] {
    match depth {
        11 => [1, 1, 2, 2, 2],
        13 => [2, 2, 2, 2, 2],
        16 => [2, 2, 3, 3, 3],
        _ => [2, 2, 4, 4, 4],
    }
}

pub(super) fn build(spec: &Spec, layers: &mut Layers) -> Result<String> {
    let [mut channels, mut height, mut width] = spec.image("vgg")?;
    let depth = spec.depth("vgg", &[11, 13, 16, 19])?;
    let (mut x, mut index) = (layers.input.clone(), 0);
    for (block, convolutions) in blocks(depth).into_iter().enumerate() {
        let outputs = spec.width.checked_mul([1, 2, 4, 8, 8][block]);
        let outputs = outputs.ok_or_else(|| Error::new("the width is too large"))?;
        for _ in 0..convolutions {
            let kernel = Kernel::same(channels, outputs, 3);
            let zero = Some(Draw::Constant(0.0));
            x = layers.conv(&format!("features.{index}"), &x, kernel, kernel.fan_out(), zero)?;
            index += 1;
            if spec.batch_norm {
                x = layers.batch_norm(&format!("features.{index}"), &x, outputs)?;
                index += 1;
            }
            x = layers.op(&spec.activation, &format!("features.{index}"), &x);
            index += 1;
            channels = outputs;
        }
        if height.min(width) >= 2 {
            x = layers.max_pool(&format!("features.{index}"), &x);
            (height, width) = (height / 2, width / 2);
        }
        index += 1;
    }
    x = layers.op("Flatten", "flat", &x);
    let draws = [Draw::Normal(0.01), Draw::Constant(0.0)];
    let mut features = channels * height * width;
    for (i, next) in spec.hidden.iter().enumerate() {
        x = layers.dense_drawn(&format!("classifier.{}", 2 * i), &x, (features, *next), draws)?;
        x = layers.op(&spec.activation, &format!("classifier.{}", 2 * i + 1), &x);
        features = *next;
    }
    let last = format!("classifier.{}", 2 * spec.hidden.len());
    layers.dense_drawn(&last, &x, (features, spec.classes), draws)
}
