//! Rows of a table with their targets, in the runtime's hands.

use onnx_graph::model::Model;

use crate::kinds::model::train::{Loss, row_shape, some_targets, targets};
use crate::model::{Held, Values};
use crate::stage::{Bound, Failure};
use crate::table::read;

/// Some rows.
pub struct Batch {
    pub data: Held,
    pub target: Held,
    /// Their share of all rows.
    pub share: f64,
}

/// Inputs and targets of all rows.
pub struct Samples {
    shape: Vec<i64>,
    inputs: Vec<f32>,
    target_shape: Vec<i64>,
    targets: Values,
}

impl Samples {
    /// Reads the columns `(input, target)`.
    ///
    /// # Errors
    /// If the rows do not fit the model's input or classes, or there are none.
    pub fn read(
        bound: &Bound,
        (input, target): (&str, &str),
        loss: Loss,
        model: &Model,
    ) -> Result<Self, Failure> {
        let frame = read(bound, Some(&[input, target]))?;
        let tensor = frame.tensor_f32(input)?;
        if tensor.rows() == 0 {
            return Err(Failure::new("the data has no rows"));
        }
        if !loss.has_targets() {
            return Err(Failure::new("triplets have no targets to measure"));
        }
        let (target_shape, targets) = targets(&frame, target, loss, model)?;
        Ok(Samples { shape: row_shape(model, &tensor)?, inputs: tensor.values, target_shape, targets })
    }

    /// N.
    pub fn rows(&self) -> usize {
        self.inputs.len() / width(&self.shape)
    }

    /// All rows in batches of `size`; the last may be smaller.
    ///
    /// # Errors
    /// If the runtime does not take them.
    pub fn batches(&self, size: usize) -> Result<Vec<Batch>, Failure> {
        let (rows, each) = (self.rows(), width(&self.shape));
        let size = size.max(1);
        let mut batches = Vec::with_capacity(rows.div_ceil(size));
        for (index, chunk) in self.inputs.chunks(size * each).enumerate() {
            let (from, count) = (index * size, chunk.len() / each);
            let shaped = |row: &[i64]| std::iter::once(count as i64).chain(row.iter().copied()).collect();
            let targets = some_targets(&self.targets, &self.target_shape, from, count);
            batches.push(Batch {
                data: Held::new((shaped(&self.shape), Values::F32(chunk.to_vec())))?,
                target: Held::new((shaped(&self.target_shape), targets))?,
                share: count as f64 / rows as f64,
            });
        }
        Ok(batches)
    }
}

fn width(row: &[i64]) -> usize {
    row.iter().product::<i64>().max(1) as usize
}
