//! Which model is a subject? Beliefs from answers, the next stimuli, and simulated subjects that are a model.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::disagree::Separation;
use super::respond::Respond;
use super::search::greedy;
use crate::brain::bootstrap::permutation;
use crate::error::{Error, Result};

/// A response that was given: the stimulus, and what was given for it.
pub type Given<R> = (usize, <R as Respond>::Response);

/// Probabilities of the models after responses: Bayes' rule from a uniform prior.
///
/// # Errors
/// If a response is none that the models can give, or every model rules out the responses.
pub fn posterior<R: Respond>(models: &R, responses: &[Given<R>]) -> Result<Vec<f64>> {
    let mut logs = vec![0.0; models.models()];
    for (stimulus, response) in responses {
        models.check(*stimulus, response)?;
        update(&mut logs, models, *stimulus, response);
    }
    let beliefs = normalized(&logs);
    if beliefs.iter().any(|p| p.is_nan()) {
        return Err(Error::new("every model gives these responses the probability 0: allow for lapses"));
    }
    Ok(beliefs)
}

fn update<R: Respond>(logs: &mut [f64], models: &R, stimulus: usize, response: &R::Response) {
    for (model, log) in logs.iter_mut().enumerate() {
        *log += models.log_likelihood(model, stimulus, response);
    }
}

fn normalized(logs: &[f64]) -> Vec<f64> {
    super::answers::softmax(logs, 1.0)
}

/// The `n` stimuli to show next: those that make the bound of [`Separation`] on naming a wrong model smallest
/// under these beliefs, one after the other. `shown` ones are left out until all were shown.
pub fn next(separation: &mut Separation, beliefs: &[f64], n: usize, shown: &[bool]) -> Vec<usize> {
    separation.believe(beliefs);
    let none = vec![false; shown.len()];
    greedy(separation, n, if shown.iter().all(|s| *s) { &none } else { shown })
}

/// Which stimuli a simulated subject sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// All in random order, then in another one.
    Random,
    /// These, again and again.
    Listed(Vec<usize>),
    /// Each time the one that [`next`] names.
    Adaptive,
}

/// How subjects are simulated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Subjects; the models take turns in being them.
    pub subjects: usize,
    /// Trials of a subject.
    pub trials: usize,
    /// The posterior probability at which a model counts as recognised.
    pub level: f64,
    /// Another seed gives other subjects.
    pub seed: u64,
}

/// One simulated subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// The model that it is.
    pub model: usize,
    /// The first trial, from 1, after which its model's posterior is at the level; `None` if never.
    pub trials: Option<usize>,
    /// The first model whose posterior is at the level.
    pub named: Option<usize>,
    /// The posterior of its model after each trial.
    pub posterior: Vec<f64>,
}

/// Simulates subjects whose responses are drawn from what a model says.
///
/// # Errors
/// If what the models say is impossible, two models are alike, a listed stimulus is not there, or a setting is
/// impossible.
pub fn simulate<R: Respond>(models: &R, order: &Order, settings: &Settings) -> Result<Vec<Subject>> {
    let count = models.models();
    let separation = models.separation(&vec![1.0 / count as f64; count])?;
    if !(settings.level > 1.0 / count as f64 && settings.level < 1.0) {
        let text =
            format!("a posterior of {} is reached at once or never with {count} models", settings.level);
        return Err(Error::new(text));
    }
    if let Order::Listed(list) = order
        && (list.is_empty() || list.iter().any(|s| *s >= models.stimuli()))
    {
        return Err(Error::new("the list of stimuli is empty, or names one that is not there"));
    }
    let one = |number: usize| {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(settings.seed ^ (number as u64) << 32);
        subject(models, order, settings, number, separation.clone(), &mut random)
    };
    Ok((0..settings.subjects).into_par_iter().map(one).collect())
}

fn subject<R: Respond>(
    models: &R,
    order: &Order,
    settings: &Settings,
    number: usize,
    mut separation: Separation,
    random: &mut Xoshiro256PlusPlus,
) -> Subject {
    let count = models.models();
    let model = number % count;
    let mut found = Subject { model, trials: None, named: None, posterior: Vec::new() };
    let mut logs = vec![0.0; count];
    let mut beliefs = vec![1.0 / count as f64; count];
    let mut shown = vec![false; models.stimuli()];
    let mut list = if let Order::Listed(list) = order { list.clone() } else { Vec::new() };
    for trial in 0..settings.trials {
        let stimulus = match order {
            Order::Adaptive => next(&mut separation, &beliefs, 1, &shown).first().copied().unwrap_or(0),
            Order::Listed(_) => list[trial % list.len()],
            Order::Random => {
                if trial % models.stimuli() == 0 {
                    list = permutation(models.stimuli(), random.next_u64(), 0);
                }
                list[trial % list.len()]
            }
        };
        if shown.iter().all(|s| *s) {
            shown.fill(false);
        }
        shown[stimulus] = true;
        // The top 53 bits fill the mantissa of a double exactly.
        let mut uniform = || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let response = models.draw(model, stimulus, &mut uniform);
        update(&mut logs, models, stimulus, &response);
        beliefs = normalized(&logs);
        found.posterior.push(beliefs[model]);
        if found.named.is_none() {
            found.named = beliefs.iter().position(|p| *p >= settings.level);
        }
        if found.trials.is_none() && beliefs[model] >= settings.level {
            found.trials = Some(trial + 1);
        }
    }
    found
}

/// The share of subjects who needed fewer trials in the first list than in the second, subject by subject; a
/// subject who was never recognised needed more than anybody who was.
pub fn share_fewer(first: &[Subject], second: &[Subject]) -> f64 {
    let trials = |s: &Subject| s.trials.unwrap_or(usize::MAX);
    let fewer = first.iter().zip(second).filter(|(a, b)| trials(a) < trials(b)).count();
    fewer as f64 / first.len().min(second.len()).max(1) as f64
}
