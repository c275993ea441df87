//! How an output or inner tensor depends on the input or on other inner tensors, as one graph: for
//! saliency, synthesis of inputs, and relevance at inner layers.

use crate::build::Builder;
use crate::error::{Error, Result};
use crate::grad::backward;
use crate::model::Model;
use crate::passes::normal;
use crate::shape::{Dim, Info, infer};
use crate::tensor::{DataType, floats};

/// What of a tensor [N, C, …] is differentiated.
#[derive(Clone, Debug, PartialEq)]
pub enum Seed {
    /// Its sum weighted by the further input `seed`, which has the tensor's shape.
    Fed,
    /// The sum of entry (or channel) `c` of every row: every row's own gradient.
    Channel(i64),
}

/// Builds the graph that computes `of` and the gradients of its seeded sum at the tensors `wrt`. Inputs: the
/// model's, and `seed` if it is fed. Outputs: `of`, and `gradient.<name>` for every name of `wrt`.
///
/// # Errors
/// If a tensor is not in the model, `of` does not depend on one of `wrt`, a channel does not exist, or a
/// node cannot be differentiated.
pub fn sensitivity(model: &Model, of: &str, seed: &Seed, wrt: &[&str]) -> Result<Model> {
    let mut model = normal(model)?;
    let graph = model.0.graph.as_mut().ok_or_else(|| Error::new("the model has no graph"))?;
    let infos = infer(graph)?;
    let info = |name: &str| {
        let made: Vec<&String> = graph.node.iter().flat_map(|n| &n.output).collect();
        let missing = || {
            let known = made.iter().take(20).map(|s| s.as_str()).collect::<Vec<_>>().join(", ");
            Error::new(format!("the model has no tensor `{name}`; some that it has: {known}"))
        };
        infos.get(name).cloned().ok_or_else(missing)
    };
    let whole = info(of)?;
    let targets = wrt.iter().map(|name| info(name)).collect::<Result<Vec<Info>>>()?;
    let mut b = Builder::new("seed_");
    let start = match seed {
        Seed::Fed => {
            graph.input.push(whole.value("seed"));
            "seed".to_owned()
        }
        Seed::Channel(channel) => {
            let mask = mask(&mut b, of, &whole, *channel)?;
            let shape = b.node("Shape", &[of], []);
            b.node("Expand", &[&mask, &shape], [])
        }
    };
    let back = backward(graph, &[(of, &start)], wrt, Builder::new("back_"))?;
    graph.node = back.forward;
    graph.node.append(&mut b.nodes);
    graph.node.extend(back.nodes);
    graph.output = vec![whole.value(of)];
    let mut last = Builder::new("out_");
    for ((name, gradient), target) in wrt.iter().zip(&back.gradients).zip(targets) {
        let to = format!("gradient.{name}");
        last.named_node("Identity", &[gradient], &[&to], []);
        graph.output.push(target.value(&to));
    }
    graph.node.append(&mut last.nodes);
    graph.initializer.extend(back.constants);
    graph.initializer.append(&mut b.constants);
    normal(&model)
}

/// 1 at a channel of [N, C, …] and 0 elsewhere, as [1, C, 1, …].
fn mask(b: &mut Builder, of: &str, info: &Info, channel: i64) -> Result<String> {
    let Some([_, Dim::Size(channels), rest @ ..]) = info.dims.as_deref() else {
        return Err(Error::new(format!("the tensor `{of}` has no known number of channels")));
    };
    if info.ty != DataType::Float {
        return Err(Error::new(format!("the tensor `{of}` is {}, not float32", info.ty.name())));
    }
    let at = usize::try_from(channel).ok().filter(|_| channel < *channels);
    let at = at
        .ok_or_else(|| Error::new(format!("`{of}` has the channels 0 to {}, not {channel}", channels - 1)))?;
    let mut values = vec![0.0; usize::try_from(*channels).unwrap_or(0)];
    if let Some(one) = values.get_mut(at) {
        *one = 1.0;
    }
    let dims: Vec<i64> = [1, *channels].into_iter().chain(rest.iter().map(|_| 1)).collect();
    let name = b.fresh("channel");
    b.constants.push(floats(&name, &dims, &values));
    Ok(name)
}
