//! `dynamics.regression`: ensembles of SGD on linear regression beside the exact theory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use science::dynamics::Sgd;
use science::dynamics::additive::simulate_additive;
use science::dynamics::discrete::Theory;
use science::dynamics::regression::Regression as Problem;
use science::dynamics::sampler::Sampler as Drawn;
use science::dynamics::simulate::{Ensemble, generated, simulate};
use science::linalg::{Mat, with_threads};
use serde::{Deserialize, Serialize};

use super::study::Study;
use crate::kinds::artefacts::put_table;
use crate::kinds::columns::exists;
use crate::kinds::wrong;
use crate::stage::{
    Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads, TableFacts,
};
use crate::table::read;

/// Ensembles of SGD on linear regression beside the exact theory.
pub struct Regression;

/// Parameters of `dynamics.regression`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Column of inputs, a tensor or a number; if not given `input`, else `x`.
    #[serde(default)]
    pub input: Option<String>,
    /// Column of targets.
    #[serde(default = "target")]
    pub target: String,
    /// Data to draw instead of a table.
    #[serde(default)]
    pub generate: Option<Generate>,
    /// Step width.
    pub learning_rate: f64,
    /// Factor of the velocity, 0 to below 1.
    #[serde(default)]
    pub momentum: f64,
    /// Pull towards zero.
    #[serde(default)]
    pub weight_decay: f64,
    /// Rows of a batch.
    pub batch_size: usize,
    /// How batches are drawn.
    #[serde(default)]
    pub sampler: Sampler,
    /// What moves the chains beside the gradient.
    #[serde(default)]
    pub noise: Noise,
    /// Independent chains.
    #[serde(default = "chains")]
    pub chains: usize,
    /// Steps of each chain.
    pub steps: u64,
    /// Steps before displacement begins to count; 0: it counts from rest, else from wherever the chain then is.
    #[serde(default)]
    pub burn_in: u64,
    /// Where chains begin, at rest.
    #[serde(default)]
    pub start: Start,
    /// Records a decade of time.
    #[serde(default = "per_decade")]
    pub per_decade: u32,
    /// Evenly spaced records over the second half, for stationary variances.
    #[serde(default = "samples")]
    pub samples: u64,
    /// Modes whose positions and velocities are recorded, by rank of their eigenvalue; −1 is the flattest.
    #[serde(default = "modes")]
    pub modes: Vec<i64>,
    /// Seed of all batches.
    #[serde(default)]
    pub seed: u64,
}

/// Data to draw: x with eigenvalues ρ_l = l^−spectrum, y = x·θ* + noise.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// Number of rows.
    pub rows: usize,
    /// Number of features.
    pub features: usize,
    /// How fast eigenvalues fall.
    #[serde(default)]
    pub spectrum: f64,
    /// Standard deviation of the targets' noise.
    #[serde(default = "one")]
    pub noise: f64,
    /// Seed of the data.
    #[serde(default)]
    pub seed: u64,
}

/// How batches are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sampler {
    /// Each row independently.
    #[default]
    Replacement,
    /// A fresh subset at each step.
    Subset,
    /// A new order of all rows in each epoch; theory then assumes fresh subsets.
    Epoch,
}

impl Sampler {
    pub(super) fn drawn(self) -> Drawn {
        match self {
            Sampler::Replacement => Drawn::Replacement,
            Sampler::Subset => Drawn::Subset,
            Sampler::Epoch => Drawn::Epoch,
        }
    }
}

/// What moves the chains beside the gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Noise {
    /// Batches that are drawn, step by step.
    #[default]
    Batches,
    /// Gaussian noise with the covariance of batches at the minimum; chains leap from record to record, with the law
    /// that steps would have.
    Additive,
}

/// Where chains begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At the minimum.
    #[default]
    Minimum,
    /// At zero.
    Zero,
}

fn target() -> String {
    "y".to_owned()
}

fn chains() -> usize {
    16
}

fn per_decade() -> u32 {
    8
}

fn samples() -> u64 {
    64
}

fn modes() -> Vec<i64> {
    vec![0, -1]
}

fn one() -> f64 {
    1.0
}

impl Params {
    pub(super) fn sgd(&self) -> Sgd {
        Sgd {
            learning_rate: self.learning_rate,
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            batch_size: self.batch_size,
        }
    }

    fn columns(&self, table: &TableFacts) -> Result<(String, String), Complaint> {
        let usual = if table.column("input").is_some() { "input" } else { "x" };
        let input = self.input.as_deref().unwrap_or(usual);
        exists(table, input, "input")?;
        exists(table, &self.target, "target")?;
        Ok((input.to_owned(), self.target.clone()))
    }

    fn check(&self, rows: Option<usize>) -> Result<(), Complaint> {
        let param = |name: &str, what: &str| Err(Complaint::param(name, what.to_owned()));
        if self.burn_in.saturating_add(self.steps) > i64::MAX as u64 {
            return param("burn_in", "with `steps` it is more steps than can be counted");
        }
        self.sgd().check(rows.unwrap_or(usize::MAX)).map_err(|e| {
            let name = if e.0.contains("momentum") {
                "momentum"
            } else if e.0.contains("decay") {
                "weight_decay"
            } else if e.0.contains("batch") {
                "batch_size"
            } else {
                "learning_rate"
            };
            Complaint::param(name, e.0)
        })?;
        if self.noise == Noise::Additive && self.sampler == Sampler::Epoch {
            return param(
                "noise",
                "batches of an epoch are not independent, as additive noise is: take `replacement` or `subset`",
            );
        }
        if self.chains == 0 {
            return param("chains", "there must be at least one chain");
        }
        if self.steps == 0 || self.per_decade == 0 {
            return param("steps", "there must be at least one step, and one record a decade");
        }
        if let Some(generate) = &self.generate
            && (generate.rows == 0
                || generate.features == 0
                || generate.noise.is_nan()
                || generate.noise < 0.0)
        {
            return param("generate", "rows and features must be at least 1 and the noise not below 0");
        }
        Ok(())
    }

    /// Ranks of the chosen modes among `features`.
    fn ranks(&self, features: usize) -> Result<Vec<usize>, Failure> {
        let rank = |m: &i64| {
            let counted = if *m < 0 { *m + features as i64 } else { *m };
            usize::try_from(counted).ok().filter(|r| *r < features).ok_or_else(|| {
                Failure::new(format!("there is no mode {m} among {features}")).hint("choose other `modes`")
            })
        };
        let mut ranks = Vec::new();
        for mode in &self.modes {
            let rank = rank(mode)?;
            if !ranks.contains(&rank) {
                ranks.push(rank);
            }
        }
        Ok(ranks)
    }

    /// Times since the origin at which to record: rising, log-spaced, and evenly over the second half.
    fn times(&self) -> Vec<u64> {
        let decades = (self.steps as f64).log10();
        let count = (decades * f64::from(self.per_decade)).ceil() as u32;
        let spaced =
            (0..=count).map(|k| 10f64.powf(f64::from(k) / f64::from(self.per_decade)).round() as u64);
        let half = self.steps / 2;
        let even = (1..=self.samples).map(|k| half + (self.steps - half) * k / self.samples.max(1));
        let mut times: Vec<u64> = spaced.chain(even).filter(|t| (1..=self.steps).contains(t)).collect();
        times.sort_unstable();
        times.dedup();
        times
    }

    /// The middle of time and the steps between the records behind it, if they are even and enough for an angle.
    pub(super) fn even(&self) -> Option<(u64, u64)> {
        let half = self.steps / 2;
        let rest = self.steps - half;
        let even = self.samples >= 8 && rest >= self.samples && rest.is_multiple_of(self.samples);
        even.then(|| (half, rest / self.samples))
    }
}

impl Kind for Regression {
    type Params = Params;
    const NAME: &'static str = "dynamics.regression";
    const REVISION: u32 = 5;
    const ABOUT: &'static str = "Ensembles of SGD on linear regression beside the exact theory.\n\n\
        L(θ) = 1/(2N) Σ (x·θ − y)² + λ/2 |θ|²; the update is torch's SGD. Each chain draws its own batches. The theory \
        is exact in discrete time with the true noise of batches, which depends on the state; beside it stands the \
        underdamped Langevin model (arXiv 2107.09133). A column says which sampler the theory assumes: batches of an \
        epoch are not independent, and for them it is that of fresh subsets.\n\nWith `noise: additive` the noise is that \
        at the minimum everywhere, in the theory too, and a chain leaps from record to record however many steps lie between.\n\nPositions are measured from the \
        minimum along eigenvectors of the Hessian, velocities are (θ_k − θ_(k−1)) / η. Everything is float64; the \
        result does not depend on `threads`.\n\n\
        Beside the exact mean of each recorded mode stands its 95 % band, mean ± 1.96 standard deviations, from rest where \
        the chains begin; `band_noise` says with which noise. `angle_measured` is that of the linear map from one record to \
        the next, where the records of the second half (`samples`) are even.";
    const EXAMPLE: &'static str = "\
diffusion:
  uses: dynamics.regression
  with:
    generate: { rows: 500, features: 20, spectrum: 1.5 }
    learning_rate: 0.05
    momentum: 0.9
    batch_size: 16
    steps: 10000
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![Port::new("data", PortType::Table, "rows of inputs and targets").optional()],
            outputs: vec![
                Port::new(
                    "trajectory",
                    PortType::Table,
                    "of each chain and time: squared displacement, squared step, positions and velocities",
                ),
                Port::new(
                    "displacement",
                    PortType::Table,
                    "at each time: mean over chains, standard error, exact and continuous theory, means of modes and 95 % bands",
                ),
                Port::new(
                    "modes",
                    PortType::Table,
                    "of each mode: eigenvalue, κ, angle by theory and as measured, frequencies, variances by theory and as measured, turning",
                ),
            ],
            ..Ports::default()
        }
    }

    fn reads(params: &Params, context: &InferContext) -> BTreeMap<String, Reads> {
        let columns = context.input("data").table().and_then(|t| params.columns(t).ok());
        columns
            .map(|(x, y)| BTreeMap::from([("data".to_owned(), Reads::columns([x, y]))]))
            .unwrap_or_default()
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        let bound = context.inputs.contains_key("data");
        if bound == params.generate.is_some() {
            return Err(Complaint::param("generate", "give either data at the port `data` or `generate`"));
        }
        let mut rows = params.generate.as_ref().map(|g| g.rows);
        if let Some(table) = context.input("data").table() {
            params.columns(table)?;
            rows = table.rows.and_then(|r| usize::try_from(r).ok());
        }
        params.check(rows)?;
        Ok(Outputs::new())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let (x, y) = data(params, io)?;
        let problem = Problem::new(x.as_ref(), &y, params.weight_decay).map_err(wrong)?;
        let theory = Theory::new(&problem, &params.sgd(), params.sampler.drawn()).map_err(wrong)?;
        let ranks = params.ranks(problem.features())?;
        // Before the simulation, which would be in vain where the moments grow without end.
        let moments = with_threads(io.threads, || match params.noise {
            Noise::Batches => theory.stationary(),
            Noise::Additive => theory.stationary_additive(),
        })
        .map_err(wrong)?
        .map_err(wrong)?;
        let times = params.times();
        let start = match params.start {
            Start::Minimum => problem.minimum(),
            Start::Zero => vec![0.0; problem.features()],
        };
        let mut record = times.iter().map(|t| t + params.burn_in).collect::<Vec<u64>>();
        if params.burn_in > 0 {
            record.insert(0, params.burn_in);
        }
        let ensemble = Ensemble {
            problem: &problem,
            sgd: params.sgd(),
            sampler: params.sampler.drawn(),
            start: &start,
            chains: params.chains,
            record: &record,
            from_first_record: params.burn_in > 0,
            modes: &ranks,
            seed: params.seed,
        };
        let done = AtomicU64::new(0);
        let (progress, cancel) = (io.progress, io.cancel.clone());
        let (what, total) = match params.noise {
            Noise::Batches => ("chains", params.chains),
            Noise::Additive => ("records", record.len()),
        };
        let tell = || {
            progress.advance(what, done.fetch_add(1, Ordering::Relaxed) + 1, Some(total as u64));
            if cancel.is_cancelled() { Err(science::error::Error::new("cancelled")) } else { Ok(()) }
        };
        let chains = with_threads(io.threads, || match params.noise {
            Noise::Batches => simulate(&ensemble, &tell),
            Noise::Additive => simulate_additive(&ensemble, &tell),
        })
        .map_err(wrong)?;
        io.check_cancelled()?;
        let chains = chains.map_err(wrong)?;

        let threads = io.threads;
        let tables = with_threads(threads, || -> Result<_, Failure> {
            let study = Study {
                params,
                problem: &problem,
                theory: &theory,
                moments: &moments,
                ranks: &ranks,
                chains: &chains,
            };
            Ok([
                ("trajectory", study.trajectory()?),
                ("displacement", study.displacement(&times, &start)?),
                ("modes", study.modes(&times)?),
            ])
        });
        let tables = tables.map_err(wrong)??;
        for (port, frame) in tables {
            put_table(io, port, frame)?;
        }
        Ok(())
    }
}

/// Rows of inputs, and targets.
fn data(params: &Params, io: &Io) -> Result<(Mat<f64>, Vec<f64>), Failure> {
    if let Some(g) = &params.generate {
        return Ok(generated(g.rows, g.features, g.spectrum, g.noise, g.seed));
    }
    let bound = io.input("data")?;
    let schema = bound.facts.table().cloned().unwrap_or_default();
    let (x, y) = params.columns(&schema).map_err(|c| Failure::new(c.message))?;
    let frame = read(bound, Some(&[x.as_str(), y.as_str()]))?;
    let tensor = frame.tensor_f64(&x)?;
    let width = tensor.row_size().max(1);
    Ok((Mat::from_fn(frame.rows(), width, |i, j| tensor.values[i * width + j]), frame.f64s(&y)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{Run, run_tables};
    use crate::table::Frame;

    fn runs(y: Vec<f64>, x: Vec<f64>) -> Result<Run, String> {
        let mut data = Frame::new();
        data.push_f64s("x", x).unwrap();
        data.push_f64s("y", y).unwrap();
        let with = json!({
            "learning_rate": 0.1, "momentum": 0.5, "batch_size": 2, "steps": 400, "start": "zero", "modes": [0],
        });
        run_tables(&Regression, with, &[("data", data, &[])])
    }

    #[test]
    fn without_noise_chains_come_to_rest_at_the_minimum() {
        let x: Vec<f64> = (1..=8).map(|k| f64::from(k) / 4.0).collect();
        let run = runs(x.iter().map(|x| 3.0 * x).collect(), x).unwrap();
        // From 0 to 3, and there they stay.
        let displacement = run.table("displacement");
        for name in ["measured", "exact"] {
            let last = *displacement.f64s(name).unwrap().last().unwrap();
            assert!((last - 9.0).abs() < 1e-9, "{name} {last}");
        }
        // Of the mode's mean too, which began 3 away.
        let mean = displacement.f64s("mean_position_0").unwrap();
        assert!(mean[0].abs() > 2.0 && mean.last().unwrap().abs() < 1e-9, "{mean:?}");
        assert!(run.table("modes").f64s("position_variance_exact").unwrap()[0].abs() < 1e-20);
    }

    #[test]
    fn data_without_a_minimum_is_named() {
        let said = |y, x| runs(y, x).map(|_| ()).unwrap_err();
        assert!(said(vec![1.0, 2.0], vec![0.0, 0.0]).contains("the Hessian is singular"));
        assert!(said(vec![1.0, f64::NAN], vec![1.0, 2.0]).contains("values that are no numbers"));
        assert!(said(vec![1.0], vec![1.0]).contains("a batch of 2 does not fit 1 rows"));
    }
}
