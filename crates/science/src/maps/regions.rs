//! Relevance by region of an image.

/// What one region of a map holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Held {
    /// Its pixels.
    pub pixels: usize,
    /// Sum of its relevance.
    pub relevance: f64,
    /// Its share of the map's magnitudes: Σ|R| in the region ÷ Σ|R|. Not a number if the map is zero.
    pub share: f64,
    /// Its share of the pixels.
    pub area: f64,
}

/// What each of `count` regions holds; `regions` has a number below `count` for each pixel of the map, and
/// pixels with another number belong to none.
pub fn held(plane: &[f32], regions: &[usize], count: usize) -> Vec<Held> {
    let mut sums = vec![(0_usize, 0.0_f64, 0.0_f64); count];
    let mut total = 0.0;
    for (value, region) in plane.iter().map(|v| f64::from(*v)).zip(regions) {
        total += value.abs();
        if let Some((pixels, sum, magnitude)) = sums.get_mut(*region) {
            *pixels += 1;
            *sum += value;
            *magnitude += value.abs();
        }
    }
    let held = |(pixels, relevance, magnitude): (usize, f64, f64)| Held {
        pixels,
        relevance,
        share: magnitude / total,
        area: pixels as f64 / plane.len() as f64,
    };
    sums.into_iter().map(held).collect()
}

/// The number of the nearest of `points` (row, column) for each pixel of [height, width]; of equally near
/// ones the first.
pub fn nearest(points: &[[f64; 2]], height: usize, width: usize) -> Vec<usize> {
    let of = |pixel: usize| {
        let (row, column) = ((pixel / width) as f64, (pixel % width) as f64);
        let far = |p: &[f64; 2]| (p[0] - row).powi(2) + (p[1] - column).powi(2);
        let numbered = points.iter().enumerate();
        numbered.min_by(|a, b| far(a.1).total_cmp(&far(b.1))).map_or(usize::MAX, |(number, _)| number)
    };
    (0..height * width).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_areas_sum_to_one_where_all_pixels_belong() {
        let plane = [1.0, -3.0, 0.0, 4.0];
        let found = held(&plane, &[0, 0, 1, 1], 2);
        assert_eq!(found[0], Held { pixels: 2, relevance: -2.0, share: 0.5, area: 0.5 });
        assert_eq!(found[1], Held { pixels: 2, relevance: 4.0, share: 0.5, area: 0.5 });
        let part = held(&plane, &[0, 7, 7, 1], 3);
        assert_eq!((part[0].share, part[1].share, part[2].share), (0.125, 0.5, 0.0));
        assert!(held(&[0.0; 4], &[0; 4], 1)[0].share.is_nan());
    }

    #[test]
    fn pixels_go_to_their_nearest_point() {
        assert_eq!(nearest(&[[0.0, 0.0], [1.0, 2.0]], 2, 3), [0, 0, 1, 0, 1, 1]);
        assert_eq!(nearest(&[], 1, 2), [usize::MAX; 2]);
    }
}
