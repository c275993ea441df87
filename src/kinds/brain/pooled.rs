//! One score of held-out predictions: the mean over targets, with its interval over stimuli.

use science::brain::bootstrap::{self, Factor};
use science::brain::jackknife;
use science::brain::stats::{self, pearson};
use science::linalg::Mat;

use super::common::Key;
use super::encode::Encode;
use super::held_out::{Ceilings, Data, NORMALIZED};
use super::refits::Refits;
use crate::kinds::wrong;
use crate::stage::{Failure, Io, Kind};
use crate::table::Frame;

/// The pooled score with its interval, and where targets have a ceiling the normalised one; and the draws behind them.
/// Asked are the number of draws, the level of the intervals and the seed. Where there are refits, intervals are
/// theirs.
pub(super) fn summary(
    asked: (u32, f64, u64),
    data: &Data,
    predictions: &Mat<f64>,
    refits: &Refits,
    ceilings: &Ceilings,
    io: &Io,
) -> Result<(Frame, Frame), Failure> {
    let (count, level, seed) = asked;
    // Of the bootstrap there are draws only where its interval is asked.
    let count = if refits.without.is_empty() { count as usize } else { 0 };
    let drawn = bootstrap::draws(Factor::Stimuli, 1, data.clusters.len(), count, seed);
    let rows = |clusters: Vec<usize>| clusters.into_iter().flat_map(|c| data.clusters[c].clone()).collect();
    let draws: Vec<Vec<usize>> = drawn.into_iter().map(|draw| rows(draw.stimuli)).collect();
    let of_draws = |key: Key| key.numbers(draws.iter().flatten().map(|row| *row as f64));
    let all: Vec<usize> = (0..data.ids.len()).collect();
    let mut rows = vec![("encode:r:pooled:target-mean".to_owned(), Pooled::plain(data))];
    rows.extend(
        Pooled::normalised(data, ceilings).map(|p| (format!("encode:{NORMALIZED}:pooled:target-mean"), p)),
    );
    let (mut keys, mut values, mut lows, mut highs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (metric, pooled) in &rows {
        let value = pooled
            .score(|j| correlation(&data.y, predictions, j, &all))
            .ok_or_else(|| Failure::new("a target is the same for all stimuli: it has no score"))?;
        let (low, high) = if refits.without.is_empty() {
            let mut scores = Vec::new();
            for draw in &draws {
                io.check_cancelled()?;
                scores.extend(pooled.score(|j| correlation(&data.y, predictions, j, draw)));
            }
            bootstrap::percentile_interval(&scores, level).map_err(wrong)?
        } else {
            let score = |(at, refit): (usize, &Vec<Option<f64>>)| {
                pooled.score(|j| refit[j]).ok_or_else(|| {
                    Failure::new(format!(
                        "a target is the same for all stimuli of refit {at}: it has no score"
                    ))
                })
            };
            let scores =
                refits.without.iter().enumerate().map(score).collect::<Result<Vec<f64>, Failure>>()?;
            let degrees = scores.len() as f64 - 1.0;
            bootstrap::t_interval(value, jackknife::variance(&scores), degrees, level).map_err(wrong)?
        };
        let mut key = Key::new(Encode::NAME, Encode::REVISION).text(metric).numbers([level]);
        if !refits.part_of.is_empty() {
            key = key.text("refits").numbers(refits.part_of.iter().map(|part| *part as f64));
        }
        for (j, target) in data.targets.iter().enumerate() {
            key = key.text(target).numbers(data.y.col_as_slice(j).iter().copied());
        }
        for held in &data.folds {
            key = held.iter().fold(key, |key, row| key.text(&data.ids[*row])).text("");
        }
        key = pooled.ceilings.iter().fold(key, |key, own| key.text(own));
        keys.push(of_draws(key).finish());
        values.push(value);
        lows.push(low);
        highs.push(high);
    }
    let mut summary = Frame::new();
    summary.push_strings("benchmark", &keys)?;
    summary.push_strings("metric", &rows.iter().map(|(metric, _)| metric).collect::<Vec<_>>())?;
    summary.push_f64s("value", values)?;
    summary.push_f64s("low", lows)?;
    summary.push_f64s("high", highs)?;
    let mut table = Frame::new();
    let drawn = draws.iter().enumerate().flat_map(|(d, rows)| std::iter::repeat_n(d as i64, rows.len()));
    table.push_i64s("draw", drawn.collect())?;
    table.push_i64s("position", draws.iter().flat_map(|rows| 0..rows.len() as i64).collect())?;
    table.push_i64s("row", draws.iter().flatten().map(|row| *row as i64).collect())?;
    Ok((summary, table))
}

/// A mean over targets of correlations, each divided by what it can reach.
struct Pooled {
    /// Targets and their divisors.
    targets: Vec<(usize, f64)>,
    /// The keys of the ceilings that the divisors come from.
    ceilings: Vec<String>,
}

impl Pooled {
    fn plain(data: &Data) -> Self {
        Pooled { targets: (0..data.targets.len()).map(|j| (j, 1.0)).collect(), ceilings: Vec::new() }
    }

    /// Of the targets whose reliability is positive; `None` if none is.
    fn normalised(data: &Data, ceilings: &Ceilings) -> Option<Self> {
        let one = |(j, target): (usize, &String)| {
            let (reliability, key) = ceilings.get(target)?;
            (*reliability > 0.0).then(|| ((j, reliability.sqrt()), key.clone()))
        };
        let (targets, ceilings): (Vec<_>, Vec<_>) = data.targets.iter().enumerate().filter_map(one).unzip();
        (!targets.is_empty()).then_some(Pooled { targets, ceilings })
    }

    /// The score from the correlation of every target; `None` where one has none.
    fn score(&self, correlation: impl Fn(usize) -> Option<f64>) -> Option<f64> {
        let one = |(j, divisor): &(usize, f64)| correlation(*j).map(|r| r / divisor);
        let all: Option<Vec<f64>> = self.targets.iter().map(one).collect();
        all.map(|scores| stats::mean(&scores))
    }
}

/// Of a target's responses and predictions on these rows; 0 for a constant prediction, `None` where the target is
/// constant.
pub(super) fn correlation(
    y: &Mat<f64>,
    predictions: &Mat<f64>,
    target: usize,
    rows: &[usize],
) -> Option<f64> {
    let of = |m: &Mat<f64>| -> Vec<f64> { rows.iter().map(|i| m[(*i, target)]).collect() };
    let truth = of(y);
    stats::variance(&truth).is_normal().then(|| pearson(&truth, &of(predictions)).unwrap_or(0.0))
}
