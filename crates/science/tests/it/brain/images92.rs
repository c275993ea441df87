//! 92 images (Kriegeskorte et al. 2008), where a copy is at hand: models against human IT.

use science::brain::bootstrap::{self, Draw, Factor};
use science::brain::ceiling::noise_ceiling;
use science::brain::compare::{Measure, compare};
use science::brain::spread::{LeftOut, spread};

use super::rows;
use crate::npz;

/// Rows of `models` in the file.
const NAMES: [&str; 8] =
    ["animacy", "FaceBodyManmadeNatobj", "monkeyIT", "EVA", "HMAX", "V1", "Silhouette", "RADON"];

#[test]
fn models_keep_their_published_order_against_human_it() {
    let Some(data) = npz::images92() else { return };
    let sessions = &data["hIT_subject_session"];
    let pairs = sessions.shape[2];
    let subject = |s: usize| -> Vec<f64> {
        let both = sessions.row(s);
        (0..pairs).map(|k| (both[k] + both[pairs + k]) / 2.0).collect()
    };
    let subjects: Vec<Vec<f64>> = (0..sessions.shape[0]).map(subject).collect();
    let subjects: Vec<&[f64]> = subjects.iter().map(Vec::as_slice).collect();
    let models = rows(&data["models"]);
    let near =
        |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    for (measure, lower, upper) in [
        (Measure::Spearman, 0.372313, 0.665721),
        (Measure::Correlation, 0.394410, 0.680413),
        (Measure::TauA, 0.253944, 0.476654),
    ] {
        let found = noise_ceiling(measure, &subjects).unwrap().means();
        near(found.0, lower);
        near(found.1, upper);
    }
    let similarity = compare(Measure::Spearman, &models, &subjects).unwrap();
    let score = |m: usize| similarity.row(m).iter().sum::<f64>() / subjects.len() as f64;
    let n = science::brain::conditions(pairs).unwrap();
    let [both, people, images] = [Factor::Both, Factor::Subjects, Factor::Stimuli].map(|factor| {
        let draws: Vec<Draw> = bootstrap::draws(factor, subjects.len(), n, 200, 1);
        let scores = bootstrap::scores(Measure::Spearman, &models, &subjects, &draws).unwrap();
        scores.into_iter().map(Option::unwrap).collect::<Vec<Vec<f64>>>()
    });
    let left_out = LeftOut::new(n, 200, 1);
    let left =
        bootstrap::scores(Measure::Spearman, &models, &subjects, &left_out.draws(subjects.len())).unwrap();
    for (name, expected) in [
        ("animacy", 0.38622),
        ("monkeyIT", 0.296324),
        ("FaceBodyManmadeNatobj", 0.276596),
        ("EVA", 0.245389),
        ("HMAX", 0.159868),
        ("V1", 0.026514),
    ] {
        let m = NAMES.iter().position(|own| *own == name).unwrap();
        near(score(m), expected);
        let of = |draws: &[Vec<f64>]| -> Vec<f64> { draws.iter().map(|d| d[m]).collect() };
        let without: Vec<Option<f64>> = left.iter().map(|d| Some(d.as_ref()?[m])).collect();
        let of_pairs = left_out.of_pairs(score(m), &without);
        let spread = spread(&[of(&both), of(&people), of(&images)], of_pairs, (subjects.len(), n));
        let (low, high) = bootstrap::t_interval(score(m), spread.variance, spread.degrees, 0.95).unwrap();
        println!("{name:22} {:.3} [{low:.3}, {high:.3}] of a ceiling [0.372, 0.666]", score(m));
        assert!(low < score(m) && score(m) < high && low > -1.0 && high < 1.0);
    }
    let published = rows(&data["it_mean"]);
    near(compare(Measure::Spearman, &published[..1], &published[1..]).unwrap()[(0, 0)], 0.438923);
}
