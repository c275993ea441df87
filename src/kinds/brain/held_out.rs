//! Scores of held-out predictions.

use std::collections::HashMap;

use science::brain::encode::folds::without;
use science::brain::encode::r2;
use science::brain::stats::pearson;
use science::linalg::Mat;

use super::common::Key;
use super::encode::Encode;
use super::maps::take;
use crate::stage::{Failure, Io, Kind};
use crate::table::{self, Frame};

/// Features and responses of the same stimuli.
pub(super) struct Data {
    pub(super) ids: Vec<String>,
    pub(super) x: Mat<f64>,
    /// The names of the columns of `x`.
    pub(super) features: Vec<String>,
    /// The band of every column of `x`, and the bands' names.
    pub(super) band: Vec<usize>,
    pub(super) bands: Vec<String>,
    pub(super) y: Mat<f64>,
    pub(super) targets: Vec<String>,
    pub(super) folds: Vec<Vec<usize>>,
    /// Rows that depend on each other; clusters are independent.
    pub(super) clusters: Vec<Vec<usize>>,
}

impl Data {
    /// The same without some rows; folds and clusters keep their order, and one that is left empty goes.
    pub(super) fn without(&self, left_out: &[usize]) -> Data {
        let all: Vec<usize> = (0..self.ids.len()).collect();
        let kept = without(&all, left_out);
        let mut place = vec![None; self.ids.len()];
        kept.iter().enumerate().for_each(|(at, row)| place[*row] = Some(at));
        let left = |rows: &Vec<usize>| rows.iter().filter_map(|row| place[*row]).collect::<Vec<usize>>();
        let all_left =
            |of: &[Vec<usize>]| of.iter().map(left).filter(|rows| !rows.is_empty()).collect::<Vec<_>>();
        Data {
            ids: kept.iter().map(|row| self.ids[*row].clone()).collect(),
            x: take(&self.x, &kept),
            features: self.features.clone(),
            band: self.band.clone(),
            bands: self.bands.clone(),
            y: take(&self.y, &kept),
            targets: self.targets.clone(),
            folds: all_left(&self.folds),
            clusters: all_left(&self.clusters),
        }
    }
}

/// The reliability of every target with the key of its ceiling.
pub(super) type Ceilings = HashMap<String, (f64, String)>;

/// The reliability by which scores are normalised.
const RELIABILITY: &str = "sb:mean-of-splits";
/// The normalised score.
pub(super) const NORMALIZED: &str = "norm:r/sqrt(sb:mean-of-splits)";

/// The reliabilities at the port `ceiling`, if it is bound.
pub(super) fn ceilings(io: &Io, targets: &[String]) -> Result<Ceilings, Failure> {
    let Some(bound) = io.optional("ceiling") else { return Ok(Ceilings::new()) };
    let frame = table::read(bound, Some(&["target", "metric", "benchmark", "value"]))?;
    let (names, metrics) = (frame.strings("target")?, frame.strings("metric")?);
    let (keys, values) = (frame.strings("benchmark")?, frame.f64s("value")?);
    let rows = (0..frame.rows()).filter(|row| metrics[*row] == RELIABILITY);
    let found: Ceilings = rows.map(|row| (names[row].clone(), (values[row], keys[row].clone()))).collect();
    match targets.iter().find(|t| !found.contains_key(*t)) {
        Some(missing) => Err(Failure::new(format!("`ceiling` has no `{RELIABILITY}` of target `{missing}`"))
            .hint("make it with brain.ceiling from repeats of the same columns")),
        None => Ok(found),
    }
}

/// The table of scores. A target whose reliability is not positive has no normalised score.
pub(super) fn scores(data: &Data, predictions: &Mat<f64>, ceilings: &Ceilings) -> Result<Frame, Failure> {
    let (mut targets, mut keys, mut metrics) = (Vec::new(), Vec::new(), Vec::new());
    let (mut folds, mut values) = (Vec::new(), Vec::new());
    for (j, target) in data.targets.iter().enumerate() {
        let column = |m: &Mat<f64>, rows: &[usize]| -> Vec<f64> { rows.iter().map(|i| m[(*i, j)]).collect() };
        let ceiling = ceilings.get(target).filter(|(value, _)| *value > 0.0);
        for metric in ["r", "r2/test-mean", NORMALIZED] {
            if metric == NORMALIZED && ceiling.is_none() {
                continue;
            }
            let mut key = Key::new(Encode::NAME, Encode::REVISION)
                .text(metric)
                .numbers(data.y.col_as_slice(j).iter().copied());
            for held in &data.folds {
                key = held.iter().fold(key, |key, row| key.text(&data.ids[*row])).text("");
            }
            if let Some((_, own)) = ceiling.filter(|_| metric == NORMALIZED) {
                key = key.text(own);
            }
            let key = key.finish();
            for (fold, held) in data.folds.iter().enumerate() {
                let (truth, predicted) = (column(&data.y, held), column(predictions, held));
                let determined = r2(&truth, &predicted).ok_or_else(|| {
                    Failure::new(format!(
                        "target `{target}` is constant on the {} rows of fold {fold}",
                        held.len()
                    ))
                    .hint("leave the target out, or use fewer and larger folds")
                })?;
                // A prediction that is the same for all stimuli explains none of their order.
                let r = pearson(&truth, &predicted).unwrap_or(0.0);
                folds.push(fold as i64);
                values.push(match (metric, ceiling) {
                    ("r", _) => r,
                    (NORMALIZED, Some((reliability, _))) => r / reliability.sqrt(),
                    _ => determined,
                });
            }
            for _ in 0..data.folds.len() {
                targets.push(target.clone());
                keys.push(key.clone());
                metrics.push(format!("encode:{metric}:fold"));
            }
        }
    }
    let mut frame = Frame::new();
    frame.push_strings("target", &targets)?;
    frame.push_strings("benchmark", &keys)?;
    frame.push_strings("metric", &metrics)?;
    frame.push_i64s("fold", folds)?;
    frame.push_f64s("value", values)?;
    Ok(frame)
}

/// The entries of a projection of the features that are not 0.
pub(super) fn projected(data: &Data, projection: Option<&Mat<f64>>) -> Result<Frame, Failure> {
    let (mut features, mut components, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(projection) = projection {
        for (i, name) in data.features.iter().enumerate() {
            for j in (0..projection.ncols()).filter(|j| projection[(i, *j)] != 0.0) {
                features.push(name);
                components.push(j as i64);
                weights.push(projection[(i, j)]);
            }
        }
    }
    let mut frame = Frame::new();
    frame.push_strings("feature", &features)?;
    frame.push_i64s("component", components)?;
    frame.push_f64s("weight", weights)?;
    Ok(frame)
}

/// The penalty of every target and outer fold, and of every band if asked; no rows without penalties.
pub(super) fn choices(data: &Data, penalties: &[Mat<f64>], bands: bool) -> Result<Frame, Failure> {
    let first = penalties.first();
    let (folds, targets) = first.map_or((0, 0), |p| (p.nrows(), p.ncols()));
    let placed = (0..targets).flat_map(|j| (0..folds).map(move |f| (f, j)));
    let rows: Vec<(usize, (usize, usize))> =
        placed.flat_map(|at| (0..penalties.len()).map(move |band| (band, at))).collect();
    let mut choices = Frame::new();
    choices.push_strings("target", &rows.iter().map(|(_, at)| &data.targets[at.1]).collect::<Vec<_>>())?;
    choices.push_i64s("fold", rows.iter().map(|(_, at)| at.0 as i64).collect())?;
    if bands {
        choices.push_strings("band", &rows.iter().map(|(band, _)| &data.bands[*band]).collect::<Vec<_>>())?;
    }
    choices.push_f64s("alpha", rows.iter().map(|(band, at)| penalties[*band][*at]).collect())?;
    Ok(choices)
}
