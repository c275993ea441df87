//! What subjects that are a model respond: a class drawn from its probabilities, or numbers with noise.

use super::answers::Answers;
use super::disagree::Separation;
use crate::brain::pairs;
use crate::error::{Error, Result};

/// Models of which a subject may be one.
pub trait Respond: Sync {
    /// What a subject gives for a stimulus.
    type Response: Clone + Send;

    /// Number of models.
    fn models(&self) -> usize;

    /// Number of stimuli.
    fn stimuli(&self) -> usize;

    /// How well sets of stimuli tell the models apart, with a prior probability for every model.
    ///
    /// # Errors
    /// If two models are alike, or what they say is impossible.
    fn separation(&self, prior: &[f64]) -> Result<Separation>;

    /// Refuses what no model can respond.
    ///
    /// # Errors
    /// Saying what can be.
    fn check(&self, stimulus: usize, response: &Self::Response) -> Result<()>;

    /// ln p(response | model, stimulus), up to what all models share.
    fn log_likelihood(&self, model: usize, stimulus: usize, response: &Self::Response) -> f64;

    /// A response of a subject that is `model`, from uniform numbers in [0, 1).
    fn draw(&self, model: usize, stimulus: usize, uniform: &mut dyn FnMut() -> f64) -> Self::Response;

    /// What the response to a stimulus is expected to tell about which model is right, in bits.
    fn information(&self, beliefs: &[f64], stimulus: usize) -> f64;
}

impl Respond for Answers {
    type Response = usize;

    fn models(&self) -> usize {
        Answers::models(self)
    }

    fn stimuli(&self) -> usize {
        Answers::stimuli(self)
    }

    fn separation(&self, prior: &[f64]) -> Result<Separation> {
        Separation::new(self, prior)
    }

    fn check(&self, stimulus: usize, class: &usize) -> Result<()> {
        if stimulus < Answers::stimuli(self) && *class < self.classes() {
            return Ok(());
        }
        Err(Error::new(format!(
            "the response {class} to stimulus {stimulus}: there are {} stimuli and the classes 0 to {}",
            Answers::stimuli(self),
            self.classes() - 1
        )))
    }

    fn log_likelihood(&self, model: usize, stimulus: usize, class: &usize) -> f64 {
        self.of(model, stimulus).get(*class).map_or(f64::NEG_INFINITY, |p| p.ln())
    }

    fn draw(&self, model: usize, stimulus: usize, uniform: &mut dyn FnMut() -> f64) -> usize {
        drawn(self.of(model, stimulus), uniform())
    }

    /// The mutual information between the model and its answer.
    fn information(&self, beliefs: &[f64], stimulus: usize) -> f64 {
        let models = Answers::models(self);
        let entropy = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
        let mixed = |class| (0..models).map(|m| beliefs[m] * self.of(m, stimulus)[class]).sum();
        let own = |m: usize| beliefs[m] * self.of(m, stimulus).iter().map(|p| entropy(*p)).sum::<f64>();
        let total: f64 = (0..self.classes()).map(|class| entropy(mixed(class))).sum();
        (total - (0..models).map(own).sum::<f64>()).max(0.0)
    }
}

/// The class that a uniform number falls on.
fn drawn(probabilities: &[f64], uniform: f64) -> usize {
    let mut sum = 0.0;
    let reached = probabilities.iter().position(|p| {
        sum += p;
        uniform < sum
    });
    // Rounding may leave the sum just below the number: the last class that is possible.
    reached.or_else(|| probabilities.iter().rposition(|p| *p > 0.0)).unwrap_or(0)
}

/// Models that predict numbers, which are measured with independent Gaussian noise.
#[derive(Clone, Debug, PartialEq)]
pub struct Graded {
    /// Each model's predictions (stimuli × width, row by row).
    models: Vec<Vec<f64>>,
    width: usize,
    /// Standard deviation of the noise.
    noise: f64,
}

impl Graded {
    /// From each model's predictions of `width` numbers for each stimulus (stimuli × width, row by row).
    ///
    /// # Errors
    /// If there are fewer than two models, sizes differ, a prediction is no number, the noise is not positive, or
    /// two models are alike.
    pub fn new(models: &[&[f64]], width: usize, noise: f64) -> Result<Self> {
        Separation::of_numbers(models, width, noise, &vec![1.0; models.len()])?;
        Ok(Graded { models: models.iter().map(|m| m.to_vec()).collect(), width, noise })
    }

    fn of(&self, model: usize, stimulus: usize) -> &[f64] {
        &self.models[model][stimulus * self.width..][..self.width]
    }
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

impl Respond for Graded {
    type Response = Vec<f64>;

    fn models(&self) -> usize {
        self.models.len()
    }

    fn stimuli(&self) -> usize {
        self.models[0].len() / self.width
    }

    fn separation(&self, prior: &[f64]) -> Result<Separation> {
        let models: Vec<&[f64]> = self.models.iter().map(Vec::as_slice).collect();
        Separation::of_numbers(&models, self.width, self.noise, prior)
    }

    fn check(&self, stimulus: usize, response: &Vec<f64>) -> Result<()> {
        if stimulus >= self.stimuli() || response.len() != self.width {
            return Err(Error::new(format!(
                "{} numbers in response to stimulus {stimulus}: there are {} stimuli with {} numbers",
                response.len(),
                self.stimuli(),
                self.width
            )));
        }
        crate::brain::finite(response, &format!("the response to stimulus {stimulus}"))
    }

    fn log_likelihood(&self, model: usize, stimulus: usize, response: &Vec<f64>) -> f64 {
        -squared(response, self.of(model, stimulus)) / (2.0 * self.noise * self.noise)
    }

    fn draw(&self, model: usize, stimulus: usize, uniform: &mut dyn FnMut() -> f64) -> Vec<f64> {
        // Box and Muller 1958; 1 − u is never 0.
        let mut normal =
            || (-2.0 * (1.0 - uniform()).ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
        self.of(model, stimulus).iter().map(|mean| mean + self.noise * normal()).collect()
    }

    /// A lower bound of the mutual information between the model and its response, from the Bhattacharyya
    /// distances of pairs (Kolchinsky and Tracey 2017): −Σ_a π_a log₂ Σ_b π_b exp(−|μ_a − μ_b|² ÷ 8 noise²).
    /// It is exact where responses are the same or wide apart.
    fn information(&self, beliefs: &[f64], stimulus: usize) -> f64 {
        let scale = 8.0 * self.noise * self.noise;
        let mut near = beliefs.to_vec();
        for (a, b) in pairs(self.models.len()) {
            let overlap = (-squared(self.of(a, stimulus), self.of(b, stimulus)) / scale).exp();
            near[a] += beliefs[b] * overlap;
            near[b] += beliefs[a] * overlap;
        }
        let bits = beliefs.iter().zip(&near).filter(|(p, _)| **p > 0.0).map(|(p, near)| -p * near.log2());
        bits.sum::<f64>().max(0.0)
    }
}
