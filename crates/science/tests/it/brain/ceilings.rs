//! Noise ceilings, bootstrap and tests.

use science::brain::bootstrap::{self, Draw, Factor};
use science::brain::ceiling::{noise_ceiling, noise_ceiling_with_variances};
use science::brain::compare::{Measure, compare, compare_with_variances};
use science::brain::spread::spread;
use science::brain::tests::T;

use super::{EXACT, agree, cases, flat, rows};

const MEASURES: [(&str, Measure); 7] = [
    ("cosine", Measure::Cosine),
    ("corr", Measure::Correlation),
    ("spearman", Measure::Spearman),
    ("tau_a", Measure::TauA),
    ("rho_a", Measure::RhoA),
    ("cosine_cov", Measure::WhitenedCosine),
    ("corr_cov", Measure::WhitenedCorrelation),
];

#[test]
fn golden_noise_ceilings() {
    for (name, case) in cases("noise_ceiling") {
        let (subjects, models) = (rows(&case["subject_rdms"]), rows(&case["model_rdms"]));
        for (what, measure) in MEASURES {
            let (lower, upper) = noise_ceiling(measure, &subjects).unwrap().means();
            agree(&name, what, &[lower, upper], &case[&format!("out_ceil_{what}")], EXACT);
            if let Some(expected) = case.get(&format!("out_eval_{what}")) {
                agree(&name, what, &flat(&compare(measure, &models, &subjects).unwrap()), expected, EXACT);
            }
        }
    }
}

#[test]
fn golden_tests_of_scores() {
    for (name, case) in cases("noise_ceiling") {
        let scores = rows(&case["out_eval_corr"]);
        let ceiling = case["out_ceil_corr"].data[0];
        let less = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
        let p = |values: &[f64]| T::of(values).unwrap().two_sided().unwrap();
        let pairwise: Vec<f64> = scores.iter().flat_map(|a| scores.iter().map(|b| p(&less(a, b)))).collect();
        let zero: Vec<f64> = scores.iter().map(|a| T::of(a).unwrap().one_sided().unwrap()).collect();
        let noise: Vec<f64> = scores.iter().map(|a| p(&less(a, &vec![ceiling; a.len()]))).collect();
        for (what, found) in [("pairwise", pairwise), ("zero", zero), ("noise", noise)] {
            agree(&name, what, &found, &case[&format!("out_t_test_{what}_p")], (1e-7, 0.0));
        }
    }
}

#[test]
fn golden_bootstrap_from_its_stored_indices() {
    for (name, case) in cases("noise_ceiling") {
        let (subjects, models) = (rows(&case["subject_rdms"]), rows(&case["model_rdms"]));
        let (by_subject, by_stimulus) = (&case["boot_subject_idx"], &case["boot_stimulus_idx"]);
        let index = |row: &[f64]| -> Vec<usize> { row.iter().map(|v| *v as usize).collect() };
        let draws: Vec<Draw> = (0..by_subject.shape[0])
            .map(|b| Draw { subjects: index(by_subject.row(b)), stimuli: index(by_stimulus.row(b)) })
            .collect();
        let scores = bootstrap::scores(Measure::Correlation, &models, &subjects, &draws).unwrap();
        let scores: Vec<Vec<f64>> = scores.into_iter().map(Option::unwrap).collect();
        agree(&name, "boot_corr", &scores.concat(), &case["out_boot_corr"], EXACT);
        let gaps: Vec<f64> = scores.iter().map(|s| s[0] - s[1]).collect();
        let (low, high) = bootstrap::percentile_interval(&gaps, 0.95).unwrap();
        agree(&name, "boot_diff01_ci", &[low, high], &case["out_boot_diff01_ci"], EXACT);
    }
}

#[test]
fn a_draw_of_everything_once_is_the_plain_score_for_every_measure() {
    for (name, case) in cases("noise_ceiling") {
        let (subjects, models) = (rows(&case["subject_rdms"]), rows(&case["model_rdms"]));
        let n = science::brain::conditions(subjects[0].len()).unwrap();
        let all = Draw { subjects: (0..subjects.len()).collect(), stimuli: (0..n).collect() };
        for (what, measure) in MEASURES {
            let drawn = bootstrap::scores(measure, &models, &subjects, std::slice::from_ref(&all)).unwrap();
            let plain = compare(measure, &models, &subjects).unwrap();
            for (model, score) in drawn[0].as_ref().unwrap().iter().enumerate() {
                let mean = plain.row(model).iter().sum::<f64>() / subjects.len() as f64;
                assert!((score - mean).abs() < 1e-10, "{name} {what}: {score} {mean}");
            }
        }
    }
}

/// Equal variances are none; with others a draw of everything once is the plain score, and a draw that holds copies is
/// the score of those points.
#[test]
fn variances_of_conditions_go_through_bootstrap_and_ceiling() {
    for (name, case) in cases("noise_ceiling") {
        let (subjects, models) = (rows(&case["subject_rdms"]), rows(&case["model_rdms"]));
        let n = science::brain::conditions(subjects[0].len()).unwrap();
        let uneven: Vec<f64> = (0..n).map(|i| 0.5 + i as f64).collect();
        let all = Draw { subjects: (0..subjects.len()).collect(), stimuli: (0..n).collect() };
        for measure in [Measure::WhitenedCosine, Measure::WhitenedCorrelation] {
            let equal = noise_ceiling_with_variances(measure, &subjects, &vec![3.0; n]).unwrap();
            let plain = noise_ceiling(measure, &subjects).unwrap();
            let near = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-9;
            assert!(near(equal.means(), plain.means()), "{name}: {equal:?} {plain:?}");
            let other = noise_ceiling_with_variances(measure, &subjects, &uneven).unwrap();
            assert!(!near(other.means(), plain.means()) && other.means().0 <= other.means().1);

            let scores = |draw: &Draw| {
                let draws = std::slice::from_ref(draw);
                let found = bootstrap::scores_with_variances(measure, &models, &subjects, &uneven, draws);
                found.unwrap()[0].clone().unwrap()
            };
            let plain = compare_with_variances(measure, &models, &subjects, &uneven).unwrap();
            let mean = |m: usize| plain.row(m).iter().sum::<f64>() / subjects.len() as f64;
            assert!(scores(&all).iter().enumerate().all(|(m, s)| (s - mean(m)).abs() < 1e-10));
            let mut copied = all.clone();
            copied.stimuli[1] = 0;
            let drawn = scores(&copied);
            assert!(drawn.iter().all(|s| s.is_finite() && s.abs() <= 1.0) && drawn != scores(&all));
        }
        let bad = bootstrap::scores_with_variances(Measure::Spearman, &models, &subjects, &uneven, &[all]);
        assert!(bad.unwrap_err().to_string().contains("not a whitened measure"));
    }
}

/// What is wrong with the second side is counted behind the first.
#[test]
fn an_undefined_rdm_is_numbered_over_both_sides() {
    let (sound, zero) = ([1.0, 2.0, 1.5], [0.0; 3]);
    for measure in [Measure::Cosine, Measure::WhitenedCosine, Measure::WhitenedCorrelation, Measure::Bures] {
        let text = compare(measure, &[&sound, &sound], &[&sound, &zero]).unwrap_err().to_string();
        assert!(text.starts_with("RDM 3 is "), "{measure:?}: {text}");
    }
    let text = compare_with_variances(Measure::WhitenedCosine, &[&sound], &[&zero], &[1.0; 3]);
    assert!(text.unwrap_err().to_string().starts_with("RDM 1 is zero"));
    let flat = [0.1; 3];
    let text = compare_with_variances(Measure::WhitenedCorrelation, &[&flat], &[&sound], &[1.0; 3]);
    assert!(text.unwrap_err().to_string().starts_with("RDM 0 is constant"));
}

#[test]
fn draws_depend_on_their_seed_alone() {
    let draws = bootstrap::draws(Factor::Both, 5, 9, 20, 7);
    assert_eq!(draws, bootstrap::draws(Factor::Both, 5, 9, 20, 7));
    assert_ne!(draws, bootstrap::draws(Factor::Both, 5, 9, 20, 8));
    let fixed = bootstrap::draws(Factor::Subjects, 5, 9, 20, 7);
    assert!(fixed.iter().all(|d| d.stimuli == (0..9).collect::<Vec<_>>()));
    assert!(fixed.iter().any(|d| d.subjects != (0..5).collect::<Vec<_>>()));
}

/// Two-way data with known variances: subjects, stimuli and noise add up. The interval that corrects
/// for both factors covers the true mean in 93 to 97 of 100 simulations.
#[test]
fn intervals_cover_the_truth_as_often_as_they_say() {
    use rand_distr::{Distribution, StandardNormal};
    use rand_xoshiro::rand_core::SeedableRng;
    let (subjects, stimuli, simulations, count) = (12, 20, 1000, 300);
    let mut covered = 0;
    let mut random = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(5);
    for simulation in 0..simulations {
        let mut normal = |sd: f64| -> f64 {
            let z: f64 = StandardNormal.sample(&mut random);
            sd * z
        };
        let by_subject: Vec<f64> = (0..subjects).map(|_| normal(0.5)).collect();
        let by_stimulus: Vec<f64> = (0..stimuli).map(|_| normal(0.7)).collect();
        let score: Vec<Vec<f64>> =
            by_subject.iter().map(|s| by_stimulus.iter().map(|t| s + t + normal(1.0)).collect()).collect();
        let mean = |d: &Draw| {
            let sum: f64 = d.subjects.iter().flat_map(|s| d.stimuli.iter().map(|t| score[*s][*t])).sum();
            sum / (subjects * stimuli) as f64
        };
        let [both, own, items] = [Factor::Both, Factor::Subjects, Factor::Stimuli].map(|f| {
            let draws = bootstrap::draws(f, subjects, stimuli, count, simulation);
            draws.iter().map(mean).collect::<Vec<f64>>()
        });
        let spread = spread(&[both, own, items], 0.0, (subjects, stimuli));
        let all = Draw { subjects: (0..subjects).collect(), stimuli: (0..stimuli).collect() };
        let (low, high) = bootstrap::t_interval(mean(&all), spread.variance, spread.degrees, 0.95).unwrap();
        covered += usize::from(low <= 0.0 && 0.0 <= high);
    }
    println!("coverage of the 95 % interval over subjects and stimuli: {covered} of {simulations}");
    assert!((930..=970).contains(&covered), "{covered} of {simulations}");
}
