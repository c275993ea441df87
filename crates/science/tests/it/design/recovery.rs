//! Simulated subjects: beliefs are calibrated, and model-based choice recognises them sooner.

use science::design::disagree::{Additive, Separation, jensen_shannon};
use science::design::recover::{Order, Settings, Subject, next, posterior, share_fewer, simulate};
use science::design::respond::{Graded, Respond};
use science::design::search::{Criterion, best};

use super::similar_models;

const SETTINGS: Settings = Settings { subjects: 200, trials: 300, level: 0.95, seed: 3 };

fn median(subjects: &[Subject]) -> usize {
    let mut trials: Vec<usize> = subjects.iter().map(|s| s.trials.unwrap_or(usize::MAX)).collect();
    trials.sort_unstable();
    trials[trials.len() / 2]
}

#[test]
fn model_based_choice_needs_fewer_trials_than_random() {
    let answers = similar_models(4, 300, 5, 1).lapsing(0.02).unwrap();
    let random = simulate(&answers, &Order::Random, &SETTINGS).unwrap();
    let adaptive = simulate(&answers, &Order::Adaptive, &SETTINGS).unwrap();
    let separation = Separation::new(&answers, &[0.25; 4]).unwrap();
    let listed = Order::Listed(best(&separation, 20, &[], &[]).unwrap());
    let listed = simulate(&answers, &listed, &SETTINGS).unwrap();
    let (share, fixed) = (share_fewer(&adaptive, &random), share_fewer(&listed, &random));
    println!(
        "adaptive {share} and listed {fixed} with fewer trials than random; medians {} {} {}",
        median(&adaptive),
        median(&listed),
        median(&random)
    );
    assert!(share >= 0.95 && fixed >= 0.9, "{share} {fixed}");
}

/// A Bayesian observer who stops at a posterior of 95 % is right in at least 95 of 100 cases, whatever is shown.
#[test]
fn whoever_is_named_is_right_as_often_as_the_posterior_says() {
    let answers = similar_models(3, 60, 4, 8).lapsing(0.1).unwrap();
    let settings = Settings { subjects: 3000, trials: 400, level: 0.9, seed: 11 };
    for order in [Order::Random, Order::Adaptive, Order::Listed((0..60).collect())] {
        let subjects = simulate(&answers, &order, &settings).unwrap();
        let named: Vec<&Subject> = subjects.iter().filter(|s| s.named.is_some()).collect();
        let right = named.iter().filter(|s| s.named == Some(s.model)).count() as f64 / named.len() as f64;
        // Three standard errors of a share of 0.9.
        let slack = 3.0 * (0.09 / named.len() as f64).sqrt();
        assert!(named.len() > 2000 && right >= 0.9 - slack, "{order:?}: {right} of {}", named.len());
    }
}

#[test]
fn beliefs_follow_bayes_rule_and_the_same_seed_gives_the_same_subjects() {
    let answers = similar_models(3, 20, 4, 2);
    let responses = [(3, 1), (7, 0), (3, 1)];
    let product: Vec<f64> =
        (0..3).map(|m| responses.iter().map(|(s, c)| answers.of(m, *s)[*c]).product()).collect();
    let sum: f64 = product.iter().sum();
    for (found, expected) in posterior(&answers, &responses).unwrap().iter().zip(&product) {
        assert!((found - expected / sum).abs() < 1e-12);
    }
    let run = || simulate(&answers, &Order::Adaptive, &Settings { subjects: 8, ..SETTINGS }).unwrap();
    assert_eq!(run(), run());
    let fewer = simulate(&answers, &Order::Adaptive, &Settings { subjects: 3, ..SETTINGS }).unwrap();
    assert_eq!(run()[..3], fewer[..], "a subject does not depend on how many there are");
}

#[test]
fn information_is_what_is_gained_on_average() {
    let answers = similar_models(3, 10, 4, 5);
    let beliefs = [0.5, 0.3, 0.2];
    let entropy = |p: &[f64]| -> f64 { p.iter().filter(|p| **p > 0.0).map(|p| -p * p.log2()).sum() };
    for s in 0..10 {
        let mut left = 0.0;
        for c in 0..4 {
            let joint: Vec<f64> = (0..3).map(|m| beliefs[m] * answers.of(m, s)[c]).collect();
            let sum: f64 = joint.iter().sum();
            left += sum * entropy(&joint.iter().map(|p| p / sum).collect::<Vec<_>>());
        }
        assert!((answers.information(&beliefs, s) - (entropy(&beliefs) - left)).abs() < 1e-12);
    }
    // With two equally likely models it is their Jensen–Shannon divergence.
    let two = similar_models(2, 10, 4, 5);
    let jsd = jensen_shannon(&two).unwrap();
    for (s, value) in jsd[0].iter().enumerate() {
        assert!((two.information(&[0.5, 0.5], s) - value).abs() < 1e-12);
    }
}

#[test]
fn a_set_that_separates_serves_every_pair_where_sums_do_not() {
    // Models 0 and 1 differ on stimulus 9 alone, and model 2 from both on all others.
    let row = |m: usize, s: usize| -> [f64; 2] {
        match (m, s) {
            (0, 9) => [0.8, 0.2],
            (1, 9) => [0.2, 0.8],
            (2, 9) => [0.5, 0.5],
            (2, _) => [0.05, 0.95],
            _ => [0.95, 0.05],
        }
    };
    let models: Vec<Vec<f64>> = (0..3).map(|m| (0..10).flat_map(|s| row(m, s)).collect()).collect();
    let rows: Vec<&[f64]> = models.iter().map(Vec::as_slice).collect();
    let link = science::design::answers::Link::Probability;
    let answers = science::design::answers::Answers::new(&rows, 2, link, 1.0).unwrap();
    let sums = Additive::over_pairs(&jensen_shannon(&answers).unwrap());
    assert!(!best(&sums, 3, &[], &[]).unwrap().contains(&9));
    let mut separation = Separation::new(&answers, &[1.0 / 3.0; 3]).unwrap();
    assert!(best(&separation, 3, &[], &[]).unwrap().contains(&9));
    assert_eq!(next(&mut separation, &[0.5, 0.5, 0.0], 1, &[false; 10]), [9]);
    assert_eq!(separation.pool(), 10);
}

/// The bound holds for Gaussian responses: of 20,000 simulated decisions between three models after a set of
/// stimuli, no larger share is wrong than it says; and one overlap is the integral that defines it.
#[test]
fn the_bound_for_predicted_numbers_is_a_bound() {
    let models = [[0.0, 1.0, 0.2, 0.4], [0.8, 1.0, 0.9, 0.1], [0.3, 0.2, 0.2, 1.2]];
    let rows: Vec<&[f64]> = models.iter().map(|m| &m[..]).collect();
    let (noise, set) = (0.5, [0, 1, 3]);
    let separation = Separation::of_numbers(&rows, 1, noise, &[1.0 / 3.0; 3]).unwrap();
    let bound = -separation.value(&set);
    let mut wrong = 0;
    for trial in 0..20_000 {
        let truth = trial % 3;
        let responses: Vec<f64> = set
            .iter()
            .enumerate()
            .map(|(i, s)| {
                let (u, v) = (super::pattern(trial * 8 + 2 * i, 1), super::pattern(trial * 8 + 2 * i + 1, 1));
                let normal = (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos();
                models[truth][*s] + noise * normal
            })
            .collect();
        let distance =
            |m: &usize| set.iter().zip(&responses).map(|(s, r)| (r - models[*m][*s]).powi(2)).sum::<f64>();
        let nearest = (0..3).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap();
        wrong += usize::from(nearest != truth);
    }
    let share = wrong as f64 / 20_000.0;
    assert!(share <= bound && share > 0.2 * bound, "{share} wrong, and the bound is {bound}");

    let two = Separation::of_numbers(&rows[..2], 1, noise, &[0.5; 2]).unwrap();
    let density = |x: f64, m: f64| {
        (-(x - m) * (x - m) / (2.0 * noise * noise)).exp() / (noise * std::f64::consts::TAU.sqrt())
    };
    let integral: f64 = (0..20_000)
        .map(|i| -5.0 + i as f64 * 5e-4)
        .map(|x| (density(x, 0.0) * density(x, 0.8)).sqrt() * 5e-4)
        .sum();
    assert!((-two.value(&[0]) - 0.5 * integral).abs() < 1e-6);
    let text =
        |m: &[&[f64]], noise| Separation::of_numbers(m, 1, noise, &vec![0.5; m.len()]).err().unwrap().0;
    assert!(text(&rows, 0.0).contains("not positive"));
    assert!(text(&[rows[0], rows[0]], 1.0).contains("models 0 and 1 predict the same"));
    assert!(text(&rows[..1], 1.0).contains("two models"));
    assert!(text(&[rows[0], &[f64::NAN; 4]], 1.0).contains("model 1 holds NaN"));
}

/// A response to each of 300 stimuli by four models that agree on most and differ on a tenth, as `similar_models`.
fn graded(noise: f64) -> Graded {
    let value = |m: usize, s: usize| {
        let odd = super::pattern(m * 300 + s, 8) < 0.1;
        let own = super::pattern(m * 300 + s, 98) - 0.5;
        6.0 * super::pattern(s, 1) + if odd { 6.0 * own } else { 0.4 * own }
    };
    let models: Vec<Vec<f64>> = (0..4).map(|m| (0..300).map(|s| value(m, s)).collect()).collect();
    let rows: Vec<&[f64]> = models.iter().map(Vec::as_slice).collect();
    Graded::new(&rows, 1, noise).unwrap()
}

/// The same bar as for choices, where responses are numbers with noise.
#[test]
fn graded_responses_recognise_a_subject_sooner_when_stimuli_are_chosen() {
    let models = graded(1.5);
    let random = simulate(&models, &Order::Random, &SETTINGS).unwrap();
    let adaptive = simulate(&models, &Order::Adaptive, &SETTINGS).unwrap();
    let separation = models.separation(&[0.25; 4]).unwrap();
    let listed = Order::Listed(best(&separation, 20, &[], &[]).unwrap());
    let listed = simulate(&models, &listed, &SETTINGS).unwrap();
    let (share, fixed) = (share_fewer(&adaptive, &random), share_fewer(&listed, &random));
    println!(
        "graded: adaptive {share} and listed {fixed} with fewer trials than random; medians {} {} {}",
        median(&adaptive),
        median(&listed),
        median(&random)
    );
    assert!(share >= 0.95 && fixed >= 0.95, "{share} {fixed}");
    let right = adaptive.iter().filter(|s| s.named == Some(s.model)).count();
    assert!(right >= 185, "{right} of 200");
}

#[test]
fn graded_beliefs_are_calibrated_and_follow_bayes_rule() {
    let models = graded(1.0);
    let settings = Settings { subjects: 3000, trials: 200, level: 0.9, seed: 5 };
    let subjects = simulate(&models, &Order::Adaptive, &settings).unwrap();
    let named = subjects.iter().filter(|s| s.named.is_some()).count() as f64;
    let right = subjects.iter().filter(|s| s.named == Some(s.model)).count() as f64 / named;
    assert!(named > 2950.0 && right >= 0.9 - 3.0 * (0.09 / named).sqrt(), "{right} of {named}");
    // The density of a normal distribution, written out.
    let two = Graded::new(&[&[0.0, 1.0], &[0.5, -1.0]], 1, 0.8).unwrap();
    let density = |x: f64, mean: f64| (-0.5 * ((x - mean) / 0.8).powi(2)).exp();
    let given = [(0, vec![0.3]), (1, vec![0.1]), (0, vec![-0.2])];
    let product = |means: [f64; 2]| given.iter().map(|(s, y)| density(y[0], means[*s])).product::<f64>();
    let (first, second) = (product([0.0, 1.0]), product([0.5, -1.0]));
    let found = posterior(&two, &given).unwrap();
    assert!((found[0] - first / (first + second)).abs() < 1e-12, "{found:?}");
}

/// The bound on the information of a graded response lies below the integral that defines it, and meets it where
/// models are alike or far apart.
#[test]
fn graded_information_is_a_bound_from_below() {
    let beliefs = [0.6, 0.4];
    let integral = |gap: f64| {
        let density = |x: f64, mean: f64| (-0.5 * (x - mean).powi(2)).exp() / std::f64::consts::TAU.sqrt();
        let bits = |x: f64| {
            let parts = [density(x, 0.0), density(x, gap)];
            let mixed: f64 = parts.iter().zip(beliefs).map(|(p, b)| p * b).sum();
            parts
                .iter()
                .zip(beliefs)
                .map(|(p, b)| if *p > 0.0 { b * p * (p / mixed).log2() } else { 0.0 })
                .sum::<f64>()
        };
        (0..80_000).map(|i| bits(-15.0 + 6e-4 * f64::from(i)) * 6e-4).sum::<f64>()
    };
    for gap in [0.01, 0.5, 1.0, 2.0, 4.0, 12.0] {
        let models = Graded::new(&[&[0.0], &[gap]], 1, 1.0).unwrap();
        let (bound, exact) = (models.information(&beliefs, 0), integral(gap));
        assert!(bound > 0.0 && bound <= exact + 1e-9, "{gap}: {bound} above {exact}");
        assert!(bound >= 0.2 * exact, "{gap}: {bound} of {exact}");
        if gap > 10.0 {
            assert!((bound - exact).abs() < 1e-6, "{bound} {exact}");
        }
    }
}
