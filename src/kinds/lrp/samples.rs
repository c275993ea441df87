//! Changed copies of an input whose gradients are averaged: SmoothGrad (Smilkov et al. 2017) and Integrated
//! Gradients (Sundararajan et al. 2017, from a black image, midpoint rule).

use onnx_graph::random::Random;

use super::composite::Composite;

/// How the copies are made.
pub enum Samples {
    /// The input itself, once.
    One,
    /// With Gaussian noise of `noise` × (largest − smallest value of the image).
    Noisy {
        /// How many.
        count: usize,
        /// Standard deviation as a share of the image's range.
        noise: f32,
    },
    /// At the middles of `count` equal steps from zero to the input; the mean is multiplied by the input.
    Path {
        /// How many.
        count: usize,
    },
}

impl Samples {
    /// Those of a composite.
    pub fn of(composite: &Composite, count: usize, noise: f32) -> Self {
        if composite.is("smooth_grad") {
            Samples::Noisy { count, noise }
        } else if composite.is("integrated_gradients") {
            Samples::Path { count }
        } else {
            Samples::One
        }
    }

    /// How many passes one row needs.
    pub fn count(&self) -> usize {
        match self {
            Samples::One => 1,
            Samples::Noisy { count, .. } | Samples::Path { count } => *count,
        }
    }

    /// Copy number `index` of rows of `width` values, of which the first is row `first` of the table: the
    /// noise of a row does not depend on how rows are batched.
    pub fn copy(&self, rows: &[f32], width: usize, first: usize, index: usize, seed: u64) -> Vec<f32> {
        match self {
            Samples::One => rows.to_vec(),
            Samples::Path { count } => {
                let share = (index as f32 + 0.5) / *count as f32;
                rows.iter().map(|v| v * share).collect()
            }
            Samples::Noisy { noise, .. } => {
                let mut copy = rows.to_vec();
                for (row, values) in copy.chunks_exact_mut(width).enumerate() {
                    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
                    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    let mut random = Random::new(seed ^ (((first + row) as u64) << 20 | index as u64));
                    for value in values {
                        *value += noise * (high - low) * gaussian(&mut random);
                    }
                }
                copy
            }
        }
    }
}

/// A standard normal number (Box and Muller 1958).
fn gaussian(random: &mut Random) -> f32 {
    let (u, v) = (1.0 - random.uniform(), random.uniform());
    ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_belongs_to_the_row_and_has_the_asked_size() {
        let samples = Samples::Noisy { count: 2, noise: 0.1 };
        let rows: Vec<f32> = (0..4000).map(|i| (i % 2) as f32).collect();
        let all = samples.copy(&rows, 2000, 0, 0, 7);
        assert_eq!(all[2000..], samples.copy(&rows[2000..], 2000, 1, 0, 7)[..]);
        assert_ne!(all, samples.copy(&rows, 2000, 0, 1, 7));
        let spread: f32 = all.iter().zip(&rows).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / 4000.0;
        assert!((spread.sqrt() - 0.1).abs() < 0.01, "{spread}");
    }
}
