//! Products of a loss's curvature with vectors, and one-sample gradients, by ONNX Runtime.

use onnx_graph::hessian::{Products as Graph, gradients, products};
use onnx_graph::loss::Loss;
use onnx_graph::model::Model;
use onnx_graph::train::trainable;
use science::linalg::Mat;

use super::batches::Batch;
use crate::model::{Held, Runtime, Session, Values, threads};
use crate::stage::Failure;

pub use onnx_graph::hessian::Curvature as Which;

/// A model in its normal form, its loss and where it runs.
pub struct Setting<'a> {
    pub model: &'a Model,
    pub loss: Loss,
    pub runtime: &'static Runtime,
    pub providers: &'a [String],
    pub threads: usize,
    /// Rows of a batch.
    pub rows: usize,
}

/// The graph that multiplies with the curvature of the mean loss, and the rows that it is the mean over.
pub struct Curvature {
    session: Session,
    parameters: Vec<(String, Vec<i64>)>,
    batches: Vec<Batch>,
}

pub(super) fn wrong(error: onnx_graph::error::Error) -> Failure {
    Failure::new(error.to_string())
}

impl Setting<'_> {
    /// Names of the parameters, in the order in which `model.train` trains them.
    pub(super) fn parameters(&self) -> Result<Vec<String>, Failure> {
        let names = trainable(self.model.graph().map_err(wrong)?);
        if names.is_empty() {
            return Err(Failure::new(
                "the model has no parameters (float32 constants at the weights of its layers)",
            ));
        }
        Ok(names)
    }

    /// Products with the curvature of the loss over these batches.
    pub fn curvature(&self, which: Which, batches: Vec<Batch>) -> Result<Curvature, Failure> {
        let graph = products(self.model, self.loss, &self.parameters()?, which, false).map_err(wrong)?;
        let values: usize = graph.parameters.iter().map(|(_, dims)| count(dims)).sum();
        let threads = threads(values as u64, self.rows, self.threads);
        self.prepared(&graph, threads, batches)
    }

    /// Gradients of the loss over each of these batches. A single row makes so little work that one thread does it.
    pub fn gradients(&self, batches: Vec<Batch>) -> Result<Curvature, Failure> {
        let graph = gradients(self.model, self.loss, &self.parameters()?).map_err(wrong)?;
        self.prepared(&graph, 1, batches)
    }

    fn prepared(&self, graph: &Graph, threads: usize, batches: Vec<Batch>) -> Result<Curvature, Failure> {
        let session = Session::new(self.runtime, &graph.model.to_bytes(), self.providers, threads)?;
        Ok(Curvature { session, parameters: graph.parameters.clone(), batches })
    }
}

impl Curvature {
    /// P, the number of all parameters' values.
    pub fn size(&self) -> usize {
        self.parameters.iter().map(|(_, dims)| count(dims)).sum()
    }

    /// The provider that runs it.
    pub fn provider(&self) -> &'static str {
        self.session.provider()
    }

    /// H v [P]: batch by batch in float32, summed in float64.
    ///
    /// # Errors
    /// If the graph fails.
    pub fn times(&mut self, vector: &[f64]) -> Result<Vec<f64>, Failure> {
        let vectors = fed("vector", &self.parameters, vector)?;
        let wanted = outputs("product", &self.parameters);
        let mut sum = vec![0.0; vector.len()];
        for batch in &self.batches {
            let flat = run(&mut self.session, batch, &vectors, &wanted)?;
            sum.iter_mut().zip(flat).for_each(|(s, v)| *s += batch.share * v);
        }
        Ok(sum)
    }

    /// The share of all rows that each batch has, with the loss and its gradient [P] over it.
    ///
    /// # Errors
    /// If the graph fails, or what `take` says.
    pub fn each_gradient(
        &mut self,
        take: &mut dyn FnMut(f64, f64, Vec<f64>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut wanted = outputs("gradient", &self.parameters);
        wanted.push("loss".to_owned());
        for batch in &self.batches {
            let mut flat = run(&mut self.session, batch, &[], &wanted)?;
            let loss = flat.pop().unwrap_or(f64::NAN);
            if !loss.is_finite() || flat.iter().any(|g| !g.is_finite()) {
                return Err(Failure::new("the loss or its gradient is no number at these weights"));
            }
            take(batch.share, loss, flat)?;
        }
        Ok(())
    }
}

pub(super) fn count(dims: &[i64]) -> usize {
    dims.iter().product::<i64>().max(1) as usize
}

/// A flat vector [P] cut into the inputs `<of>.<name>` of the parameters, in float32.
pub(super) fn fed(
    of: &str,
    parameters: &[(String, Vec<i64>)],
    flat: &[f64],
) -> Result<Vec<(String, Held)>, Failure> {
    let mut rest = flat;
    let mut all = Vec::with_capacity(parameters.len());
    for (name, dims) in parameters {
        let (own, behind) = rest.split_at(count(dims).min(rest.len()));
        rest = behind;
        let values = own.iter().map(|v| *v as f32).collect();
        all.push((format!("{of}.{name}"), Held::new((dims.clone(), Values::F32(values)))?));
    }
    Ok(all)
}

fn outputs(of: &str, parameters: &[(String, Vec<i64>)]) -> Vec<String> {
    parameters.iter().map(|(name, _)| format!("{of}.{name}")).collect()
}

/// The values of all outputs `wanted`, one behind the other, for a batch and what is fed beside it.
pub(super) fn run(
    session: &mut Session,
    batch: &Batch,
    beside: &[(String, Held)],
    wanted: &[String],
) -> Result<Vec<f64>, Failure> {
    let mut inputs = vec![("data", &batch.data), ("target", &batch.target)];
    inputs.extend(beside.iter().map(|(name, held)| (name.as_str(), held)));
    let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let mut flat = Vec::new();
    for (held, name) in session.run_held(&inputs, &names)?.iter().zip(&names) {
        match held.array(name)? {
            (_, Values::F32(values)) => flat.extend(values.into_iter().map(f64::from)),
            (_, Values::I64(_)) => return Err(Failure::new(format!("the output `{name}` is not float32"))),
        }
    }
    Ok(flat)
}

/// Gradients in the columns of a matrix.
pub fn columns(gradients: &[Vec<f64>]) -> Mat<f64> {
    Mat::from_fn(gradients.first().map_or(0, Vec::len), gradients.len(), |i, j| gradients[j][i])
}
