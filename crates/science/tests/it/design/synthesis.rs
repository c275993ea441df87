//! Objectives and images: gradients against differences.

use science::design::ascent::{Climber, controversial, excite, log_probability, metamer};
use science::design::image::{Canvas, Parametrisation};
use science::maps::order::Layout;

use super::pattern;

fn values(count: usize, seed: u64) -> Vec<f64> {
    (0..count).map(|i| 3.0 * pattern(i, seed) - 1.5).collect()
}

/// Compares a gradient with central differences of `value`.
fn check(at: &[f64], gradient: &[f64], value: impl Fn(&[f64]) -> f64) {
    assert_eq!(at.len(), gradient.len());
    for i in 0..at.len() {
        let moved = |by: f64| {
            let mut x = at.to_vec();
            x[i] += by;
            value(&x)
        };
        let numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!(
            (gradient[i] - numeric).abs() < 1e-7 * numeric.abs().max(1.0),
            "{i}: {} is not {numeric}",
            gradient[i]
        );
    }
}

#[test]
fn objectives_have_the_gradients_they_say() {
    let (y, other) = (values(5, 1), values(5, 2));
    check(&y, &excite(&y, 3).unwrap().1, |y| excite(y, 3).unwrap().0);
    check(&y, &log_probability(&y, 2).unwrap().1, |y| log_probability(y, 2).unwrap().0);
    check(&y, &metamer(&y, &other).unwrap().1, |y| metamer(y, &other).unwrap().0);
    let third = values(5, 3);
    let value = |y: &[f64], o: &[f64], t: &[f64]| controversial(&[y], &[o, t], (1, 4)).unwrap().0;
    let (found, slopes) = controversial(&[&y], &[&other, &third], (1, 4)).unwrap();
    check(&y, &slopes[0], |y| value(y, &other, &third));
    check(&other, &slopes[1], |o| value(&y, o, &third));
    check(&third, &slopes[2], |t| value(&y, &other, t));
    // −log(1 ÷ a[u] + 1 ÷ b[w]) by the definition.
    let p = |z: &[f64], c: usize| z[c].exp() / z.iter().map(|v| v.exp()).sum::<f64>();
    let b = (p(&other, 4) * p(&third, 4)).sqrt();
    assert!((found + (1.0 / p(&y, 1) + 1.0 / b).ln()).abs() < 1e-12);
    assert!(controversial(&[&y], &[], (1, 4)).is_err());
    assert!(excite(&y, 5).is_err() && metamer(&y, &[0.0; 5]).is_err() && metamer(&y, &other[1..]).is_err());
}

#[test]
fn images_stay_in_bounds_and_give_their_gradients_back() {
    for layout in [Layout::of(&[2, 5, 4], false), Layout::of(&[5, 4, 2], true), Layout::of(&[7], false)] {
        let layout = layout.unwrap();
        for kind in [Parametrisation::Pixel, Parametrisation::Fourier] {
            let canvas = Canvas::new(layout, -1.0, 3.0, kind);
            let z: Vec<f64> = values(canvas.size(), 4).iter().map(|v| 4.0 * v).collect();
            let image = canvas.image(&z);
            assert!(image.iter().all(|x| (-1.0..=3.0).contains(x)));
            let weights = values(canvas.size(), 9);
            let of = |z: &[f64]| canvas.image(z).iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>();
            check(&z, &canvas.back(&image, &weights), of);
            // Where neighbours differ: differences cannot follow the rounded tip between equal ones.
            check(&weights, &canvas.total_variation(&weights).1, |x| canvas.total_variation(x).0);
            // A shift and the shift back leave nothing, and nothing is lost between.
            let moved = canvas.shifted(&image, 2, -3);
            assert_eq!(canvas.shifted(&moved, -2, 3), image);
        }
    }
    let flat = Canvas::new(Layout::of(&[4, 4], false).unwrap(), 0.0, 1.0, Parametrisation::Pixel);
    let (still, rough) = (flat.total_variation(&[0.5; 16]).0, flat.total_variation(&values(16, 3)).0);
    assert!(still < 1e-3 && rough > 0.1, "{still} {rough}");
}

#[test]
fn climbing_finds_the_top_of_a_hill() {
    let mut climber = Climber::new(2, 0.1);
    let mut x = vec![3.0, -2.0];
    for _ in 0..500 {
        let slope = [-2.0 * (x[0] - 1.0), -20.0 * (x[1] - 0.5)];
        climber.climb(&mut x, &slope);
    }
    assert!((x[0] - 1.0).abs() < 1e-3 && (x[1] - 0.5).abs() < 1e-3, "{x:?}");
}
