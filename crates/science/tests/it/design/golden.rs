//! The golden cases of selection.

use science::brain::pairs;
use science::design::answers::{Answers, Link};
use science::design::cover::k_center;
use science::design::decorrelate::Decorrelation;
use science::design::disagree::{Additive, controversial_classes, controversiality, jensen_shannon};
use science::design::optimal::{Aim, Learning};
use science::design::search::{Criterion, best, exhaustive, greedy};
use science::linalg::{Mat, MatRef};

use crate::brain::{EXACT, agree, cases, matrix};
use crate::npz::Array;

fn answers(outputs: &Array, link: Link, scale: f64) -> Answers {
    let models: Vec<&[f64]> = (0..outputs.shape[0]).map(|m| outputs.row(m)).collect();
    Answers::new(&models, outputs.shape[2], link, scale).unwrap()
}

/// The place of the largest value.
fn top(values: &[f64]) -> usize {
    (0..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

#[test]
fn golden_disagreement() {
    for (name, case) in cases("selection") {
        // The files hold outputs before a factor of 2.
        let soft = answers(&case["logits"], Link::Softmax, 2.0);
        let sigmoid = answers(&case["logits"], Link::Sigmoid, 2.0);
        assert_eq!(soft.models() * soft.stimuli() * soft.classes(), case["prob_softmax"].data.len());
        let all = |a: &Answers| -> Vec<f64> {
            (0..a.models()).flat_map(|m| (0..a.stimuli()).flat_map(move |s| a.of(m, s).to_vec())).collect()
        };
        agree(&name, "prob_softmax", &all(&soft), &case["prob_softmax"], EXACT);
        agree(&name, "prob_sigmoid", &all(&sigmoid), &case["prob_sigmoid"], EXACT);
        let listed: Vec<usize> = pairs(soft.models()).flat_map(|(a, b)| [a, b]).collect();
        assert_eq!(listed, case["pairs"].indices());

        let jsd = jensen_shannon(&soft).unwrap();
        agree(&name, "jsd", &jsd.concat(), &case["out_jsd"], EXACT);
        let found: Vec<usize> = jsd.iter().map(|pair| top(pair)).collect();
        assert_eq!(found, case["out_jsd_best"].indices());

        let disputed = controversiality(&sigmoid);
        agree(&name, "controversiality", &disputed.concat(), &case["out_controversiality"], EXACT);
        let found: Vec<usize> = disputed.iter().map(|pair| top(pair)).collect();
        assert_eq!(found, case["out_controversial_best"].indices());
        let classes: Vec<usize> = pairs(sigmoid.models())
            .flat_map(|(a, b)| (0..sigmoid.stimuli()).map(move |s| (a, b, s)))
            .flat_map(|(a, b, s)| {
                let (u, w) = controversial_classes(sigmoid.of(a, s), sigmoid.of(b, s)).1;
                [u, w]
            })
            .collect();
        assert_eq!(classes, case["out_controversial_classes"].indices());

        let k = case["k"].scalar() as usize;
        let mut chosen = best(&Additive::over_pairs(&jsd), k, &[], &[]).unwrap();
        chosen.sort_unstable();
        assert_eq!(chosen, case["out_topk_sum_jsd"].indices(), "{name}");
    }
}

#[test]
fn golden_sets() {
    for (name, case) in cases("selection") {
        let f = matrix(&case["F"]);
        let k = case["k"].scalar() as usize;
        let learning = Learning::new(Aim::Determinant, f.as_ref(), None, case["lam"].scalar()).unwrap();
        let found = exhaustive(&learning, k, &[]).unwrap();
        assert_eq!(found, case["out_dopt_best"].indices(), "{name}");
        agree(&name, "dopt", &[learning.value(&found)], &case["out_dopt_best_logdet"], EXACT);
        assert_eq!(greedy(&learning, k, &[]), case["out_dopt_greedy"].indices(), "{name}");
        let (centers, _) = k_center(f.as_ref(), k, 0, &[]).unwrap();
        assert_eq!(centers, case["out_kcenter_from0"].indices(), "{name}");

        let models: Vec<Mat<f64>> = (0..case["F_models"].shape[0])
            .map(|m| {
                let shape = &case["F_models"].shape;
                MatRef::from_row_major_slice(case["F_models"].row(m), shape[1], shape[2]).to_owned()
            })
            .collect();
        let models: Vec<MatRef<'_, f64>> = models.iter().map(Mat::as_ref).collect();
        let geometry = Decorrelation::new(&models).unwrap();
        let found = exhaustive(&geometry, k, &[]).unwrap();
        assert_eq!(found, case["out_rdm_decorrelated_best"].indices(), "{name}");
        agree(
            &name,
            "rdm_decorrelated",
            &[-geometry.value(&found)],
            &case["out_rdm_decorrelated_value"],
            EXACT,
        );
        let all: Vec<f64> = subsets(f.nrows(), k).iter().map(|set| -geometry.value(set)).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        agree(&name, "rdm mean of all", &[mean], &case["out_rdm_decorrelated_mean_all"], EXACT);
    }
}

/// All sets of `k` of `n`.
fn subsets(n: usize, k: usize) -> Vec<Vec<usize>> {
    (0_u32..1 << n)
        .filter(|bits| bits.count_ones() as usize == k)
        .map(|bits| (0..n).filter(|i| bits >> i & 1 == 1).collect())
        .collect()
}
