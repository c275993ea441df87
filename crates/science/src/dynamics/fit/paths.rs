//! Chains of positions, and the displacement curves made of them.

use crate::error::{Error, Result};

/// Positions of R chains at the same times.
#[derive(Clone, Debug)]
pub struct Paths {
    times: Vec<f64>,
    dims: usize,
    chains: Vec<Vec<f64>>,
}

/// A displacement curve of each chain at the same lags.
#[derive(Clone, Debug)]
pub struct Curves {
    /// K rising lags above 0.
    pub lags: Vec<f64>,
    /// R × K squared displacements.
    pub chains: Vec<Vec<f64>>,
}

/// Displacement of the ensemble at one time, split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// Time since the first record.
    pub time: f64,
    /// |mean over chains|² less what spread adds to it: unbiased, so it can be below 0.
    pub drift: f64,
    /// Sum of the variances over chains (R − 1 in the denominator).
    pub spread: f64,
}

impl Paths {
    /// Chains of T × `dims` positions (row by row) at T rising times.
    ///
    /// # Errors
    /// If there are fewer than two times, they do not rise, a chain has another length, or a value is no number.
    pub fn new(times: Vec<f64>, dims: usize, chains: Vec<Vec<f64>>) -> Result<Self> {
        if times.len() < 2 || times.windows(2).any(|w| w[0].is_nan() || w[0] >= w[1]) {
            return Err(Error::new("a path needs at least two rising times"));
        }
        if chains.is_empty() || dims == 0 {
            return Err(Error::new("there are no paths"));
        }
        if chains.iter().any(|c| c.len() != times.len() * dims) {
            return Err(Error::new("every chain needs a position at every time"));
        }
        match chains.iter().position(|c| c.iter().any(|v| !v.is_finite())) {
            Some(chain) => Err(Error::new(format!("chain {chain} holds a position that is no number"))),
            None => Ok(Self { times, dims, chains }),
        }
    }

    /// The number of chains.
    pub fn chains(&self) -> usize {
        self.chains.len()
    }

    /// The number of steps between the first and the last record.
    pub fn steps(&self) -> usize {
        self.times.len() - 1
    }

    /// The spacing of the times where it is even, to a part in 10⁹.
    pub fn spacing(&self) -> Option<f64> {
        let first = self.times[1] - self.times[0];
        let even = self.times.windows(2).all(|w| ((w[1] - w[0]) / first - 1.0).abs() < 1e-9);
        even.then_some(first)
    }

    /// Increments of every chain and dimension between neighbouring records: series of T − 1.
    pub fn increments(&self) -> Vec<Vec<f64>> {
        let series = |chain: &Vec<f64>, dim: usize| {
            let values: Vec<f64> = chain.iter().skip(dim).step_by(self.dims).copied().collect();
            values.windows(2).map(|w| w[1] - w[0]).collect()
        };
        self.chains.iter().flat_map(|c| (0..self.dims).map(move |d| series(c, d))).collect()
    }

    /// About `count` records whose times since the first one lie in `from..=to`: the nearest to times evenly spaced in
    /// logarithm, without repeats, however the records themselves are spaced; all of them if they are no more.
    pub fn log_records(&self, from: f64, to: f64, count: usize) -> Vec<usize> {
        let time = |record: usize| self.times[record] - self.times[0];
        let inside: Vec<usize> = (1..=self.steps()).filter(|r| (from..=to).contains(&time(*r))).collect();
        let Some((first, last)) = inside.first().zip(inside.last()).filter(|_| inside.len() > count) else {
            return inside;
        };
        let (start, end) = (time(*first).ln(), time(*last).ln());
        let share = |k: usize| k as f64 / count.saturating_sub(1).max(1) as f64;
        let nearest = |t: f64| {
            let off = |record: usize| (time(record) - t).abs();
            inside.iter().copied().min_by(|a, b| off(*a).total_cmp(&off(*b)))
        };
        let mut records: Vec<usize> =
            (0..count).filter_map(|k| nearest((start + (end - start) * share(k)).exp())).collect();
        records.dedup();
        records
    }

    /// Squared distance from the first record, at these records.
    pub fn from_start(&self, records: &[usize]) -> Curves {
        let records: Vec<usize> =
            records.iter().copied().filter(|r| (1..=self.steps()).contains(r)).collect();
        Curves {
            lags: records.iter().map(|r| self.times[*r] - self.times[0]).collect(),
            chains: self
                .chains
                .iter()
                .map(|c| records.iter().map(|r| self.between(c, 0, *r)).collect())
                .collect(),
        }
    }

    /// Squared distance from the mean over chains at these records, R / (R − 1) times, so that its mean is the spread.
    pub fn around_mean(&self, records: &[usize]) -> Curves {
        let records: Vec<usize> =
            records.iter().copied().filter(|r| (1..=self.steps()).contains(r)).collect();
        let count = self.chains.len() as f64;
        let mut chains = vec![Vec::with_capacity(records.len()); self.chains.len()];
        for record in &records {
            let place = record * self.dims..(record + 1) * self.dims;
            let mut mean = vec![0.0; self.dims];
            for chain in &self.chains {
                mean.iter_mut().zip(&chain[place.clone()]).for_each(|(m, x)| *m += x / count);
            }
            for (curve, chain) in chains.iter_mut().zip(&self.chains) {
                let square: f64 = chain[place.clone()].iter().zip(&mean).map(|(x, m)| (x - m).powi(2)).sum();
                curve.push(square * count / (count - 1.0));
            }
        }
        Curves { lags: records.iter().map(|r| self.times[*r] - self.times[0]).collect(), chains }
    }

    /// Squared distance over these lags (in records), averaged over all starts in each chain.
    ///
    /// # Errors
    /// If the times are not evenly spaced.
    pub fn time_averaged(&self, lags: &[usize]) -> Result<Curves> {
        let spacing = self.spacing().ok_or_else(|| Error::new("time averages need evenly spaced times"))?;
        let lags: Vec<usize> = lags.iter().copied().filter(|l| (1..=self.steps()).contains(l)).collect();
        let mean = |chain: &Vec<f64>, lag: usize| {
            let moved = &chain[lag * self.dims..];
            let sum: f64 = moved.iter().zip(chain).map(|(a, b)| (a - b) * (a - b)).sum();
            sum / (self.times.len() - lag) as f64
        };
        Ok(Curves {
            lags: lags.iter().map(|l| *l as f64 * spacing).collect(),
            chains: self.chains.iter().map(|c| lags.iter().map(|l| mean(c, *l)).collect()).collect(),
        })
    }

    /// Displacement from the first record as drift plus spread; needs two chains.
    pub fn split(&self, records: &[usize]) -> Vec<Split> {
        let count = self.chains.len() as f64;
        let one = |record: usize| {
            let (mut drift, mut spread) = (0.0, 0.0);
            for dim in 0..self.dims {
                let moved = |c: &Vec<f64>| c[record * self.dims + dim] - c[dim];
                let mean = self.chains.iter().map(moved).sum::<f64>() / count;
                let squares: f64 = self.chains.iter().map(|c| (moved(c) - mean).powi(2)).sum();
                let variance = squares / (count - 1.0);
                drift += mean * mean - variance / count;
                spread += variance;
            }
            Split { time: self.times[record] - self.times[0], drift, spread }
        };
        let inside =
            records.iter().copied().filter(|r| (1..=self.steps()).contains(r) && self.chains.len() > 1);
        inside.map(one).collect()
    }

    /// Each chain cut into `blocks` pieces of the same length that share no increment: for one chain's interval.
    ///
    /// # Errors
    /// If the times are not evenly spaced, for then pieces have different times, or a piece would hold fewer than two
    /// records.
    pub fn blocks(&self, blocks: usize) -> Result<Self> {
        if self.spacing().is_none() {
            return Err(Error::new("blocks of a chain need evenly spaced times"));
        }
        let length = self.steps() / blocks.max(1);
        if length < 2 {
            return Err(Error::new(format!("{} steps do not give {blocks} blocks", self.steps())));
        }
        let piece = |chain: &Vec<f64>, b: usize| {
            chain[b * length * self.dims..(b * length + length + 1) * self.dims].to_vec()
        };
        let chains = self.chains.iter().flat_map(|c| (0..blocks.max(1)).map(move |b| piece(c, b))).collect();
        Self::new(self.times[..=length].to_vec(), self.dims, chains)
    }

    fn between(&self, chain: &[f64], from: usize, to: usize) -> f64 {
        let (a, b) = (&chain[from * self.dims..], &chain[to * self.dims..]);
        a.iter().zip(b).take(self.dims).map(|(x, y)| (y - x) * (y - x)).sum()
    }
}

impl Curves {
    /// Checks that values are positive numbers, and that every chain has one for each rising lag.
    ///
    /// # Errors
    /// The first thing that is not so.
    pub fn check(&self) -> Result<()> {
        if self.lags.len() < 3 || self.lags[0] <= 0.0 || self.lags.windows(2).any(|w| w[0] >= w[1]) {
            return Err(Error::new("a displacement curve needs at least three rising times above 0"));
        }
        if self.chains.is_empty() || self.chains.iter().any(|c| c.len() != self.lags.len()) {
            return Err(Error::new("every chain needs a displacement at every time"));
        }
        if self.chains.iter().flatten().any(|v| !v.is_finite() || *v < 0.0) {
            return Err(Error::new("squared displacement must be a number of 0 or more"));
        }
        match self.mean().iter().position(|v| *v <= 0.0) {
            Some(k) => Err(Error::new(format!("nothing has moved at time {}", self.lags[k]))),
            None => Ok(()),
        }
    }

    /// Mean over chains at each lag.
    pub fn mean(&self) -> Vec<f64> {
        self.mean_without(None)
    }

    /// Mean over all chains but one.
    pub(crate) fn mean_without(&self, left_out: Option<usize>) -> Vec<f64> {
        let mut sum = vec![0.0; self.lags.len()];
        for (_, chain) in self.chains.iter().enumerate().filter(|(r, _)| Some(*r) != left_out) {
            sum.iter_mut().zip(chain).for_each(|(s, v)| *s += v);
        }
        let count = self.chains.len() - usize::from(left_out.is_some());
        sum.iter().map(|s| s / count as f64).collect()
    }

    /// Only the lags from `from` to `to`.
    #[must_use]
    pub fn window(&self, from: f64, to: f64) -> Self {
        let inside: Vec<usize> =
            (0..self.lags.len()).filter(|k| (from..=to).contains(&self.lags[*k])).collect();
        let pick = |values: &Vec<f64>| inside.iter().map(|k| values[*k]).collect();
        Self { lags: pick(&self.lags), chains: self.chains.iter().map(pick).collect() }
    }
}

/// About `count` whole numbers from 1 to `last`, evenly spaced in logarithm, without repeats.
pub fn log_lags(last: usize, count: usize) -> Vec<usize> {
    log_between(1, last.max(1), count)
}

/// About `count` whole numbers from `first` (at least 1) to `last`, evenly spaced in logarithm, without repeats; none
/// if `last` is below `first`.
pub fn log_between(first: usize, last: usize, count: usize) -> Vec<usize> {
    if first == 0 || last < first {
        return Vec::new();
    }
    let (start, end) = ((first as f64).ln(), (last as f64).ln());
    let share = |k: usize| k as f64 / count.saturating_sub(1).max(1) as f64;
    let at = |k: usize| (start + (end - start) * share(k)).exp().round_ties_even() as usize;
    let mut lags: Vec<usize> = (0..count).map(at).collect();
    lags.dedup();
    lags
}
