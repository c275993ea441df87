//! What cannot be chosen is refused by name; what is defined has an answer.

use science::design::answers::{Answers, Link};
use science::design::cover::{Coverage, Distance, central, k_center};
use science::design::decorrelate::Decorrelation;
use science::design::disagree::{Separation, jensen_shannon};
use science::design::drive::Drive;
use science::design::optimal::{Aim, Learning};
use science::design::recover::{Order, Settings, posterior, simulate};
use science::design::respond::{Graded, Respond};
use science::design::sample::random;
use science::design::search::best;
use science::error::Result;
use science::linalg::Mat;

use super::{features, similar_models};

fn text<T>(result: Result<T>) -> String {
    result.err().expect("an error").0
}

#[test]
fn one_stimulus_and_more_than_there_are() {
    let one = features(1, 3, 1);
    assert_eq!(best(&Coverage::new(Distance::Mean, one.as_ref()).unwrap(), 1, &[], &[]), Ok(vec![0]));
    assert_eq!(k_center(one.as_ref(), 1, 0, &[]), Ok((vec![0], vec![0.0])));
    assert_eq!(central(one.as_ref()), 0);
    let learning = Learning::new(Aim::Trace, one.as_ref(), None, 1.0).unwrap();
    assert_eq!(best(&learning, 1, &[], &[]), Ok(vec![0]));
    assert_eq!(text(best(&learning, 2, &[], &[])), "2 stimuli of a pool of 1");
    assert_eq!(text(best(&learning, 0, &[], &[])), "no stimulus is asked for");
    assert_eq!(text(random(&[1, 2], 3, 0, 0)), "3 stimuli of a pool of 2");
}

#[test]
fn constant_features_duplicates_and_more_features_than_stimuli() {
    let same = Mat::from_fn(6, 2, |_, _| 0.3);
    let (chosen, radii) = k_center(same.as_ref(), 4, 0, &[]).unwrap();
    assert_eq!((chosen, radii), (vec![0, 1, 2, 3], vec![0.0; 4]));
    assert_eq!(best(&Coverage::new(Distance::Mean, same.as_ref()).unwrap(), 2, &[], &[]), Ok(vec![0, 1]));
    let learning = Learning::new(Aim::Determinant, same.as_ref(), None, 0.1).unwrap();
    assert_eq!(best(&learning, 2, &[], &[]), Ok(vec![0, 1]));
    // A copy of a stimulus adds less than another direction.
    let twice = Mat::from_fn(3, 2, |i, j| if i < 2 { [1.0, 0.0][j] } else { [0.0, 0.9][j] });
    let learning = Learning::new(Aim::Determinant, twice.as_ref(), None, 0.1).unwrap();
    assert_eq!(best(&learning, 2, &[], &[]), Ok(vec![0, 2]));
    let wide = features(4, 50, 3);
    let learning = Learning::new(Aim::Determinant, wide.as_ref(), None, 0.1).unwrap();
    assert_eq!(best(&learning, 3, &[], &[]).unwrap().len(), 3);
}

#[test]
fn numbers_that_are_none_and_penalties_that_are_not_positive() {
    let nan = Mat::from_fn(4, 2, |i, _| if i == 2 { f64::NAN } else { i as f64 });
    for found in [
        text(Coverage::new(Distance::Mean, nan.as_ref())),
        text(k_center(nan.as_ref(), 2, 0, &[])),
        text(Learning::new(Aim::Trace, nan.as_ref(), None, 1.0)),
    ] {
        assert_eq!(found, "the features hold a value that is no number");
    }
    let f = features(4, 2, 1);
    assert_eq!(text(Learning::new(Aim::Trace, f.as_ref(), None, 0.0)), "the ridge penalty 0 is not positive");
    assert!(
        text(Learning::new(Aim::Trace, f.as_ref(), Some(features(2, 3, 1).as_ref()), 1.0)).contains("other")
    );
    assert_eq!(text(Drive::new(&[1.0; 5], None, 0.0)), "the predicted response is the same for all stimuli");
    assert!(text(Drive::new(&[1.0, f64::NAN], None, 0.0)).contains("position 1"));
    assert!(text(Drive::new(&[1.0, 2.0], None, 0.5)).starts_with("diversity needs features"));
    let same = Mat::from_fn(2, 2, |_, _| 0.3);
    assert!(text(Drive::new(&[1.0, 2.0], Some(same.as_ref()), 0.5)).starts_with("all stimuli have the same"));
}

#[test]
fn models_that_cannot_be_told_apart() {
    let rows = [0.2, 0.8, 0.6, 0.4];
    let alike = Answers::new(&[&rows, &rows], 2, Link::Probability, 1.0).unwrap();
    let message = "models 0 and 1 answer every stimulus alike: nothing tells them apart";
    assert_eq!(text(Separation::new(&alike, &[0.5; 2])), message);
    let settings = Settings { subjects: 2, trials: 3, level: 0.95, seed: 0 };
    assert_eq!(text(simulate(&alike, &Order::Random, &settings)), message);
    assert_eq!(jensen_shannon(&alike), Ok(vec![vec![0.0; 2]]));

    let new = |models: &[&[f64]], classes| Answers::new(models, classes, Link::Probability, 1.0);
    assert!(text(new(&[&rows], 2)).starts_with("1 models with 2 classes"));
    assert!(text(new(&[&rows, &rows[..2]], 2)).contains("do not answer the same stimuli"));
    assert_eq!(text(new(&[&rows, &[0.2, 0.8, 1.6, 0.4]], 2)), "1.6 is no probability");
    assert!(text(new(&[&rows, &[f64::NAN; 4]], 2)).contains("model 1 holds NaN"));
    let loose = new(&[&rows, &[0.9, 0.9, 0.1, 0.9]], 2).unwrap();
    assert!(text(jensen_shannon(&loose)).contains("take a softmax"));
    // Certain and opposite: one bit, whatever the logarithm of 0.
    let sure = new(&[&[1.0, 0.0], &[0.0, 1.0]], 2).unwrap();
    assert_eq!(jensen_shannon(&sure), Ok(vec![vec![1.0]]));
    assert!(text(posterior(&sure, &[(0, 0), (0, 1)])).contains("allow for lapses"));
    assert!(text(posterior(&sure, &[(0, 2)])).contains("classes 0 to 1"));
    assert!(posterior(&sure.lapsing(0.1).unwrap(), &[(0, 0), (0, 1)]).is_ok());
}

#[test]
fn graded_models_that_cannot_be() {
    let new = |models: &[&[f64]], width, noise| Graded::new(models, width, noise);
    assert!(text(new(&[&[1.0, 2.0]], 1, 1.0)).contains("two models or more"));
    assert!(text(new(&[&[1.0, 2.0], &[1.0]], 1, 1.0)).contains("same numbers"));
    assert!(text(new(&[&[1.0, 2.0], &[1.0, f64::NAN]], 1, 1.0)).contains("model 1 holds NaN"));
    assert!(text(new(&[&[1.0, 2.0], &[1.0, 2.0]], 1, 1.0)).contains("nothing tells them apart"));
    for noise in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(text(new(&[&[1.0, 2.0], &[1.0, 3.0]], 1, noise)).contains("is not positive"));
    }
    let models = new(&[&[1.0, 2.0], &[1.0, 3.0]], 1, 1e-3).unwrap();
    assert!(text(posterior(&models, &[(0, vec![f64::NAN])])).contains("response to stimulus 0 holds NaN"));
    assert!(text(posterior(&models, &[(2, vec![0.0])])).contains("there are 2 stimuli"));
    assert!(text(posterior(&models, &[(0, vec![0.0, 1.0])])).contains("2 numbers in response"));
    // Responses that no model comes near still make probabilities, and stimulus 0 tells nothing.
    let far = posterior(&models, &[(0, vec![1e6]), (1, vec![1e6])]).unwrap();
    assert!(far.iter().all(|p| p.is_finite()) && far[1] == 1.0, "{far:?}");
    assert_eq!(models.information(&[0.5, 0.5], 0), 0.0);
}

#[test]
fn settings_of_simulations_that_cannot_be() {
    let answers = similar_models(3, 12, 3, 1);
    let settings = Settings { subjects: 2, trials: 30, level: 0.95, seed: 0 };
    assert!(text(simulate(&answers, &Order::Listed(vec![]), &settings)).contains("empty"));
    assert!(text(simulate(&answers, &Order::Listed(vec![12]), &settings)).contains("not there"));
    let low = Settings { level: 0.3, ..settings };
    assert!(text(simulate(&answers, &Order::Random, &low)).contains("at once or never"));
    assert!(text(answers.clone().lapsing(1.0)).contains("lapse"));
    // More trials than stimuli: they are shown again.
    let subjects = simulate(&answers, &Order::Adaptive, &settings).unwrap();
    assert!(subjects.iter().all(|s| s.posterior.len() == 30));
}

#[test]
fn geometries_need_two_models_and_three_stimuli() {
    let f = features(6, 4, 1);
    assert!(text(Decorrelation::new(&[f.as_ref()])).starts_with("geometries differ"));
    let flat = Mat::from_fn(6, 4, |i, j| if i == 3 { 1.0 } else { (i * j) as f64 + j as f64 });
    assert!(text(Decorrelation::new(&[f.as_ref(), flat.as_ref()])).starts_with("model 1: condition 3"));
    let other = features(6, 4, 2);
    let geometry = Decorrelation::new(&[f.as_ref(), other.as_ref()]).unwrap();
    assert_eq!(text(best(&geometry, 2, &[], &[])), "no set of 2 stimuli has a value");
    assert_eq!(best(&geometry, 3, &[], &[]).unwrap().len(), 3);
}
