//! The loss over a plane through a model's weights.

use onnx_graph::hessian::losses;
use onnx_graph::tensor::read_floats;

use super::batches::Batch;
use super::curvature::{Setting, count, fed, run, wrong};
use crate::model::{Session, threads};
use crate::stage::Failure;

/// The graph of the mean loss with weights that are fed, the weights θ₀ of the model, and the rows.
pub struct Landscape {
    session: Session,
    parameters: Vec<(String, Vec<i64>)>,
    weights: Vec<f64>,
    batches: Vec<Batch>,
}

impl Landscape {
    /// Of the loss over these batches.
    ///
    /// # Errors
    /// If the model has no parameters, or the runtime does not take the graph.
    pub fn new(setting: &Setting, batches: Vec<Batch>) -> Result<Self, Failure> {
        let names = setting.parameters()?;
        let graph = losses(setting.model, setting.loss, &names).map_err(wrong)?;
        let known = &setting.model.graph().map_err(wrong)?.initializer;
        let mut weights = Vec::new();
        for (name, _) in &graph.parameters {
            // `losses` has found each of them.
            let tensor = known.iter().find(|t| t.name.as_ref() == Some(name));
            let values = tensor.map(read_floats).transpose().map_err(wrong)?.unwrap_or_default();
            weights.extend(values.into_iter().map(f64::from));
        }
        let values: usize = graph.parameters.iter().map(|(_, dims)| count(dims)).sum();
        let threads = threads(values as u64, setting.rows, setting.threads);
        let session = Session::new(setting.runtime, &graph.model.to_bytes(), setting.providers, threads)?;
        Ok(Landscape { session, parameters: graph.parameters, weights, batches })
    }

    /// P, the number of all parameters' values.
    pub fn size(&self) -> usize {
        self.weights.len()
    }

    /// The provider that runs it.
    pub fn provider(&self) -> &'static str {
        self.session.provider()
    }

    /// θ₀ + Σ at · direction [P].
    fn moved(&self, along: [(&[f64], f64); 2]) -> Vec<f64> {
        let [(first, a), (second, b)] = along;
        let each = self.weights.iter().zip(first).zip(second);
        each.map(|((w, p), q)| w + a * p + b * q).collect()
    }

    /// The mean loss, and |θ|², at θ₀ + Σ at · direction. Far out a loss may overflow, and is no number.
    ///
    /// # Errors
    /// If the graph fails.
    pub fn at(&mut self, along: [(&[f64], f64); 2]) -> Result<(f64, f64), Failure> {
        let weights = self.moved(along);
        let inputs = fed("parameter", &self.parameters, &weights)?;
        let mut sum = 0.0;
        for batch in &self.batches {
            let found = run(&mut self.session, batch, &inputs, &["loss".to_owned()])?;
            sum += batch.share * found.first().copied().unwrap_or(f64::NAN);
        }
        Ok((sum, weights.iter().map(|w| w * w).sum()))
    }
}
