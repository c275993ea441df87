//! A model as one who looks at images: its outputs, and how they change with the image.

use onnx_graph::model::Model;
use onnx_graph::passes::before_softmax;
use onnx_graph::sensitivity::{Seed, sensitivity};
use onnx_graph::shape::infer;

use crate::kinds::lrp::with_row_shape;
use crate::kinds::model::facts;
use crate::kinds::model::train::row_shape;
use crate::model::{Runtime, Session, Values};
use crate::stage::{Bound, Failure, Io};
use crate::table::Tensor;

/// Images in one call into the runtime.
const BATCH: usize = 128;

/// A model made ready.
pub struct Seer {
    session: Session,
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
    /// If there is no such tensor, its size is not known, or the graph cannot be differentiated or run.
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
        let graph = if slopes {
            sensitivity(&model, &tensor, &Seed::Fed, &[&input]).map_err(wrong)?
        } else {
            only(model, &tensor)?
        };
        let library = io.library.clone().ok_or_else(|| Failure::new("ONNX Runtime is not here"))?;
        let session = Session::new(Runtime::load(&library)?, &graph.to_bytes(), &io.providers, io.threads)?;
        let mut seer = Seer { session, input, shape, tensor, width: 0 };
        // One image tells how many outputs there are.
        seer.width = if slopes { seer.fed_width(&graph)? } else { seer.outputs(first(pool))?.len() };
        Ok(seer)
    }

    /// The execution provider that is used.
    pub fn provider(&self) -> &'static str {
        self.session.provider()
    }

    /// Values of the seed for an image: those of the tensor.
    fn fed_width(&self, graph: &Model) -> Result<usize, Failure> {
        let sizes =
            graph.outputs().into_iter().find(|(name, _)| *name == self.tensor).and_then(|(_, info)| {
                let size = |d: &onnx_graph::shape::Dim| {
                    if let onnx_graph::shape::Dim::Size(s) = d { usize::try_from(*s).ok() } else { None }
                };
                info.dims?.iter().skip(1).map(size).collect::<Option<Vec<usize>>>()
            });
        sizes.map(|s| s.iter().product()).ok_or_else(|| {
            Failure::new(format!("the shape of the tensor `{}` is not known", self.tensor))
                .hint("name another one with `tensor`")
        })
    }

    /// The outputs for images, one after the other.
    ///
    /// # Errors
    /// If the graph fails or gives values that are no numbers.
    pub fn outputs(&mut self, images: &[f32]) -> Result<Vec<f64>, Failure> {
        let each = self.shape.iter().product::<i64>().max(1) as usize;
        let mut all = Vec::new();
        for part in images.chunks(BATCH * each) {
            all.extend(self.call(part, None)?.0);
        }
        Ok(all)
    }

    /// The gradients at the images of their outputs weighted by `seeds`.
    ///
    /// # Errors
    /// As [`Seer::outputs`].
    pub fn gradients(&mut self, images: &[f32], seeds: &[f32]) -> Result<Vec<f64>, Failure> {
        let each = self.shape.iter().product::<i64>().max(1) as usize;
        let mut all = Vec::new();
        for (part, seeds) in images.chunks(BATCH * each).zip(seeds.chunks(BATCH * self.width.max(1))) {
            all.extend(self.call(part, Some(seeds))?.1);
        }
        Ok(all)
    }

    fn call(&mut self, images: &[f32], seeds: Option<&[f32]>) -> Result<(Vec<f64>, Vec<f64>), Failure> {
        let each = self.shape.iter().product::<i64>().max(1) as usize;
        let rows = (images.len() / each) as i64;
        let shape = std::iter::once(rows).chain(self.shape.iter().copied()).collect();
        let mut inputs = vec![(self.input.clone(), (shape, Values::F32(images.to_vec())))];
        for (name, _, dims) in self.session.inputs().into_iter().filter(|(name, ..)| name == "seed") {
            let shape = std::iter::once(rows).chain(dims.into_iter().skip(1)).collect();
            let none = || vec![0.0; rows as usize * self.width];
            inputs.push((name, (shape, Values::F32(seeds.map_or_else(none, <[f32]>::to_vec)))));
        }
        let mut made = self.session.run(inputs)?;
        let mut take = |name: &str| match made.remove(name) {
            Some((_, Values::F32(values))) => finite(name, values),
            _ => Err(Failure::new(format!("the graph gave no float32 `{name}`"))),
        };
        let outputs = take(&self.tensor)?;
        if outputs.len() % (rows.max(1) as usize) != 0 {
            return Err(Failure::new(format!(
                "the tensor `{}` does not have one entry an image",
                self.tensor
            )));
        }
        let gradient = if seeds.is_some() { take(&format!("gradient.{}", self.input))? } else { Vec::new() };
        Ok((outputs, gradient))
    }
}

fn first(pool: &Tensor<f32>) -> &[f32] {
    pool.values.get(..pool.row_size()).unwrap_or_default()
}

fn finite(name: &str, values: Vec<f32>) -> Result<Vec<f64>, Failure> {
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
