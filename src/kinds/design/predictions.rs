//! What several models answer to the same stimuli.

use schemars::JsonSchema;
use science::design::answers::{self, Answers};
use science::design::respond::Graded;
use serde::{Deserialize, Serialize};

use crate::kinds::columns::{by_id, exists};
use crate::kinds::words::{label, listed};
use crate::kinds::wrong;
use crate::stage::{Bound, Complaint, Failure, InferContext, TableFacts};
use crate::table;

/// How outputs become probabilities of classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// Outputs are logits of one class of several.
    #[default]
    Softmax,
    /// Outputs are logits, each class by itself.
    Sigmoid,
    /// Outputs are probabilities.
    None,
}

impl Link {
    fn plain(self) -> answers::Link {
        match self {
            Link::Softmax => answers::Link::Softmax,
            Link::Sigmoid => answers::Link::Sigmoid,
            Link::None => answers::Link::Probability,
        }
    }
}

/// Outputs of models, stimulus by stimulus.
pub struct Predictions {
    /// The models by their matrix axes.
    pub names: Vec<String>,
    /// The stimuli, in the order of the pool or of the first table.
    pub ids: Vec<String>,
    /// Outputs for a stimulus.
    pub width: usize,
    /// Each model's outputs (stimuli × width).
    pub values: Vec<Vec<f64>>,
}

/// The column with the outputs: the one named, else `logits`, else the only tensor column.
fn column(table: &TableFacts, named: Option<&str>) -> Result<String, Complaint> {
    if let Some(name) = named {
        return exists(table, name, "outputs").map(|()| name.to_owned());
    }
    let tensors: Vec<&str> =
        table.columns.iter().filter(|c| c.shape.is_some()).map(|c| c.name.as_str()).collect();
    match tensors[..] {
        [only] => Ok(only.to_owned()),
        _ if tensors.contains(&"logits") => Ok("logits".to_owned()),
        _ => {
            Err(Complaint::param("outputs", format!("the predictions have {} tensor columns", tensors.len()))
                .hint("name the column with the models' outputs: `outputs: logits`"))
        }
    }
}

/// Numbers that a table of predictions holds for a stimulus.
pub fn width(table: &TableFacts, outputs: Option<&str>) -> Option<usize> {
    let found = table.column(&column(table, outputs).ok()?)?;
    Some(found.shape.as_ref().map_or(1, |shape| shape.iter().product()))
}

/// Checks how responses are expected to differ from predictions.
///
/// # Errors
/// If noise or lapses are impossible, or parameters of classes stand beside those of numbers.
pub fn check_responses(noise: Option<f64>, lapse: Option<f64>, link: Link) -> Result<(), Complaint> {
    if let Some(lapse) = lapse.filter(|lapse| !(0.0..1.0).contains(lapse)) {
        return Err(Complaint::param("lapse", format!("a lapse rate of {lapse} is not between 0 and 1")));
    }
    match noise {
        None => Ok(()),
        Some(noise) if !(noise > 0.0 && noise.is_finite()) => {
            Err(Complaint::param("noise", "the noise must be more than 0"))
        }
        Some(_) if lapse.is_some() || link != Link::default() => {
            let param = if lapse.is_some() { "lapse" } else { "link" };
            Err(Complaint::param(param, format!("`{param}` is for classes, `noise` for predicted numbers"))
                .hint("leave one of them out"))
        }
        Some(_) => Ok(()),
    }
}

/// The share of answers that subjects give blindly, if none is stated.
pub const LAPSE: f64 = 0.02;

/// Checks the tables of predictions, of which there must be `least` for what `why` says.
///
/// # Errors
/// If there are fewer, or a column is missing.
pub fn check(
    context: &InferContext,
    outputs: Option<&str>,
    id: &str,
    least: usize,
    why: &str,
) -> Result<(), Complaint> {
    let tables = context.inputs.get("predictions").map_or(&[][..], Vec::as_slice);
    if tables.len() < least {
        let text = format!("{why}: {least} or more tables of predictions, not {}", tables.len());
        return Err(Complaint::port("predictions", text)
            .hint("bind what model.infer makes of every model: `predictions: \"answers[*]\"`"));
    }
    for table in tables.iter().filter_map(|t| t.facts.table()) {
        exists(table, id, "id")?;
        column(table, outputs)?;
    }
    Ok(())
}

impl Predictions {
    /// Reads the tables in the order of `pool`, or of the first one.
    ///
    /// # Errors
    /// If a table lacks a stimulus of the others, outputs differ in number, or one is no finite number.
    pub fn read(
        bounds: &[Bound],
        outputs: Option<&str>,
        id: &str,
        pool: Option<&[String]>,
    ) -> Result<Self, Failure> {
        let mut made = Predictions {
            names: Vec::new(),
            ids: pool.map(<[String]>::to_vec).unwrap_or_default(),
            width: 0,
            values: Vec::new(),
        };
        for (index, bound) in bounds.iter().enumerate() {
            let name = label(&bound.axes, index, "model");
            made.add(name.clone(), bound, outputs, id).map_err(|f| f.context(format!("`{name}`")))?;
        }
        Ok(made)
    }

    fn add(&mut self, name: String, bound: &Bound, outputs: Option<&str>, id: &str) -> Result<(), Failure> {
        let frame = table::read(bound, None)?;
        let column = column(&frame.facts(), outputs).map_err(|c| Failure::new(c.message))?;
        let (ids, places) = by_id(&frame, id)?;
        if self.ids.is_empty() {
            self.ids.clone_from(&ids);
        }
        let missing: Vec<&str> =
            self.ids.iter().filter(|id| !places.contains_key(*id)).map(String::as_str).collect();
        if !missing.is_empty() {
            let text = format!("{} stimuli have no prediction: {}", missing.len(), listed(&missing));
            return Err(Failure::new(text).hint("run every model on the whole pool"));
        }
        let tensor = frame.tensor_f64(&column)?;
        let width = tensor.row_size();
        if !self.values.is_empty() && width != self.width {
            return Err(Failure::new(format!("{width} outputs, and {} of the first model", self.width)));
        }
        self.width = width;
        let mut own = Vec::with_capacity(self.ids.len() * width);
        for id in &self.ids {
            let row = places.get(id).map_or(&[][..], |at| &tensor.values[at * width..][..width]);
            if let Some(bad) = row.iter().find(|v| !v.is_finite()) {
                return Err(Failure::new(format!("the output {bad} for stimulus {id} is no finite number")));
            }
            own.extend_from_slice(row);
        }
        self.names.push(name);
        self.values.push(own);
        Ok(())
    }

    /// As probabilities of classes.
    ///
    /// # Errors
    /// If there are fewer than two models or classes, or outputs are no probabilities.
    pub fn answers(&self, link: Link) -> Result<Answers, Failure> {
        let models: Vec<&[f64]> = self.values.iter().map(Vec::as_slice).collect();
        Answers::new(&models, self.width, link.plain(), 1.0).map_err(|e| self.named(e))
    }

    /// As probabilities of the classes that subjects answer with, a share of them blindly.
    ///
    /// # Errors
    /// As [`Predictions::answers`], and if the classes of an answer do not sum to 1.
    pub fn lapsing(&self, link: Link, lapse: Option<f64>) -> Result<Answers, Failure> {
        let answers = self.answers(link)?;
        answers.check_distributions().map_err(|e| self.named(e))?;
        answers.lapsing(lapse.unwrap_or(LAPSE)).map_err(wrong)
    }

    /// As numbers that are measured with noise of this standard deviation.
    ///
    /// # Errors
    /// If there are fewer than two models, or two are alike.
    pub fn graded(&self, noise: f64) -> Result<Graded, Failure> {
        let models: Vec<&[f64]> = self.values.iter().map(Vec::as_slice).collect();
        Graded::new(&models, self.width, noise).map_err(|e| self.named(e))
    }

    /// An error of the analysis, with the names of models beside their numbers.
    pub fn named(&self, error: science::error::Error) -> Failure {
        let names: Vec<String> = self.names.iter().zip(0..).map(|(n, i)| format!("{i} is `{n}`")).collect();
        let hint = format!("of the models, {}", names.join(", "));
        if error.0.contains("model") { wrong(error).hint(hint) } else { wrong(error) }
    }
}
