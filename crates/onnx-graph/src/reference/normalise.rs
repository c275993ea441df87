//! Normalisation of channels, and pooling of whole channels.

use super::Call;
use super::value::{Value, count};
use crate::error::{Error, Result};

/// Images, channels and pixels of x [N, C, …].
fn sizes(x: &Value) -> Result<(usize, usize, usize)> {
    match &x.dims[..] {
        [n, c, pixels @ ..] => Ok((*n, *c, count(pixels)?)),
        _ => Err(Error::new("images need at least 2 dimensions")),
    }
}

/// Inputs x, scale, bias, mean, variance. In training mode the batch's own statistics count, and the
/// running ones follow them.
pub(super) fn batch_norm(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let (n, channels, pixels) = sizes(x)?;
    let (scale, bias, running_mean, running_variance) = (call.x(1)?, call.x(2)?, call.x(3)?, call.x(4)?);
    if [scale, bias, running_mean, running_variance].iter().any(|v| v.data.len() != channels) {
        return Err(Error::new("it needs one value per channel"));
    }
    let training = call.int("training_mode", 0) != 0;
    let (epsilon, momentum) = (call.float("epsilon", 1e-5), call.float("momentum", 0.9));
    let mut data = vec![0.0; x.data.len()];
    let (mut means, mut variances) = (running_mean.data.clone(), running_variance.data.clone());
    for c in 0..channels {
        let places: Vec<usize> =
            (0..n).flat_map(|i| (0..pixels).map(move |p| (i * channels + c) * pixels + p)).collect();
        let (mut mean, mut variance) = (means[c], variances[c]);
        if training {
            let total = places.len().max(1) as f64;
            mean = places.iter().map(|p| x.data[*p]).sum::<f64>() / total;
            variance = places.iter().map(|p| (x.data[*p] - mean).powi(2)).sum::<f64>() / total;
            means[c] = momentum * means[c] + (1.0 - momentum) * mean;
            variances[c] = momentum * variances[c] + (1.0 - momentum) * variance;
        }
        for p in places {
            data[p] = (x.data[p] - mean) / (variance + epsilon).sqrt() * scale.data[c] + bias.data[c];
        }
    }
    let mut outputs = vec![x.like(&x.dims, data)?];
    if training {
        outputs.push(running_mean.like(&running_mean.dims, means)?);
        outputs.push(running_variance.like(&running_variance.dims, variances)?);
    }
    Ok(outputs)
}

fn pooled(call: &Call, pool: impl Fn(&[f64]) -> f64) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let (n, channels, pixels) = sizes(x)?;
    let dims: Vec<usize> = [n, channels].into_iter().chain(x.dims.iter().skip(2).map(|_| 1)).collect();
    if pixels == 0 {
        return Err(Error::new("the images have no pixels"));
    }
    Ok(vec![x.like(&dims, x.data.chunks_exact(pixels).map(pool).collect())?])
}

pub(super) fn global_average_pool(call: &Call) -> Result<Vec<Value>> {
    pooled(call, |pixels| pixels.iter().sum::<f64>() / pixels.len() as f64)
}

pub(super) fn global_max_pool(call: &Call) -> Result<Vec<Value>> {
    pooled(call, |pixels| pixels.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}
