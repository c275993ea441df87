//! What synthesised stimuli are to achieve, as values and gradients of models' outputs, and how they get there.

use super::answers::softmax;
use crate::error::{Error, Result};

/// Value and gradient of an objective at the outputs of one model for one stimulus.
pub type Slope = (f64, Vec<f64>);

/// Drives one output: y[unit], gradient 1 there.
///
/// # Errors
/// If there is no such unit.
pub fn excite(outputs: &[f64], unit: usize) -> Result<Slope> {
    let Some(value) = outputs.get(unit) else {
        return Err(Error::new(format!("the outputs have the units 0 to {}, not {unit}", outputs.len() - 1)));
    };
    let mut gradient = vec![0.0; outputs.len()];
    gradient[unit] = 1.0;
    Ok((*value, gradient))
}

/// Makes the models of the first side see class u and those of the second class w: the smooth minimum
/// −log(1 ÷ a + 1 ÷ b), after Golan et al. 2020, where a and b are the geometric means over the models of a side of
/// the probability of its class; its gradient does not vanish while a model sees something else. Gives the value
/// and the gradient for each model, those of the first side before those of the second.
///
/// # Errors
/// If a side has no model, or a class is not there.
pub fn controversial(
    first: &[&[f64]],
    second: &[&[f64]],
    (u, w): (usize, usize),
) -> Result<(f64, Vec<Vec<f64>>)> {
    if first.is_empty() || second.is_empty() {
        return Err(Error::new("a side without models sees nothing"));
    }
    let side = |models: &[&[f64]], class| -> Result<(f64, Vec<Vec<f64>>)> {
        let slopes = models.iter().map(|m| log_probability(m, class)).collect::<Result<Vec<Slope>>>()?;
        let share = 1.0 / models.len() as f64;
        let value = slopes.iter().map(|(log, _)| share * log).sum();
        let scaled = |g: Vec<f64>| g.into_iter().map(|v| share * v).collect();
        Ok((value, slopes.into_iter().map(|(_, g)| scaled(g)).collect()))
    };
    let ((a, at_first), (b, at_second)) = (side(first, u)?, side(second, w)?);
    // −log(e^−a + e^−b) = m − log(1 + e^−|a − b|) with m the smaller.
    let value = a.min(b) - (-(a - b).abs()).exp().ln_1p();
    // Each side's share of the gradient is what it lacks.
    let lacks = 1.0 / (1.0 + (a - b).exp());
    let weighed = |gradients: Vec<Vec<f64>>, by: f64| {
        gradients.into_iter().map(move |g| g.into_iter().map(|v| v * by).collect())
    };
    Ok((value, weighed(at_first, lacks).chain(weighed(at_second, 1.0 - lacks)).collect()))
}

/// log softmax(z)[class] and its gradient.
///
/// # Errors
/// If there is no such class.
pub fn log_probability(outputs: &[f64], class: usize) -> Result<Slope> {
    let (z, mut gradient) = excite(outputs, class)?;
    let top = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log = outputs.iter().map(|o| (o - top).exp()).sum::<f64>().ln();
    gradient.iter_mut().zip(softmax(outputs, 1.0)).for_each(|(g, p)| *g -= p);
    Ok((z - top - log, gradient))
}

/// Makes a model's outputs those of another stimulus: −|y − r|² ÷ |r|².
///
/// # Errors
/// If the reference is 0 everywhere or has another size.
pub fn metamer(outputs: &[f64], reference: &[f64]) -> Result<Slope> {
    let square: f64 = reference.iter().map(|r| r * r).sum();
    if outputs.len() != reference.len() || square <= 0.0 {
        return Err(Error::new("the reference's outputs are all 0, or of another size"));
    }
    let gap = outputs.iter().zip(reference).map(|(y, r)| y - r);
    let value = gap.clone().map(|d| d * d).sum::<f64>() / square;
    Ok((-value, gap.map(|d| -2.0 * d / square).collect()))
}

/// Adam (Kingma and Ba 2015), upward.
pub struct Climber {
    rate: f64,
    step: i32,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Climber {
    /// For this many parameters.
    pub fn new(size: usize, rate: f64) -> Self {
        Climber { rate, step: 0, first: vec![0.0; size], second: vec![0.0; size] }
    }

    /// One step along a gradient.
    pub fn climb(&mut self, parameters: &mut [f64], gradient: &[f64]) {
        self.step += 1;
        let (keep, hold) = (0.9_f64, 0.999_f64);
        let (bias, wide) = (1.0 - keep.powi(self.step), 1.0 - hold.powi(self.step));
        for (i, g) in gradient.iter().enumerate() {
            self.first[i] = keep * self.first[i] + (1.0 - keep) * g;
            self.second[i] = hold * self.second[i] + (1.0 - hold) * g * g;
            parameters[i] += self.rate * (self.first[i] / bias) / ((self.second[i] / wide).sqrt() + 1e-12);
        }
    }
}
