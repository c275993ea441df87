//! The tables of `dynamics.fit`: curves, their exponents, and the models behind them.

use std::collections::{BTreeMap, BTreeSet};

use science::dynamics::fit::exponent::{Exponent, ergodicity, exponent, local_slopes};
use science::dynamics::fit::likelihood::fractional;
use science::dynamics::fit::paths::{Curves, Paths, log_between};
use science::dynamics::fit::select::{Ranked, candidates, lags_for, longest_lag, select};

use super::fit::Params;
use super::given::Given;
use crate::kinds::wrong;
use crate::stage::Failure;
use crate::table::{Frame, Tensor};

/// About this many lags, evenly spaced in logarithm, carry a curve.
const LAGS: usize = 16;
/// Pieces of a single chain, in place of chains.
const BLOCKS: usize = 8;

/// Curves by the name of their estimator, the ensemble's first.
pub(super) struct Study {
    curves: Vec<(&'static str, Curves)>,
    /// Time averages from which the model is chosen.
    choice: Option<Curves>,
    paths: Option<Paths>,
    /// The records of `paths` that carry the ensemble's curve.
    records: Vec<usize>,
}

/// Times, and rows of each chain in their order.
fn by_chain(params: &Params, frame: &Frame) -> Result<(Vec<f64>, Vec<Vec<usize>>), Failure> {
    let (chains, times) = (frame.strings(&params.chain)?, frame.f64s(&params.time)?);
    let mut rows: BTreeMap<&String, Vec<usize>> = BTreeMap::new();
    chains.iter().enumerate().for_each(|(row, chain)| rows.entry(chain).or_default().push(row));
    rows.values_mut().for_each(|rows| rows.sort_by(|a, b| times[*a].total_cmp(&times[*b])));
    let of = |rows: &Vec<usize>| rows.iter().map(|r| times[*r]).collect::<Vec<f64>>();
    let distinct: BTreeSet<Vec<u64>> =
        rows.values().map(|rows| of(rows).iter().map(|t| t.to_bits()).collect()).collect();
    if distinct.len() > 1 {
        return Err(Failure::new("chains have records at different times")
            .hint("choose the common times with `table.sql` first"));
    }
    Ok((rows.values().next().map(of).unwrap_or_default(), rows.into_values().collect()))
}

impl Study {
    pub(super) fn of(params: &Params, frame: &Frame) -> Result<Self, Failure> {
        let (mut times, rows) = by_chain(params, frame)?;
        let columns: Vec<Tensor<f64>> =
            params.values().into_iter().map(|name| frame.tensor_f64(name)).collect::<Result<_, _>>()?;
        let width: usize = columns.iter().map(Tensor::row_size).sum();
        let row = |r: &usize| {
            let each = columns.iter().map(|c| (c, c.row_size()));
            each.flat_map(|(c, wide)| c.values[r * wide..(r + 1) * wide].iter().copied())
                .collect::<Vec<f64>>()
        };
        let mut chains: Vec<Vec<f64>> = rows.iter().map(|rows| rows.iter().flat_map(row).collect()).collect();
        if params.positions.is_empty() {
            if width != 1 {
                return Err(Failure::new(format!("the column `{}` holds tensors", params.displacement))
                    .hint("name it under `positions`"));
            }
            let moved = Curves { lags: times, chains };
            let (from, to) = params.window();
            let moved = moved.window(from.max(f64::MIN_POSITIVE), to);
            moved.check().map_err(wrong)?;
            let curves = vec![("ensemble", moved)];
            return Ok(Self { curves, choice: None, paths: None, records: Vec::new() });
        }
        if params.from_zero {
            times.insert(0, 0.0);
            for chain in &mut chains {
                chain.splice(0..0, std::iter::repeat_n(0.0, width));
            }
        }
        let whole = Paths::new(times, width, chains).map_err(wrong)?;
        let single = whole.chains() == 1;
        // Pieces of a chain with uneven times would not be alike: it stays whole, and has no interval.
        let cut = single && whole.spacing().is_some();
        let paths = if cut { whole.blocks(BLOCKS).map_err(wrong)? } else { whole };
        let (from, to) = params.window();
        let records = paths.log_records(from, to, LAGS);
        let mut curves = vec![("ensemble", paths.from_start(&records))];
        // Spread over chains has its own exponent; pieces of one chain are no ensemble.
        let mut more = Vec::new();
        if !single {
            more.push(("spread", paths.around_mean(&records)));
        }
        let mut choice = None;
        if let Some(spacing) = paths.spacing() {
            let averaged = |last: usize, count: usize| {
                let first = (from / spacing).ceil().max(1.0) as usize;
                paths.time_averaged(&log_between(first, last.min((to / spacing) as usize), count))
            };
            more.push(("time_averaged", averaged((paths.steps() / 10).max(4), LAGS).map_err(wrong)?));
            let last = longest_lag(paths.steps()).max(4);
            choice = Some(averaged(last, lags_for(paths.chains()).min(LAGS)).map_err(wrong)?);
        }
        curves[0].1.check().map_err(wrong)?;
        curves.extend(more.into_iter().filter(|(_, curve)| curve.check().is_ok()));
        // No model has fewer than two parameters.
        let choice = choice.filter(|curve| curve.lags.len() > 3 && curve.check().is_ok());
        Ok(Self { curves, choice, paths: Some(paths), records })
    }

    /// A row for each estimator and time.
    pub(super) fn curve(&self) -> Result<Frame, Failure> {
        let (mut names, mut split) = (Vec::new(), Vec::new());
        let (mut times, mut values, mut slopes) = (Vec::new(), Vec::new(), Vec::new());
        for (name, curves) in &self.curves {
            let mean = curves.mean();
            slopes.extend(local_slopes(&curves.lags, &mean));
            values.extend(mean);
            times.extend(&curves.lags);
            names.extend(curves.lags.iter().map(|_| *name));
            let parts = match &self.paths {
                Some(paths) if *name == "ensemble" => paths.split(&self.records),
                _ => Vec::new(),
            };
            let at = |t: &f64| parts.iter().find(|p| p.time == *t).map(|p| (p.drift, p.spread));
            split.extend(curves.lags.iter().map(|t| at(t).unwrap_or((f64::NAN, f64::NAN))));
        }
        let mut frame = Frame::new();
        frame.push_strings("estimator", &names)?;
        frame.push_f64s("time", times)?;
        frame.push_f64s("displacement", values)?;
        frame.push_f64s("local_slope", slopes)?;
        frame.push_f64s("drift", split.iter().map(|s| s.0).collect())?;
        frame.push_f64s("spread", split.iter().map(|s| s.1).collect())?;
        Ok(frame)
    }

    /// A row for each estimator.
    pub(super) fn exponents(&self) -> Result<Frame, Failure> {
        let mut rows: Vec<(&str, Exponent)> = Vec::new();
        for (name, curves) in &self.curves {
            rows.push((name, exponent(curves).map_err(wrong)?));
        }
        let even = self.paths.as_ref().filter(|p| p.spacing().is_some());
        let ergodic = even.and_then(|p| ergodicity(p).ok()).map(|e| e.holds());
        let likely = even.and_then(|p| fractional(&p.increments()).ok());
        let likely = likely.map_or((f64::NAN, f64::NAN), |l| (l.exponent, l.error));
        let mut frame = Frame::new();
        let column = |of: &dyn Fn(&Exponent) -> f64| rows.iter().map(|(_, e)| of(e)).collect::<Vec<f64>>();
        let said = |yes: bool| if yes { "yes" } else { "no" };
        frame.push_strings("estimator", &rows.iter().map(|(n, _)| *n).collect::<Vec<&str>>())?;
        // The slope of a curve that bends is no exponent.
        let single = |of: fn(&Exponent) -> f64| column(&|e| if e.single() { of(e) } else { f64::NAN });
        frame.push_known_f64s("exponent", single(|e| e.slope.value))?;
        frame.push_known_f64s("standard_error", single(|e| e.slope.error))?;
        frame.push_known_f64s("low", single(|e| e.slope.low))?;
        frame.push_known_f64s("high", single(|e| e.slope.high))?;
        frame.push_f64s("slope", column(&|e| e.slope.value))?;
        frame.push_known_f64s("slope_low", column(&|e| e.slope.low))?;
        frame.push_known_f64s("slope_high", column(&|e| e.slope.high))?;
        frame.push_f64s("from", column(&|e| e.window.0))?;
        frame.push_f64s("to", column(&|e| e.window.1))?;
        frame.push_f64s("slope_change", column(&|e| e.change.value))?;
        frame.push_strings("single", &rows.iter().map(|(_, e)| said(e.single())).collect::<Vec<&str>>())?;
        let why = |e: &Exponent| {
            let change = e.change.value;
            if e.single() { String::new() } else { format!("the local slope changes by {change:.2}") }
        };
        frame.push_strings("why", &rows.iter().map(|(_, e)| why(e)).collect::<Vec<String>>())?;
        frame.push_strings("ergodic", &vec![ergodic.map_or("unknown", said); rows.len()])?;
        frame.push_f64s("likelihood_exponent", vec![likely.0; rows.len()])?;
        frame.push_f64s("likelihood_error", vec![likely.1; rows.len()])?;
        Ok(frame)
    }

    /// A row for each model, the best first.
    pub(super) fn models(&self, given: Option<&Given>) -> Result<Frame, Failure> {
        let ensemble = self.curves.first().map(|(name, curves)| (*name, thinned(curves)));
        let averaged = self.choice.as_ref().map(|curves| ("time_averaged", curves.clone()));
        let Some((name, curves)) = averaged.or(ensemble) else {
            return Err(Failure::new("there is no curve"));
        };
        let known = given.map(|g| g.at(&curves.lags)).transpose()?;
        let ranked = select(&curves, &candidates(known)).map_err(wrong)?;
        let mut frame = Frame::new();
        let texts = |of: &dyn Fn(&Ranked) -> String| ranked.iter().map(of).collect::<Vec<String>>();
        let column = |of: &dyn Fn(&Ranked) -> f64| ranked.iter().map(of).collect::<Vec<f64>>();
        frame.push_strings("model", &texts(&|r| r.fit.model.name()))?;
        frame.push_strings("estimator", &vec![name; ranked.len()])?;
        for parameter in ["amplitude", "exponent", "variance", "diffusion", "time", "scale", "squared_drift"]
        {
            let of = |r: &Ranked| {
                let place = r.fit.model.parameters().iter().position(|p| *p == parameter);
                place.and_then(|k| r.fit.parameters.get(k).copied()).unwrap_or(f64::NAN)
            };
            frame.push_f64s(parameter, column(&of))?;
        }
        frame.push_f64s("chi_squared", column(&|r| r.fit.chi_squared))?;
        frame.push_f64s("aicc", column(&|r| r.aicc))?;
        frame.push_f64s("delta_aicc", column(&|r| r.delta))?;
        frame.push_f64s("weight", column(&|r| r.weight))?;
        Ok(frame)
    }
}

/// As many lags as the number of chains allows a covariance for, evenly spaced in logarithm.
fn thinned(curves: &Curves) -> Curves {
    let (count, most) = (curves.lags.len(), lags_for(curves.chains.len()));
    if count <= most {
        return curves.clone();
    }
    let Some((first, last)) = curves.lags.first().zip(curves.lags.last()) else {
        return curves.clone();
    };
    let wanted = (0..most).map(|k| (first.ln() + (last / first).ln() * k as f64 / (most - 1) as f64).exp());
    let nearest = |t: f64| {
        (0..count).min_by(|a, b| {
            let off = |k: usize| (curves.lags[k] / t).ln().abs();
            off(*a).total_cmp(&off(*b))
        })
    };
    let kept: BTreeSet<usize> = wanted.filter_map(nearest).collect();
    let pick = |values: &Vec<f64>| kept.iter().map(|k| values[*k]).collect();
    Curves { lags: pick(&curves.lags), chains: curves.chains.iter().map(pick).collect() }
}
