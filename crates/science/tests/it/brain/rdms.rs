//! RDMs and their comparison.

use science::brain::compare::{Measure, compare, compare_with_variances};
use science::brain::{pairs, rdm};
use science::linalg::Mat;

use super::{EXACT, agree, cases, flat, matrix, rows};

/// Numbers from 0 for the distinct values, in ascending order.
fn codes(values: &[f64]) -> (Vec<usize>, usize) {
    let mut distinct = values.to_vec();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    let code = |v: &f64| distinct.iter().position(|d| d == v).unwrap();
    (values.iter().map(code).collect(), distinct.len())
}

#[test]
fn golden_rdms() {
    for (name, case) in cases("rdm_calc") {
        let (x, counts) = (matrix(&case["X"]), matrix(&case["counts"]));
        let precision = matrix(&case["precision"]);
        let (condition, count) = codes(&case["cond"].data);
        let (run, _) = codes(&case["run"].data);
        let means = rdm::condition_means(x.as_ref(), &condition, count).unwrap();
        let rates = rdm::condition_means(counts.as_ref(), &condition, count).unwrap();
        let cross = |p| rdm::crossnobis(x.as_ref(), &condition, count, &run, p).unwrap();
        for (what, found) in [
            ("euclidean", rdm::euclidean(means.as_ref()).unwrap()),
            ("correlation", rdm::correlation(means.as_ref()).unwrap()),
            ("mahalanobis", rdm::mahalanobis(means.as_ref(), precision.as_ref()).unwrap()),
            ("crossnobis_identity", cross(None)),
            ("crossnobis_prec", cross(Some(precision.as_ref()))),
            ("poisson", rdm::poisson(rates.as_ref()).unwrap()),
        ] {
            agree(&name, what, &found, &case[&format!("out_{what}")], EXACT);
        }
    }
}

#[test]
fn the_cross_validated_poisson_distance_is_the_mean_over_all_runs() {
    for (name, case) in cases("rdm_calc") {
        let counts = matrix(&case["counts"]);
        let (condition, count) = codes(&case["cond"].data);
        let (run, runs) = codes(&case["run"].data);
        let found = rdm::poisson_cv(counts.as_ref(), &condition, count, &run).unwrap();
        // The definition, loop by loop.
        let mean = |c: usize, j: usize, keep: &dyn Fn(usize) -> bool| {
            let own: Vec<f64> = (0..counts.nrows())
                .filter(|r| condition[*r] == c && keep(run[*r]))
                .map(|r| counts[(r, j)])
                .collect();
            (own.iter().sum::<f64>() / own.len() as f64 + 0.1) / 1.1
        };
        for (value, (a, b)) in found.iter().zip(pairs(count)) {
            let mut expected = 0.0;
            for f in 0..runs {
                for j in 0..counts.ncols() {
                    let train = mean(a, j, &|r| r != f) - mean(b, j, &|r| r != f);
                    let test = mean(a, j, &|r| r == f).ln() - mean(b, j, &|r| r == f).ln();
                    expected += train * test / (counts.ncols() * runs) as f64;
                }
            }
            assert!((value - expected).abs() < 1e-12, "{name}: {value} {expected}");
        }
    }
}

#[test]
fn golden_comparisons() {
    for (name, case) in cases("rdm_compare") {
        let (a, b) = (rows(&case["R1"]), rows(&case["R2"]));
        for (what, measure) in [
            ("cosine", Measure::Cosine),
            ("corr", Measure::Correlation),
            ("spearman", Measure::Spearman),
            ("kendall", Measure::TauB),
            ("tau_a", Measure::TauA),
            ("rho_a", Measure::RhoA),
            ("cosine_cov", Measure::WhitenedCosine),
            ("corr_cov", Measure::WhitenedCorrelation),
        ] {
            let found = compare(measure, &a, &b).unwrap();
            agree(&name, what, &flat(&found), &case[&format!("out_{what}")], EXACT);
        }
        let variances = &case["sigma_k_1d"].data;
        for (what, measure) in
            [("cosine_cov", Measure::WhitenedCosine), ("corr_cov", Measure::WhitenedCorrelation)]
        {
            let found = compare_with_variances(measure, &a, &b, variances).unwrap();
            agree(&name, what, &flat(&found), &case[&format!("out_{what}_sigma1d")], EXACT);
        }
        let found = compare(Measure::Bures, &rows(&case["E1"]), &rows(&case["E2"])).unwrap();
        agree(&name, "bures", &flat(&found), &case["out_bures"], (1e-6, 0.0));
        // RDMs that no points have are refused rather than scored above 1.
        let text = compare(Measure::Bures, &a, &b).unwrap_err().to_string();
        assert!(text.contains("no set of squared Euclidean distances"), "{text}");
    }
}

/// Numbers without a pattern, from a seed.
fn noise(rows: usize, columns: usize, seed: u64) -> Mat<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    Mat::from_fn(rows, columns, |_, _| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
    })
}

#[test]
fn distances_keep_the_invariances_they_promise() {
    let x = noise(9, 14, 1);
    let (_, rotation) =
        science::linalg::eigh((noise(14, 14, 2).transpose() * noise(14, 14, 2)).as_ref()).unwrap();
    let turned = &x * &rotation;
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
    assert!(near(&rdm::euclidean(x.as_ref()).unwrap(), &rdm::euclidean(turned.as_ref()).unwrap()));
    let scaled = Mat::from_fn(9, 14, |i, j| (i as f64 + 1.0) * x[(i, j)] - i as f64);
    assert!(near(&rdm::correlation(x.as_ref()).unwrap(), &rdm::correlation(scaled.as_ref()).unwrap()));
    let identity = Mat::<f64>::identity(14, 14);
    assert!(near(
        &rdm::euclidean(x.as_ref()).unwrap(),
        &rdm::mahalanobis(x.as_ref(), identity.as_ref()).unwrap()
    ));
}

#[test]
fn similarities_keep_the_invariances_they_promise() {
    let a: Vec<f64> = noise(1, 45, 3).row(0).iter().map(|v| v + 1.0).collect();
    let b: Vec<f64> = noise(1, 45, 4).row(0).iter().map(|v| v + 1.0).collect();
    let of = |m: Measure, a: &[f64]| compare(m, &[a], &[b.as_slice()]).unwrap()[(0, 0)];
    let scaled: Vec<f64> = a.iter().map(|v| 3.0 * v).collect();
    let shifted: Vec<f64> = a.iter().map(|v| 3.0 * v + 2.0).collect();
    let monotone: Vec<f64> = a.iter().map(|v| v.exp()).collect();
    for (measure, images) in [
        (Measure::Cosine, vec![&scaled]),
        (Measure::WhitenedCosine, vec![&scaled]),
        (Measure::Correlation, vec![&scaled, &shifted]),
        (Measure::WhitenedCorrelation, vec![&scaled, &shifted]),
        (Measure::Spearman, vec![&scaled, &shifted, &monotone]),
        (Measure::RhoA, vec![&monotone]),
        (Measure::TauA, vec![&monotone]),
        (Measure::TauB, vec![&monotone]),
    ] {
        for image in images {
            let (one, other) = (of(measure, &a), of(measure, image));
            assert!((one - other).abs() < 1e-12, "{}: {one} {other}", measure.name());
        }
        let own = compare(measure, &[a.as_slice()], &[a.as_slice()]).unwrap()[(0, 0)];
        assert!((own - 1.0).abs() < 1e-12, "{}: {own}", measure.name());
    }
}
