//! The rows of a table as the training graph takes them, and what a model makes of them.

use onnx_graph::model::Model;
use onnx_graph::train::{Training, with_inputs};

use super::super::{argmax, facts};
use super::history::Score;
use super::params::{Loss, Params};
use crate::model::{Array, Held, Runtime, Session, Values, threads};
use crate::stage::{Dim, Failure, Io};
use crate::table::{Frame, Tensor, read};

/// Rows that are measured at once.
const BATCH: usize = 256;

/// Data and targets.
pub struct Rows {
    /// Shape of one row.
    pub input_shape: Vec<i64>,
    /// All rows.
    pub input: Tensor<f32>,
    /// Shape of one row's target; empty for labels.
    pub target_shape: Vec<i64>,
    /// All targets.
    pub target: Values,
}

impl Rows {
    /// Reads the table at `port`, if one is bound.
    pub fn read(params: &Params, io: &Io, port: &str, model: &Model) -> Result<Option<Self>, Failure> {
        let Some(bound) = io.optional(port) else { return Ok(None) };
        let schema = bound.facts.table().cloned().unwrap_or_default();
        let (input, target) = params.columns(&schema).map_err(|c| Failure::new(c.message))?;
        let columns: Vec<&str> = std::iter::once(&input).chain(&target).map(String::as_str).collect();
        let frame = read(bound, Some(&columns))?;
        let tensor = frame.tensor_f32(&input)?;
        let group = params.graph_loss().group();
        if !tensor.rows().is_multiple_of(group) {
            let rows = tensor.rows();
            return Err(Failure::new(format!("triplets are rows in threes, and there are {rows}")));
        }
        let (target_shape, target) = match target {
            None => (Vec::new(), Values::I64(vec![0; tensor.rows()])),
            Some(target) => targets(&frame, &target, params.loss, model)?,
        };
        Ok(Some(Rows { input_shape: row_shape(model, &tensor)?, input: tensor, target_shape, target }))
    }

    /// Their number.
    pub fn count(&self) -> usize {
        self.input.rows()
    }
}

/// The shape of one row as the model's input states it; the values are the same in any shape.
pub fn row_shape(model: &Model, tensor: &Tensor<f32>) -> Result<Vec<i64>, Failure> {
    let signature = facts::of(model);
    let own: Vec<i64> = tensor.row_shape.iter().map(|d| *d as i64).collect();
    if own.contains(&0) {
        return Err(Failure::new(format!("rows of shape {own:?} hold no values"))
            .hint("look at the column that feeds the model: lists of numbers must not be empty"));
    }
    let Some(input) = signature.inputs.first() else { return Ok(own) };
    let size = |d: &Dim| if let Dim::Size(s) = d { Some(*s as i64) } else { None };
    let Some(wanted) = input.shape.iter().skip(1).map(size).collect::<Option<Vec<i64>>>() else {
        return Ok(own);
    };
    let count = |shape: &[i64]| shape.iter().product::<i64>();
    if count(&wanted) == count(&own) {
        return Ok(wanted);
    }
    Err(Failure::new(format!(
        "rows of shape {own:?} do not fit the model's input `{}` of shape {wanted:?}",
        input.name
    )))
}

/// A column of class indices, checked against the classes of the model.
pub fn labels(frame: &Frame, column: &str, model: &Model) -> Result<Vec<i64>, Failure> {
    let labels = frame.i64s(column)?;
    let signature = facts::of(model);
    if let Some(Dim::Size(classes)) = signature.outputs.first().and_then(|o| o.shape.last())
        && let Some(row) = labels.iter().position(|l| *l < 0 || *l >= *classes as i64)
    {
        return Err(Failure::new(format!(
            "the column `{column}` holds the class {} in row {row}, and the model has the classes 0 to {}",
            labels[row],
            classes - 1
        ))
        .hint("raise `classes` of `model.build`, or number the classes from 0"));
    }
    Ok(labels)
}

/// The shape of one row's target, empty for labels, and all targets.
///
/// # Errors
/// If the column does not hold what the loss compares with.
pub fn targets(
    frame: &Frame,
    column: &str,
    loss: Loss,
    model: &Model,
) -> Result<(Vec<i64>, Values), Failure> {
    if loss == Loss::CrossEntropy {
        return Ok((Vec::new(), Values::I64(labels(frame, column, model)?)));
    }
    let tensor = frame.tensor_f32(column)?;
    let shape: Vec<i64> = tensor.row_shape.iter().map(|d| *d as i64).collect();
    Ok((if shape.is_empty() { vec![1] } else { shape }, Values::F32(tensor.values)))
}

/// The targets of `count` rows behind the first `from`.
pub fn some_targets(all: &Values, shape: &[i64], from: usize, count: usize) -> Values {
    let width = shape.iter().product::<i64>().max(1) as usize;
    match all {
        Values::I64(labels) => Values::I64(labels[from..from + count].to_vec()),
        Values::F32(values) => Values::F32(values[from * width..(from + count) * width].to_vec()),
    }
}

/// Measures held-out rows; the states come as inputs, so that one session serves the whole run.
pub struct Measure {
    session: Session,
    input: String,
    output: String,
    states: Vec<String>,
    chunks: Vec<(Held, Values)>,
}

impl Measure {
    /// Makes it ready.
    pub fn new(
        runtime: &'static Runtime,
        providers: &[String],
        asked: usize,
        (model, training): (&Model, &Training),
        rows: &Rows,
    ) -> Result<Self, Failure> {
        let wrong = |e: onnx_graph::error::Error| Failure::new(e.to_string());
        let model = with_inputs(model, &training.states).map_err(wrong)?;
        let threads = threads(training.work, BATCH, asked);
        let session = Session::ready(runtime, model.clone(), providers, threads)?;
        let first =
            |list: Vec<(String, onnx_graph::shape::Info)>| list.into_iter().next().map(|(name, _)| name);
        let (Some(input), Some(output)) = (first(model.inputs()), first(model.outputs())) else {
            return Err(Failure::new("the model has no input or no output"));
        };
        let width = rows.input_shape.iter().product::<i64>().max(1) as usize;
        let mut chunks = Vec::new();
        for (index, chunk) in rows.input.values.chunks(BATCH * width).enumerate() {
            let count = chunk.len() / width;
            let shape = std::iter::once(count as i64).chain(rows.input_shape.iter().copied()).collect();
            let held = Held::new((shape, Values::F32(chunk.to_vec())))?;
            let target = some_targets(&rows.target, &rows.target_shape, index * BATCH, count);
            chunks.push((held, target));
        }
        let states = training.states.iter().map(|s| s.value.0.clone()).collect();
        Ok(Measure { session, input, output, states, chunks })
    }

    /// Mean loss and accuracy with these states.
    pub fn score(&mut self, states: &[(String, Held)]) -> Result<Score, Failure> {
        let (mut loss, mut right, mut rows) = (0.0, 0.0, 0.0);
        for (held, target) in &self.chunks {
            let mut inputs: Vec<(&str, &Held)> = vec![(&self.input, held)];
            let own = states.iter().filter(|(name, _)| self.states.contains(name));
            inputs.extend(own.map(|(name, held)| (name.as_str(), held)));
            let outputs = self.session.run_held(&inputs, &[&self.output])?;
            let Some((shape, Values::F32(values))) =
                outputs.first().map(|held| held.array(&self.output)).transpose()?
            else {
                return Err(Failure::new(format!("the output `{}` is not float32", self.output)));
            };
            let count = shape.first().copied().unwrap_or(0) as f64;
            let (l, r) = score(&(shape, Values::F32(values)), target);
            loss += l * count;
            right += r * count;
            rows += count;
        }
        Ok((loss / rows, right / rows))
    }
}

/// Mean loss and accuracy of outputs.
fn score((shape, values): &Array, target: &Values) -> Score {
    let width = shape.iter().skip(1).product::<i64>().max(1) as usize;
    match (values, target) {
        (Values::F32(values), Values::I64(labels)) => classify(values, width, labels),
        (Values::F32(values), Values::F32(target)) => {
            let total: f64 = values.iter().zip(target).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            (total / values.len().max(1) as f64, f64::NAN)
        }
        (Values::I64(_), _) => (f64::NAN, f64::NAN),
    }
}

/// Mean cross-entropy and accuracy of logits, `width` a row.
fn classify(logits: &[f32], width: usize, labels: &[i64]) -> Score {
    let (mut loss, mut right) = (0.0, 0usize);
    for (row, label) in logits.chunks_exact(width).zip(labels) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f64 = row.iter().map(|l| f64::from(l - largest).exp()).sum();
        let own = row.get(*label as usize).copied().unwrap_or(f32::NEG_INFINITY);
        loss += total.ln() - f64::from(own - largest);
        right += usize::from(argmax(row) as i64 == *label);
    }
    let rows = labels.len().max(1) as f64;
    (loss / rows, right as f64 / rows)
}

#[cfg(test)]
mod tests {
    use onnx_graph::build::Builder;
    use onnx_graph::proto::GraphProto;
    use onnx_graph::shape::{Dim, Info};
    use onnx_graph::tensor::DataType;

    use super::*;

    /// Lists of numbers may be empty, and a model that does not say how wide its input is takes any.
    #[test]
    fn rows_without_values_are_refused() {
        let mut b = Builder::new("");
        b.named_node("Relu", &["x"], &["y"], []);
        let dims = ["N", "width"].map(|name| Dim::Name(name.to_owned())).to_vec();
        let info = |name: &str| Info::new(DataType::Float, dims.clone()).value(name);
        let (input, output) = (vec![info("x")], vec![info("y")]);
        let model = Model::new(GraphProto { node: b.nodes, input, output, ..GraphProto::default() });
        let shape = |row: usize| row_shape(&model, &Tensor { row_shape: vec![row], values: vec![0.0; row] });
        assert_eq!(shape(3).map_err(|f| f.message), Ok(vec![3]));
        let error = shape(0).map_err(|f| f.message).unwrap_err();
        assert!(error.contains("rows of shape [0] hold no values"), "{error}");
    }
}
