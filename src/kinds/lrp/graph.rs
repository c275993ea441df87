//! The graph of forward pass and relevance that parameters ask for.

use onnx_graph::model::Model;
use onnx_graph::relevance::{Attribution, Options, Start, attribution};
use onnx_graph::shape::Dim;

use super::composite::bounds;
use super::params::{Params, Stabiliser, StartAt};
use crate::stage::Failure;

/// The graph of forward pass and relevance, which starts at `start`.
pub(super) fn compile(params: &Params, start: Start, model: Model) -> Result<Attribution, Failure> {
    let mut composite = params.composite.compiled().map_err(|c| Failure::new(c.message))?;
    composite.unsigned = params.stabiliser == Stabiliser::Unsigned;
    let averaged = params.composite.is("smooth_grad") || params.composite.is("integrated_gradients");
    let options = Options {
        tensor: params.tensor.clone(),
        at: params.at.clone(),
        // Changed copies of an input are explained for what decided the input itself.
        start: if averaged && params.target.follows_answer() { Start::Given } else { start },
        from_logit: params.start == StartAt::Logit,
        bounds: bounds(params.bounds.as_ref()).map_err(|c| Failure::new(c.message))?,
        zero_bias: params.zero_bias,
        conservation: params.conservation,
        ..Options::default()
    };
    attribution(&model, &composite, &options).map_err(|e| Failure::new(e.to_string()))
}

/// Values of the explained tensor in one row.
pub(super) fn explained_width(made: &Attribution) -> Result<usize, Failure> {
    let dims = made.explained_info.dims.as_deref().unwrap_or_default();
    let mut sizes =
        dims.iter().skip(1).map(|d| if let Dim::Size(s) = d { usize::try_from(*s).ok() } else { None });
    match sizes.try_fold(1_usize, |product, size| product.checked_mul(size?)) {
        Some(width) if !dims.is_empty() => Ok(width),
        _ => {
            Err(Failure::new(format!("the shape of the explained tensor `{}` is not known", made.explained))
                .hint("name another one with `tensor`"))
        }
    }
}
