//! What stands in place of masked pixels.

use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use super::Layout;

/// What stands in place of masked pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// One value.
    Value(f32),
    /// Each channel's mean over the image.
    Mean,
    /// Each channel's mean over all images.
    DatasetMean,
    /// The image itself, blurred by a Gaussian of this standard deviation in pixels.
    Blur(f32),
    /// Gaussian noise with each channel's mean and deviation over all images.
    Noise(u64),
}

/// A fill made ready for a set of images.
pub struct Filler {
    fill: Fill,
    layout: Layout,
    /// Mean and standard deviation of each channel over all images.
    channels: Vec<(f64, f64)>,
}

impl Filler {
    /// Looks at all images, each of `layout`, one after the other.
    pub fn new(fill: Fill, layout: Layout, images: &[f32]) -> Self {
        let whole = matches!(fill, Fill::DatasetMean | Fill::Noise(_));
        let channels = if whole {
            (0..layout.channels).map(|c| moments(layout, c, images)).collect()
        } else {
            Vec::new()
        };
        Filler { fill, layout, channels }
    }

    /// The image that shines through where `image`, the one numbered `index`, is masked.
    pub fn of(&self, image: &[f32], index: u64) -> Vec<f32> {
        let layout = self.layout;
        let mut filled = vec![0.0; image.len()];
        let mut each = |of: &mut dyn FnMut(usize, usize) -> f32| {
            for channel in 0..layout.channels {
                for pixel in 0..layout.pixels() {
                    if let Some(slot) = filled.get_mut(layout.at(channel, pixel)) {
                        *slot = of(channel, pixel);
                    }
                }
            }
        };
        match self.fill {
            Fill::Value(value) => each(&mut |_, _| value),
            Fill::Mean => {
                let means: Vec<f32> =
                    (0..layout.channels).map(|c| moments(layout, c, image).0 as f32).collect();
                each(&mut |c, _| means[c]);
            }
            Fill::DatasetMean => each(&mut |c, _| self.channels[c].0 as f32),
            Fill::Noise(seed) => {
                // Each image has a stream of its own, whatever stands before it.
                let own = seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let mut random = Xoshiro256PlusPlus::seed_from_u64(own);
                each(&mut |c, _| {
                    let draw: f64 = StandardNormal.sample(&mut random);
                    (self.channels[c].0 + self.channels[c].1 * draw) as f32
                });
            }
            Fill::Blur(sigma) => filled = blurred(image, layout, sigma),
        }
        filled
    }
}

/// Mean and standard deviation of one channel over images.
fn moments(layout: Layout, channel: usize, images: &[f32]) -> (f64, f64) {
    let values = || {
        images.chunks_exact(layout.values()).flat_map(move |image| {
            (0..layout.pixels()).map(move |pixel| f64::from(image[layout.at(channel, pixel)]))
        })
    };
    let count = (images.len() / layout.channels).max(1) as f64;
    let mean = values().sum::<f64>() / count;
    let variance = values().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

/// A Gaussian's weights at whole distances, cut at four standard deviations; they sum to 1 over both sides.
pub(super) fn gaussian(sigma: f64, radius: usize) -> Vec<f64> {
    let weight = |d: usize| (-0.5 * (d as f64 / sigma).powi(2)).exp();
    let sum = weight(0) + 2.0 * (1..=radius).map(weight).sum::<f64>();
    (0..=radius).map(|d| weight(d) / sum).collect()
}

/// Both axes blurred one after the other; beyond the border the image is mirrored.
fn blurred(image: &[f32], layout: Layout, sigma: f32) -> Vec<f32> {
    let weights = gaussian(f64::from(sigma), (4.0 * sigma + 0.5) as usize);
    let mut from = image.to_vec();
    for across in [true, false] {
        let mut to = from.clone();
        let (lines, length) =
            if across { (layout.height, layout.width) } else { (layout.width, layout.height) };
        let pixel = |line: usize, place: usize| {
            if across { line * layout.width + place } else { place * layout.width + line }
        };
        for channel in 0..layout.channels {
            for line in 0..lines {
                for place in 0..length {
                    let sum: f64 = weights
                        .iter()
                        .enumerate()
                        .map(|(d, weight)| {
                            let read = |p: isize| {
                                f64::from(from[layout.at(channel, pixel(line, mirrored(p, length)))])
                            };
                            let (place, d) = (place as isize, d as isize);
                            weight * if d == 0 { read(place) } else { read(place - d) + read(place + d) }
                        })
                        .sum();
                    to[layout.at(channel, pixel(line, place))] = sum as f32;
                }
            }
        }
        from = to;
    }
    from
}

/// A place on a line that is mirrored at both ends: c b a | a b c | c b a.
fn mirrored(place: isize, length: usize) -> usize {
    let length = length as isize;
    let place = place.rem_euclid(2 * length);
    (if place < length { place } else { 2 * length - 1 - place }) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fill_is_what_it_says() {
        let layout = Layout::of(&[2, 1, 2], false).unwrap();
        let images = [1.0, 3.0, 10.0, 30.0, 5.0, 7.0, 0.0, 0.0];
        let of = |fill| Filler::new(fill, layout, &images).of(&images[..4], 0);
        assert_eq!(of(Fill::Value(0.5)), [0.5; 4]);
        assert_eq!(of(Fill::Mean), [2.0, 2.0, 20.0, 20.0]);
        assert_eq!(of(Fill::DatasetMean), [4.0, 4.0, 10.0, 10.0]);
    }

    #[test]
    fn noise_has_the_moments_of_the_images_and_a_stream_for_each() {
        let layout = Layout::of(&[1, 100, 100], false).unwrap();
        let images: Vec<f32> = (0..10_000).map(|i| if i % 2 == 0 { 1.0 } else { 5.0 }).collect();
        let filler = Filler::new(Fill::Noise(3), layout, &images);
        let (noise, other) = (filler.of(&images, 0), filler.of(&images, 1));
        let (mean, deviation) = moments(layout, 0, &noise);
        // Five standard errors of 10,000 draws.
        assert!(
            (mean - 3.0).abs() < 5.0 * 2.0 / 100.0 && (deviation - 2.0).abs() < 0.1,
            "{mean} {deviation}"
        );
        assert_ne!(noise, other);
        assert_eq!(noise, filler.of(&images, 0));
    }

    #[test]
    fn blur_keeps_the_mean_and_is_the_same_in_both_layouts() {
        let layout = Layout::of(&[2, 5, 7], false).unwrap();
        let image: Vec<f32> = (0..70).map(|i| ((i * 37) % 11) as f32).collect();
        let soft = Filler::new(Fill::Blur(1.0), layout, &image).of(&image, 0);
        for channel in 0..2 {
            let (before, after) = (moments(layout, channel, &image), moments(layout, channel, &soft));
            assert!((before.0 - after.0).abs() < 1e-5 && after.1 < before.1, "{before:?} {after:?}");
        }
        let last = Layout { last: true, ..layout };
        let mut turned = vec![0.0; 70];
        (0..2).for_each(|c| (0..35).for_each(|p| turned[last.at(c, p)] = image[layout.at(c, p)]));
        let other = Filler::new(Fill::Blur(1.0), last, &turned).of(&turned, 0);
        (0..2).for_each(|c| (0..35).for_each(|p| assert_eq!(other[last.at(c, p)], soft[layout.at(c, p)])));
    }
}
