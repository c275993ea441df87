//! Normalisation, and pooling of whole channels.

use super::Call;
use super::elementwise::stretched;
use super::value::{Value, axis, count};
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

/// Each row of `width` numbers less its mean and over its deviation; and mean and 1 / deviation of each.
fn normal(x: &Value, width: usize, epsilon: f64) -> Result<(Vec<f64>, Vec<f64>, Vec<f64>)> {
    let (mut data, mut means, mut inverses) = (Vec::with_capacity(x.data.len()), Vec::new(), Vec::new());
    if width == 0 {
        return Err(Error::new("there is nothing to normalise"));
    }
    for row in x.data.chunks(width) {
        let mean = row.iter().sum::<f64>() / width as f64;
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / width as f64;
        let inverse = 1.0 / (variance + epsilon).sqrt();
        data.extend(row.iter().map(|v| (v - mean) * inverse));
        means.push(mean);
        inverses.push(inverse);
    }
    Ok((data, means, inverses))
}

pub(super) fn layer_norm(call: &Call) -> Result<Vec<Value>> {
    let (x, scale) = (call.x(0)?, call.x(1)?);
    let at = axis(call.int("axis", -1), x.dims.len())?;
    let (data, means, inverses) = normal(x, count(&x.dims[at..])?, call.float("epsilon", 1e-5))?;
    let scale = stretched(scale, &x.dims)?;
    let mut y: Vec<f64> = data.iter().zip(&scale.data).map(|(v, s)| v * s).collect();
    if let Some(bias) = call.optional(2) {
        y.iter_mut().zip(&stretched(bias, &x.dims)?.data).for_each(|(v, b)| *v += b);
    }
    let kept: Vec<usize> = x.dims.iter().enumerate().map(|(a, d)| if a < at { *d } else { 1 }).collect();
    Ok(vec![x.like(&x.dims, y)?, x.like(&kept, means)?, x.like(&kept, inverses)?])
}

/// Rows of `width` numbers normalised, then scaled and shifted by channel.
fn by_channel(call: &Call, width: usize) -> Result<Vec<Value>> {
    let (x, scale, bias) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let (_, channels, pixels) = sizes(x)?;
    if scale.data.len() != channels || bias.data.len() != channels {
        return Err(Error::new("it needs one value per channel"));
    }
    let (mut data, ..) = normal(x, width, call.float("epsilon", 1e-5))?;
    for (i, v) in data.iter_mut().enumerate() {
        let c = i / pixels % channels;
        *v = *v * scale.data[c] + bias.data[c];
    }
    Ok(vec![x.like(&x.dims, data)?])
}

pub(super) fn instance_norm(call: &Call) -> Result<Vec<Value>> {
    let (_, _, pixels) = sizes(call.x(0)?)?;
    by_channel(call, pixels)
}

pub(super) fn group_norm(call: &Call) -> Result<Vec<Value>> {
    let (_, channels, pixels) = sizes(call.x(0)?)?;
    let groups = usize::try_from(call.int("num_groups", 0)).unwrap_or(0);
    if groups == 0 || channels % groups != 0 {
        return Err(Error::new(format!("{channels} channels do not divide into {groups} groups")));
    }
    by_channel(call, channels / groups * pixels)
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
