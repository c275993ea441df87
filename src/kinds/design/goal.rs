//! What a synthesised stimulus is made for.

use schemars::JsonSchema;
use science::brain::pairs;
use science::design::{ascent, sample};
use serde::{Deserialize, Serialize};

use crate::kinds::table::draw::bits;
use crate::kinds::wrong;
use crate::stage::Failure;

/// What stimuli are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// To drive a unit of the tensor: the mean over the models.
    Excite,
    /// To make two models, or two sides of models, see different classes.
    Controversial,
    /// To give the tensor the values that another stimulus of the pool gives it.
    Metamer,
}

/// The goal of one stimulus.
#[derive(Clone, Debug)]
pub struct Target {
    /// In words: `3`, `3/5`, or the id of the reference.
    pub name: String,
    /// The models that look at it.
    pub models: Vec<usize>,
    /// The row of the pool that is the reference, which no pool is compared by.
    pub reference: Option<usize>,
    aim: Aim,
}

#[derive(Clone, Debug)]
enum Aim {
    Unit(usize),
    /// Classes of the two sides, and how many of the models are on the first.
    Classes(usize, usize, usize),
    /// The reference's outputs for each model.
    Outputs(Vec<Vec<f64>>),
}

/// What is asked for, and the outputs of the models for the pool (model, rows × width).
pub struct Wanted<'a> {
    pub goal: Goal,
    pub units: &'a [usize],
    pub classes: &'a [(usize, usize)],
    pub n: usize,
    pub seed: u64,
    pub ids: &'a [String],
    pub pool: &'a [Vec<f64>],
    pub widths: &'a [usize],
    /// `controversial`: the models of each side.
    pub sides: &'a [Vec<usize>],
}

impl Wanted<'_> {
    /// The goals of all stimuli, in order.
    ///
    /// # Errors
    /// If a unit or class is not there.
    pub fn targets(&self) -> Result<Vec<Target>, Failure> {
        let width = self.widths.iter().copied().min().unwrap_or(0);
        let all: Vec<usize> = (0..self.pool.len()).collect();
        let asked = self.units.iter().chain(self.classes.iter().flat_map(|(u, w)| [u, w]));
        if let Some(bad) = asked.clone().find(|unit| **unit >= width) {
            return Err(Failure::new(format!("there is no unit {bad}: the tensor has {width} values"))
                .hint("units are counted from 0"));
        }
        match self.goal {
            Goal::Excite => {
                let every: Vec<usize> =
                    if self.units.is_empty() { (0..width).collect() } else { self.units.to_vec() };
                let unit = |u: usize| Target {
                    name: u.to_string(),
                    models: all.clone(),
                    reference: None,
                    aim: Aim::Unit(u),
                };
                Ok(every.into_iter().flat_map(|u| vec![unit(u); self.n]).collect())
            }
            Goal::Controversial => {
                let mut targets = Vec::new();
                for (number, (a, b)) in pairs(self.sides.len()).enumerate() {
                    for stimulus in 0..self.n {
                        let (u, w) = self.pair_of_classes(number * self.n + stimulus, width)?;
                        let (first, second) = (&self.sides[a], &self.sides[b]);
                        let aim = Aim::Classes(u, w, first.len());
                        let models = [first.as_slice(), second].concat();
                        targets.push(Target { name: format!("{u}/{w}"), models, reference: None, aim });
                    }
                }
                Ok(targets)
            }
            Goal::Metamer => {
                let rows: Vec<usize> = (0..self.ids.len()).collect();
                let chosen = sample::random(&rows, self.n, self.seed, 0).map_err(wrong)?;
                let outputs = |row: usize| -> Vec<Vec<f64>> {
                    let own = |(pool, width): (&Vec<f64>, &usize)| pool[row * width..][..*width].to_vec();
                    self.pool.iter().zip(self.widths).map(own).collect()
                };
                let target = |row: usize| Target {
                    name: self.ids[row].clone(),
                    models: all.clone(),
                    reference: Some(row),
                    aim: Aim::Outputs(outputs(row)),
                };
                Ok(chosen.into_iter().map(target).collect())
            }
        }
    }

    /// The classes named, in turn; else two different ones by the seed.
    fn pair_of_classes(&self, number: usize, width: usize) -> Result<(usize, usize), Failure> {
        if !self.classes.is_empty() {
            return Ok(self.classes[number % self.classes.len()]);
        }
        if width < 2 {
            return Err(Failure::new("models that disagree need two classes"));
        }
        let drawn = bits(self.seed, "design.synthesize", &(number as u64).to_le_bytes()) as usize;
        let (u, w) = (drawn % width, drawn / width % (width - 1));
        Ok((u, if w >= u { w + 1 } else { w }))
    }
}

impl Target {
    /// The value of a stimulus, larger is better, and the gradient for each model's outputs.
    ///
    /// # Errors
    /// If outputs do not fit the goal.
    pub fn slope(&self, outputs: &[&[f64]]) -> Result<(f64, Vec<Vec<f64>>), Failure> {
        match &self.aim {
            Aim::Classes(u, w, first) => {
                let (a, b) = outputs.split_at_checked(*first).unwrap_or_default();
                ascent::controversial(a, b, (*u, *w)).map_err(wrong)
            }
            Aim::Unit(unit) => mean(outputs, |_, own| ascent::excite(own, *unit)),
            Aim::Outputs(references) => {
                let of = |model: usize| references.get(model).map_or(&[][..], Vec::as_slice);
                mean(outputs, |model, own| ascent::metamer(own, of(model)))
            }
        }
    }
}

/// The mean over models of a value, and the gradient for each model's outputs.
fn mean(
    outputs: &[&[f64]],
    slope: impl Fn(usize, &[f64]) -> science::error::Result<ascent::Slope>,
) -> Result<(f64, Vec<Vec<f64>>), Failure> {
    let share = 1.0 / outputs.len().max(1) as f64;
    let (mut value, mut gradients) = (0.0, Vec::new());
    for (model, own) in outputs.iter().enumerate() {
        let (part, gradient) = slope(model, own).map_err(wrong)?;
        value += share * part;
        gradients.push(gradient.into_iter().map(|g| share * g).collect());
    }
    Ok((value, gradients))
}
