//! Runs a relevance graph over the rows of a table, batch by batch.

use onnx_graph::relevance::{Attribution, CONSERVATION, RELEVANCE, START};
use onnx_graph::shape::Dim;

use super::graph::explained_width;
use super::params::{Params, StartAt};
use super::samples::Samples;
use super::target::Target;
use crate::model::{Coming, Values};
use crate::stage::{Failure, Io};
use crate::table::Tensor;

/// Input values of one call into the runtime, about: maps of large images need much memory.
const VALUES_A_CALL: usize = 1 << 20;
/// Rows of one call at most.
const ROWS_A_CALL: usize = 128;

/// Runs the graph over rows.
pub struct Explainer<'a, 's> {
    params: &'a Params,
    made: &'a Attribution,
    session: Coming<'s>,
    shape: &'a [i64],
    width: usize,
}

/// What came of it, row after row.
pub struct Explained {
    pub targets: Vec<i64>,
    pub logits: Vec<f64>,
    pub maps: Tensor<f32>,
    /// With `completeness`, of each row what a complete map sums to: the relevance at the start, or the
    /// explained value for gradients times the input.
    pub whole: Vec<f64>,
    /// The conservation table of each row, layer by layer; of several copies their mean.
    pub counts: Vec<f32>,
}

impl<'a, 's> Explainer<'a, 's> {
    /// Explains rows of this shape by the graph, for which there is or will be a session.
    ///
    /// # Errors
    /// If the shape of the explained tensor is not known.
    pub fn new(
        params: &'a Params,
        made: &'a Attribution,
        session: Coming<'s>,
        shape: &'a [i64],
    ) -> Result<Self, Failure> {
        Ok(Explainer { params, made, session, shape, width: explained_width(made)? })
    }

    /// The execution provider that the graph runs on.
    ///
    /// # Errors
    /// If there is no session.
    pub fn provider(&mut self) -> Result<&'static str, Failure> {
        Ok(self.session.get()?.provider())
    }

    /// Explains rows, the first of which has the number `number` in the table; `given` holds the start relevance
    /// where the rows give it, `width` values each.
    ///
    /// # Errors
    /// If the graph fails, or a map holds values that are no numbers.
    pub fn all(
        &mut self,
        tensor: &Tensor<f32>,
        given: Option<&[f32]>,
        number: usize,
        io: &Io,
    ) -> Result<Explained, Failure> {
        let (each, rows) = (tensor.row_size(), tensor.rows());
        let samples = Samples::of(&self.params.composite, self.params.samples, self.params.noise);
        let averaged = !matches!(samples, Samples::One);
        let batch = (VALUES_A_CALL / each.max(1)).clamp(1, ROWS_A_CALL);
        let mut result = Explained {
            targets: Vec::with_capacity(rows),
            logits: Vec::with_capacity(rows),
            maps: Tensor {
                row_shape: tensor.row_shape.clone(),
                values: Vec::with_capacity(tensor.values.len()),
            },
            whole: Vec::new(),
            counts: Vec::new(),
        };
        for (index, chunk) in tensor.values.chunks(batch * each).enumerate() {
            let (first, count) = (index * batch, chunk.len() / each.max(1));
            let mut start = given.map(|g| g[first * self.width..][..count * self.width].to_vec());
            let mut plain = None;
            if averaged {
                // What the model answers to the rows themselves; where relevance starts does not matter to it.
                let follows = self.params.target.follows_answer();
                let any = follows.then(|| vec![0.0; count * self.width]);
                let logits = self.call(chunk, start.clone().or(any))?.logits;
                if follows {
                    start.get_or_insert_with(|| self.params.target.decided(&logits, self.width));
                }
                plain = Some(logits);
            }
            let mut total: Option<Call> = None;
            for copy in 0..samples.count() {
                let changed = samples.copy(chunk, each, number + first, copy, self.params.seed);
                let call = self.call(&changed, start.clone())?;
                match &mut total {
                    None => total = Some(call),
                    Some(total) => {
                        total.map.iter_mut().zip(&call.map).for_each(|(t, v)| *t += v);
                        total.counts.iter_mut().zip(&call.counts).for_each(|(t, v)| *t += v);
                    }
                }
                io.check_cancelled()?;
            }
            let Some(mut total) = total else { continue };
            if let Some(logits) = plain {
                let share = 1.0 / samples.count() as f32;
                total.map.iter_mut().chain(&mut total.counts).for_each(|t| *t *= share);
                // The path leads to the input, so its map has the input's shape: `Params::check` sees to it.
                if matches!(samples, Samples::Path { .. }) {
                    total.map.iter_mut().zip(chunk).for_each(|(t, x)| *t *= x);
                }
                total.logits = logits;
            }
            self.take(&mut result, total, start.as_deref(), count);
        }
        Ok(result)
    }

    fn take(&self, result: &mut Explained, call: Call, start: Option<&[f32]>, count: usize) {
        for row in 0..count {
            let logits = &call.logits[row * self.width..][..self.width];
            let own = start.map(|s| &s[row * self.width..][..self.width]);
            let class = self.params.target.class(logits, own);
            // A vector of start relevance weighs the tensor's values; a channel has a value at each place.
            let logit = match (own, &self.params.target) {
                (Some(start), _) => {
                    start.iter().zip(logits).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
                }
                (None, Target::Channel { channel }) => self.channel(logits, *channel),
                (None, _) => f64::from(logits[class]),
            };
            result.targets.push(class as i64);
            result.logits.push(logit);
            if self.params.completeness {
                result.whole.push(self.whole(logits, own, class));
            }
        }
        if self.params.at.is_some() {
            result.maps.row_shape = call.map_shape;
        }
        result.maps.values.extend(call.map);
        result.counts.extend(call.counts);
    }

    /// What a complete map of a row sums to.
    fn whole(&self, logits: &[f32], start: Option<&[f32]>, class: usize) -> f64 {
        let params = self.params;
        let multiplied = ["gradient_x_input", "integrated_gradients"].iter().any(|m| params.composite.is(m));
        let by_value = multiplied || params.start == StartAt::Logit;
        if let (None, Target::Channel { channel }) = (start, &params.target) {
            let values = if by_value { logits.to_vec() } else { vec![1.0; logits.len()] };
            return self.channel(&values, *channel);
        }
        let weights = start.map_or_else(|| params.target.held(&[class as i64], self.width), <[f32]>::to_vec);
        let value = |(weight, logit): (&f32, &f32)| {
            f64::from(*weight) * if by_value { f64::from(*logit) } else { 1.0 }
        };
        weights.iter().zip(logits).map(value).sum()
    }

    /// The sum of a channel of the explained tensor over its places.
    fn channel(&self, values: &[f32], channel: usize) -> f64 {
        let channels = match self.made.explained_info.dims.as_deref() {
            Some([_, Dim::Size(channels), ..]) => *channels as usize,
            _ => 1,
        };
        let places = values.len() / channels.max(1);
        values.iter().skip(channel * places).take(places).map(|v| f64::from(*v)).sum()
    }

    /// One call into the runtime.
    fn call(&mut self, rows: &[f32], start: Option<Vec<f32>>) -> Result<Call, Failure> {
        let count = rows.len() / self.shape.iter().product::<i64>().max(1) as usize;
        let shaped =
            |row: &[i64]| std::iter::once(count as i64).chain(row.iter().copied()).collect::<Vec<i64>>();
        let (input, ..) = self.session.get()?.inputs().into_iter().next().unwrap_or_default();
        let mut inputs = vec![(input, (shaped(self.shape), Values::F32(rows.to_vec())))];
        if let Some(start) = start {
            let dims = self.made.explained_info.dims.as_deref().unwrap_or_default();
            let own: Vec<i64> =
                dims.iter().skip(1).map(|d| if let Dim::Size(s) = d { *s } else { 1 }).collect();
            inputs.push((START.to_owned(), (shaped(&own), Values::F32(start))));
        }
        let mut outputs = self.session.get()?.run(inputs)?;
        let mut floats = |name: &str| match outputs.remove(name) {
            Some((shape, Values::F32(values))) => Ok((shape, values)),
            _ => Err(Failure::new(format!("the graph gave no float32 `{name}`"))),
        };
        let (_, logits) = floats(&self.made.explained)?;
        let (shape, map) = floats(RELEVANCE)?;
        let counts = if self.params.conservation { floats(CONSERVATION)?.1 } else { Vec::new() };
        let map_shape = shape.iter().skip(1).map(|d| usize::try_from(*d).unwrap_or(0)).collect();
        if logits.len() != count * self.width {
            return Err(Failure::new(format!(
                "the explained tensor `{}` does not have one entry a row",
                self.made.explained
            )));
        }
        if let Some(place) = map.iter().position(|v| !v.is_finite()) {
            let row = place / (map.len() / count.max(1)).max(1);
            return Err(Failure::new(format!(
                "the map of row {row} of this batch holds values that are no numbers"
            ))
            .hint("look for such values in the rows and in the model's weights, or raise `epsilon`"));
        }
        Ok(Call { logits, map, map_shape, counts })
    }
}

struct Call {
    logits: Vec<f32>,
    map: Vec<f32>,
    map_shape: Vec<usize>,
    counts: Vec<f32>,
}
