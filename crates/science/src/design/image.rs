//! Images as parameters: pixels or frequencies, bounds, shifts, smoothness.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::maps::Layout;

/// What the parameters of an image are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parametrisation {
    /// One for each value.
    Pixel,
    /// Amplitudes of frequencies, divided by the frequency, so that steps change coarse shapes more than single
    /// pixels (Olah et al. 2017). The basis is Hartley's: cos + sin, real and orthonormal.
    Fourier,
}

/// From parameters without bounds to images within bounds: x = low + (high − low) σ(T z).
pub struct Canvas {
    layout: Layout,
    low: f64,
    high: f64,
    scales: Option<Frequencies>,
}

struct Frequencies {
    rows: Vec<f64>,
    columns: Vec<f64>,
    scale: Vec<f64>,
}

impl Canvas {
    /// For images of this layout with values from `low` to `high`.
    pub fn new(layout: Layout, low: f64, high: f64, parametrisation: Parametrisation) -> Self {
        let (h, w) = (layout.height, layout.width);
        let scales = (parametrisation == Parametrisation::Fourier).then(|| Frequencies {
            rows: hartley(h),
            columns: hartley(w),
            scale: (0..h * w)
                .map(|p| 1.0 / frequency(p / w, h).hypot(frequency(p % w, w)).max(1.0))
                .collect(),
        });
        Canvas { layout, low, high, scales }
    }

    /// Number of values.
    pub fn size(&self) -> usize {
        self.layout.values()
    }

    /// The image of parameters.
    pub fn image(&self, z: &[f64]) -> Vec<f64> {
        let span = self.high - self.low;
        self.linear(z, false).iter().map(|v| self.low + span / (1.0 + (-v).exp())).collect()
    }

    /// The gradient at the parameters, from that at the image.
    pub fn back(&self, image: &[f64], gradient: &[f64]) -> Vec<f64> {
        let span = self.high - self.low;
        let slope = |x: f64| (x - self.low) * (self.high - x) / span;
        let inner: Vec<f64> = image.iter().zip(gradient).map(|(x, g)| g * slope(*x)).collect();
        self.linear(&inner, true)
    }

    /// T z = H diag(scale) z, or its transpose; H is symmetric.
    fn linear(&self, z: &[f64], transposed: bool) -> Vec<f64> {
        let Some(f) = &self.scales else { return z.to_vec() };
        let mut out = z.to_vec();
        for channel in 0..self.layout.channels {
            let mut plane: Vec<f64> =
                (0..self.layout.pixels()).map(|p| z[self.layout.at(channel, p)]).collect();
            let weigh = |plane: &mut [f64]| plane.iter_mut().zip(&f.scale).for_each(|(v, s)| *v *= s);
            if !transposed {
                weigh(&mut plane);
            }
            plane = both_axes(&plane, f, self.layout.height, self.layout.width);
            if transposed {
                weigh(&mut plane);
            }
            plane.iter().enumerate().for_each(|(p, v)| out[self.layout.at(channel, p)] = *v);
        }
        out
    }

    /// Mean over values of the smoothed total variation √(dx² + dy² + 10⁻⁸ (high − low)²) of neighbours, in units
    /// of high − low, and its gradient.
    pub fn total_variation(&self, image: &[f64]) -> (f64, Vec<f64>) {
        let (h, w, span) = (self.layout.height, self.layout.width, self.high - self.low);
        let share = 1.0 / image.len().max(1) as f64;
        let (mut total, mut gradient) = (0.0, vec![0.0; image.len()]);
        for channel in 0..self.layout.channels {
            for pixel in 0..h * w {
                let at = self.layout.at(channel, pixel);
                let right = (pixel % w + 1 < w).then(|| self.layout.at(channel, pixel + 1));
                let below = (pixel / w + 1 < h).then(|| self.layout.at(channel, pixel + w));
                let step = |to: Option<usize>| to.map_or(0.0, |to| (image[to] - image[at]) / span);
                let (dx, dy) = (step(right), step(below));
                let size = (dx * dx + dy * dy + 1e-8).sqrt();
                total += share * size;
                for (to, d) in [(right, dx), (below, dy)] {
                    if let Some(to) = to {
                        gradient[to] += share * d / size / span;
                        gradient[at] -= share * d / size / span;
                    }
                }
            }
        }
        (total, gradient)
    }

    /// The image shifted by rows and columns, what leaves on one side coming in on the other; its transpose is
    /// the shift back.
    pub fn shifted(&self, image: &[f64], rows: isize, columns: isize) -> Vec<f64> {
        let (h, w) = (self.layout.height as isize, self.layout.width as isize);
        let mut out = image.to_vec();
        for channel in 0..self.layout.channels {
            for pixel in 0..self.layout.pixels() {
                let (row, column) = (pixel as isize / w, pixel as isize % w);
                let to = (row + rows).rem_euclid(h) * w + (column + columns).rem_euclid(w);
                out[self.layout.at(channel, to as usize)] = image[self.layout.at(channel, pixel)];
            }
        }
        out
    }
}

/// The distance of index `k` of `n` from 0 on the circle of frequencies.
fn frequency(k: usize, n: usize) -> f64 {
    k.min(n - k) as f64
}

/// The orthonormal Hartley matrix [n × n].
fn hartley(n: usize) -> Vec<f64> {
    let at = |i: usize| {
        let angle = std::f64::consts::TAU * ((i / n * (i % n)) % n) as f64 / n as f64;
        (angle.cos() + angle.sin()) / (n as f64).sqrt()
    };
    (0..n * n).map(at).collect()
}

/// Both axes transformed; the matrices are symmetric.
fn both_axes(plane: &[f64], f: &Frequencies, h: usize, w: usize) -> Vec<f64> {
    let mut half = vec![0.0; h * w];
    for row in 0..h {
        for column in 0..w {
            half[row * w + column] = (0..w).map(|k| plane[row * w + k] * f.columns[k * w + column]).sum();
        }
    }
    let at = |p: usize| (0..h).map(|k| f.rows[p / w * h + k] * half[k * w + p % w]).sum();
    (0..h * w).map(at).collect()
}

/// Parameters of an image of weak noise: uniform in ±0.5; `number` tells images of one seed apart.
pub fn noise(size: usize, seed: u64, number: u64) -> Vec<f64> {
    let mut random = stream(seed, number);
    (0..size).map(|_| unit(&mut random) - 0.5).collect()
}

/// Rows and columns to shift by, each from −`most` to `most`.
pub fn shift(most: usize, seed: u64, step: u64) -> (isize, isize) {
    let mut random = stream(!seed, step);
    let mut one = || (unit(&mut random) * (2 * most + 1) as f64) as isize - most as isize;
    (one(), one())
}

fn stream(seed: u64, number: u64) -> Xoshiro256PlusPlus {
    // An odd factor maps numbers to seeds one to one.
    Xoshiro256PlusPlus::seed_from_u64(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Uniform in [0, 1): the top 53 bits fill the mantissa of a double exactly.
fn unit(random: &mut Xoshiro256PlusPlus) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}
