//! `model.evaluate`: how well predictions agree with targets.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scores::{Answers, Scores, classes, regression};
use crate::kinds::artefacts::put_table;
use crate::kinds::columns::exists;
use crate::stage::{
    Bound, Column, Complaint, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads,
    TableFacts,
};
use crate::table::{self, Frame};

/// How well predictions agree with targets.
pub struct Evaluate;

/// What the targets are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Classes: whole numbers or text.
    #[default]
    Classification,
    /// Numbers or tensors of numbers.
    Regression,
}

/// Parameters of `model.evaluate`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The column with what is true.
    #[serde(default = "target")]
    pub target: String,
    /// What the targets are.
    #[serde(default)]
    pub task: Task,
    /// The column with what was predicted: a class, or for regression a number or tensor. Left out,
    /// `prediction` if there is one, else the largest of the logits.
    #[serde(default)]
    pub prediction: Option<String>,
    /// The tensor column with one logit a class, for the cross-entropy. Left out, `logits` if there is
    /// one.
    #[serde(default)]
    pub logits: Option<String>,
}

fn target() -> String {
    "label".to_owned()
}

/// The columns that are read.
struct Columns {
    target: String,
    prediction: Option<String>,
    logits: Option<String>,
}

impl Params {
    fn columns(&self, table: &TableFacts) -> Result<Columns, Complaint> {
        let find = |param: &str, asked: &Option<String>| match asked {
            Some(name) => exists(table, name, param).map(|()| Some(name.clone())),
            None => Ok(table.column(param).map(|c| c.name.clone())),
        };
        exists(table, &self.target, "target")?;
        let columns = Columns {
            target: self.target.clone(),
            prediction: find("prediction", &self.prediction)?,
            logits: find("logits", &self.logits)?,
        };
        let shape = |name: &Option<String>| {
            let column = name.as_ref().and_then(|n| table.column(n));
            column.and_then(|c| c.shape.clone())
        };
        match self.task {
            Task::Regression if columns.prediction.is_none() => {
                return Err(Complaint::param("prediction", "name the column with the predicted numbers"));
            }
            Task::Classification if columns.prediction.is_none() && columns.logits.is_none() => {
                return Err(Complaint::param(
                    "prediction",
                    "the table has neither `prediction` nor `logits`",
                )
                .hint("name the column with the predicted class or with the logits"));
            }
            Task::Classification if columns.logits.is_some() => {
                let name = columns.logits.as_deref().unwrap_or_default();
                if shape(&columns.logits).is_none_or(|s| s.len() != 1) {
                    let text = format!("column `{name}` does not hold one tensor of classes a row");
                    return Err(Complaint::param("logits", text));
                }
            }
            _ => {}
        }
        Ok(columns)
    }
}

/// Are both the true and the predicted classes whole numbers?
fn numbered(table: &TableFacts, columns: &Columns) -> bool {
    let whole = |name: &String| {
        let dtype = table.column(name).map_or("", |c| c.dtype.as_str());
        dtype.starts_with("int") || dtype.starts_with("uint") || dtype == "bool"
    };
    whole(&columns.target) && columns.prediction.as_ref().is_none_or(whole)
}

/// The scores of one table.
fn score(params: &Params, bound: &Bound) -> Result<(Scores, bool), Failure> {
    let schema = match bound.facts.table() {
        Some(facts) => facts.clone(),
        None => table::facts_of(&bound.path)?,
    };
    let columns = params.columns(&schema).map_err(|c| Failure::new(c.message))?;
    let all = [Some(&columns.target), columns.prediction.as_ref(), columns.logits.as_ref()];
    let wanted: BTreeSet<&str> = all.into_iter().flatten().map(String::as_str).collect();
    let frame = table::read(bound, Some(&wanted.into_iter().collect::<Vec<_>>()))?;
    if frame.rows() == 0 {
        return Err(Failure::new("there are no rows to score"));
    }
    if params.task == Task::Regression {
        let prediction = frame.tensor_f32(columns.prediction.as_deref().unwrap_or_default())?;
        let target = frame.tensor_f32(&columns.target)?;
        return Ok((regression(&target, &prediction)?, false));
    }
    let numbered = numbered(&schema, &columns);
    let text = |name: &str| -> Result<Vec<String>, Failure> {
        if numbered {
            Ok(frame.i64s(name)?.iter().map(i64::to_string).collect())
        } else {
            frame.strings(name)
        }
    };
    let logits = columns.logits.as_ref().map(|name| frame.tensor_f32(name)).transpose()?;
    let answers = Answers {
        target: text(&columns.target)?,
        prediction: columns.prediction.as_ref().map(|name| text(name)).transpose()?,
        logits,
        numbered,
    };
    Ok((classes(&answers)?, numbered))
}

/// Pushes classes as whole numbers where they are.
fn push_classes(
    frame: &mut Frame,
    name: &str,
    classes: Vec<Option<String>>,
    numbered: bool,
) -> Result<(), Failure> {
    if numbered {
        let numbers = classes.iter().map(|c| c.as_ref().and_then(|c| c.parse().ok()));
        frame.push_optional_i64s(name, numbers.collect())
    } else {
        frame.push_optional_strings(name, &classes)
    }
}

/// The two output tables of one cell.
fn tables(scores: Scores, numbered: bool) -> Result<(Frame, Frame), Failure> {
    let (mut names, mut groups, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (name, class, value) in scores.metrics {
        names.push(name);
        groups.push(class);
        values.push(value);
    }
    let mut metrics = Frame::new();
    metrics.push_strings("metric", &names)?;
    push_classes(&mut metrics, "class", groups, numbered)?;
    metrics.push_f64s("value", values)?;
    let (mut targets, mut predicted, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for (target, prediction, count) in scores.confusion {
        targets.push(Some(target));
        predicted.push(Some(prediction));
        counts.push(count);
    }
    let mut confusion = Frame::new();
    push_classes(&mut confusion, "target", targets, numbered)?;
    push_classes(&mut confusion, "prediction", predicted, numbered)?;
    confusion.push_i64s("count", counts)?;
    Ok((metrics, confusion))
}

impl Kind for Evaluate {
    type Params = Params;

    const NAME: &'static str = "model.evaluate";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "\
Scores predictions against targets.

`metrics` has one row a score with `metric`, `class` and `value`. For classification: `rows`, `accuracy`, \
`loss` (mean cross-entropy of the logits, where there are logits) and `f1` (mean over classes), whose \
`class` is null; then `precision`, `recall`, `f1` and `support` of every class. A ratio whose denominator \
is zero has no row. For regression: `rows`, `loss` (mean squared error), `mae` (mean absolute error) and \
`r2` (1 − squared error ÷ squared deviation from the mean target).

`confusion` has one row for every pair of classes with `target`, `prediction` and `count`; for regression \
it is empty.

Where the port gathers a matrix, every cell is scored and its axes are columns.";
    const EXAMPLE: &'static str = "\
scores:
  uses: model.evaluate
  in: { table: \"answers[*]\" }
  with: { target: label }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![Port::new("table", PortType::Table, "Targets and predictions.").many()],
            outputs: vec![
                Port::new("metrics", PortType::Table, "One row a score."),
                Port::new("confusion", PortType::Table, "One row a pair of classes."),
            ],
            ..Ports::default()
        }
    }

    fn reads(params: &Params, context: &InferContext) -> BTreeMap<String, Reads> {
        let found = context.input("table").table().and_then(|t| params.columns(t).ok());
        let of = |c: Columns| {
            let names = [Some(c.target), c.prediction, c.logits].into_iter().flatten();
            ("table".to_owned(), Reads::columns(names))
        };
        found.map(of).into_iter().collect()
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        let inputs = context.inputs.get("table").map_or(&[][..], Vec::as_slice);
        let gathered = table::gather_facts(inputs).map_err(|text| Complaint::port("table", text))?;
        let (Some(gathered), Some(table)) = (gathered, context.input("table").table()) else {
            return Ok(Outputs::new());
        };
        let columns = params.columns(table)?;
        let numbered = params.task == Task::Classification && numbered(table, &columns);
        let class = if numbered { "int64" } else { "string" };
        let axes = &gathered.columns[..gathered.columns.len() - table.columns.len()];
        let facts = |own: [Column; 3]| {
            let columns = axes.iter().cloned().chain(own).collect();
            Facts::columns(columns)
        };
        let metrics =
            [Column::new("metric", "string"), Column::new("class", class), Column::new("value", "float64")];
        let confusion =
            [Column::new("target", class), Column::new("prediction", class), Column::new("count", "int64")];
        Ok(Outputs::from([
            ("metrics".to_owned(), facts(metrics)),
            ("confusion".to_owned(), facts(confusion)),
        ]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let bounds = io.many("table");
        let (mut metrics, mut confusions) = (Vec::new(), Vec::new());
        for (index, bound) in bounds.iter().enumerate() {
            io.check_cancelled()?;
            let (scores, numbered) = score(params, bound)?;
            for name in ["accuracy", "loss"] {
                let found = scores.metrics.iter().find(|(n, class, _)| n == name && class.is_none());
                if let Some((_, _, value)) = found {
                    io.progress.metric(name, *value);
                }
            }
            io.progress.advance("tables", index as u64 + 1, Some(bounds.len() as u64));
            let (own, confusion) = tables(scores, numbered)?;
            metrics.push((bound.axes.clone(), own));
            confusions.push((bound.axes.clone(), confusion));
        }
        for (port, cells) in [("metrics", metrics), ("confusion", confusions)] {
            let frame = table::stack(cells)?;
            put_table(io, port, frame)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{Input, Run, run_tables};
    use crate::table::Tensor;

    fn answers(label: &[i64], prediction: &[i64]) -> Frame {
        let mut frame = Frame::new();
        frame.push_i64s("label", label.to_vec()).unwrap();
        frame.push_i64s("prediction", prediction.to_vec()).unwrap();
        frame
    }

    fn value(run: &Run, metric: &str, class: Option<&str>) -> Option<f64> {
        let frame = run.table("metrics");
        let (names, classes) = (frame.strings("metric").unwrap(), frame.strings("class").unwrap());
        let wanted = class.unwrap_or_default();
        let row = (0..names.len()).find(|i| names[*i] == metric && classes[*i] == wanted)?;
        Some(frame.f64s("value").unwrap()[row])
    }

    fn run(with: serde_json::Value, inputs: &[Input]) -> Result<Run, String> {
        run_tables(&Evaluate, with, inputs)
    }

    #[test]
    fn scores_are_those_counted_by_hand() {
        let table = answers(&[0, 0, 1, 1, 2], &[0, 1, 1, 1, 0]);
        let run = run(json!({}), &[("table", table, &[])]).unwrap();
        assert_eq!(value(&run, "accuracy", None), Some(0.6));
        assert_eq!(value(&run, "rows", None), Some(5.0));
        assert_eq!(value(&run, "precision", Some("0")), Some(0.5));
        assert_eq!(value(&run, "recall", Some("0")), Some(0.5));
        assert_eq!(value(&run, "precision", Some("1")), Some(2.0 / 3.0));
        assert_eq!(value(&run, "f1", Some("1")), Some(0.8));
        // Class 2 was never predicted.
        assert_eq!(value(&run, "precision", Some("2")), None);
        assert_eq!(value(&run, "recall", Some("2")), Some(0.0));
        assert_eq!(value(&run, "loss", None), None);
        assert_eq!(run.table("confusion").i64s("count").unwrap(), [1, 1, 0, 0, 2, 0, 1, 0, 0]);
        for port in ["metrics", "confusion"] {
            assert_eq!(run.inferred(port).columns, run.table(port).facts().columns);
        }
    }

    #[test]
    fn the_loss_is_the_cross_entropy_of_the_logits() {
        let mut table = Frame::new();
        table.push_i64s("y", vec![0, 1]).unwrap();
        let values = vec![1000.0, 0.0, 0.0, 2.0];
        table.push_tensor_f32("logits", Tensor { row_shape: vec![2], values }).unwrap();
        let run = run(json!({"target": "y"}), &[("table", table, &[])]).unwrap();
        let expected = (0.0 + (1.0 + (-2.0_f64).exp()).ln()) / 2.0;
        let loss = value(&run, "loss", None).unwrap();
        assert!((loss - expected).abs() < 1e-12, "{loss} {expected}");
        assert_eq!(value(&run, "accuracy", None), Some(1.0));
    }

    #[test]
    fn every_cell_of_a_matrix_is_scored() {
        let axes = [[("seed", json!(0))], [("seed", json!(1))]];
        let inputs = [
            ("table", answers(&[0, 1], &[0, 1]), &axes[0][..]),
            ("table", answers(&[0, 1], &[1, 1]), &axes[1][..]),
        ];
        let run = run(json!({}), &inputs).unwrap();
        let frame = run.table("metrics");
        assert_eq!(frame.names(), ["seed", "metric", "class", "value"]);
        let rows: Vec<usize> =
            (0..frame.rows()).filter(|r| frame.strings("metric").unwrap()[*r] == "accuracy").collect();
        let accuracy = frame.take(&rows).unwrap();
        assert_eq!(accuracy.f64s("value").unwrap(), [1.0, 0.5]);
        assert_eq!(accuracy.i64s("seed").unwrap(), [0, 1]);
    }

    #[test]
    fn text_classes_and_regression() {
        let mut table = Frame::new();
        table.push_strings("label", &["cat", "dog"]).unwrap();
        table.push_strings("prediction", &["cat", "cat"]).unwrap();
        let found = run(json!({}), &[("table", table, &[])]).unwrap();
        assert_eq!(value(&found, "recall", Some("dog")), Some(0.0));

        let mut table = Frame::new();
        table.push_f64s("label", vec![1.0, 2.0, 3.0]).unwrap();
        table.push_f64s("prediction", vec![1.5, 2.0, 2.0]).unwrap();
        let found = run(json!({"task": "regression"}), &[("table", table, &[])]).unwrap();
        let close = |metric, expected: f64| {
            let got = value(&found, metric, None).unwrap();
            assert!((got - expected).abs() < 1e-12, "{metric}: {got}");
        };
        close("loss", 1.25 / 3.0);
        close("mae", 0.5);
        close("r2", 1.0 - 1.25 / 2.0);
        assert_eq!(found.table("confusion").rows(), 0);
    }

    #[test]
    fn mistakes_are_found_before_a_run() {
        let text = |with| run(with, &[("table", answers(&[0], &[0]), &[])]).err().unwrap();
        assert_eq!(
            text(json!({"target": "labels"})),
            "the table has no column `labels` (did you mean `label`?)"
        );
        assert!(text(json!({"logits": "label"})).starts_with("column `label` does not hold one tensor"));
        let mut table = Frame::new();
        table.push_i64s("label", vec![0, 5]).unwrap();
        let logits = Tensor { row_shape: vec![2], values: vec![0.0; 4] };
        table.push_tensor_f32("logits", logits).unwrap();
        let text = run(json!({}), &[("table", table, &[])]).err().unwrap();
        assert!(text.starts_with("row 1 has the target 5, the logits have 2 classes"), "{text}");
    }
}
