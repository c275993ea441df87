//! How well two maps of the same pixels agree. Each measure is `None` where it is not defined.

use super::fill::gaussian;
use super::order::{Order, count, ranking};

/// Ranks from 1, equal values share the mean of theirs.
pub fn ranks(values: &[f32]) -> Vec<f64> {
    let order = ranking(values, Order::Least);
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let value = values[order[start] as usize];
        let equal = order[start..].iter().take_while(|p| values[**p as usize] == value).count().max(1);
        let shared = start as f64 + (equal as f64 + 1.0) / 2.0;
        order[start..start + equal].iter().for_each(|p| ranks[*p as usize] = shared);
        start += equal;
    }
    ranks
}

/// Spearman's rank correlation; none if a map is constant.
pub fn spearman(a: &[f32], b: &[f32]) -> Option<f64> {
    let (a, b) = (ranks(a), ranks(b));
    let middle = (a.len() as f64 + 1.0) / 2.0;
    cosine_of(a.iter().zip(&b).map(|(x, y)| (x - middle, y - middle)))
}

/// The cosine of the angle between two maps; none if one is zero.
pub fn cosine(a: &[f32], b: &[f32]) -> Option<f64> {
    cosine_of(a.iter().zip(b).map(|(x, y)| (f64::from(*x), f64::from(*y))))
}

fn cosine_of(pairs: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let (mut product, mut first, mut second) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        product += x * y;
        first += x * x;
        second += y * y;
    }
    let scale = (first * second).sqrt();
    (scale > 0.0).then(|| product / scale)
}

/// The top pixels that both maps share ÷ those that either has, where a map's top is the given fraction of
/// its pixels, at least one.
pub fn top_iou(a: &[f32], b: &[f32], fraction: f64) -> Option<f64> {
    let top = count(a.len(), fraction).max(1);
    let mut seen = vec![false; a.len()];
    ranking(a, Order::Most).iter().take(top).for_each(|p| seen[*p as usize] = true);
    let shared =
        ranking(b, Order::Most).iter().take(top).filter(|p| seen.get(**p as usize) == Some(&true)).count();
    (!a.is_empty() && a.len() == b.len()).then(|| shared as f64 / (2 * top - shared) as f64)
}

/// Structural similarity of two maps of [height, width], each divided by its largest magnitude, with a
/// range of 2 (Wang et al. 2004, doi 10.1109/TIP.2003.819861): a Gaussian window of σ = 1.5 and 11 × 11
/// pixels (smaller where the map is), windows inside the map only. None if a map is zero.
pub fn ssim(a: &[f32], b: &[f32], height: usize, width: usize) -> Option<f64> {
    if a.len() != height * width || b.len() != a.len() || a.is_empty() {
        return None;
    }
    let scaled = |map: &[f32]| -> Option<Vec<f64>> {
        let largest = map.iter().fold(0.0_f64, |m, v| m.max(f64::from(v.abs())));
        (largest > 0.0).then(|| map.iter().map(|v| f64::from(*v) / largest).collect())
    };
    let (a, b) = (scaled(a)?, scaled(b)?);
    // (0.01 · 2)² and (0.03 · 2)².
    let (first, second) = (0.0004, 0.0036);
    let product = |x: &[f64], y: &[f64]| -> Vec<f64> { x.iter().zip(y).map(|(x, y)| x * y).collect() };
    let mean = |values: &[f64]| windows(values, height, width);
    let (mean_a, mean_b) = (mean(&a), mean(&b));
    let (aa, bb, ab) = (mean(&product(&a, &a)), mean(&product(&b, &b)), mean(&product(&a, &b)));
    let each = (0..mean_a.len()).map(|i| {
        let (x, y) = (mean_a[i], mean_b[i]);
        let (var_a, var_b, covariance) = (aa[i] - x * x, bb[i] - y * y, ab[i] - x * y);
        (2.0 * x * y + first) * (2.0 * covariance + second)
            / ((x * x + y * y + first) * (var_a + var_b + second))
    });
    Some(each.sum::<f64>() / mean_a.len() as f64)
}

/// Gaussian-weighted means of all windows that lie inside a map of [height, width].
fn windows(values: &[f64], height: usize, width: usize) -> Vec<f64> {
    turned_means(&turned_means(values, width), height)
}

/// Gaussian-weighted means along lines of `length`, with the two axes swapped in the result.
fn turned_means(values: &[f64], length: usize) -> Vec<f64> {
    let radius = 5.min(length.saturating_sub(1) / 2);
    let weights = gaussian(1.5, radius);
    let mean = &|line: &[f64], place: usize| {
        let sides = (1..=radius).map(|d| weights[d] * (line[place - d] + line[place + d]));
        weights[0] * line[place] + sides.sum::<f64>()
    };
    let places = radius..length - radius;
    places.flat_map(|place| values.chunks_exact(length).map(move |line| mean(line, place))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(height: usize, width: usize, seed: usize) -> Vec<f32> {
        (0..height * width).map(|i| (((i * i * 7 + i * seed + seed) % 101) as f32 - 50.0) / 25.0).collect()
    }

    #[test]
    fn values_are_those_of_the_fields_own_tools() {
        // scipy.stats.spearmanr, and skimage.metrics.structural_similarity with gaussian_weights,
        // sigma 1.5, use_sample_covariance False, data_range 2, on these maps.
        let (a, b) = (map(16, 13, 3), map(16, 13, 8));
        let close = |found: Option<f64>, expected: f64| {
            assert!((found.unwrap() - expected).abs() < 1e-6, "{found:?} {expected}");
        };
        close(spearman(&a, &b), -0.057_413_073_305);
        close(cosine(&a, &b), -0.056_560_231_297);
        close(ssim(&a, &b, 16, 13), -0.038_767_387_794);
    }

    #[test]
    fn the_top_is_shared_in_part() {
        let (a, b) = ([4.0, 3.0, 2.0, 1.0], [4.0, 1.0, 3.0, 2.0]);
        assert_eq!(top_iou(&a, &b, 0.5), Some(1.0 / 3.0));
        assert_eq!(top_iou(&a, &b, 0.0), Some(1.0));
    }

    #[test]
    fn a_constant_map_agrees_with_nothing() {
        let (flat, other) = ([0.0; 16], map(4, 4, 3));
        assert_eq!(
            (spearman(&flat, &other), cosine(&flat, &other), ssim(&flat, &other, 4, 4)),
            (None, None, None)
        );
        assert_eq!(ssim(&other, &other[1..], 4, 4), None);
    }

    /// Names the type of a measure that knows more than two maps.
    type Measure<'a> = dyn Fn(&[f32], &[f32]) -> Option<f64> + 'a;

    proptest! {
        #[test]
        fn a_map_agrees_with_itself_and_order_does_not_matter(
            height in 1_usize..14, width in 1_usize..14, seed in 1_usize..90,
        ) {
            let (a, b) = (map(height, width, seed), map(height, width, seed + 5));
            let both = |f: &Measure| (f(&a, &b), f(&b, &a), f(&a, &a));
            let similar = |x: &[f32], y: &[f32]| ssim(x, y, height, width);
            let top = |x: &[f32], y: &[f32]| top_iou(x, y, 0.2);
            for (one, other, own) in [both(&spearman), both(&cosine), both(&similar), both(&top)] {
                prop_assert!(one.zip(other).is_none_or(|(x, y)| (x - y).abs() < 1e-9));
                prop_assert!(own.is_none_or(|v| (v - 1.0).abs() < 1e-9));
                prop_assert!(one.is_none_or(|v| v.abs() < 1.0 + 1e-9));
            }
        }
    }
}
