//! A model that answers for batches of images: class, logit and probability.

use onnx_graph::model::Model;
use onnx_graph::passes::before_softmax;
use onnx_graph::shape::{Info, infer};
use onnx_graph::tensor::DataType;

use crate::kinds::artefacts::runtime;
use crate::kinds::model::argmax;
use crate::model::{Session, Values};
use crate::stage::{Bound, Failure, Io};

/// What a model answers of one image whose class is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The class with the largest logit.
    pub prediction: i64,
    /// The true class's logit.
    pub logit: f64,
    /// The true class's probability by softmax.
    pub probability: f64,
}

/// A model made ready.
pub struct Scorer {
    session: Session,
    input: String,
    shape: Vec<i64>,
    tensor: String,
}

impl Scorer {
    /// Loads a model whose answer is `tensor`, by default its first output, or what stands before its
    /// softmax. Its rows have `row_shape`.
    ///
    /// # Errors
    /// If there is no such tensor, or the runtime does not take the model.
    pub fn new(bound: &Bound, tensor: Option<&str>, row_shape: &[usize], io: &Io) -> Result<Self, Failure> {
        let mut model = crate::kinds::model::facts::read(bound)?;
        let tensor = answer(&mut model, tensor)?;
        let rows = crate::table::Tensor { row_shape: row_shape.to_vec(), values: Vec::new() };
        let shape = crate::kinds::model::train::row_shape(&model, &rows)?;
        let session = Session::ready(runtime(io)?, model, &io.providers, io.threads)?;
        let input = session.inputs().into_iter().next().map(|(name, ..)| name);
        let input = input.ok_or_else(|| Failure::new("the model has no input"))?;
        Ok(Scorer { session, input, shape, tensor })
    }

    /// The execution provider that is used.
    pub fn provider(&self) -> &'static str {
        self.session.provider()
    }

    /// Answers for images, one after the other, of which `classes` are true. A model with one logit has two
    /// classes, of which the logit is the second's against the first.
    ///
    /// # Errors
    /// If the runtime fails, or a class is not one of the model's.
    pub fn answers(&mut self, images: Vec<f32>, classes: &[i64]) -> Result<Vec<Answer>, Failure> {
        let rows = classes.len();
        let shape = std::iter::once(rows as i64).chain(self.shape.iter().copied()).collect();
        let mut outputs = self.session.run(vec![(self.input.clone(), (shape, Values::F32(images)))])?;
        let Some((dims, Values::F32(logits))) = outputs.remove(&self.tensor) else {
            return Err(Failure::new(format!("the tensor `{}` is not float32", self.tensor)));
        };
        let width = logits.len() / rows.max(1);
        if dims.first() != Some(&(rows as i64)) || width == 0 {
            return Err(Failure::new(format!(
                "the tensor `{}` of shape {dims:?} does not have logits for each of {rows} images",
                self.tensor
            )));
        }
        let pair = |logit: &f32| vec![0.0, *logit];
        let row = |r: &[f32]| if let [logit] = r { pair(logit) } else { r.to_vec() };
        logits.chunks_exact(width).zip(classes).map(|(r, class)| one(&row(r), *class)).collect()
    }
}

fn one(logits: &[f32], class: i64) -> Result<Answer, Failure> {
    let place = usize::try_from(class).ok().filter(|c| *c < logits.len()).ok_or_else(|| {
        Failure::new(format!(
            "an image has the class {class}, and the model has the classes 0 to {}",
            logits.len() - 1
        ))
    })?;
    let best = argmax(logits);
    let total: f64 = logits.iter().map(|v| (f64::from(*v) - f64::from(logits[best])).exp()).sum();
    let probability = (f64::from(logits[place]) - f64::from(logits[best])).exp() / total;
    Ok(Answer { prediction: best as i64, logit: f64::from(logits[place]), probability })
}

/// Makes a tensor the only output of a model.
fn answer(model: &mut Model, tensor: Option<&str>) -> Result<String, Failure> {
    let graph = model.graph().map_err(|e| Failure::new(e.to_string()))?;
    let name = match tensor {
        Some(name) => name.to_owned(),
        None => {
            let first = graph.output.first().and_then(|v| v.name.as_deref());
            before_softmax(graph, first.ok_or_else(|| Failure::new("the model has no output"))?)
        }
    };
    let made: Vec<&str> = graph.node.iter().flat_map(|n| &n.output).map(String::as_str).collect();
    if !made.contains(&name.as_str()) {
        let hint = crate::spec::suggest::hint(&name, made.iter().copied());
        return Err(Failure::new(format!("the model has no tensor `{name}`")).hint(hint));
    }
    // A model with ops that this program cannot follow still runs.
    let known = infer(graph).ok().and_then(|infos| infos.get(&name).cloned());
    let info = known.unwrap_or(Info { ty: DataType::Float, dims: None });
    if let Some(graph) = model.0.graph.as_mut() {
        graph.output = vec![info.value(&name)];
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_the_softmax() {
        let answer = one(&[1000.0, 1001.0, 900.0], 0).unwrap();
        assert!((answer.probability - 1.0 / (1.0 + 1.0_f64.exp())).abs() < 1e-12);
        assert_eq!((answer.prediction, answer.logit), (1, 1000.0));
        assert!(one(&[0.0, 1.0], 2).is_err() && one(&[0.0, 1.0], -1).is_err());
    }
}
