//! Activation functions.

use super::Call;
use super::elementwise::{broadcast, stretched, unary};
use super::value::Value;
use crate::error::{Error, Result};
use crate::model::attribute;

pub(super) fn relu(call: &Call) -> Result<Vec<Value>> {
    unary(call, |x| if x > 0.0 { x } else { 0.0 })
}

pub(super) fn leaky_relu(call: &Call) -> Result<Vec<Value>> {
    let alpha = call.float("alpha", 0.01);
    unary(call, |x| if x > 0.0 { x } else { alpha * x })
}

/// The slopes broadcast to x, never the other way.
pub(super) fn prelu(call: &Call) -> Result<Vec<Value>> {
    let (x, slope) = (call.x(0)?, call.x(1)?);
    if broadcast(&x.dims, &slope.dims)? != x.dims {
        return Err(Error::new("the slopes are larger than x"));
    }
    let slope = stretched(slope, &x.dims)?;
    let data = x.data.iter().zip(&slope.data).map(|(x, s)| if *x > 0.0 { *x } else { s * x });
    Ok(vec![x.like(&x.dims, data.collect())?])
}

pub(super) fn thresholded_relu(call: &Call) -> Result<Vec<Value>> {
    let alpha = call.float("alpha", 1.0);
    unary(call, |x| if x > alpha { x } else { 0.0 })
}

pub(super) fn elu(call: &Call) -> Result<Vec<Value>> {
    let alpha = call.float("alpha", 1.0);
    unary(call, |x| if x > 0.0 { x } else { alpha * x.exp_m1() })
}

pub(super) fn celu(call: &Call) -> Result<Vec<Value>> {
    let alpha = call.float("alpha", 1.0);
    unary(call, |x| x.max(0.0) + (alpha * (x / alpha).exp_m1()).min(0.0))
}

pub(super) fn selu(call: &Call) -> Result<Vec<Value>> {
    let (alpha, gamma) = (call.float("alpha", 1.673_263_2), call.float("gamma", 1.050_701));
    unary(call, |x| gamma * if x > 0.0 { x } else { alpha * x.exp_m1() })
}

pub(super) fn sigmoid(call: &Call) -> Result<Vec<Value>> {
    unary(call, |x| 1.0 / (1.0 + (-x).exp()))
}

pub(super) fn hard_sigmoid(call: &Call) -> Result<Vec<Value>> {
    let (alpha, beta) = (call.float("alpha", 0.2), call.float("beta", 0.5));
    unary(call, |x| (alpha * x + beta).clamp(0.0, 1.0))
}

pub(super) fn hard_swish(call: &Call) -> Result<Vec<Value>> {
    unary(call, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0))
}

fn log_1p_exp(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

pub(super) fn softplus(call: &Call) -> Result<Vec<Value>> {
    unary(call, log_1p_exp)
}

pub(super) fn softsign(call: &Call) -> Result<Vec<Value>> {
    unary(call, |x| x / (1.0 + x.abs()))
}

pub(super) fn mish(call: &Call) -> Result<Vec<Value>> {
    unary(call, |x| x * log_1p_exp(x).tanh())
}

pub(super) fn tanh(call: &Call) -> Result<Vec<Value>> {
    unary(call, f64::tanh)
}

/// The series of Abramowitz and Stegun 7.1.6 near 0, the continued fraction 7.1.14 beyond.
fn error_function(x: f64) -> f64 {
    let size = x.abs();
    let bell = (-x * x).exp();
    if size < 3.0 {
        let (mut term, mut total) = (x, x);
        for n in 1..200 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            total += term;
        }
        return total * bell * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let fraction = (1..60).rev().fold(size, |below, k| size + f64::from(k) / 2.0 / below);
    (1.0 - bell / (fraction * std::f64::consts::PI.sqrt())).copysign(x)
}

pub(super) fn erf(call: &Call) -> Result<Vec<Value>> {
    unary(call, error_function)
}

/// x Φ(x), or its approximation by a tanh.
pub(super) fn gelu(call: &Call) -> Result<Vec<Value>> {
    let by_tanh = attribute(call.node, "approximate").and_then(|a| a.s.as_deref()) == Some(b"tanh");
    unary(call, |x| {
        let inner = if by_tanh {
            ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh()
        } else {
            error_function(x / std::f64::consts::SQRT_2)
        };
        0.5 * x * (1.0 + inner)
    })
}
