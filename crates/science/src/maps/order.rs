//! Pixels in the order of their relevance.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use crate::error::{Error, Result};
use crate::random::shuffle;

/// Where the channels of an image's pixels lie among its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Channels of a pixel.
    pub channels: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// [H, W, C] instead of [C, H, W].
    pub last: bool,
}

impl Layout {
    /// The layout of a tensor: [C, H, W] (with `last` [H, W, C]), [H, W], or a row of [W] features.
    ///
    /// # Errors
    /// If there are more axes, or one is empty.
    pub fn of(shape: &[usize], last: bool) -> Result<Self> {
        let (channels, height, width) = match (shape, last) {
            ([c, h, w], false) | ([h, w, c], true) => (*c, *h, *w),
            ([h, w], _) => (1, *h, *w),
            ([w], _) => (1, 1, *w),
            _ => return Err(Error::new(format!("a tensor of shape {shape:?} is no image"))),
        };
        if channels == 0 || height == 0 || width == 0 {
            return Err(Error::new(format!("an image of shape {shape:?} has no pixels")));
        }
        Ok(Layout { channels, height, width, last })
    }

    /// How many pixels.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// How many values.
    pub fn values(&self) -> usize {
        self.pixels() * self.channels
    }

    /// The place of a pixel's channel among the values.
    pub fn at(&self, channel: usize, pixel: usize) -> usize {
        if self.last { pixel * self.channels + channel } else { channel * self.pixels() + pixel }
    }

    /// A map summed over channels: one value a pixel, from a map of this layout or of pixels alone.
    ///
    /// # Errors
    /// If it has another size, or holds a value that is no number.
    pub fn plane(&self, map: &[f32]) -> Result<Vec<f32>> {
        if let Some(place) = map.iter().position(|v| !v.is_finite()) {
            return Err(Error::new(format!("the map's value {place} is {}, not a number", map[place])));
        }
        if map.len() == self.pixels() {
            return Ok(map.to_vec());
        }
        if map.len() != self.values() {
            return Err(Error::new(format!(
                "a map of {} values does not fit images of {} channels × {} × {} pixels",
                map.len(),
                self.channels,
                self.height,
                self.width
            )));
        }
        let sum = |pixel| (0..self.channels).map(|c| f64::from(map[self.at(c, pixel)])).sum::<f64>();
        Ok((0..self.pixels()).map(|pixel| sum(pixel) as f32).collect())
    }
}

/// Which pixels come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The most relevant.
    Most,
    /// The least relevant.
    Least,
    /// A shuffle of this seed.
    Random(u64),
}

/// The pixels of a map in order; of equal ones the first in row-major order comes first.
pub fn ranking(plane: &[f32], order: Order) -> Vec<u32> {
    let mut pixels: Vec<u32> = (0..plane.len() as u32).collect();
    let value = |p: &u32| plane[*p as usize];
    match order {
        Order::Most => pixels.sort_by(|a, b| value(b).total_cmp(&value(a))),
        Order::Least => pixels.sort_by(|a, b| value(a).total_cmp(&value(b))),
        Order::Random(seed) => shuffle(&mut pixels, &mut Xoshiro256PlusPlus::seed_from_u64(seed)),
    }
    pixels
}

/// How many of `pixels` a fraction is, rounded half up.
pub fn count(pixels: usize, fraction: f64) -> usize {
    ((pixels as f64 * fraction + 0.5).floor() as usize).min(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_broken_by_place() {
        let plane = [0.0, 2.0, -1.0, 2.0];
        assert_eq!(ranking(&plane, Order::Most), [1, 3, 0, 2]);
        assert_eq!(ranking(&plane, Order::Least), [2, 0, 1, 3]);
        assert_eq!(ranking(&[0.0, -0.0], Order::Random(1)).len(), 2);
    }

    #[test]
    fn a_shuffle_keeps_every_pixel_and_prefers_no_place() {
        let mut counts = [[0; 4]; 4];
        for seed in 0..4000 {
            for (place, pixel) in ranking(&[0.0; 4], Order::Random(seed)).into_iter().enumerate() {
                counts[place][pixel as usize] += 1;
            }
        }
        // Five standard deviations of a binomial count of 4000 draws with p = 1/4.
        let far = |c: &i32| (f64::from(*c) - 1000.0).abs() > 5.0 * (4000.0_f64 * 0.25 * 0.75).sqrt();
        assert!(!counts.iter().flatten().any(far), "{counts:?}");
    }

    #[test]
    fn channels_are_summed_in_both_layouts() {
        let first = Layout::of(&[2, 1, 3], false).unwrap();
        let last = Layout::of(&[1, 3, 2], true).unwrap();
        assert_eq!(first.plane(&[1.0, 2.0, 3.0, 10.0, 20.0, 30.0]).unwrap(), [11.0, 22.0, 33.0]);
        assert_eq!(last.plane(&[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]).unwrap(), [11.0, 22.0, 33.0]);
        assert_eq!(first.plane(&[1.0, 2.0, 3.0]).unwrap(), [1.0, 2.0, 3.0]);
        assert!(first.plane(&[1.0, 2.0]).is_err() && first.plane(&[f32::NAN; 6]).is_err());
        assert!(Layout::of(&[1, 2, 3, 4], false).is_err() && Layout::of(&[0, 2, 3], false).is_err());
    }

    #[test]
    fn fractions_round_half_up() {
        let counts = [0.0, 0.01, 0.05, 0.5, 1.0].map(|f| count(576, f));
        assert_eq!(counts, [0, 6, 29, 288, 576]);
    }
}
