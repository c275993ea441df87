//! What models answer: probabilities of classes.

use crate::error::{Error, Result};

/// How outputs become probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// They are probabilities.
    Probability,
    /// One class of several: exp(z) ÷ Σ exp(z).
    Softmax,
    /// Each class by itself: 1 ÷ (1 + exp(−z)).
    Sigmoid,
}

/// Probabilities [models × stimuli × classes].
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    models: usize,
    stimuli: usize,
    classes: usize,
    values: Vec<f64>,
}

impl Answers {
    /// From each model's outputs (stimuli × classes, row by row); `scale` multiplies outputs before a softmax or
    /// sigmoid.
    ///
    /// # Errors
    /// If there are fewer than two models or classes, sizes differ, or a value is no number or no probability.
    pub fn new(models: &[&[f64]], classes: usize, link: Link, scale: f64) -> Result<Self> {
        if models.len() < 2 || classes < 2 {
            return Err(Error::new(format!(
                "{} models with {classes} classes: two of each are needed to disagree",
                models.len()
            )));
        }
        let length = models[0].len();
        if models.iter().any(|m| m.len() != length) || length == 0 || !length.is_multiple_of(classes) {
            return Err(Error::new("the models do not answer the same stimuli with the same classes"));
        }
        let mut values = Vec::with_capacity(models.len() * length);
        for (number, model) in models.iter().enumerate() {
            crate::brain::finite(model, &format!("model {number}"))?;
            for row in model.chunks_exact(classes) {
                match link {
                    Link::Probability => values.extend_from_slice(row),
                    Link::Softmax => values.extend(softmax(row, scale)),
                    Link::Sigmoid => values.extend(row.iter().map(|z| 1.0 / (1.0 + (-scale * z).exp()))),
                }
            }
        }
        if let Some(bad) = values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
            return Err(Error::new(format!("{bad} is no probability")));
        }
        Ok(Answers { models: models.len(), stimuli: length / classes, classes, values })
    }

    /// Number of models.
    pub fn models(&self) -> usize {
        self.models
    }

    /// Number of stimuli.
    pub fn stimuli(&self) -> usize {
        self.stimuli
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The probabilities that a model gives the classes of a stimulus.
    pub fn of(&self, model: usize, stimulus: usize) -> &[f64] {
        &self.values[(model * self.stimuli + stimulus) * self.classes..][..self.classes]
    }

    /// Refuses answers whose classes do not sum to 1.
    ///
    /// # Errors
    /// Naming the first such model and stimulus.
    pub fn check_distributions(&self) -> Result<()> {
        let sum = |row: &[f64]| row.iter().sum::<f64>();
        match self.values.chunks_exact(self.classes).position(|row| (sum(row) - 1.0).abs() > 1e-4) {
            None => Ok(()),
            Some(at) => Err(Error::new(format!(
                "the classes of model {} for stimulus {} sum to {}, not 1: take a softmax",
                at / self.stimuli,
                at % self.stimuli,
                sum(&self.values[at * self.classes..][..self.classes])
            ))),
        }
    }

    /// The same, with a share `lapse` of answers given blindly: (1 − lapse) p + lapse ÷ classes.
    ///
    /// # Errors
    /// If the share is not between 0 and 1.
    pub fn lapsing(mut self, lapse: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&lapse) {
            return Err(Error::new(format!("a lapse rate of {lapse} is not between 0 and 1")));
        }
        let blind = lapse / self.classes as f64;
        self.values.iter_mut().for_each(|p| *p = (1.0 - lapse) * *p + blind);
        Ok(self)
    }

    /// Refuses two models that answer every stimulus alike: nothing tells them apart.
    ///
    /// # Errors
    /// Naming the first such pair.
    pub fn check_different(&self) -> Result<()> {
        let whole = self.stimuli * self.classes;
        let model = |m: usize| &self.values[m * whole..][..whole];
        for (a, b) in crate::brain::pairs(self.models) {
            if model(a).iter().zip(model(b)).all(|(p, q)| (p - q).abs() <= 1e-12) {
                return Err(Error::new(format!(
                    "models {a} and {b} answer every stimulus alike: nothing tells them apart"
                )));
            }
        }
        Ok(())
    }
}

/// exp(scale z) ÷ its sum.
pub(super) fn softmax(outputs: &[f64], scale: f64) -> Vec<f64> {
    let top = outputs.iter().map(|z| scale * z).fold(f64::NEG_INFINITY, f64::max);
    let parts: Vec<f64> = outputs.iter().map(|z| (scale * z - top).exp()).collect();
    let sum: f64 = parts.iter().sum();
    parts.into_iter().map(|p| p / sum).collect()
}
