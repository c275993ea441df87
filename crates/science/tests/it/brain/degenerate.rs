//! What cannot be computed is refused by name; what is defined has an answer.

use science::brain::bootstrap::{self, Draw};
use science::brain::ceiling::noise_ceiling;
use science::brain::compare::{Measure, compare};
use science::brain::reliability::{Repeats, normalize, signal_noise, split_half};
use science::brain::{conditions, rdm};
use science::linalg::Mat;

#[test]
fn every_measure_answers_or_names_the_rdm() {
    let rdm = [0.3, 0.1, 0.4, 0.1, 0.5, 0.9];
    let cases: [(&str, [f64; 6]); 3] = [("constant", [2.0; 6]), ("zero", [0.0; 6]), ("NaN", [f64::NAN; 6])];
    for (_, measure) in Measure::ALL {
        for (what, bad) in cases {
            match compare(measure, &[rdm], &[bad]) {
                Ok(found) => assert!(found[(0, 0)].is_finite(), "{} of {what}", measure.name()),
                Err(error) => assert!(error.to_string().contains("RDM"), "{error}"),
            }
        }
        assert!(compare(measure, &[[f64::NAN; 6]], &[rdm]).is_err());
        assert!(compare(measure, &[vec![1.0; 6]], &[vec![1.0; 10]]).is_err());
    }
    let text = compare(Measure::Spearman, &[rdm], &[[2.0; 6]]).unwrap_err().to_string();
    assert_eq!(text, "RDM 1 is constant: `correlation` is undefined for it");
    assert_eq!(compare(Measure::TauA, &[rdm], &[[2.0; 6]]).unwrap()[(0, 0)], 0.0);
}

#[test]
fn one_stimulus_has_no_rdm() {
    assert!(conditions(0).is_err() && conditions(2).is_err());
    assert_eq!(conditions(1), Ok(2));
    assert_eq!(rdm::euclidean(Mat::from_fn(1, 3, |_, j| j as f64).as_ref()), Ok(vec![]));
}

#[test]
fn constant_and_duplicated_rows() {
    let same = Mat::from_fn(3, 4, |i, j| if i == 1 { 5.0 } else { j as f64 });
    let text = rdm::correlation(same.as_ref()).unwrap_err().to_string();
    assert!(text.starts_with("condition 1 responds the same in all 4 channels"), "{text}");
    let twice = Mat::from_fn(3, 4, |i, j| ((i % 2) * 7 + j * j) as f64);
    assert_eq!(rdm::euclidean(twice.as_ref()).unwrap()[1], 0.0);
    assert!(rdm::euclidean(Mat::from_fn(2, 2, |_, _| f64::NAN).as_ref()).is_err());
    assert!(rdm::euclidean(Mat::zeros(3, 0).as_ref()).is_err());
}

#[test]
fn runs_and_precisions_that_do_not_fit() {
    let x = Mat::from_fn(4, 2, |i, j| (i * 3 + j) as f64);
    let one = rdm::crossnobis(x.as_ref(), &[0, 1, 0, 1], 2, &[0; 4], None).unwrap_err();
    assert_eq!(one.to_string(), "cross-validation needs at least two runs");
    let missing = rdm::crossnobis(x.as_ref(), &[0, 1, 0, 0], 2, &[0, 0, 1, 1], None).unwrap_err();
    assert_eq!(missing.to_string(), "condition 1 is missing in run 1");
    let indefinite = Mat::from_fn(2, 2, |i, j| if i == j { 1.0 } else { -3.0 });
    assert!(rdm::mahalanobis(x.as_ref(), indefinite.as_ref()).is_err());
    let counts = Mat::from_fn(2, 2, |i, _| -(i as f64));
    assert!(rdm::poisson(counts.as_ref()).unwrap_err().to_string().contains("negative count"));
}

#[test]
fn ceilings_of_nothing_and_of_noise() {
    let rdm = [0.3, 0.1, 0.4, 0.1, 0.5, 0.9];
    assert!(noise_ceiling(Measure::Spearman, &[&rdm]).is_err());
    let flat = [1.0; 8];
    let data = Repeats { values: &flat, repeats: 2 };
    assert!(split_half(data, &[vec![0, 1]]).is_err());
    let found = signal_noise(data).unwrap();
    assert_eq!((found.signal, found.noise, found.ceiling), (0.0, 0.0, 0.0));
    assert_eq!(normalize(0.4, 0.0), None);
    assert!(signal_noise(Repeats { values: &[1.0, f64::NAN, 2.0, 3.0], repeats: 2 }).is_err());
    assert!(signal_noise(Repeats { values: &[1.0, 2.0], repeats: 2 }).is_err());
}

#[test]
fn a_draw_of_one_stimulus_has_no_score() {
    let rdm = [0.3, 0.1, 0.4, 0.1, 0.5, 0.9];
    let lone = Draw { subjects: vec![0], stimuli: vec![2; 4] };
    let found = bootstrap::scores(Measure::Spearman, &[&rdm], &[&rdm], &[lone]).unwrap();
    assert_eq!(found, [None]);
    let beyond = Draw { subjects: vec![1], stimuli: vec![0, 1, 2, 3] };
    assert!(bootstrap::scores(Measure::Spearman, &[&rdm], &[&rdm], &[beyond]).is_err());
}
