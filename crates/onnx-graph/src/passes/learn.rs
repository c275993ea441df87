//! Ops of the domain `ai.onnx.ml`, as scikit-learn's converters write them, in ops of the standard.

use crate::build::Builder;
use crate::error::{Error, Result};
use crate::model::{attribute, int_attribute, node_label};
use crate::proto::NodeProto;
use crate::tensor::floats;

/// Emits the node in the standard's ops; false if it is none that is known here.
pub(super) fn plain(node: &NodeProto, b: &mut Builder) -> Result<bool> {
    match node.op_type.as_deref() {
        Some("Scaler") => scaler(node, b)?,
        Some("LinearRegressor") => linear(node, b)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn ends(node: &NodeProto) -> Result<(&str, &str)> {
    match (node.input.first(), node.output.first()) {
        (Some(x), Some(y)) => Ok((x, y)),
        _ => Err(Error::new(format!("{}: it needs an input and an output", node_label(node)))),
    }
}

/// The attribute `name` as a constant of these dimensions.
fn constant(node: &NodeProto, b: &mut Builder, name: &str, dims: &[i64]) -> Result<String> {
    let values = attribute(node, name).map(|a| a.floats.clone()).unwrap_or_default();
    if crate::tensor::elements(dims)? != values.len() || values.is_empty() {
        let found = values.len();
        return Err(Error::new(format!("{}: {found} numbers in `{name}` for {dims:?}", node_label(node))));
    }
    let constant = b.fresh(name);
    b.constants.push(floats(&constant, dims, &values));
    Ok(constant)
}

fn count(node: &NodeProto, name: &str) -> i64 {
    attribute(node, name).map_or(0, |a| a.floats.len() as i64)
}

/// (x − offset) · scale.
fn scaler(node: &NodeProto, b: &mut Builder) -> Result<()> {
    let (x, y) = ends(node)?;
    let offset = constant(node, b, "offset", &[count(node, "offset")])?;
    let scale = constant(node, b, "scale", &[count(node, "scale")])?;
    let centred = b.node("Sub", &[x, &offset], []);
    b.named_node("Mul", &[&centred, &scale], &[y], []);
    Ok(())
}

/// x · coefficientsᵀ + intercepts, without a transformation behind it.
fn linear(node: &NodeProto, b: &mut Builder) -> Result<()> {
    let (x, y) = ends(node)?;
    let post = attribute(node, "post_transform").and_then(|a| a.s.as_deref());
    if !matches!(post, None | Some(b"NONE" | b"")) {
        return Err(Error::new(format!("{}: its post_transform is not supported", node_label(node))));
    }
    let targets = int_attribute(node, "targets", 1).max(1);
    let features = count(node, "coefficients") / targets;
    let weights = constant(node, b, "coefficients", &[targets, features])?;
    let transposed = [("transB", crate::build::Attr::Int(1))];
    if count(node, "intercepts") == 0 {
        b.named_node("Gemm", &[x, &weights], &[y], transposed);
    } else {
        let intercepts = constant(node, b, "intercepts", &[targets])?;
        b.named_node("Gemm", &[x, &weights, &intercepts], &[y], transposed);
    }
    Ok(())
}
