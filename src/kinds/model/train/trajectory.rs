//! The path of a training run: when and what to record, and the table of it.

use onnx_graph::random::Random;
use onnx_graph::train::{Quantity as GraphQuantity, Record as GraphRecord, Training};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Array, Progress, Recording, Values};
use crate::stage::{Complaint, Failure};
use crate::table::{Frame, Tensor};

/// A length or product along the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// |θ − θ₀|², the squared displacement from the first weights.
    Displacement,
    /// |θ − θ before the step|².
    Step,
    /// |u|² of the velocity u, which points where the weights go.
    Velocity,
    /// |g|² of the gradient before the step, weight decay included.
    Gradient,
    /// u · (θ − θ₀).
    VelocityDisplacement,
    /// |θ − reference|², with the model at the port `reference`.
    Distance,
}

impl Quantity {
    fn graph(self) -> GraphQuantity {
        match self {
            Quantity::Displacement => GraphQuantity::Displacement,
            Quantity::Step => GraphQuantity::Step,
            Quantity::Velocity => GraphQuantity::Velocity,
            Quantity::Gradient => GraphQuantity::Gradient,
            Quantity::VelocityDisplacement => GraphQuantity::VelocityDisplacement,
            Quantity::Distance => GraphQuantity::Distance,
        }
    }
}

/// A seeded random projection of the displacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sketch {
    /// Number of buckets, and of values a row.
    pub buckets: usize,
    /// Seed of the bucket and the sign of each weight.
    #[serde(default)]
    pub seed: u64,
}

/// When and what to record: `{ every: 1 }` or `{ log: 20 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Record each so many steps; or say `log`.
    #[serde(default)]
    pub every: Option<usize>,
    /// Record so many steps per decade, evenly on a logarithmic axis; or say `every`.
    #[serde(default)]
    pub log: Option<usize>,
    /// Which lengths and products.
    #[serde(default = "usual")]
    pub quantities: Vec<Quantity>,
    /// Record a CountSketch of θ − θ₀: its products estimate those of the displacements.
    #[serde(default)]
    pub sketch: Option<Sketch>,
    /// Record all trained weights.
    #[serde(default)]
    pub weights: bool,
}

fn usual() -> Vec<Quantity> {
    vec![
        Quantity::Displacement,
        Quantity::Step,
        Quantity::Velocity,
        Quantity::Gradient,
        Quantity::VelocityDisplacement,
    ]
}

impl Record {
    /// Checks what can be known without the inputs.
    pub fn check(&self) -> Result<(), Complaint> {
        let wrong = |param: &str, message: &str| Err(Complaint::param(param, message));
        if self.every.is_some() == self.log.is_some() {
            return wrong("record", "say either `every` or `log`");
        }
        if self.every == Some(0) || self.log == Some(0) {
            return wrong("record", "it is at least 1");
        }
        if self.sketch.is_some_and(|s| s.buckets < 2 || s.buckets > 1 << 20) {
            return wrong("record.sketch.buckets", "a sketch has 2 to 1048576 buckets");
        }
        Ok(())
    }

    /// Is every step recorded?
    fn all(&self) -> bool {
        self.every == Some(1)
    }

    /// The recorded steps, counted from 1; empty if all are.
    pub fn times(&self, steps: usize) -> Vec<usize> {
        if self.all() {
            return Vec::new();
        }
        let every = |n: usize| (1..=steps / n.max(1)).map(|i| i * n).collect();
        self.every.map_or_else(|| logarithmic(self.log.unwrap_or(1), steps), every)
    }

    /// What the graph records, given that so many directions are bound.
    pub fn graph(&self, directions: usize) -> GraphRecord {
        GraphRecord {
            quantities: self.quantities.iter().map(|q| q.graph()).collect(),
            directions,
            sketch: self.sketch.map_or(0, |s| s.buckets),
            weights: self.weights,
            spaced: !self.all(),
        }
    }

    /// What the recording graph is fed. `directions` and `reference` are flat, [m, P] and [P].
    pub fn recording(
        &self,
        training: &Training,
        steps: usize,
        directions: Vec<f32>,
        reference: Option<Vec<f32>>,
    ) -> Recording {
        let elements = training.elements();
        let start: Vec<f32> =
            training.states.iter().take(training.trained).flat_map(|s| s.values.iter().copied()).collect();
        let vector = |values: Vec<f32>| -> Array { (vec![elements as i64], Values::F32(values)) };
        let mut inputs = vec![("start".to_owned(), vector(start))];
        inputs.extend(reference.map(|r| ("reference".to_owned(), vector(r))));
        if !directions.is_empty() {
            let shape = vec![(directions.len() / elements.max(1)) as i64, elements as i64];
            inputs.push(("directions".to_owned(), (shape, Values::F32(directions))));
        }
        if let Some(sketch) = self.sketch {
            let mut random = Random::new(sketch.seed);
            let (mut bucket, mut sign) = (Vec::with_capacity(elements), Vec::with_capacity(elements));
            for _ in 0..elements {
                bucket.push(random.below(sketch.buckets) as i64);
                sign.push(if random.bits() & 1 == 0 { 1.0 } else { -1.0 });
            }
            inputs.push(("bucket".to_owned(), (vec![elements as i64], Values::I64(bucket))));
            inputs.push(("sign".to_owned(), vector(sign)));
        }
        Recording { times: self.times(steps), inputs }
    }
}

/// 1 and the steps nearest to 10^(i / `decade`), up to `steps`.
fn logarithmic(decade: usize, steps: usize) -> Vec<usize> {
    let at = |i: usize| 10f64.powf(i as f64 / decade as f64).round() as usize;
    let mut times: Vec<usize> = (0..).map(at).take_while(|t| *t <= steps).collect();
    times.dedup();
    times
}

/// Collects recorded steps.
pub struct Trajectory {
    times: Vec<usize>,
    all: bool,
    steps: Vec<i64>,
    rates: Vec<f64>,
    losses: Vec<f64>,
    values: Vec<Vec<f32>>,
    columns: Vec<(String, Option<usize>)>,
}

impl Trajectory {
    /// An empty path of what `training` records.
    pub fn new(record: &Record, steps: usize, training: &Training) -> Self {
        Trajectory {
            times: record.times(steps),
            all: record.all(),
            steps: Vec::new(),
            rates: Vec::new(),
            losses: Vec::new(),
            values: vec![Vec::new(); training.recorded.len()],
            columns: training.recorded.iter().map(|r| (r.name.clone(), r.width)).collect(),
        }
    }

    /// Takes what a call recorded; `rate` is the learning rate of a step counted from 0.
    pub fn extend(&mut self, progress: &Progress, rate: impl Fn(usize) -> f32) {
        let first = progress.step - progress.losses.len();
        for (row, step) in progress.recorded.iter().enumerate() {
            // The last step of a call is always there, wanted or not.
            if !self.all && self.times.binary_search(step).is_err() {
                continue;
            }
            self.steps.push(*step as i64);
            self.rates.push(f64::from(rate(step - 1)));
            self.losses.extend(progress.losses.get(step - 1 - first).map(|l| f64::from(*l)));
            for ((all, new), (_, width)) in self.values.iter_mut().zip(progress.values).zip(&self.columns) {
                let width = width.unwrap_or(1);
                all.extend_from_slice(new.get(row * width..(row + 1) * width).unwrap_or_default());
            }
        }
    }

    /// The recorded steps so far, and for each recorded value those of all these steps.
    pub fn so_far(&self) -> (Vec<usize>, Vec<Vec<f32>>) {
        (self.steps.iter().map(|s| *s as usize).collect(), self.values.clone())
    }

    /// The table.
    ///
    /// # Errors
    /// If its columns are not equally long.
    pub fn frame(self) -> Result<Frame, Failure> {
        let mut frame = Frame::new();
        frame.push_i64s("step", self.steps)?;
        frame.push_f64s("learning_rate", self.rates)?;
        frame.push_f64s("loss", self.losses)?;
        for ((name, width), values) in self.columns.into_iter().zip(self.values) {
            match width {
                None => frame.push_f64s(&name, values.into_iter().map(f64::from).collect())?,
                Some(width) => frame.push_tensor_f32(&name, Tensor { row_shape: vec![width], values })?,
            }
        }
        Ok(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithmic_times_rise_and_hold_the_powers_of_ten() {
        let times = logarithmic(5, 2000);
        assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
        for power in [1, 10, 100, 1000] {
            assert!(times.contains(&power), "{times:?}");
        }
        assert_eq!(times.last(), Some(&1585));
    }
}
