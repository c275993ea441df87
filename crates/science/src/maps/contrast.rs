//! Which pairs of models differ: a value for every ordered pair of models on every image, contrasted
//! between two groups of pairs, with intervals from paired resampling and tests by permutation.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use crate::random::{below, shuffle};

/// Values of every ordered pair of models on every image.
#[derive(Clone, Debug)]
pub struct Pairs {
    models: usize,
    images: Vec<Vec<f64>>,
}

/// A number, its 95 % interval by the percentiles of the bootstrap, and the p-value of a test that it is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Two-sided, from permutations.
    pub p: f64,
}

/// How often to draw, and from which seed.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    /// Resamples and permutations, each.
    pub count: usize,
    /// The seed.
    pub seed: u64,
}

/// What is exchangeable where two groups of pairs do not differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// Models, on both sides of a pair at once (Mantel's test).
    Models,
    /// The second model of a pair alone.
    Seconds,
}

/// Mean of values, one an image: the bootstrap draws images, the test flips signs.
pub fn mean(values: &[f64], draws: Draws) -> Option<Estimate> {
    let average =
        |of: &mut dyn FnMut() -> f64| (0..values.len()).map(|_| of()).sum::<f64>() / values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mut random = Xoshiro256PlusPlus::seed_from_u64(draws.seed);
    let mut all = values.iter();
    let value = average(&mut || all.next().copied().unwrap_or(0.0));
    let resampled =
        (0..draws.count).map(|_| average(&mut || values[below(&mut random, values.len())])).collect();
    let mut signs = Xoshiro256PlusPlus::seed_from_u64(draws.seed ^ 1);
    let flipped = (0..draws.count).map(|_| {
        let mut each = values.iter();
        average(&mut || each.next().map_or(0.0, |v| if below(&mut signs, 2) == 0 { *v } else { -v }))
    });
    let p = tail(value, flipped);
    let (low, high) = interval(resampled, value);
    Some(Estimate { value, low, high, p })
}

impl Pairs {
    /// For each image the values [models × models], the first model of a pair outermost.
    pub fn new(models: usize, images: Vec<Vec<f64>>) -> Option<Self> {
        (models > 0 && images.iter().all(|i| i.len() == models * models)).then_some(Pairs { models, images })
    }

    /// One pair's value on every image.
    pub fn of(&self, first: usize, second: usize) -> Vec<f64> {
        self.images.iter().map(|image| image[first * self.models + second]).collect()
    }

    /// Mean over the pairs for which `side` is true minus the mean over those for which it is false. The
    /// bootstrap draws images and, where `clusters` numbers the models, clusters (such as seeds) whole; a
    /// resampled model is never paired with its own copy unless pairs of one model count. `None` if one
    /// of the groups is empty.
    pub fn contrast(
        &self,
        side: &dyn Fn(usize, usize) -> Option<bool>,
        exchange: Exchange,
        clusters: Option<&[usize]>,
        draws: Draws,
    ) -> Option<Estimate> {
        let count = self.images.len();
        let once: Vec<usize> = (0..self.models).collect();
        let even = vec![1.0; self.models];
        let table = self.average(&vec![1.0; count]);
        let value = self.difference(&table, side, &even, (&once, &once))?;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(draws.seed);
        let kinds = clusters.map_or(0, |c| c.iter().max().map_or(0, |m| m + 1));
        let mut resampled = Vec::with_capacity(draws.count);
        for _ in 0..draws.count {
            let images = self.average(&multiplicities(count, &mut random));
            let weights = match clusters {
                Some(clusters) if kinds > 1 => {
                    let drawn = multiplicities(kinds, &mut random);
                    clusters.iter().map(|c| drawn[*c]).collect()
                }
                _ => even.clone(),
            };
            // A resample without one of the groups says nothing of their difference.
            resampled.extend(self.difference(&images, side, &weights, (&once, &once)));
        }
        let (low, high) = interval(resampled, value);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(draws.seed ^ 1);
        let permuted = (0..draws.count).filter_map(|_| {
            let mut order = once.clone();
            shuffle(&mut order, &mut random);
            let firsts = if exchange == Exchange::Models { &order } else { &once };
            self.difference(&table, side, &even, (firsts, &order))
        });
        let p = tail(value, permuted);
        Some(Estimate { value, low, high, p })
    }

    /// The mean over images of given weights.
    fn average(&self, weights: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; self.models * self.models];
        for (image, weight) in self.images.iter().zip(weights).filter(|(_, w)| **w > 0.0) {
            sum.iter_mut().zip(image).for_each(|(s, v)| *s += weight * v);
        }
        let total: f64 = weights.iter().sum();
        sum.iter_mut().for_each(|s| *s /= total);
        sum
    }

    fn difference(
        &self,
        table: &[f64],
        side: &dyn Fn(usize, usize) -> Option<bool>,
        weights: &[f64],
        (firsts, seconds): (&[usize], &[usize]),
    ) -> Option<f64> {
        let mut sums = [(0.0, 0.0); 2];
        for a in 0..self.models {
            for b in 0..self.models {
                let Some(group) = side(a, b) else { continue };
                let weight = if a == b { weights[a] } else { weights[a] * weights[b] };
                let slot = &mut sums[usize::from(group)];
                slot.0 += weight * table[firsts[a] * self.models + seconds[b]];
                slot.1 += weight;
            }
        }
        let [(no, without), (yes, with)] = sums;
        (without > 0.0 && with > 0.0).then(|| yes / with - no / without)
    }
}

/// How often each of `count` things is drawn in `count` draws with replacement.
fn multiplicities(count: usize, random: &mut Xoshiro256PlusPlus) -> Vec<f64> {
    let mut times = vec![0.0; count];
    (0..count).for_each(|_| times[below(random, count)] += 1.0);
    times
}

/// The 2.5 and 97.5 percentiles, between neighbours by the straight line; the value itself if there is none.
fn interval(mut values: Vec<f64>, value: f64) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = share * (values.len().max(1) - 1) as f64;
        let (below, above) = (values.get(place.floor() as usize), values.get(place.ceil() as usize));
        below.zip(above).map_or(value, |(b, a)| b + (a - b) * place.fract())
    };
    (at(0.025), at(0.975))
}

/// The share of draws at least as far from 0 as the value, which counts as one of them.
fn tail(value: f64, draws: impl Iterator<Item = f64>) -> f64 {
    // Sums in another order differ in the last bits.
    let far = value.abs() * (1.0 - 1e-9);
    let (hits, count) = draws.fold((1, 1), |(h, n), d| (h + usize::from(d.abs() >= far), n + 1));
    hits as f64 / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: Draws = Draws { count: 400, seed: 5 };

    /// Six models of two kinds on 30 images: pairs of one kind are higher by `effect`.
    fn pairs(effect: f64) -> Pairs {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut noise = || (below(&mut random, 1001) as f64 / 500.0 - 1.0) * 0.5;
        let image = |noise: &mut dyn FnMut() -> f64| {
            (0..36).map(|i| noise() + if (i / 6) % 2 == (i % 6) % 2 { effect } else { 0.0 }).collect()
        };
        Pairs::new(6, (0..30).map(|_| image(&mut noise)).collect()).unwrap()
    }

    fn same_kind(a: usize, b: usize) -> Option<bool> {
        (a != b).then_some(a % 2 == b % 2)
    }

    #[test]
    fn an_effect_is_found_and_its_absence_too() {
        let clusters = [0, 0, 1, 1, 2, 2];
        for clusters in [None, Some(&clusters[..])] {
            let found = pairs(1.0).contrast(&same_kind, Exchange::Models, clusters, DRAWS).unwrap();
            assert!(found.low < 1.0 && 1.0 < found.high && found.high - found.low < 0.5, "{found:?}");
            // Of the 6! orders of models one in ten keeps the two kinds apart.
            assert!((found.p - 0.1).abs() < 0.06, "{found:?}");
            let none = pairs(0.0).contrast(&same_kind, Exchange::Models, clusters, DRAWS).unwrap();
            assert!(none.low < 0.0 && 0.0 < none.high && none.p > 0.1, "{none:?}");
        }
    }

    #[test]
    fn a_group_without_pairs_has_no_contrast() {
        assert_eq!(pairs(1.0).contrast(&|_, _| Some(true), Exchange::Models, None, DRAWS), None);
        assert!(Pairs::new(2, vec![vec![0.0; 3]]).is_none());
    }

    #[test]
    fn means_have_the_interval_of_the_normal_law() {
        // 200 values of mean 0.3 and deviation 1: the standard error is 1 / √200.
        let values: Vec<f64> = (0..200).map(|i| 0.3 + if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let found = mean(&values, Draws { count: 4000, seed: 2 }).unwrap();
        let half = 1.96 / 200.0_f64.sqrt();
        assert!((found.value - 0.3).abs() < 1e-12 && found.p < 0.001, "{found:?}");
        assert!((found.low - 0.3 + half).abs() < 0.02 && (found.high - 0.3 - half).abs() < 0.02, "{found:?}");
        assert!(mean(&[], DRAWS).is_none());
        let zero = mean(&[1.0, -1.0, 0.5, -0.5], DRAWS).unwrap();
        assert_eq!(zero.p, 1.0);
    }
}
