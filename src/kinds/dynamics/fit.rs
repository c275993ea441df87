//! `dynamics.fit`: what a displacement curve says.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fit_tables::Study;
use super::given::Given;
use crate::kinds::artefacts::put_table;
use crate::kinds::columns::exists;
use crate::stage::{
    Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads, TableFacts,
};
use crate::table::read;

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
    /// Column of the table at `given` that holds the known curve, beside that of times.
    #[serde(default = "exact")]
    pub curve: String,
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

fn exact() -> String {
    "exact".to_owned()
}

impl Params {
    pub(super) fn values(&self) -> Vec<&str> {
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

    /// First and last time of the fit.
    pub(super) fn window(&self) -> (f64, f64) {
        (self.from.unwrap_or(0.0), self.to.unwrap_or(f64::INFINITY))
    }
}

impl Kind for Fit {
    type Params = Params;
    const NAME: &'static str = "dynamics.fit";
    const REVISION: u32 = 4;
    const ABOUT: &'static str = "What a displacement curve says: exponent, drift and spread, and the model behind it.\n\n\
        The exponent c of D(t) = A tᶜ is the slope of log mean displacement on log time, over up to 16 records of positions \
        nearest to times evenly spaced in logarithm, or over all records of displacement. Its 95 % interval leaves out one \
        chain at a time (of a single chain of positions at even times, one of 8 blocks; of other single chains there is \
        none), never the residuals of the line: points of one curve are correlated. Where the local slope changes by more \
        than 0.2 over the window, no one exponent describes the curve: `exponent` and its interval are missing, `single` is \
        `no` and `why` says how much the slope changes. The mean slope is in `slope` in any case.\n\n\
        From positions at even times come displacement from the start, time averages over lags up to a tenth of the path, \
        and the likelihood of fractional Brownian motion; ensemble and time averages whose exponents on the same lags \
        differ by more than 0.2 are not ergodic. Drift is |mean displacement|² less the share of chance, spread is the \
        variance over chains, which has an exponent of its own.\n\n\
        Models (power law, saturation of an Ornstein–Uhlenbeck process, inertial crossover and, with a table at `given`, the \
        multiple of a known curve such as the sum over modes of exact theory, each with and without drift) are fitted to time averages over lags up to a quarter of the path if there are any, else to displacement from the \
        start, by least squares weighted with the covariance over chains, and ranked by AICc.";
    const EXAMPLE: &'static str = "\
exponents:
  uses: dynamics.fit
  in: { table: diffusion.trajectory }
  with: { from: 100 }
";

    fn ports(_params: Option<&Params>) -> Ports {
        let output = |name: &str, about: &str| Port::new(name, PortType::Table, about);
        Ports {
            inputs: vec![
                Port::new("table", PortType::Table, "a row for each chain and time"),
                Port::new("given", PortType::Table, "times and a known curve, which joins the models")
                    .optional(),
            ],
            outputs: vec![
                output("curve", "of each estimator and time: mean displacement, local slope, drift, spread"),
                output(
                    "exponents",
                    "of each estimator: exponent and interval if there is a single one, mean slope, window",
                ),
                output("models", "of each model: parameters, χ², AICc, weight; the best first"),
            ],
            ..Ports::default()
        }
    }

    fn reads(params: &Params, context: &InferContext) -> BTreeMap<String, Reads> {
        let given = [params.time.as_str(), params.curve.as_str()];
        let all = [("table", Reads::columns(params.columns())), ("given", Reads::columns(given))];
        let bound = all.into_iter().filter(|(port, _)| context.inputs.contains_key(*port));
        bound.map(|(port, reads)| (port.to_owned(), reads)).collect()
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
        if let Some(table) = context.input("given").table() {
            exists(table, &params.time, "time")?;
            exists(table, &params.curve, "curve")?;
        }
        Ok(Outputs::new())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let frame = read(io.input("table")?, Some(&params.columns()))?;
        let study = Study::of(params, &frame)?;
        let given = io.optional("given").map(|bound| {
            let columns = [params.time.as_str(), params.curve.as_str()];
            Given::of(&read(bound, Some(&columns))?, &params.time, &params.curve)
        });
        io.check_cancelled()?;
        let tables = [
            ("curve", study.curve()?),
            ("exponents", study.exponents()?),
            ("models", study.models(given.transpose()?.as_ref())?),
        ];
        for (port, frame) in tables {
            put_table(io, port, frame)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::run_tables;
    use crate::table::Frame;

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
        assert!(run.table("exponents").f64s("slope_low").unwrap()[0].is_finite());
    }

    /// `chains` of x = t^½ (1 + chain / 10) at these times.
    fn rooted(chains: i64, times: &[i64]) -> Frame {
        let rows = || (0..chains).flat_map(|c| times.iter().map(move |t| (c, *t)));
        let mut frame = Frame::new();
        frame.push_i64s("chain", rows().map(|r| r.0).collect()).unwrap();
        frame.push_i64s("step", rows().map(|r| r.1).collect()).unwrap();
        frame
            .push_f64s("x", rows().map(|(c, t)| (t as f64).sqrt() * (1.0 + c as f64 / 10.0)).collect())
            .unwrap();
        frame
    }

    #[test]
    fn records_that_are_spaced_in_logarithm_are_all_in_the_window() {
        let times: Vec<i64> = (0..=40).map(|k| 1 << k).collect();
        let with = json!({"positions": ["x"], "from_zero": true, "from": 1 << 20, "to": 1_i64 << 35});
        let run = run_tables(&Fit, with, &[("table", rooted(6, &times), &[])]).unwrap();
        let curve = run.table("curve");
        let names = curve.strings("estimator").unwrap();
        let fitted = names.iter().zip(curve.f64s("time").unwrap()).filter(|(n, _)| *n == "ensemble");
        assert_eq!(
            fitted.map(|(_, t)| t.log2()).collect::<Vec<f64>>(),
            (20..=35).map(f64::from).collect::<Vec<f64>>()
        );
    }

    #[test]
    fn one_chain_at_uneven_times_has_an_exponent_without_an_interval() {
        let times: Vec<i64> = (0..=30).map(|k| k * k).collect();
        let run =
            run_tables(&Fit, json!({"positions": ["x"]}), &[("table", rooted(1, &times), &[])]).unwrap();
        let exponents = run.table("exponents");
        assert!((exponents.f64s("exponent").unwrap()[0] - 1.0).abs() < 1e-9);
        assert!(exponents.f64s("low").unwrap()[0].is_nan());
    }

    #[test]
    fn where_there_is_no_single_exponent_none_is_given() {
        // Displacement t + t² / 50: the local slope goes from 1 to 2.
        let whole = table(4, 1000);
        let mut frame = Frame::new();
        for name in ["chain", "step"] {
            frame.push_column_of(&whole, name).unwrap();
        }
        let moved = |t: &f64| t + t * t / 50.0;
        frame.push_f64s("displacement", whole.f64s("step").unwrap().iter().map(moved).collect()).unwrap();
        let said = |with| {
            let run = run_tables(&Fit, with, &[("table", frame.clone(), &[])]).unwrap();
            let of = |name: &str| run.table("exponents").f64s(name).unwrap()[0];
            let why = run.table("exponents").strings("why").unwrap()[0].clone();
            ([of("exponent"), of("low"), of("slope")], why)
        };
        let ([exponent, low, slope], why) = said(json!({}));
        assert!(exponent.is_nan() && low.is_nan() && slope > 1.0 && slope < 2.0);
        assert!(why.starts_with("the local slope changes by "), "{why}");
        let ([exponent, _, slope], why) = said(json!({"from": 900}));
        assert!(exponent == slope && why.is_empty(), "{exponent} {slope} {why}");
    }

    #[test]
    fn a_window_beyond_time_averages_leaves_the_ensemble() {
        let with = json!({"positions": ["x"], "from": 200});
        let run = run_tables(&Fit, with, &[("table", table(16, 400), &[])]).unwrap();
        assert_eq!(run.table("exponents").strings("estimator").unwrap(), ["ensemble", "spread"]);
    }

    #[test]
    fn a_given_curve_is_among_the_models() {
        // Chains whose displacement is 2, 2.2, … times that of the curve.
        let bend = |t: f64| t / (1.0 + t / 40.0);
        let times: Vec<i64> = (0..=9).map(|k| 1 << k).collect();
        let chains = rooted(8, &times);
        let mut frame = Frame::new();
        for name in ["chain", "step"] {
            frame.push_column_of(&chains, name).unwrap();
        }
        let rows = chains.f64s("step").unwrap().into_iter().zip(chains.i64s("chain").unwrap());
        let moved = rows.map(|(t, c)| (2.0 + 0.2 * c as f64) * bend(t)).collect();
        frame.push_f64s("displacement", moved).unwrap();
        let curve = |times: &[i64]| {
            let mut given = Frame::new();
            given.push_i64s("step", times.to_vec()).unwrap();
            given.push_f64s("exact", times.iter().map(|t| bend(*t as f64)).collect()).unwrap();
            run_tables(&Fit, json!({}), &[("table", frame.clone(), &[]), ("given", given, &[])])
        };
        let models = curve(&times).unwrap().table("models");
        assert_eq!(models.strings("model").unwrap()[0], "given");
        assert!((models.f64s("scale").unwrap()[0] - 2.7).abs() < 1e-6);
        let short = curve(&times[..5]).map(|_| ()).unwrap_err();
        assert!(short.contains("the given curve does not reach time"), "{short}");
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
