//! `resnet`: residual networks (He, Zhang, Ren, Sun 2016) of depth 18, 34 or 50, with layers named and
//! weights drawn as in torchvision. In depth 50 the 3×3 convolution of a block has its stride.

use super::{Kernel, Layers, Spec, Stem};
use crate::error::{Error, Result};

pub(super) fn build(spec: &Spec, layers: &mut Layers) -> Result<String> {
    let [channels, height, width] = spec.image("resnet")?;
    if !spec.hidden.is_empty() {
        return Err(Error::new("`resnet` has no hidden layers"));
    }
    let depth = spec.depth("resnet", &[18, 34, 50])?;
    let blocks = if depth == 18 { [2, 2, 2, 2] } else { [3, 4, 6, 3] };
    let small = match spec.stem {
        Stem::Fitting => height.min(width) < 64,
        Stem::Small => true,
        Stem::ImageNet => false,
    };
    let (size, stride) = if small { (3, 1) } else { (7, 2) };
    let stem = Kernel { stride, ..Kernel::same(channels, spec.width, size) };
    let input = layers.input.clone();
    let act = spec.activation.clone();
    let mut x = normalised(layers, ("conv1", "bn1"), &input, stem)?;
    x = layers.op(&act, "relu", &x);
    if !small {
        x = layers.max_pool_of("maxpool", &x, 3, 1);
    }
    let mut features = spec.width;
    for (stage, count) in blocks.into_iter().enumerate() {
        let own = spec.width.checked_mul(1 << stage).ok_or_else(|| Error::new("the width is too large"))?;
        for block in 0..count {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = format!("layer{}.{block}", stage + 1);
            let outputs = if depth == 50 { 4 * own } else { own };
            let inner = if depth == 50 {
                [
                    Kernel::same(features, own, 1),
                    Kernel { stride, ..Kernel::same(own, own, 3) },
                    Kernel::same(own, outputs, 1),
                ]
                .to_vec()
            } else {
                [Kernel { stride, ..Kernel::same(features, own, 3) }, Kernel::same(own, own, 3)].to_vec()
            };
            x = residual(layers, &name, &act, &x, (stride, features, outputs), &inner)?;
            features = outputs;
        }
    }
    x = layers.op("GlobalAveragePool", "avgpool", &x);
    x = layers.op("Flatten", "flat", &x);
    layers.dense("fc", &x, features, spec.classes)
}

/// A convolution without bias and its normalisation.
fn normalised(layers: &mut Layers, (conv, norm): (&str, &str), x: &str, kernel: Kernel) -> Result<String> {
    let y = layers.conv(conv, x, kernel, kernel.fan_out(), None)?;
    layers.batch_norm(norm, &y, kernel.outputs)
}

/// Convolutions `kernels` beside a short cut, which is a 1×1 convolution where sizes differ.
fn residual(
    layers: &mut Layers,
    name: &str,
    act: &str,
    x: &str,
    (stride, inputs, outputs): (usize, usize, usize),
    kernels: &[Kernel],
) -> Result<String> {
    let mut y = x.to_owned();
    for (i, kernel) in kernels.iter().enumerate() {
        let i = i + 1;
        y = normalised(layers, (&format!("{name}.conv{i}"), &format!("{name}.bn{i}")), &y, *kernel)?;
        if i < kernels.len() {
            y = layers.op(act, &format!("{name}.relu{i}"), &y);
        }
    }
    let mut short = x.to_owned();
    if stride != 1 || inputs != outputs {
        let kernel = Kernel { stride, ..Kernel::same(inputs, outputs, 1) };
        let names = (format!("{name}.downsample.0"), format!("{name}.downsample.1"));
        short = normalised(layers, (&names.0, &names.1), x, kernel)?;
    }
    let sum = layers.add(&format!("{name}.add"), &y, &short);
    Ok(layers.op(act, &format!("{name}.relu"), &sum))
}
