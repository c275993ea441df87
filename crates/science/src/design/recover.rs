//! Which model is a subject? Beliefs from answers, the next stimuli, and simulated subjects that are a model.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::answers::Answers;
use super::disagree::Separation;
use super::search::greedy;
use crate::brain::bootstrap::permutation;
use crate::error::{Error, Result};

/// An answer that was given: stimulus and class.
pub type Response = (usize, usize);

/// Probabilities of the models after responses: Bayes' rule from a uniform prior.
///
/// # Errors
/// If a response names a stimulus or class that is not there, or every model rules out the responses.
pub fn posterior(answers: &Answers, responses: &[Response]) -> Result<Vec<f64>> {
    let mut logs = vec![0.0; answers.models()];
    for (stimulus, class) in responses {
        if *stimulus >= answers.stimuli() || *class >= answers.classes() {
            return Err(Error::new(format!(
                "the response {class} to stimulus {stimulus}: there are {} stimuli and the classes 0 to {}",
                answers.stimuli(),
                answers.classes() - 1
            )));
        }
        update(&mut logs, answers, (*stimulus, *class));
    }
    let beliefs = normalized(&logs);
    if beliefs.iter().any(|p| p.is_nan()) {
        return Err(Error::new("every model gives these responses the probability 0: allow for lapses"));
    }
    Ok(beliefs)
}

fn update(logs: &mut [f64], answers: &Answers, (stimulus, class): Response) {
    for (model, log) in logs.iter_mut().enumerate() {
        *log += answers.of(model, stimulus)[class].ln();
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

/// The mutual information between the model and its answer to a stimulus, in bits, under these beliefs.
pub fn information(answers: &Answers, beliefs: &[f64], stimulus: usize) -> f64 {
    let entropy = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    let mixed = |class| (0..answers.models()).map(|m| beliefs[m] * answers.of(m, stimulus)[class]).sum();
    let own = |m: usize| beliefs[m] * answers.of(m, stimulus).iter().map(|p| entropy(*p)).sum::<f64>();
    let total: f64 = (0..answers.classes()).map(|class| entropy(mixed(class))).sum();
    (total - (0..answers.models()).map(own).sum::<f64>()).max(0.0)
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

/// Simulates subjects whose answers are drawn from a model's probabilities.
///
/// # Errors
/// If the answers are no distributions, two models are alike, a listed stimulus is not there, or a setting is
/// impossible.
pub fn simulate(answers: &Answers, order: &Order, settings: &Settings) -> Result<Vec<Subject>> {
    let count = answers.models();
    let separation = Separation::new(answers, &vec![1.0 / count as f64; count])?;
    if !(settings.level > 1.0 / count as f64 && settings.level < 1.0) {
        let text =
            format!("a posterior of {} is reached at once or never with {count} models", settings.level);
        return Err(Error::new(text));
    }
    if let Order::Listed(list) = order
        && (list.is_empty() || list.iter().any(|s| *s >= answers.stimuli()))
    {
        return Err(Error::new("the list of stimuli is empty, or names one that is not there"));
    }
    let one = |number: usize| {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(settings.seed ^ (number as u64) << 32);
        subject(answers, order, settings, number, separation.clone(), &mut random)
    };
    Ok((0..settings.subjects).into_par_iter().map(one).collect())
}

fn subject(
    answers: &Answers,
    order: &Order,
    settings: &Settings,
    number: usize,
    mut separation: Separation,
    random: &mut Xoshiro256PlusPlus,
) -> Subject {
    let count = answers.models();
    let model = number % count;
    let mut found = Subject { model, trials: None, named: None, posterior: Vec::new() };
    let mut logs = vec![0.0; count];
    let mut beliefs = vec![1.0 / count as f64; count];
    let mut shown = vec![false; answers.stimuli()];
    let mut list = if let Order::Listed(list) = order { list.clone() } else { Vec::new() };
    for trial in 0..settings.trials {
        let stimulus = match order {
            Order::Adaptive => next(&mut separation, &beliefs, 1, &shown).first().copied().unwrap_or(0),
            Order::Listed(_) => list[trial % list.len()],
            Order::Random => {
                if trial % answers.stimuli() == 0 {
                    list = permutation(answers.stimuli(), random.next_u64(), 0);
                }
                list[trial % list.len()]
            }
        };
        if shown.iter().all(|s| *s) {
            shown.fill(false);
        }
        shown[stimulus] = true;
        // The top 53 bits fill the mantissa of a double exactly.
        let uniform = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        update(&mut logs, answers, (stimulus, drawn(answers.of(model, stimulus), uniform)));
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

/// The class that a uniform number falls on.
pub fn drawn(probabilities: &[f64], uniform: f64) -> usize {
    let mut sum = 0.0;
    let reached = probabilities.iter().position(|p| {
        sum += p;
        uniform < sum
    });
    // Rounding may leave the sum just below the number: the last class that is possible.
    reached.or_else(|| probabilities.iter().rposition(|p| *p > 0.0)).unwrap_or(0)
}

/// The share of subjects who needed fewer trials in the first list than in the second, subject by subject; a
/// subject who was never recognised needed more than anybody who was.
pub fn share_fewer(first: &[Subject], second: &[Subject]) -> f64 {
    let trials = |s: &Subject| s.trials.unwrap_or(usize::MAX);
    let fewer = first.iter().zip(second).filter(|(a, b)| trials(a) < trials(b)).count();
    fewer as f64 / first.len().min(second.len()).max(1) as f64
}
