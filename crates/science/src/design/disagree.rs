//! Stimuli on which models disagree.

use super::answers::Answers;
use super::search::Criterion;
use crate::brain::pairs;
use crate::error::{Error, Result};

/// Jensen–Shannon divergence of every pair of models (0, 1), (0, 2), … for every stimulus, in bits (Lin 1991): 0
/// where both give the same probabilities, 1 where they share no class.
///
/// # Errors
/// If the classes of an answer do not sum to 1.
pub fn jensen_shannon(answers: &Answers) -> Result<Vec<Vec<f64>>> {
    answers.check_distributions()?;
    Ok(by_pair(answers, |p, q| {
        let part = |a: f64, m: f64| if a > 0.0 { a * (a / m).log2() } else { 0.0 };
        let both = |(a, b): (&f64, &f64)| part(*a, (a + b) / 2.0) + part(*b, (a + b) / 2.0);
        (p.iter().zip(q).map(both).sum::<f64>() / 2.0).max(0.0)
    }))
}

/// Controversiality of every pair and stimulus, after Golan et al. 2020: the largest, over classes u ≠ w, of
/// min(a[u], b[w], 1 − a[w], 1 − b[u]). It is high where one model is sure of u and not w, the other of w and
/// not u. Meant for answers by [`super::answers::Link::Sigmoid`].
pub fn controversiality(answers: &Answers) -> Vec<Vec<f64>> {
    by_pair(answers, |p, q| controversial_classes(p, q).0)
}

/// The controversiality of two answers and the classes (u, w) that make it; the lowest of equals.
pub fn controversial_classes(p: &[f64], q: &[f64]) -> (f64, (usize, usize)) {
    let mut best = (f64::NEG_INFINITY, (0, 0));
    for u in 0..p.len() {
        for w in (0..p.len()).filter(|w| *w != u) {
            let least = p[u].min(q[w]).min(1.0 - p[w]).min(1.0 - q[u]);
            if least > best.0 {
                best = (least, (u, w));
            }
        }
    }
    best
}

fn by_pair(answers: &Answers, of: impl Fn(&[f64], &[f64]) -> f64) -> Vec<Vec<f64>> {
    let pair = |(a, b)| (0..answers.stimuli()).map(|s| of(answers.of(a, s), answers.of(b, s))).collect();
    pairs(answers.models()).map(pair).collect()
}

/// Scores that add up: the best set are the largest, the value their mean.
pub struct Additive(pub Vec<f64>);

impl Additive {
    /// The sum over pairs of each stimulus's disagreement.
    pub fn over_pairs(disagreement: &[Vec<f64>]) -> Self {
        let stimuli = disagreement.first().map_or(0, Vec::len);
        Additive((0..stimuli).map(|s| disagreement.iter().map(|pair| pair[s]).sum()).collect())
    }
}

impl Criterion for Additive {
    fn pool(&self) -> usize {
        self.0.len()
    }

    fn value(&self, chosen: &[usize]) -> f64 {
        chosen.iter().map(|s| self.0[*s]).sum::<f64>() / chosen.len().max(1) as f64
    }
}

/// Telling models apart by the answers to a set of stimuli, each shown once. The value is −B with the union
/// Bhattacharyya bound B = Σ_{a<b} √(π_a π_b) Π_s Σ_c √(a_s[c] b_s[c]) on the probability that the likeliest
/// model is the wrong one (Kailath 1967; Lainiotis 1969). A pair that is apart already counts no more, so the
/// set serves every pair.
#[derive(Clone)]
pub struct Separation {
    /// Σ_c √(a b) of every pair and stimulus, stimuli outermost.
    overlaps: Vec<f64>,
    /// √(π_a π_b) of every pair.
    weights: Vec<f64>,
    stimuli: usize,
}

impl Separation {
    /// With a prior probability for every model.
    ///
    /// # Errors
    /// If the classes of an answer do not sum to 1, or two models are alike.
    pub fn new(answers: &Answers, prior: &[f64]) -> Result<Self> {
        answers.check_distributions()?;
        answers.check_different()?;
        let overlap = |p: &[f64], q: &[f64]| p.iter().zip(q).map(|(a, b)| (a * b).sqrt()).sum::<f64>();
        let pair = |s: usize| {
            pairs(answers.models()).map(move |(a, b)| overlap(answers.of(a, s), answers.of(b, s)).min(1.0))
        };
        let overlaps = (0..answers.stimuli()).flat_map(pair).collect();
        let mut made = Separation { overlaps, weights: Vec::new(), stimuli: answers.stimuli() };
        made.believe(prior);
        Ok(made)
    }

    /// As [`Separation::new`], for models that predict `width` numbers for each stimulus (stimuli × width, row by
    /// row), which are measured with independent Gaussian noise of standard deviation `noise`: the Bhattacharyya
    /// coefficient is exp(−|μ_a − μ_b|² ÷ 8 noise²).
    ///
    /// # Errors
    /// If there are fewer than two models, sizes differ, a prediction is no number, the noise is not positive, or
    /// two models are alike.
    pub fn of_numbers(models: &[&[f64]], width: usize, noise: f64, prior: &[f64]) -> Result<Self> {
        let (Some(first), true) = (models.first(), models.len() > 1 && prior.len() == models.len()) else {
            return Err(Error::new("two models or more are needed to disagree"));
        };
        if width == 0 || first.is_empty() || models.iter().any(|m| m.len() != first.len()) {
            return Err(Error::new("the models do not predict the same numbers for the same stimuli"));
        }
        if !(noise > 0.0 && noise.is_finite()) {
            return Err(Error::new(format!("a noise of {noise} is not positive")));
        }
        for (number, model) in models.iter().enumerate() {
            crate::brain::finite(model, &format!("model {number}"))?;
        }
        if let Some((a, b)) = pairs(models.len()).find(|(a, b)| models[*a] == models[*b]) {
            return Err(Error::new(format!(
                "models {a} and {b} predict the same for every stimulus: nothing tells them apart"
            )));
        }
        let stimuli = first.len() / width;
        let row = |model: usize, s: usize| &models[model][s * width..][..width];
        let square = |a: usize, b: usize, s: usize| {
            row(a, s).iter().zip(row(b, s)).map(|(p, q)| (p - q) * (p - q)).sum::<f64>()
        };
        let overlap = |a, b, s| (-square(a, b, s) / (8.0 * noise * noise)).exp();
        let pair = |s: usize| pairs(models.len()).map(move |(a, b)| overlap(a, b, s));
        let overlaps = (0..stimuli).flat_map(pair).collect();
        let mut made = Separation { overlaps, weights: Vec::new(), stimuli };
        made.believe(prior);
        Ok(made)
    }

    /// Takes other probabilities of the models.
    pub fn believe(&mut self, probabilities: &[f64]) {
        self.weights =
            pairs(probabilities.len()).map(|(a, b)| (probabilities[a] * probabilities[b]).sqrt()).collect();
    }

    fn of(&self, stimulus: usize) -> &[f64] {
        &self.overlaps[stimulus * self.weights.len()..][..self.weights.len()]
    }

    fn parts(&self, chosen: &[usize]) -> Vec<f64> {
        let mut parts = self.weights.clone();
        for stimulus in chosen {
            parts.iter_mut().zip(self.of(*stimulus)).for_each(|(part, overlap)| *part *= overlap);
        }
        parts
    }
}

impl Criterion for Separation {
    fn pool(&self) -> usize {
        self.stimuli
    }

    fn value(&self, chosen: &[usize]) -> f64 {
        -self.parts(chosen).iter().sum::<f64>()
    }

    fn values_with(&self, chosen: &[usize]) -> Vec<f64> {
        let parts = self.parts(chosen);
        let with =
            |s: usize| self.of(s).iter().zip(&parts).map(|(overlap, part)| overlap * part).sum::<f64>();
        (0..self.stimuli).map(|s| -with(s)).collect()
    }
}
