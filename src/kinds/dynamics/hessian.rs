//! `dynamics.hessian`: the spectrum of a loss's curvature at a model's weights.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use science::dynamics::spectrum::{
    Apply, Dense, Density, Found, Noise, Probes, Wanted, dense, density, lanczos,
};
use science::linalg::{Mat, with_threads};
use serde::{Deserialize, Serialize};

use super::batches::Samples;
use super::curvature::{Curvature, Setting, Which, columns};
use super::normalisation::BatchNorm;
use super::objective::Objective;
use super::spectrum_tables::{Report, Rows};
use crate::kinds::artefacts::put_table;
use crate::kinds::model::train::Loss;
use crate::stage::{Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads};

/// Gradients that are projected at once.
const GRADIENTS: usize = 64;
/// Parameters of a net whose whole Hessian is kept: 8 bytes times their square, four times over.
const MOST_DENSE: usize = 6000;

/// The spectrum of a loss's curvature at a model's weights.
pub struct Hessian;

/// Which curvature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Matrix {
    /// Second derivatives of the mean loss.
    #[default]
    Hessian,
    /// Jᵀ H_L J, the part without the curvature of the network itself.
    GaussNewton,
}

/// How eigenpairs are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Lanczos with full reorthogonalisation and thick restarts.
    #[default]
    Lanczos,
    /// The whole matrix, column by column: for nets with up to 6000 parameters.
    Dense,
}

/// The density of the spectrum by stochastic Lanczos quadrature, and the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DensityParams {
    /// Random vectors.
    #[serde(default = "ten")]
    pub vectors: usize,
    /// Products with each.
    #[serde(default = "sixty")]
    pub steps: usize,
    /// Values of the curve.
    #[serde(default = "five_hundred")]
    pub points: usize,
}

/// Parameters of `dynamics.hessian`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Column that feeds the model; if not given `input`, else the only tensor column.
    #[serde(default)]
    pub input: Option<String>,
    /// Column with the targets; if not given the first of label, labels, target, class.
    #[serde(default)]
    pub target: Option<String>,
    /// The loss, a mean over all rows. Weight decay is not part of it: it adds λ to every eigenvalue.
    #[serde(default)]
    pub loss: Loss,
    /// Which curvature.
    #[serde(default)]
    pub curvature: Matrix,
    /// How eigenpairs are found.
    #[serde(default)]
    pub method: Method,
    /// Pairs from the top of the spectrum.
    #[serde(default = "ten")]
    pub largest: usize,
    /// Pairs from its bottom.
    #[serde(default)]
    pub smallest: usize,
    /// Largest residual over the largest eigenvalue (`lanczos`).
    #[serde(default = "tolerance")]
    pub tolerance: f64,
    /// Products at most (`lanczos`).
    #[serde(default = "thousand")]
    pub products: usize,
    /// Rows of one call into the runtime.
    #[serde(default = "rows")]
    pub batch_size: usize,
    /// What a batch normalisation normalises by.
    #[serde(default)]
    pub batch_norm: BatchNorm,
    /// Also measure the covariance C of one-sample gradients: its trace, and qᵀ C q of each direction.
    #[serde(default)]
    pub noise: bool,
    /// Also estimate the density of the spectrum and the trace.
    #[serde(default)]
    pub density: Option<DensityParams>,
    /// Seed of the first vectors.
    #[serde(default)]
    pub seed: u64,
}

fn ten() -> usize {
    10
}

fn sixty() -> usize {
    60
}

fn five_hundred() -> usize {
    500
}

fn thousand() -> usize {
    1000
}

fn rows() -> usize {
    1024
}

fn tolerance() -> f64 {
    1e-5
}

impl Params {
    fn objective(&self) -> Objective<'_> {
        Objective {
            input: self.input.as_deref(),
            target: self.target.as_deref(),
            loss: self.loss,
            batch_norm: self.batch_norm,
            rows: self.batch_size,
        }
    }

    fn check(&self) -> Result<(), Complaint> {
        let wrong = |param: &str, message: &str| Err(Complaint::param(param, message));
        match () {
            () if self.largest + self.smallest == 0 => wrong("largest", "at least one eigenpair is needed"),
            () if self.tolerance.is_nan() || self.tolerance <= 0.0 => {
                wrong("tolerance", "the tolerance is above 0")
            }
            () if !self.loss.has_targets() => {
                wrong("loss", "curvature is known of losses with a target for each row")
            }
            () if self.batch_size == 0 => wrong("batch_size", "a batch has at least one row"),
            () if self.noise && self.batch_norm == BatchNorm::Batch => {
                wrong("noise", "one row has no statistics of a batch; use `batch_norm: running`")
            }
            () if self.density.is_some_and(|d| d.vectors == 0 || d.steps == 0 || d.points < 2) => {
                wrong("density", "a density needs a vector, a step and two points")
            }
            () => Ok(()),
        }
    }

    fn which(&self) -> Which {
        match self.curvature {
            Matrix::Hessian => Which::Hessian,
            Matrix::GaussNewton => Which::GaussNewton,
        }
    }
}

impl Kind for Hessian {
    type Params = Params;
    const NAME: &'static str = "dynamics.hessian";
    const REVISION: u32 = 1;
    const USES_RUNTIME: bool = true;
    const ABOUT: &'static str = "The spectrum of a loss's curvature at a model's weights.\n\n\
        Products of the Hessian (or of Gauss–Newton's matrix) with vectors are one ONNX graph: the gradient \
        differentiated again. It is run over all rows of `data`, batch by batch, in float32; batches are summed and \
        vectors orthogonalised in float64, so that a residual |H q − ρ q| below about 1e-6 of the largest eigenvalue is \
        rounding. Residuals are measured with a product of their own. Parameters are those that `model.train` trains, in \
        its order, so that `pairs` can stand at its port `directions`.\n\n\
        `noise` adds the covariance C of one-sample gradients over the same rows, normalised by their number: tr C in \
        `summary`, and the variance qᵀ C q of each direction as `noise`. Rows of a subset are chosen with `table.sample` \
        or `table.sql` before.";
    const EXAMPLE: &'static str = "\
curvature:
  uses: dynamics.hessian
  in: { model: bottom.model, data: split.train }
  with: { input: image, target: label, largest: 30, noise: true }
";

    fn ports(params: Option<&Params>) -> Ports {
        let output = |name: &str, about: &str| Port::new(name, PortType::Table, about);
        let mut ports = Ports {
            inputs: vec![
                Port::new("model", PortType::Model, "a model with one float32 input"),
                Port::new("data", PortType::Table, "the rows that the loss is the mean over"),
            ],
            outputs: vec![
                output("pairs", "mode (rank from the top), eigenvalue, residual, noise, vector"),
                output("spectrum", "all eigenvalues that were found, without vectors"),
                output("summary", "one row: sizes, loss, gradient, trace, noise, how precise"),
            ],
            ..Ports::default()
        };
        if params.is_none_or(|p| p.density.is_some()) {
            ports.outputs.push(output("density", "with `density`: eigenvalue, density"));
        }
        ports
    }

    fn reads(params: &Params, context: &InferContext) -> BTreeMap<String, Reads> {
        params.objective().reads(context)
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        params.check()?;
        params.objective().check(context)?;
        Ok(Outputs::new())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let opened = params.objective().open(io)?;
        let (samples, setting) = (&opened.samples, opened.setting(io)?);
        let analysis = Analysis { params, io, samples, setting: &setting };
        let threads = io.threads;
        let (report, provider) =
            with_threads(threads, || analysis.report()).map_err(crate::kinds::wrong)??;
        let build = setting.runtime.build();
        io.note("execution_provider", provider);
        io.note("onnxruntime", build);
        put_table(io, "pairs", report.pairs()?)?;
        put_table(io, "spectrum", report.spectrum()?)?;
        put_table(io, "summary", report.summary(params)?)?;
        if let Some(density) = &report.density {
            put_table(io, "density", Report::curve(density)?)?;
        }
        Ok(())
    }
}

/// One run.
struct Analysis<'a, 'b> {
    params: &'a Params,
    io: &'a Io<'b>,
    samples: &'a Samples,
    setting: &'a Setting<'a>,
}

impl Analysis<'_, '_> {
    fn report(&self) -> Result<(Report, &'static str), Failure> {
        let mut curvature =
            self.setting.curvature(self.params.which(), self.samples.batches(self.params.batch_size)?)?;
        let parameters = curvature.size();
        let mut made = 0usize;
        let provider = curvature.provider();
        let mut apply = |v: &[f64]| {
            self.io.check_cancelled()?;
            made += 1;
            self.io.progress.advance("products", made as u64, None);
            curvature.times(v)
        };
        let rows = self.eigenpairs(parameters, &mut apply)?;
        let density = self.density(parameters, &mut apply)?;
        drop(curvature);
        let (loss, gradient) = self.slope()?;
        let noise = self.params.noise.then(|| self.noise(parameters, &rows)).transpose()?;
        let report = Report {
            rows,
            density,
            noise,
            loss,
            gradient,
            parameters,
            samples: self.samples.rows(),
            products: made,
        };
        Ok((report, provider))
    }

    fn eigenpairs(&self, parameters: usize, apply: Apply<'_, Failure>) -> Result<Rows, Failure> {
        let (largest, smallest) = (self.params.largest, self.params.smallest);
        if largest + smallest > parameters {
            return Err(Failure::new(format!(
                "{} eigenpairs are asked for, and the model has {parameters} parameters",
                largest + smallest
            ))
            .hint("lower `largest` and `smallest`"));
        }
        if self.params.method == Method::Dense {
            if parameters > MOST_DENSE {
                return Err(Failure::new(format!(
                    "the whole Hessian of {parameters} parameters is too large; {MOST_DENSE} is the limit"
                ))
                .hint("use `method: lanczos`"));
            }
            let all: Dense = dense(parameters, apply)?;
            return Ok(Rows::of_dense(all, largest, smallest));
        }
        let wanted = Wanted {
            largest,
            smallest,
            tolerance: self.params.tolerance,
            products: self.params.products,
            seed: self.params.seed,
        };
        let found: Found = lanczos(parameters, &wanted, apply)?;
        if !found.converged {
            self.io.progress.log("not all residuals are within the tolerance: see `residual` in `pairs`");
        }
        Ok(Rows::of_ends(found, largest, parameters))
    }

    fn density(&self, parameters: usize, apply: Apply<'_, Failure>) -> Result<Option<Density>, Failure> {
        let Some(asked) = self.params.density else { return Ok(None) };
        let seed = self.params.seed;
        let probes = Probes { vectors: asked.vectors, steps: asked.steps, points: asked.points, seed };
        density(parameters, &probes, apply).map(Some)
    }

    /// Loss and length of the gradient over all rows.
    fn slope(&self) -> Result<(f64, f64), Failure> {
        let mut gradients: Curvature =
            self.setting.gradients(self.samples.batches(self.params.batch_size)?)?;
        let (mut total, mut sum) = (0.0, vec![0.0; gradients.size()]);
        gradients.each_gradient(&mut |share, loss, gradient| {
            total += share * loss;
            sum.iter_mut().zip(&gradient).for_each(|(s, g)| *s += share * g);
            Ok(())
        })?;
        Ok((total, sum.iter().map(|g| g * g).sum::<f64>().sqrt()))
    }

    /// The covariance of one-sample gradients.
    fn noise(&self, parameters: usize, rows: &Rows) -> Result<(f64, Vec<f64>), Failure> {
        let directions: Mat<f64> = rows.directions(parameters);
        let mut gradients = self.setting.gradients(self.samples.batches(1)?)?;
        let mut noise = Noise::new(parameters, directions.ncols());
        let (mut waiting, mut done) = (Vec::with_capacity(GRADIENTS), 0usize);
        let total = self.samples.rows() as u64;
        gradients.each_gradient(&mut |_, _, gradient| {
            waiting.push(gradient);
            done += 1;
            if waiting.len() == GRADIENTS {
                self.io.check_cancelled()?;
                self.io.progress.advance("gradients", done as u64, Some(total));
                noise.add(directions.as_ref(), columns(&waiting).as_ref());
                waiting.clear();
            }
            Ok(())
        })?;
        noise.add(directions.as_ref(), columns(&waiting).as_ref());
        Ok((noise.trace(), noise.along()))
    }
}
