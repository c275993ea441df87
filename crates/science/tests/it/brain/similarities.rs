//! CKA, CCA, shape and matching.

use science::brain::similarity::{cca, cka, matching, shape};
use science::linalg::Mat;

use super::{EXACT, agree, cases, matrix};

#[test]
fn golden_similarities() {
    for (name, case) in cases("similarity") {
        let (x, y) = (matrix(&case["X"]), matrix(&case["Y"]));
        let (x, y) = (x.as_ref(), y.as_ref());
        let rho = cca::cca(x, y).unwrap();
        let svcca = cca::svcca(x, y, 0.99).unwrap();
        let distance = shape::procrustes(x, y).unwrap();
        let c = matching::correlations(x, y).unwrap();
        let (sum, pairs) = matching::hard_match(c.as_ref());
        for (what, found) in [
            ("cka_linear", cka::linear(x, y).unwrap()),
            ("cka_linear_debiased", cka::linear_debiased(x, y).unwrap()),
            ("cka_rbf_0.5", cka::rbf(x, y, 0.5).unwrap()),
            ("cka_rbf_1.0", cka::rbf(x, y, 1.0).unwrap()),
            ("cca_mean", cca::cca_mean(x, y).unwrap()),
            ("svcca_mean", svcca.mean),
            ("procrustes_sq", distance.squared),
            ("procrustes_angular", distance.angular),
            ("procrustes_norm_sq", distance.normalized_squared),
            ("linreg_r2_y_to_x", shape::explained(x, y).unwrap()),
            ("semi_match_x_to_y", matching::semi_match(c.as_ref())),
            ("hard_match_sum", sum),
            ("hard_match_mean", sum / pairs.len() as f64),
        ] {
            agree(&name, what, &[found], &case[&format!("out_{what}")], EXACT);
        }
        agree(&name, "cca_rho", &rho, &case["out_cca_rho"], EXACT);
        agree(
            &name,
            "soft_match_corr",
            &[matching::soft_match(c.as_ref())],
            &case["out_soft_match_corr"],
            (1e-7, 0.0),
        );
        let kept = [svcca.kept.0 as f64, svcca.kept.1 as f64];
        agree(&name, "svcca_kept", &kept, &case["out_svcca_kept"], (0.0, 0.0));
    }
}

#[test]
fn wide_sides_take_the_other_route_to_the_same_number() {
    for (name, case) in cases("similarity") {
        let (x, y) = (matrix(&case["X"]), matrix(&case["Y"]));
        // Copies of channels scaled by 1 ÷ √copies change neither kernel nor shape.
        let copies = 2 * x.nrows() / x.ncols() + 1;
        let wide = Mat::from_fn(x.nrows(), x.ncols() * copies, |i, j| {
            x[(i, j % x.ncols())] / (copies as f64).sqrt()
        });
        assert!(wide.ncols() > wide.nrows());
        let gap =
            cka::linear(wide.as_ref(), y.as_ref()).unwrap() - cka::linear(x.as_ref(), y.as_ref()).unwrap();
        assert!(gap.abs() < 1e-12, "{name}: {gap}");
        let of = |m: &Mat<f64>| shape::procrustes(m.as_ref(), y.as_ref()).unwrap();
        assert!((of(&wide).angular - of(&x).angular).abs() < 1e-10, "{name}");
    }
}

#[test]
fn what_has_no_similarity_says_so() {
    let x = Mat::from_fn(6, 3, |i, j| ((i * 5 + j * j) % 7) as f64);
    let flat = Mat::from_fn(6, 2, |_, j| j as f64 + 0.1);
    let text = |r: science::error::Result<f64>| r.unwrap_err().to_string();
    assert_eq!(text(cka::linear(x.as_ref(), flat.as_ref())), "the second side is the same for all stimuli");
    assert!(text(cka::linear(x.as_ref(), Mat::zeros(5, 2).as_ref())).contains("6 stimuli on one side, 5"));
    let nan = Mat::from_fn(6, 1, |_, _| f64::NAN);
    assert!(text(cka::rbf(nan.as_ref(), x.as_ref(), 1.0)).contains("no number"));
    let wide = Mat::from_fn(6, 9, |i, j| (((i + 1) * (j + 2) * (i + j + 3)) % 11) as f64);
    assert!(text(cca::cca_mean(wide.as_ref(), x.as_ref())).contains("would be 1"));
    let dead = Mat::from_fn(6, 2, |i, j| (i * j) as f64);
    let error = matching::correlations(x.as_ref(), dead.as_ref()).unwrap_err().to_string();
    assert_eq!(error, "channel 0 of the second side is constant: it has no correlations");
    let one = Mat::from_fn(1, 2, |_, j| j as f64);
    assert!(text(cka::linear(one.as_ref(), one.as_ref())).contains("similarity needs 3"));
}
