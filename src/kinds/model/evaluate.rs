//! `model.evaluate`: how good predictions are.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::{Axes, Column, Complaint, Facts, Failure, InferContext, InputFacts, Io, Kind, Outputs, Port, PortType, Ports, Reads, TableFacts};
use crate::table::{Frame, read, write};

/// How good predictions are.
pub struct Evaluate;

/// Parameters of `model.evaluate`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Column with the true class (whole numbers) or, without `prediction`, the true value.
    pub target: String,
    /// Column with the predicted class.
    #[serde(default = "prediction")]
    pub prediction: String,
    /// Tensor column with one score a class, for the loss; left out if the table has none.
    #[serde(default = "logits")]
    pub logits: String,
}

fn prediction() -> String {
    "prediction".to_owned()
}

fn logits() -> String {
    "logits".to_owned()
}

impl Params {
    fn columns(&self) -> [&str; 3] {
        [&self.target, &self.prediction, &self.logits]
    }

    fn check(&self, table: &TableFacts) -> Result<(), Complaint> {
        for (param, name) in [("target", &self.target), ("prediction", &self.prediction)] {
            let Some(column) = table.column(name) else {
                let names = || table.names();
                let hint = crate::spec::suggest::did_you_mean(name, names()).unwrap_or_else(|| crate::spec::suggest::known(names()));
                return Err(Complaint::param(param, format!("the table has no column `{name}`")).hint(hint));
            };
            if !column.dtype.contains("int") && column.dtype != "bool" {
                return Err(Complaint::param(param, format!("the column `{name}` is {}; classes are whole numbers", column.dtype)));
            }
        }
        Ok(())
    }
}

impl Kind for Evaluate {
    type Params = Params;
    const NAME: &'static str = "model.evaluate";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "How good predicted classes are.\n\n\
        `metrics` has one row a measure: accuracy, loss (mean cross-entropy of the logits, where there \
        are any), and for each class precision, recall and F1 (empty where nothing was predicted or \
        present). `confusion` counts target against prediction. The cells of a gathered matrix are \
        measured one by one, their axes arrive as columns.";
    const EXAMPLE: &'static str = "\
scores:
  uses: model.evaluate
  in: { table: \"answers[*]\" }
  with: { target: label }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![Port::new("table", PortType::Table, "targets and predictions, as `model.infer` gives them").many()],
            outputs: vec![
                Port::new("metrics", PortType::Table, "axes, metric, class, value"),
                Port::new("confusion", PortType::Table, "axes, target, prediction, count"),
            ],
            ..Ports::default()
        }
    }

    fn reads(params: &Params, _context: &InferContext) -> BTreeMap<String, Reads> {
        BTreeMap::from([("table".to_owned(), Reads::columns(params.columns()))])
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        let inputs = context.inputs.get("table").map(Vec::as_slice).unwrap_or_default();
        for input in inputs {
            if let Some(table) = input.facts.table() {
                params.check(table)?;
            }
        }
        Ok(Outputs::from([
            ("metrics".to_owned(), facts(inputs, &[("metric", "string"), ("class", "int64"), ("value", "float64")])),
            ("confusion".to_owned(), facts(inputs, &[("target", "int64"), ("prediction", "int64"), ("count", "int64")])),
        ]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let (mut metrics, mut confusion) = (Vec::new(), Vec::new());
        let mut axes: Vec<Axes> = Vec::new();
        for bound in io.many("table") {
            io.check_cancelled()?;
            let frame = read(bound, None)?;
            let cell = Cell::read(params, &frame)?;
            let rows = cell.metrics();
            axes.push(bound.axes.clone());
            confusion.push(cell.counts.iter().map(|((t, p), n)| (*t, *p, *n)).collect::<Vec<_>>());
            metrics.push(rows);
        }
        let sizes: Vec<usize> = metrics.iter().map(Vec::len).collect();
        let mut frame = axis_columns(&axes, &sizes)?;
        let all: Vec<Metric> = metrics.into_iter().flatten().collect();
        frame.push_strings("metric", &all.iter().map(|m| m.name).collect::<Vec<_>>())?;
        frame.push_optional_i64s("class", all.iter().map(|m| m.class).collect())?;
        frame.push_f64s("value", all.iter().map(|m| m.value).collect())?;
        let path = io.create("metrics", "parquet");
        let facts = write(&mut frame, &path)?;
        io.put("metrics", path, facts);

        let sizes: Vec<usize> = confusion.iter().map(Vec::len).collect();
        let mut frame = axis_columns(&axes, &sizes)?;
        let all: Vec<(i64, i64, i64)> = confusion.into_iter().flatten().collect();
        frame.push_i64s("target", all.iter().map(|c| c.0).collect())?;
        frame.push_i64s("prediction", all.iter().map(|c| c.1).collect())?;
        frame.push_i64s("count", all.iter().map(|c| c.2).collect())?;
        let path = io.create("confusion", "parquet");
        let facts = write(&mut frame, &path)?;
        io.put("confusion", path, facts);
        Ok(())
    }
}

fn facts(inputs: &[InputFacts], columns: &[(&str, &str)]) -> Facts {
    let axes = inputs.first().map(|i| i.axes.as_slice()).unwrap_or_default();
    let word = |value: &serde_json::Value| if value.is_i64() { "int64" } else if value.is_number() { "float64" } else { "string" };
    let column = |name: &str, dtype: &str| Column { name: name.to_owned(), dtype: dtype.to_owned(), shape: None, digest: None };
    let axes = axes.iter().map(|(name, value)| column(name, word(value)));
    let columns = axes.chain(columns.iter().map(|(name, dtype)| column(name, dtype))).collect();
    Facts::Table(TableFacts { rows: None, columns })
}

/// The axes as columns, each cell's values `sizes` times.
fn axis_columns(cells: &[Axes], sizes: &[usize]) -> Result<Frame, Failure> {
    let mut frame = Frame::new();
    let names: Vec<&String> = cells.first().map(|c| c.iter().map(|(name, _)| name).collect()).unwrap_or_default();
    for (index, name) in names.into_iter().enumerate() {
        let values: Vec<&serde_json::Value> =
            cells.iter().zip(sizes).flat_map(|(cell, n)| std::iter::repeat_n(&cell[index].1, *n)).collect();
        if values.iter().all(|v| v.is_i64()) {
            frame.push_i64s(name, values.iter().map(|v| v.as_i64().unwrap_or_default()).collect())?;
        } else if values.iter().all(|v| v.is_number()) {
            frame.push_f64s(name, values.iter().map(|v| v.as_f64().unwrap_or_default()).collect())?;
        } else {
            frame.push_strings(name, &values.iter().map(|v| crate::spec::label(v)).collect::<Vec<_>>())?;
        }
    }
    Ok(frame)
}

/// One measure.
struct Metric {
    name: &'static str,
    class: Option<i64>,
    value: f64,
}

/// Targets against predictions of one table.
struct Cell {
    counts: BTreeMap<(i64, i64), i64>,
    loss: Option<f64>,
}

impl Cell {
    fn read(params: &Params, frame: &Frame) -> Result<Self, Failure> {
        let (target, prediction) = (frame.i64s(&params.target)?, frame.i64s(&params.prediction)?);
        if target.is_empty() {
            return Err(Failure::new("the table has no rows to evaluate"));
        }
        let mut counts = BTreeMap::new();
        for pair in target.iter().copied().zip(prediction) {
            *counts.entry(pair).or_insert(0) += 1;
        }
        let loss = if frame.has(&params.logits) { Some(cross_entropy(frame, &params.logits, &target)?) } else { None };
        Ok(Cell { counts, loss })
    }

    fn total(&self, fits: impl Fn(i64, i64) -> bool) -> f64 {
        self.counts.iter().filter(|((t, p), _)| fits(*t, *p)).map(|(_, n)| *n as f64).sum()
    }

    fn metrics(&self) -> Vec<Metric> {
        let all = self.total(|_, _| true);
        let mut out = vec![Metric { name: "accuracy", class: None, value: self.total(|t, p| t == p) / all }];
        if let Some(loss) = self.loss {
            out.push(Metric { name: "loss", class: None, value: loss });
        }
        let classes: BTreeSet<i64> = self.counts.keys().flat_map(|(t, p)| [*t, *p]).collect();
        for class in classes {
            let right = self.total(|t, p| t == class && p == class);
            // 0 / 0 is NaN on purpose: such a value is not defined.
            let precision = right / self.total(|_, p| p == class);
            let recall = right / self.total(|t, _| t == class);
            let f1 = 2.0 * right / (self.total(|_, p| p == class) + self.total(|t, _| t == class));
            let metric = |name, value| Metric { name, class: Some(class), value };
            out.extend([metric("precision", precision), metric("recall", recall), metric("f1", f1)]);
        }
        out
    }
}

/// Mean over the rows of −log softmax(logits)[target].
fn cross_entropy(frame: &Frame, column: &str, target: &[i64]) -> Result<f64, Failure> {
    let logits = frame.tensor_f32(column)?;
    let width = logits.row_size();
    let mut total = 0.0;
    for (row, (scores, class)) in logits.values.chunks_exact(width.max(1)).zip(target).enumerate() {
        let own = usize::try_from(*class).ok().and_then(|c| scores.get(c));
        let own = own.ok_or_else(|| Failure::new(format!("the class {class} in row {row} has no logit: there are {width}")))?;
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = scores.iter().map(|s| f64::from(s - largest).exp()).sum();
        total += sum.ln() - f64::from(own - largest);
    }
    Ok(total / target.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_of_a_small_table() {
        let mut frame = Frame::new();
        frame.push_i64s("label", vec![0, 0, 1, 1, 1]).unwrap();
        frame.push_i64s("prediction", vec![0, 1, 1, 1, 0]).unwrap();
        let params = Params { target: "label".to_owned(), prediction: prediction(), logits: logits() };
        let metrics = Cell::read(&params, &frame).unwrap().metrics();
        let value = |name: &str, class| metrics.iter().find(|m| m.name == name && m.class == class).unwrap().value;
        assert!((value("accuracy", None) - 0.6).abs() < 1e-12);
        assert!((value("precision", Some(1)) - 2.0 / 3.0).abs() < 1e-12);
        assert!((value("recall", Some(0)) - 0.5).abs() < 1e-12);
        assert!((value("f1", Some(1)) - 2.0 / 3.0).abs() < 1e-12);
        assert!(!metrics.iter().any(|m| m.name == "loss"));
    }
}
