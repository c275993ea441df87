//! A model as one who looks at images: its outputs, and how they change with the image.

use std::collections::BTreeMap;

use onnx_graph::model::Model;
use onnx_graph::passes::before_softmax;
use onnx_graph::sensitivity::{Seed, sensitivity};
use onnx_graph::shape::infer;

use crate::kinds::artefacts::runtime;
use crate::kinds::lrp::with_row_shape;
use crate::kinds::model::facts;
use crate::kinds::model::train::row_shape;
use crate::model::{Array, Session, Values};
use crate::stage::{Bound, Failure, Io};
use crate::table::Tensor;

/// Images in one call into the runtime.
const BATCH: usize = 128;

/// A model made ready.
pub struct Seer {
    forward: Session,
    backward: Option<Session>,
    input: String,
    shape: Vec<i64>,
    tensor: String,
    /// Outputs for an image.
    pub width: usize,
}

impl Seer {
    /// A model that is looked through `tensor`, by default its first output or what stands before its softmax;
    /// with `slopes` it also tells gradients. Images have the shape of those of `pool`.
    ///
    /// # Errors
    /// If there is no such tensor, or the graph cannot be differentiated or run.
    pub fn new(
        bound: &Bound,
        tensor: Option<&str>,
        pool: &Tensor<f32>,
        slopes: bool,
        io: &Io,
    ) -> Result<Self, Failure> {
        let wrong = |e: onnx_graph::error::Error| Failure::new(e.to_string());
        let model = facts::read(bound)?;
        let shape = row_shape(&model, pool)?;
        let model = with_row_shape(model, &shape);
        let input = model.inputs().into_iter().next().map(|(name, _)| name);
        let input = input.ok_or_else(|| Failure::new("the model has no input"))?;
        let tensor = match tensor {
            Some(name) => name.to_owned(),
            None => {
                let first = model.outputs().into_iter().next().map(|(name, _)| name);
                let first = first.ok_or_else(|| Failure::new("the model has no output"))?;
                before_softmax(model.graph().map_err(wrong)?, &first)
            }
        };
        let runtime = runtime(io)?;
        let ready = |graph: &Model| Session::new(runtime, &graph.to_bytes(), &io.providers, io.threads);
        let backward = if slopes {
            Some(ready(&sensitivity(&model, &tensor, &Seed::Fed, &[&input]).map_err(wrong)?)?)
        } else {
            None
        };
        let forward = ready(&only(model, &tensor)?)?;
        let mut seer = Seer { forward, backward, input, shape, tensor, width: 0 };
        // One image tells how many outputs there are.
        seer.width = seer.outputs(pool.values.get(..pool.row_size()).unwrap_or_default())?.len();
        Ok(seer)
    }

    /// The execution provider that is used.
    pub fn provider(&self) -> &'static str {
        self.forward.provider()
    }

    /// Values of an image.
    fn each(&self) -> usize {
        self.shape.iter().product::<i64>().max(1) as usize
    }

    /// Images as the model takes them.
    fn shown(&self, images: &[f32]) -> (String, Array) {
        let rows = (images.len() / self.each()) as i64;
        let shape = std::iter::once(rows).chain(self.shape.iter().copied()).collect();
        (self.input.clone(), (shape, Values::F32(images.to_vec())))
    }

    /// The outputs for images, one after the other.
    ///
    /// # Errors
    /// If the graph fails or gives values that are no numbers.
    pub fn outputs(&mut self, images: &[f32]) -> Result<Vec<f64>, Failure> {
        let each = self.each();
        let mut all = Vec::new();
        for part in images.chunks(BATCH * each) {
            let made = self.forward.run(vec![self.shown(part)])?;
            let outputs = taken(made, &self.tensor)?;
            if outputs.len() % (part.len() / each).max(1) != 0 {
                let text = format!("the tensor `{}` does not have one entry an image", self.tensor);
                return Err(Failure::new(text));
            }
            all.extend(outputs);
        }
        Ok(all)
    }

    /// The gradients at the images of their outputs weighted by `seeds`.
    ///
    /// # Errors
    /// As [`Seer::outputs`], or if the model was made ready without slopes.
    pub fn gradients(&mut self, images: &[f32], seeds: &[f32]) -> Result<Vec<f64>, Failure> {
        let each = self.each();
        let mut all = Vec::new();
        for (part, seeds) in images.chunks(BATCH * each).zip(seeds.chunks(BATCH * self.width.max(1))) {
            let mut inputs = vec![self.shown(part)];
            let backward =
                self.backward.as_mut().ok_or_else(|| Failure::new("no gradient goes through this model"))?;
            let rows = (part.len() / each) as i64;
            for (name, _, dims) in backward.inputs().into_iter().filter(|(name, ..)| name == "seed") {
                let shape = std::iter::once(rows).chain(dims.into_iter().skip(1)).collect();
                inputs.push((name, (shape, Values::F32(seeds.to_vec()))));
            }
            all.extend(taken(backward.run(inputs)?, &format!("gradient.{}", self.input))?);
        }
        Ok(all)
    }
}

/// A tensor of what a graph made, all of it finite.
fn taken(mut made: BTreeMap<String, Array>, name: &str) -> Result<Vec<f64>, Failure> {
    let Some((_, Values::F32(values))) = made.remove(name) else {
        return Err(Failure::new(format!("the graph gave no float32 `{name}`")));
    };
    match values.iter().find(|v| !v.is_finite()) {
        Some(bad) => Err(Failure::new(format!("the tensor `{name}` holds {bad}"))
            .hint("look for such values in the pool and in the model's weights")),
        None => Ok(values.into_iter().map(f64::from).collect()),
    }
}

/// The model with this tensor as its only output.
fn only(mut model: Model, tensor: &str) -> Result<Model, Failure> {
    let infos = infer(model.graph().map_err(|e| Failure::new(e.to_string()))?);
    let infos = infos.map_err(|e| Failure::new(e.to_string()))?;
    let info = infos.get(tensor).cloned().ok_or_else(|| {
        Failure::new(format!("the model has no tensor `{tensor}`")).hint("name another one with `tensor`")
    })?;
    if let Some(graph) = model.0.graph.as_mut() {
        graph.output = vec![info.value(tensor)];
    }
    Ok(model)
}
