//! Ridge, banded ridge, partial least squares.

use science::brain::encode::folds::{by_label, contiguous, without};
use science::brain::encode::nested::nested;
use science::brain::encode::pls::Pls;
use science::brain::encode::ridge::{Ridge, best};
use science::brain::encode::{banded, project, r2};
use science::brain::stats::{mean, pearson};
use science::linalg::{Mat, MatRef};

use super::{EXACT, agree, cases, flat, matrix};
use crate::npz::Array;

fn labels(array: &Array) -> Vec<i64> {
    array.data.iter().map(|v| *v as i64).collect()
}

fn take(m: &Mat<f64>, rows: &[usize]) -> Mat<f64> {
    Mat::from_fn(rows.len(), m.ncols(), |i, j| m[(rows[i], j)])
}

fn column(m: &Mat<f64>, rows: &[usize], j: usize) -> Vec<f64> {
    rows.iter().map(|i| m[(*i, j)]).collect()
}

#[test]
fn golden_ridge() {
    for (name, case) in cases("ridge_pls") {
        let (x, y) = (matrix(&case["X"]), matrix(&case["Y"]));
        let alphas = &case["alphas"].data;
        let folds = by_label(&labels(&case["folds"])).unwrap();
        let rows: Vec<usize> = (0..x.nrows()).collect();
        assert_eq!(folds, contiguous(&rows, folds.len()).unwrap());
        let ridge = Ridge::new(x.as_ref(), y.as_ref()).unwrap();
        let scores = ridge.cross_validate(&rows, &folds, alphas).unwrap();
        agree(&name, "cv_r2", &flat(&scores), &case["out_cv_r2"], EXACT);
        let chosen: Vec<f64> = best(scores.as_ref()).into_iter().map(|i| alphas[i]).collect();
        agree(&name, "best_alpha", &chosen, &case["out_best_alpha"], EXACT);
        let means =
            Mat::from_fn(alphas.len(), 1, |i, _| mean(&scores.row(i).iter().copied().collect::<Vec<_>>()));
        agree(
            &name,
            "global_alpha",
            &[alphas[best(means.as_ref())[0]]],
            &case["out_global_alpha"],
            (0.0, 0.0),
        );
        let fit = ridge.fit(&rows, &chosen).unwrap();
        agree(&name, "coef", &flat(&fit.coefficients), &case["out_coef"], EXACT);
        agree(&name, "intercept", &fit.intercepts, &case["out_intercept"], EXACT);
        let errors = ridge.leave_one_out(&rows, alphas).unwrap();
        let chosen: Vec<f64> = best((-errors).as_ref()).into_iter().map(|i| alphas[i]).collect();
        agree(&name, "loo_alpha", &chosen, &case["out_loo_alpha_sklearn"], EXACT);
        let fit = ridge.fit(&rows, &chosen).unwrap();
        let turned = fit.coefficients.transpose().to_owned();
        agree(&name, "loo_coef", &flat(&turned), &case["out_loo_coef_sklearn"], EXACT);
    }
}

#[test]
fn golden_nested_cross_validation() {
    for (name, case) in cases("ridge_pls") {
        let (x, y) = (matrix(&case["X"]), matrix(&case["Y"]));
        let folds = by_label(&labels(&case["folds"])).unwrap();
        let ridge = Ridge::new(x.as_ref(), y.as_ref()).unwrap();
        let found = nested(&ridge, &folds, folds.len() - 1, &case["alphas"].data).unwrap();
        agree(&name, "nested_pred", &flat(&found.predictions), &case["out_nested_pred"], (1e-6, 0.0));
        agree(&name, "nested_alpha", &flat(&found.alphas), &case["out_nested_alpha"], EXACT);
        let (mut r, mut determined) = (Vec::new(), Vec::new());
        for rows in &folds {
            for j in 0..y.ncols() {
                let (truth, predicted) = (column(&y, rows, j), column(&found.predictions, rows, j));
                r.push(pearson(&truth, &predicted).unwrap());
                determined.push(r2(&truth, &predicted).unwrap());
            }
        }
        agree(&name, "nested_r", &r, &case["out_nested_r"], (1e-6, 0.0));
        agree(&name, "nested_r2", &determined, &case["out_nested_r2"], (1e-6, 0.0));
    }
}

#[test]
fn golden_banded_ridge() {
    for (name, case) in cases("ridge_pls") {
        let (x, y) = (matrix(&case["X"]), matrix(&case["Y"]));
        let fit =
            banded::fit(x.as_ref(), y.as_ref(), &case["band"].indices(), &case["band_alphas"].data).unwrap();
        agree(&name, "banded_coef", &flat(&fit.coefficients), &case["out_banded_coef"], EXACT);
    }
}

#[test]
fn golden_partial_least_squares() {
    for (name, case) in cases("ridge_pls") {
        let (x, y) = (matrix(&case["X"]), matrix(&case["Y"]));
        let folds = by_label(&labels(&case["folds"])).unwrap();
        let train = without(&(0..x.nrows()).collect::<Vec<_>>(), &folds[0]);
        let mut seen = 0;
        for (key, expected) in case.iter().filter(|(k, _)| k.starts_with("out_pls_pred_k")) {
            let (k, kind) = key.trim_start_matches("out_pls_pred_k").split_once('_').unwrap();
            let fit = Pls::fit(
                take(&x, &train).as_ref(),
                take(&y, &train).as_ref(),
                k.parse().unwrap(),
                kind == "scaled",
            );
            let predicted = fit.unwrap().predict(take(&x, &folds[0]).as_ref()).unwrap();
            agree(&name, key, &flat(&predicted), expected, (1e-6, 0.0));
            let rows: Vec<usize> = (0..folds[0].len()).collect();
            let r: Vec<f64> = (0..y.ncols())
                .map(|j| pearson(&column(&y, &folds[0], j), &column(&predicted, &rows, j)).unwrap())
                .collect();
            agree(&name, key, &r, &case[&key.replace("pred", "r")], (1e-6, 0.0));
            seen += 1;
        }
        assert!(seen > 0, "{name} holds no PLS");
    }
}

#[test]
fn the_two_gram_matrices_give_one_answer() {
    for (name, case) in cases("ridge_pls") {
        let (x, y) = (matrix(&case["X"]), matrix(&case["Y"]));
        let alphas = &case["alphas"].data;
        let rows: Vec<usize> = (0..x.nrows()).collect();
        let folds = contiguous(&rows, 4).unwrap();
        // Columns of zeros make a tall problem wide, copies of rows would make a wide one tall.
        let wide =
            Mat::from_fn(
                x.nrows(),
                x.nrows() + x.ncols(),
                |i, j| if j < x.ncols() { x[(i, j)] } else { 0.0 },
            );
        let of = |x: MatRef<'_, f64>| {
            Ridge::new(x, y.as_ref()).unwrap().cross_validate(&rows, &folds, alphas).unwrap()
        };
        let gap = (of(x.as_ref()) - of(wide.as_ref())).norm_max();
        assert!(gap < 1e-9, "{name}: {gap}");
    }
}

#[test]
fn single_precision_chooses_the_same_penalties() {
    for (name, case) in cases("ridge_pls") {
        let (x, y) = (matrix(&case["X"]), matrix(&case["Y"]));
        let narrow = |m: &Mat<f64>| Mat::from_fn(m.nrows(), m.ncols(), |i, j| m[(i, j)] as f32);
        let (x, y) = (narrow(&x), narrow(&y));
        let folds = by_label(&labels(&case["folds"])).unwrap();
        let rows: Vec<usize> = (0..x.nrows()).collect();
        let alphas = &case["alphas"].data;
        let scores =
            Ridge::new(x.as_ref(), y.as_ref()).unwrap().cross_validate(&rows, &folds, alphas).unwrap();
        let chosen: Vec<f64> = best(scores.as_ref()).into_iter().map(|i| alphas[i]).collect();
        agree(&name, "best_alpha in single precision", &chosen, &case["out_best_alpha"], EXACT);
    }
}

#[test]
fn components_are_those_of_the_training_rows() {
    let (_, case) = cases("ridge_pls").remove(0);
    let x = matrix(&case["X"]);
    let train = take(&x, &(0..40).collect::<Vec<_>>());
    let scores = project::Pca::fit(train.as_ref(), 5).unwrap().apply(train.as_ref()).unwrap();
    let inner = scores.transpose() * &scores;
    for i in 0..5 {
        for j in 0..i {
            assert!(inner[(i, j)].abs() < 1e-9 * inner[(0, 0)]);
        }
        assert!(i == 0 || inner[(i, i)] <= inner[(i - 1, i - 1)]);
    }
    assert!(project::Pca::fit(Mat::full(4, 3, 2.0).as_ref(), 2).is_err());
    let p = project::sparse(400, 50, 3).unwrap();
    assert_eq!(p, project::sparse(400, 50, 3).unwrap());
    // Squared lengths are kept up to chance: 400 rows of expectation 1.
    let square = p.squared_norm_l2() / 400.0;
    assert!((square - 1.0).abs() < 0.2, "{square}");
}

#[test]
fn what_cannot_be_fitted_is_named() {
    let x = Mat::from_fn(8, 3, |i, j| ((i * 5 + j * 3) % 7) as f64);
    let y = Mat::from_fn(8, 2, |i, j| if j == 1 && i < 4 { 2.0 } else { i as f64 });
    let rows: Vec<usize> = (0..8).collect();
    let folds = contiguous(&rows, 2).unwrap();
    let ridge = Ridge::new(x.as_ref(), y.as_ref()).unwrap();
    let text = ridge.cross_validate(&rows, &folds, &[1.0]).unwrap_err().to_string();
    assert_eq!(text, "fold 0: target 1 is constant on the 4 held-out rows: it has no r2");
    assert!(ridge.cross_validate(&rows, &folds, &[0.0]).unwrap_err().to_string().contains("penalty 0"));
    let nan = Mat::from_fn(8, 3, |i, j| if (i, j) == (5, 2) { f64::NAN } else { 1.0 });
    let error = Ridge::new(nan.as_ref(), y.as_ref()).err().unwrap().to_string();
    assert_eq!(error, "row 5 of feature 2 is no finite number");
    // Constant features and n < p are defined: the mean is predicted, and the penalty makes it unique.
    let flat = Mat::full(8, 20, 3.0);
    let fit = Ridge::new(flat.as_ref(), y.as_ref()).unwrap().fit(&rows, &[1.0, 1.0]).unwrap();
    let mean = (0..8).map(|i| y[(i, 0)]).sum::<f64>() / 8.0;
    assert!((fit.predict(flat.as_ref())[(3, 0)] - mean).abs() < 1e-12);
    let error = Pls::fit(flat.as_ref(), y.as_ref(), 1, true).unwrap_err().to_string();
    assert_eq!(error, "1 components of data that have 0");
}
