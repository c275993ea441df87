//! Products of a loss's curvature with a vector, as one graph; its gradient, or the loss alone.
//!
//! The gradient graph is differentiated once more, in reverse, from the vector: Σ vᵢ ∂gᵢ/∂θ = H v
//! (Pearlmutter 1994). This needs nothing of an op but the gradient that it has, and costs as many
//! products as forward over reverse does.

use crate::build::{Attr, Builder};
use crate::error::{Error, Result};
use crate::grad::{Backward, backward, reached};
use crate::inner;
use crate::loss::Loss;
use crate::model::Model;
use crate::passes::normal;
use crate::proto::{GraphProto, TensorProto};
use crate::shape::{Dim, Info};
use crate::tensor::{DataType, elements, floats};

/// Which curvature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curvature {
    /// H, the second derivatives of the mean loss by the parameters.
    Hessian,
    /// G = Jᵀ H_L J with the output's Jacobian J and the loss's Hessian H_L at the output (Schraudolph
    /// 2002): H without the curvature of the network itself, and never negative for these losses.
    GaussNewton,
}

/// A graph of products. Inputs: `data` [N, …], `target` as the loss takes it, for every parameter
/// `vector.<name>` and, if they are fed, `parameter.<name>`. Outputs: `loss` (mean over the rows), for
/// every parameter `gradient.<name>` and `product.<name>`.
#[derive(Clone, Debug)]
pub struct Products {
    /// The graph.
    pub model: Model,
    /// Names and shapes of the parameters, in the order of inputs and outputs.
    pub parameters: Vec<(String, Vec<i64>)>,
}

/// Builds the graph that multiplies the curvature of `model`'s loss, by the constants `parameters`, with
/// a vector. Parameters that are `fed` become inputs; else they stay the constants that they are, which
/// runtimes can pack ahead. The model has one input, and its first output is what the loss takes.
///
/// # Errors
/// If a parameter is no float32 constant of the model in its normal form (see [`normal`]), or a node
/// cannot be differentiated.
pub fn products(
    model: &Model,
    loss: Loss,
    parameters: &[String],
    curvature: Curvature,
    fed: bool,
) -> Result<Products> {
    build(model, loss, parameters, Wanted::Products(curvature), fed)
}

/// As [`products`] of constants, without vectors and products: the loss and its gradient alone.
///
/// # Errors
/// As [`products`].
pub fn gradients(model: &Model, loss: Loss, parameters: &[String]) -> Result<Products> {
    build(model, loss, parameters, Wanted::Gradients, false)
}

/// The mean loss alone, with every parameter fed: one graph for any number of weights.
///
/// # Errors
/// As [`products`].
pub fn losses(model: &Model, loss: Loss, parameters: &[String]) -> Result<Products> {
    build(model, loss, parameters, Wanted::Loss, true)
}

/// What a graph gives beside the loss.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Loss,
    Gradients,
    Products(Curvature),
}

fn build(model: &Model, loss: Loss, parameters: &[String], wanted: Wanted, fed: bool) -> Result<Products> {
    let mut model = normal(model)?;
    if let Some(graph) = &mut model.0.graph {
        // The model's own values of these names give way.
        let taken = |name: &str| matches!(name, "data" | "target" | "loss");
        inner::apart(graph, &taken).map_err(|e| Error::new(format!("the loss {e}")))?;
    }
    let mut graph = model.graph()?.clone();
    let shapes = shapes(&graph, parameters)?;
    let ([(input, data)], Some((output, out))) = (&model.inputs()[..], model.outputs().into_iter().next())
    else {
        return Err(Error::new("the model needs one input and an output"));
    };
    let mut b = Builder::new("loss_");
    let scalar = emit(loss, &mut b, &output, &out)?;
    graph.node.append(&mut b.nodes);
    graph.initializer.append(&mut b.constants);
    let rows = |info: &Info| Info { ty: info.ty, dims: info.dims.clone() };
    let target = match loss {
        Loss::CrossEntropy => {
            let first = data.dims.as_ref().and_then(|d| d.first()).cloned().unwrap_or(Dim::Unknown);
            Info::new(DataType::Int64, vec![first])
        }
        Loss::MeanSquaredError => rows(&out),
        Loss::OddOneOut | Loss::Triplet { .. } => {
            return Err(Error::new("curvature is known of losses with a target for each row"));
        }
    };
    graph.input = vec![data.value(input), target.value("target")];
    for (name, dims) in &shapes {
        let info = Info::new(DataType::Float, dims.iter().map(|d| Dim::Size(*d)).collect());
        if matches!(wanted, Wanted::Products(_)) {
            graph.input.push(info.value(&format!("vector.{name}")));
        }
        if fed {
            graph.initializer.retain(|t| t.name.as_deref() != Some(name));
            graph.input.push(info.value(name));
        }
    }
    let made = match wanted {
        Wanted::Products(Curvature::Hessian) => hessian(&mut graph, &scalar, &shapes)?,
        Wanted::Products(Curvature::GaussNewton) => gauss_newton(&mut graph, &scalar, &output, &shapes)?,
        Wanted::Gradients => slope(&mut graph, &scalar, &shapes)?,
        Wanted::Loss => Made { gradients: Vec::new(), products: None },
    };
    finish(graph, input, &scalar, &shapes, &made, fed)
}

/// The gradients and, if they are made, products by name; `None` is zero everywhere.
struct Made {
    gradients: Vec<String>,
    products: Option<Vec<Option<String>>>,
}

/// The parameters with their shapes.
fn shapes(graph: &GraphProto, parameters: &[String]) -> Result<Vec<(String, Vec<i64>)>> {
    let shape = |name: &String| {
        let found =
            graph.initializer.iter().find(|t| t.name.as_ref() == Some(name) && t.data_type == Some(1));
        let found = found.ok_or_else(|| Error::new(format!("the model has no parameter `{name}`")))?;
        elements(&found.dims)?;
        Ok((name.clone(), found.dims.clone()))
    };
    if parameters.is_empty() {
        return Err(Error::new("no parameters are named"));
    }
    parameters.iter().map(shape).collect()
}

/// The mean loss over the rows, in ops that have gradients.
fn emit(loss: Loss, b: &mut Builder, output: &str, out: &Info) -> Result<String> {
    match loss {
        Loss::CrossEntropy => {
            let Some([_, Dim::Size(classes)]) = out.dims.as_deref() else {
                return Err(Error::new(format!("the output `{output}` is no [N, classes]")));
            };
            let log_p = b.node("LogSoftmax", &[output], [("axis", Attr::Int(1))]);
            let (depth, off_on) = (b.ints(&[*classes]), b.fresh("off_on"));
            b.constants.push(floats(&off_on, &[2], &[0.0, -1.0]));
            let one_hot = b.node("OneHot", &["target", &depth, &off_on], [("axis", Attr::Int(-1))]);
            let picked = b.node("Mul", &[&log_p, &one_hot], []);
            let last = b.ints(&[1]);
            let rows = b.node("ReduceSum", &[&picked, &last], [("keepdims", Attr::Int(0))]);
            Ok(b.node("ReduceMean", &[&rows], [("keepdims", Attr::Int(0))]))
        }
        Loss::MeanSquaredError => {
            let difference = b.node("Sub", &[output, "target"], []);
            let square = b.node("Mul", &[&difference, &difference], []);
            Ok(b.node("ReduceMean", &[&square], [("keepdims", Attr::Int(0))]))
        }
        Loss::OddOneOut | Loss::Triplet { .. } => {
            Err(Error::new("curvature is known of losses with a target for each row"))
        }
    }
}

/// Puts a backward part behind its graph.
fn append(graph: &mut GraphProto, back: Backward) {
    graph.node = back.forward;
    graph.node.extend(back.nodes);
    graph.initializer.extend(back.constants);
}

/// The constant 1 that the walks back from the loss begin with.
const SEED: &str = "loss_seed";

fn names(shapes: &[(String, Vec<i64>)]) -> Vec<&str> {
    shapes.iter().map(|(name, _)| name.as_str()).collect()
}

/// Value and vector of each parameter, as seeds of a backward walk.
fn seeds<'a>(values: &'a [String], vectors: &'a [String]) -> Vec<(&'a str, &'a str)> {
    values.iter().map(String::as_str).zip(vectors.iter().map(String::as_str)).collect()
}

fn slope(graph: &mut GraphProto, loss: &str, shapes: &[(String, Vec<i64>)]) -> Result<Made> {
    graph.initializer.push(floats(SEED, &[], &[1.0]));
    let back = backward(graph, &[(loss, SEED)], &names(shapes), Builder::new("first_"))?;
    let gradients = back.gradients.clone();
    append(graph, back);
    Ok(Made { gradients, products: None })
}

fn hessian(graph: &mut GraphProto, loss: &str, shapes: &[(String, Vec<i64>)]) -> Result<Made> {
    let wrt = names(shapes);
    let Made { gradients, .. } = slope(graph, loss, shapes)?;
    let vectors: Vec<String> = wrt.iter().map(|name| format!("vector.{name}")).collect();
    let (back, products) = reached(graph, &seeds(&gradients, &vectors), &wrt, Builder::new("second_"))?;
    append(graph, back);
    Ok(Made { gradients, products: Some(products) })
}

// J v comes from the adjoint: w = Jᵀ u is linear in u, so that its gradient by u from v is J v, whatever u
// is. Then the loss's Hessian at the output turns J v, and Jᵀ brings it back.
fn gauss_newton(
    graph: &mut GraphProto,
    loss: &str,
    output: &str,
    shapes: &[(String, Vec<i64>)],
) -> Result<Made> {
    let wrt = names(shapes);
    let Made { gradients, .. } = slope(graph, loss, shapes)?;

    let mut b = Builder::new("any_");
    let any = b.node("Identity", &[output], []);
    graph.node.append(&mut b.nodes);
    let adjoint = backward(graph, &[(output, &any)], &wrt, Builder::new("adjoint_"))?;
    let back_to = adjoint.gradients.clone();
    append(graph, adjoint);
    let vectors: Vec<String> = wrt.iter().map(|name| format!("vector.{name}")).collect();
    let forward = backward(graph, &seeds(&back_to, &vectors), &[&any], Builder::new("forward_"))?;
    let moved = forward.gradients.first().cloned().unwrap_or_default();
    append(graph, forward);

    let first = backward(graph, &[(loss, SEED)], &[output], Builder::new("slope_"))?;
    let at_output = first.gradients.first().cloned().unwrap_or_default();
    append(graph, first);
    let bend = backward(graph, &[(&at_output, &moved)], &[output], Builder::new("bend_"))?;
    let turned = bend.gradients.first().cloned().unwrap_or_default();
    append(graph, bend);

    let (last, products) = reached(graph, &[(output, &turned)], &wrt, Builder::new("back_"))?;
    append(graph, last);
    Ok(Made { gradients, products: Some(products) })
}

/// Names the outputs and brings the graph into its shortest form.
fn finish(
    mut graph: GraphProto,
    input: &str,
    loss: &str,
    shapes: &[(String, Vec<i64>)],
    made: &Made,
    fed: bool,
) -> Result<Products> {
    let mut b = Builder::new("out_");
    let mut outputs = vec![Info::new(DataType::Float, Vec::new()).value("loss")];
    b.named_node("Identity", &[loss], &["loss"], []);
    for (index, ((name, dims), gradient)) in shapes.iter().zip(&made.gradients).enumerate() {
        let info = Info::new(DataType::Float, dims.iter().map(|d| Dim::Size(*d)).collect());
        let to = format!("gradient.{name}");
        b.named_node("Identity", &[gradient], &[&to], []);
        outputs.push(info.value(&to));
        let Some(product) = made.products.as_ref().and_then(|all| all.get(index)) else { continue };
        let product = match product {
            Some(product) => product.clone(),
            None => {
                let zeros: TensorProto = floats(&b.fresh("zeros"), dims, &vec![0.0; elements(dims)?]);
                b.constants.push(zeros);
                b.constants.last().and_then(|t| t.name.clone()).unwrap_or_default()
            }
        };
        let to = format!("product.{name}");
        b.named_node("Identity", &[&product], &[&to], []);
        outputs.push(info.value(&to));
    }
    graph.node.append(&mut b.nodes);
    graph.initializer.append(&mut b.constants);
    graph.output = outputs;
    let fed_names = if fed { names(shapes) } else { Vec::new() };
    rename_input(&mut graph, input, "data");
    for name in fed_names {
        rename_input(&mut graph, name, &format!("parameter.{name}"));
    }
    Ok(Products { model: normal(&Model::new(graph))?, parameters: shapes.to_vec() })
}

/// Calls a graph's input `to`; its nodes go on reading `from`.
fn rename_input(graph: &mut GraphProto, from: &str, to: &str) {
    if from == to {
        return;
    }
    for value in graph.input.iter_mut().filter(|v| v.name.as_deref() == Some(from)) {
        value.name = Some(to.to_owned());
    }
    for node in &mut graph.node {
        inner::rename(node, &mut |name| {
            if name == from {
                to.clone_into(name);
            }
        });
    }
}
