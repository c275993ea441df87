//! Images shifted and mirrored anew each time they are seen.

use onnx_graph::random::Random;
use serde::{Deserialize, Serialize};

use super::super::session::{Array, Values};
use crate::stage::Failure;

/// What is done to the images of a batch: `{ flip: true, crop: 4 }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Mirror every other image, by chance, from left to right.
    #[serde(default)]
    pub flip: bool,
    /// Pad by so many zeros on each side and cut a piece of the old size at a random place.
    #[serde(default)]
    pub crop: usize,
}

impl Augment {
    /// The images `rows` of `data`, whose sizes are [channels, height, width], as the steps from `step`
    /// (counted from 0) on see them, `batch` a step. Seed and step alone decide.
    pub(super) fn apply(
        self,
        data: &[f32],
        [channels, height, width]: [usize; 3],
        rows: &[i64],
        (step, batch): (usize, usize),
        seed: u64,
    ) -> Vec<f32> {
        let image = channels * height * width;
        let mut out = vec![0.0; rows.len() * image];
        let batches = out.chunks_mut((batch * image).max(1)).zip(rows.chunks(batch.max(1)));
        for (index, (images, rows)) in batches.enumerate() {
            let mut random = generator(seed, step + index);
            for (to, row) in images.chunks_mut(image.max(1)).zip(rows) {
                let mirrored = self.flip && random.bits() & 1 == 1;
                let shift = |random: &mut Random| random.below(2 * self.crop + 1) as i64 - self.crop as i64;
                let (down, right) = (shift(&mut random), shift(&mut random));
                let from = *row as usize * image;
                let Some(from) = data.get(from..from + image) else { continue };
                let lines = to.chunks_mut(width.max(1)).enumerate();
                for (line, to) in lines {
                    let (channel, y) = (line / height, (line % height) as i64 + down);
                    if y < 0 || y >= height as i64 {
                        continue;
                    }
                    let start = (channel * height + y as usize) * width;
                    for (x, to) in to.iter_mut().enumerate() {
                        let x = if mirrored { width - 1 - x } else { x } as i64 + right;
                        if (0..width as i64).contains(&x) {
                            *to = from[start + x as usize];
                        }
                    }
                }
            }
        }
        out
    }
}

/// The rows of a run whose images are augmented: each call gets its own.
pub(super) struct Images {
    pub augment: Augment,
    pub row: Vec<i64>,
    pub values: Vec<f32>,
    pub target: (Vec<i64>, Values),
    pub seed: u64,
}

impl Images {
    /// `data` and `target` of these rows, as the steps from the one given on see them.
    pub fn of(
        &self,
        rows: &[i64],
        (step, batch): (usize, usize),
    ) -> Result<[(&'static str, Array); 2], Failure> {
        let sizes: Vec<usize> = self.row.iter().map(|d| *d as usize).collect();
        let sizes: [usize; 3] = sizes.try_into().map_err(|_| {
            Failure::new(format!(
                "`augment` needs images [channels, height, width], and the rows have the shape {:?}",
                self.row
            ))
        })?;
        let shaped = |row: &[i64]| std::iter::once(rows.len() as i64).chain(row.iter().copied()).collect();
        let images = self.augment.apply(&self.values, sizes, rows, (step, batch), self.seed);
        let (shape, values) = &self.target;
        let width = shape.iter().product::<i64>().max(1) as usize;
        let targets = match values {
            Values::F32(values) => Values::F32(picked(values, rows, width)),
            Values::I64(values) => Values::I64(picked(values, rows, width)),
        };
        let data = (shaped(&self.row), Values::F32(images));
        Ok([("data", data), ("target", (shaped(shape), targets))])
    }
}

fn picked<T: Copy>(values: &[T], rows: &[i64], width: usize) -> Vec<T> {
    let row = |r: &i64| values.get(*r as usize * width..(*r as usize + 1) * width).unwrap_or_default();
    rows.iter().flat_map(row).copied().collect()
}

/// The generator of one step, unrelated to those of other steps and to the order of the rows.
fn generator(seed: u64, step: usize) -> Random {
    let own = Random::new(seed ^ 0x6175_676d_656e_7421).bits();
    Random::new(Random::new(own ^ step as u64).bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [usize; 3] = [1, 2, 3];

    fn images() -> Vec<f32> {
        (1..=12).map(|v| v as f32).collect()
    }

    #[test]
    fn an_image_is_mirrored_or_not() {
        let flip = Augment { flip: true, crop: 0 };
        let seen = flip.apply(&images(), SIZES, &[1; 40], (0, 4), 7);
        let (plain, mirrored) = ([7.0, 8.0, 9.0, 10.0, 11.0, 12.0], [9.0, 8.0, 7.0, 12.0, 11.0, 10.0]);
        let count = seen.chunks(6).filter(|i| *i == mirrored).count();
        assert!(seen.chunks(6).all(|i| i == plain || i == mirrored));
        assert!((8..=32).contains(&count), "{count}");
    }

    #[test]
    fn a_crop_shows_a_shifted_image_with_zeros_beside_it() {
        let crop = Augment { flip: false, crop: 1 };
        let seen = crop.apply(&images(), SIZES, &[0; 200], (0, 10), 7);
        let moved = |down: i64, right: i64| -> Vec<f32> {
            let at = |y: i64, x: i64| {
                let inside = (0..2).contains(&y) && (0..3).contains(&x);
                if inside { (1 + y * 3 + x) as f32 } else { 0.0 }
            };
            (0..6).map(|i| at(i / 3 + down, i % 3 + right)).collect()
        };
        let all: Vec<Vec<f32>> = (-1..=1).flat_map(|d| (-1..=1).map(move |r| moved(d, r))).collect();
        let found: Vec<usize> = all.iter().map(|m| seen.chunks(6).filter(|i| i == m).count()).collect();
        assert_eq!(found.iter().sum::<usize>(), 200);
        assert!(found.iter().all(|n| *n > 5), "{found:?}");
    }

    #[test]
    fn what_a_step_sees_does_not_depend_on_how_a_run_is_cut() {
        let both = Augment { flip: true, crop: 2 };
        let rows = [0, 1, 1, 0, 0, 0, 1, 0];
        let whole = both.apply(&images(), SIZES, &rows, (0, 2), 3);
        let first = both.apply(&images(), SIZES, &rows[..6], (0, 2), 3);
        let rest = both.apply(&images(), SIZES, &rows[6..], (3, 2), 3);
        assert_eq!(whole, [first, rest].concat());
        assert_ne!(whole, both.apply(&images(), SIZES, &rows, (0, 2), 4));
    }
}
