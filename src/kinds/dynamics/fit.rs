//! `dynamics.fit`: what a displacement curve says.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use science::dynamics::fit::exponent::{Exponent, ergodicity, exponent, local_slopes};
use science::dynamics::fit::likelihood::fractional;
use science::dynamics::fit::paths::{Curves, Paths, log_lags};
use science::dynamics::fit::select::{Ranked, candidates, lags_for, select};
use serde::{Deserialize, Serialize};

use crate::kinds::artefacts::put_table;
use crate::kinds::columns::exists;
use crate::kinds::wrong;
use crate::stage::{
    Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads, TableFacts,
};
use crate::table::{Frame, Tensor, read};

/// About this many lags, evenly spaced in logarithm, carry a curve.
const LAGS: usize = 16;
/// Pieces of a single chain, in place of chains.
const BLOCKS: usize = 8;

/// What a displacement curve says.
pub struct Fit;

/// Parameters of `dynamics.fit`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Column that tells chains apart.
    #[serde(default = "chain")]
    pub chain: String,
    /// Column of times.
    #[serde(default = "step")]
    pub time: String,
    /// Columns of positions: numbers, or tensors such as the sketch of `model.train`. Without them, `displacement` is
    /// fitted.
    #[serde(default)]
    pub positions: Vec<String>,
    /// Positions count from time 0, which has no row of its own: put one in front, where all are zero.
    #[serde(default)]
    pub from_zero: bool,
    /// Column of squared displacement from each chain's start.
    #[serde(default = "displacement")]
    pub displacement: String,
    /// Fit from this time on.
    #[serde(default)]
    pub from: Option<f64>,
    /// Fit up to this time.
    #[serde(default)]
    pub to: Option<f64>,
}

fn chain() -> String {
    "chain".to_owned()
}

fn step() -> String {
    "step".to_owned()
}

fn displacement() -> String {
    "displacement".to_owned()
}

impl Params {
    fn values(&self) -> Vec<&str> {
        if self.positions.is_empty() {
            vec![&self.displacement]
        } else {
            self.positions.iter().map(String::as_str).collect()
        }
    }

    fn columns(&self) -> Vec<&str> {
        [self.chain.as_str(), self.time.as_str()].into_iter().chain(self.values()).collect()
    }

    fn check(&self, table: &TableFacts) -> Result<(), Complaint> {
        let param = |k: usize| match k {
            0 => "chain",
            1 => "time",
            _ if self.positions.is_empty() => "displacement",
            _ => "positions",
        };
        self.columns().into_iter().enumerate().try_for_each(|(k, name)| exists(table, name, param(k)))
    }

    fn window(&self, curves: &Curves) -> Curves {
        curves.window(self.from.unwrap_or(0.0), self.to.unwrap_or(f64::INFINITY))
    }
}

impl Kind for Fit {
    type Params = Params;
    const NAME: &'static str = "dynamics.fit";
    const REVISION: u32 = 3;
    const ABOUT: &'static str = "What a displacement curve says: exponent, drift and spread, and the model behind it.\n\n\
        The exponent c of D(t) = A tᶜ is the slope of log mean displacement on log time. Its 95 % interval leaves out one \
        chain at a time (of a single chain of positions, one of 8 blocks), never the residuals of the line: points of one \
        curve are correlated. Where the local slope changes by more than 0.2 over the window, `single` is false: no one \
        exponent describes the curve.\n\n\
        From positions at even times come displacement from the start, time averages over lags up to a tenth of the path, \
        and the likelihood of fractional Brownian motion; ensemble and time averages whose exponents on the same lags \
        differ by more than 0.2 are not ergodic. Drift is |mean displacement|² less the share of chance, spread is the \
        variance over chains, which has an exponent of its own.\n\n\
        Models (power law, saturation of an Ornstein–Uhlenbeck process, inertial crossover, each with and without drift) \
        are fitted to time averages if there are any, else to displacement from the start, by least squares weighted with \
        the covariance over chains, and ranked by AICc.";
    const EXAMPLE: &'static str = "\
exponents:
  uses: dynamics.fit
  in: { table: diffusion.trajectory }
  with: { from: 100 }
";

    fn ports(_params: Option<&Params>) -> Ports {
        let output = |name: &str, about: &str| Port::new(name, PortType::Table, about);
        Ports {
            inputs: vec![Port::new("table", PortType::Table, "a row for each chain and time")],
            outputs: vec![
                output("curve", "of each estimator and time: mean displacement, local slope, drift, spread"),
                output("exponents", "of each estimator: exponent, interval, window, is there a single one?"),
                output("models", "of each model: parameters, χ², AICc, weight; the best first"),
            ],
            ..Ports::default()
        }
    }

    fn reads(params: &Params, _context: &InferContext) -> BTreeMap<String, Reads> {
        BTreeMap::from([("table".to_owned(), Reads::columns(params.columns()))])
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        if let (Some(from), Some(to)) = (params.from, params.to)
            && from >= to
        {
            return Err(Complaint::param("to", format!("the window from {from} to {to} is empty")));
        }
        if let Some(table) = context.input("table").table() {
            params.check(table)?;
        }
        Ok(Outputs::new())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let frame = read(io.input("table")?, Some(&params.columns()))?;
        let study = Study::of(params, &frame)?;
        io.check_cancelled()?;
        let tables =
            [("curve", study.curve()?), ("exponents", study.exponents()?), ("models", study.models()?)];
        for (port, frame) in tables {
            put_table(io, port, frame)?;
        }
        Ok(())
    }
}

/// Curves by the name of their estimator, the ensemble's first.
struct Study {
    curves: Vec<(&'static str, Curves)>,
    paths: Option<Paths>,
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
    fn of(params: &Params, frame: &Frame) -> Result<Self, Failure> {
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
            let moved = params.window(&moved.window(f64::MIN_POSITIVE, f64::INFINITY));
            moved.check().map_err(wrong)?;
            return Ok(Self { curves: vec![("ensemble", moved)], paths: None });
        }
        if params.from_zero {
            times.insert(0, 0.0);
            for chain in &mut chains {
                chain.splice(0..0, std::iter::repeat_n(0.0, width));
            }
        }
        let whole = Paths::new(times, width, chains).map_err(wrong)?;
        let single = whole.chains() == 1;
        let paths = if single { whole.blocks(BLOCKS).map_err(wrong)? } else { whole };
        let mut curves = vec![("ensemble", params.window(&paths.from_start(&log_lags(paths.steps(), LAGS))))];
        // Spread over chains has its own exponent; pieces of one chain are no ensemble.
        let spread = params.window(&paths.around_mean(&log_lags(paths.steps(), LAGS)));
        if !single && spread.check().is_ok() {
            curves.push(("spread", spread));
        }
        if paths.spacing().is_some() {
            let averaged = |last: usize| paths.time_averaged(&log_lags(last, LAGS)).map_err(wrong);
            curves.push(("time_averaged", params.window(&averaged((paths.steps() / 10).max(4))?)));
        }
        for (_, curve) in &curves {
            curve.check().map_err(wrong)?;
        }
        Ok(Self { curves, paths: Some(paths) })
    }

    fn curve(&self) -> Result<Frame, Failure> {
        let (mut names, mut split) = (Vec::new(), Vec::new());
        let (mut times, mut values, mut slopes) = (Vec::new(), Vec::new(), Vec::new());
        for (name, curves) in &self.curves {
            let mean = curves.mean();
            slopes.extend(local_slopes(&curves.lags, &mean));
            values.extend(mean);
            times.extend(&curves.lags);
            names.extend(curves.lags.iter().map(|_| *name));
            let parts = match &self.paths {
                Some(paths) if *name == "ensemble" => paths.split(&log_lags(paths.steps(), LAGS)),
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

    fn exponents(&self) -> Result<Frame, Failure> {
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
        frame.push_f64s("exponent", column(&|e| e.slope.value))?;
        frame.push_f64s("standard_error", column(&|e| e.slope.error))?;
        frame.push_f64s("low", column(&|e| e.slope.low))?;
        frame.push_f64s("high", column(&|e| e.slope.high))?;
        frame.push_f64s("from", column(&|e| e.window.0))?;
        frame.push_f64s("to", column(&|e| e.window.1))?;
        frame.push_f64s("slope_change", column(&|e| e.change.value))?;
        frame.push_strings("single", &rows.iter().map(|(_, e)| said(e.single())).collect::<Vec<&str>>())?;
        frame.push_strings("ergodic", &vec![ergodic.map_or("unknown", said); rows.len()])?;
        frame.push_f64s("likelihood_exponent", vec![likely.0; rows.len()])?;
        frame.push_f64s("likelihood_error", vec![likely.1; rows.len()])?;
        Ok(frame)
    }

    fn models(&self) -> Result<Frame, Failure> {
        let averaged = self.curves.iter().find(|(name, _)| *name == "time_averaged");
        let Some((name, curves)) = averaged.or(self.curves.first()) else {
            return Err(Failure::new("there is no curve"));
        };
        let ranked = select(&thinned(curves), &candidates(None)).map_err(wrong)?;
        let mut frame = Frame::new();
        let texts = |of: &dyn Fn(&Ranked) -> String| ranked.iter().map(of).collect::<Vec<String>>();
        let column = |of: &dyn Fn(&Ranked) -> f64| ranked.iter().map(of).collect::<Vec<f64>>();
        frame.push_strings("model", &texts(&|r| r.fit.model.name()))?;
        frame.push_strings("estimator", &vec![*name; ranked.len()])?;
        for parameter in ["amplitude", "exponent", "variance", "diffusion", "time", "squared_drift"] {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::run_tables;

    /// Chains that move by ±1 with a period of their own, plus a drift of 1 a step.
    fn table(chains: i64, steps: i64) -> Frame {
        let rows = || (0..chains).flat_map(|c| (0..=steps).map(move |t| (c, t)));
        let at = |(c, t): (i64, i64)| t as f64 + ((t * (c + 3)) as f64).sin();
        let mut frame = Frame::new();
        frame.push_i64s("chain", rows().map(|r| r.0).collect()).unwrap();
        frame.push_i64s("step", rows().map(|r| r.1).collect()).unwrap();
        frame.push_f64s("x", rows().map(at).collect()).unwrap();
        frame.push_f64s("displacement", rows().map(|r| (at(r) - at((r.0, 0))).powi(2)).collect()).unwrap();
        frame
    }

    #[test]
    fn drift_is_found_from_positions_and_from_displacement() {
        for with in [json!({"positions": ["x"]}), json!({"from": 8.0})] {
            let run = run_tables(&Fit, with, &[("table", table(16, 400), &[])]).unwrap();
            let exponents = run.table("exponents");
            assert!((exponents.f64s("exponent").unwrap()[0] - 2.0).abs() < 0.1);
            assert!(run.table("models").f64s("delta_aicc").unwrap()[0] == 0.0);
        }
        let run = run_tables(&Fit, json!({"positions": ["x"]}), &[("table", table(16, 400), &[])]).unwrap();
        let curve = run.table("curve");
        let (drift, spread) = (curve.f64s("drift").unwrap(), curve.f64s("spread").unwrap());
        let last = curve.strings("estimator").unwrap().iter().filter(|e| *e == "ensemble").count() - 1;
        assert!((drift[last] / 160_000.0 - 1.0).abs() < 0.01 && spread[last] < 2.0);
    }

    #[test]
    fn one_chain_has_an_interval_from_blocks() {
        let run = run_tables(&Fit, json!({"positions": ["x"]}), &[("table", table(1, 800), &[])]).unwrap();
        assert!(run.table("exponents").f64s("standard_error").unwrap()[0].is_finite());
    }

    #[test]
    fn mistakes_are_named() {
        let text = |with, frame| run_tables(&Fit, with, &[("table", frame, &[])]).map(|_| ()).unwrap_err();
        let missing = text(json!({"positions": ["y"]}), table(2, 50));
        assert!(missing.starts_with("the table has no column `y`"), "{missing}");
        assert!(text(json!({"from": 5.0, "to": 5.0}), table(2, 50)).contains("is empty"));
        let mut uneven = table(2, 50);
        uneven = uneven.take(&(0..101).collect::<Vec<usize>>()).unwrap();
        assert!(text(json!({}), uneven).contains("different times"));
    }

    #[test]
    fn curves_that_say_nothing_are_named() {
        let with = |values: fn(f64) -> f64| {
            let whole = table(4, 50);
            let mut frame = Frame::new();
            for name in ["chain", "step"] {
                frame.push_column_of(&whole, name).unwrap();
            }
            let steps = whole.f64s("step").unwrap();
            frame.push_f64s("displacement", steps.iter().map(|t| values(*t)).collect()).unwrap();
            run_tables(&Fit, json!({}), &[("table", frame, &[])]).map(|_| ()).unwrap_err()
        };
        assert_eq!(with(|_| 0.0), "nothing has moved at time 1");
        let wanted = "squared displacement must be a number of 0 or more";
        assert_eq!(with(|t| if t == 7.0 { f64::NAN } else { t }), wanted);
        assert_eq!(with(|t| if t == 7.0 { -1.0 } else { t }), wanted);
    }
}
