//! `dynamics.plane`: the loss over the plane of two eigendirections, and where theory says that SGD stays.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use science::dynamics::Sgd;
use serde::{Deserialize, Serialize};

use super::normalisation::BatchNorm;
use super::objective::Objective;
use super::phase::needs;
use super::plane_tables::Survey;
use super::regression::Sampler;
use crate::kinds::artefacts::put_table;
use crate::kinds::model::train::Loss;
use crate::stage::{Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads};
use crate::table::read;

/// Points of a side at most: their square is the number of passes over the data.
const MOST_POINTS: usize = 501;

/// Columns of the table of directions; the last one is for theory alone.
const DIRECTIONS: [&str; 4] = ["mode", "eigenvalue", "vector", "noise"];

/// The loss over the plane of two eigendirections.
pub struct Plane;

/// How far the plane reaches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Reach {
    /// The same along both directions.
    Both(f64),
    /// Along each.
    Each([f64; 2]),
}

/// The settings of chains whose stationary state theory gives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Chains {
    /// η.
    pub learning_rate: f64,
    /// β.
    #[serde(default)]
    pub momentum: f64,
    /// Rows of a batch.
    pub batch_size: usize,
    /// How batches were drawn; theory for `epoch` assumes fresh subsets.
    #[serde(default)]
    pub sampler: Sampler,
}

/// Parameters of `dynamics.plane`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Column that feeds the model; if not given `input`, else the only tensor column.
    #[serde(default)]
    pub input: Option<String>,
    /// Column with the targets; if not given the first of label, labels, target, class.
    #[serde(default)]
    pub target: Option<String>,
    /// The loss, a mean over all rows.
    #[serde(default)]
    pub loss: Loss,
    /// λ: `decayed_loss` is the loss plus λ/2 |θ|², the one whose bottom chains of SGD move around.
    #[serde(default)]
    pub weight_decay: f64,
    /// The two directions, by their rank in the column `mode`.
    pub modes: [i64; 2],
    /// Half the width of the plane along each direction, in the units of weights (one number or two); if not given,
    /// three standard deviations of positions by theory for `sgd`.
    #[serde(default)]
    pub reach: Option<Reach>,
    /// Points along each side.
    #[serde(default = "points")]
    pub points: usize,
    /// Settings of chains, for the modified loss and the ellipses.
    #[serde(default)]
    pub sgd: Option<Chains>,
    /// Rows of one call into the runtime.
    #[serde(default = "rows")]
    pub batch_size: usize,
    /// What a batch normalisation normalises by.
    #[serde(default)]
    pub batch_norm: BatchNorm,
}

fn points() -> usize {
    41
}

fn rows() -> usize {
    1024
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

    /// Columns of the table of directions.
    fn wanted(&self) -> &'static [&'static str] {
        if self.sgd.is_some() { &DIRECTIONS } else { &DIRECTIONS[..3] }
    }

    /// Half-widths, if they are given.
    pub fn half_widths(&self) -> Option<[f64; 2]> {
        self.reach.map(|reach| match reach {
            Reach::Both(one) => [one, one],
            Reach::Each(two) => two,
        })
    }

    /// The settings of chains as theory takes them.
    pub fn settings(&self) -> Option<(Sgd, Sampler)> {
        let of = |c: Chains| Sgd {
            learning_rate: c.learning_rate,
            momentum: c.momentum,
            weight_decay: self.weight_decay,
            batch_size: c.batch_size,
        };
        self.sgd.map(|chains| (of(chains), chains.sampler))
    }

    fn check(&self) -> Result<(), Complaint> {
        let wrong = |param: &str, message: String| Err(Complaint::param(param, message));
        let [first, second] = self.modes;
        if first == second {
            return wrong("modes", format!("a plane needs two directions, and both are mode {first}"));
        }
        if let Some(mode) = self.modes.iter().find(|m| **m < 0) {
            return wrong("modes", format!("there is no mode {mode}: ranks count from 0 at the top"));
        }
        match self.half_widths() {
            None if self.sgd.is_none() => {
                return Err(Complaint::param("reach", "it is not said how far the plane reaches")
                    .hint("give `reach`, or `sgd` for three standard deviations by theory"));
            }
            Some(widths) if widths.iter().any(|w| !w.is_finite() || *w <= 0.0) => {
                let [a, b] = widths;
                return wrong(
                    "reach",
                    format!("half-widths are finite and above 0, and these are {a} and {b}"),
                );
            }
            _ => {}
        }
        if !(2..=MOST_POINTS).contains(&self.points) {
            return wrong("points", format!("a side has 2 to {MOST_POINTS} points, not {}", self.points));
        }
        if !self.weight_decay.is_finite() || self.weight_decay < 0.0 {
            return wrong(
                "weight_decay",
                format!("the weight decay {} must be 0 or more", self.weight_decay),
            );
        }
        if self.batch_size == 0 {
            return wrong("batch_size", "a batch has at least one row".to_owned());
        }
        if !self.loss.has_targets() {
            return wrong("loss", "a plane is known of losses with a target for each row".to_owned());
        }
        if let Some((sgd, _)) = self.settings() {
            // The number of rows is not known yet.
            sgd.check(usize::MAX).map_err(|e| {
                let at = ["momentum", "learning rate"].into_iter().find(|w| e.0.contains(w));
                Complaint::param(format!("sgd.{}", at.unwrap_or("batch_size").replace(' ', "_")), e.0)
            })?;
        }
        Ok(())
    }
}

impl Kind for Plane {
    type Params = Params;
    const NAME: &'static str = "dynamics.plane";
    const REVISION: u32 = 1;
    const USES_RUNTIME: bool = true;
    const ABOUT: &'static str = "The loss over the plane of two eigendirections, and where theory says that SGD stays.\n\n\
        The mean loss over all rows of `data` at θ₀ + a q + b p, with the model's weights θ₀ and two rows q, p of \
        `dynamics.hessian`, on an even grid of positions a (`first`) and b (`second`). One graph takes the weights as \
        inputs; passes are float32 and batches summed in float64. `quadratic` is the loss's second-order approximation, \
        from its gradient at θ₀ and both eigenvalues; `decayed_loss` adds λ/2 |θ|².\n\n\
        With `sgd`, and a table of directions with `noise`, stand beside it what discrete-exact theory with constant \
        noise says of the stationary state of such chains, as in `dynamics.phase`: `modified_loss` is −ln of the density \
        of positions, ½ Σ a² / Var a, whose levels ½ and 2 are the ellipses of one and two standard deviations; \
        `velocities` is the same over velocities. The noise counts as that of the rows at `data`, and as independent \
        along the two directions; `assumed_sampler` says how theory takes batches to be drawn.";
    const EXAMPLE: &'static str = "\
plane:
  uses: dynamics.plane
  in: { model: bottom.model, data: split.train, directions: curvature.pairs }
  with:
    input: image
    target: label
    modes: [0, 29]
    sgd: { learning_rate: 0.05, momentum: 0.9, batch_size: 32 }
";

    fn ports(params: Option<&Params>) -> Ports {
        let table = |name: &str, about: &str| Port::new(name, PortType::Table, about);
        let mut ports = Ports {
            inputs: vec![
                Port::new("model", PortType::Model, "a model with one float32 input"),
                table("data", "the rows that the loss is the mean over"),
                table("directions", "`pairs` of `dynamics.hessian` for this model"),
            ],
            outputs: vec![table(
                "grid",
                "first, second, loss, decayed_loss, quadratic; with `sgd` also modified_loss and assumed_sampler",
            )],
            ..Ports::default()
        };
        if params.is_none_or(|p| p.sgd.is_some()) {
            ports.outputs.push(table(
                "velocities",
                "with `sgd`: first, second, modified_loss of velocities, assumed_sampler",
            ));
            ports.outputs.push(table(
                "ellipses",
                "with `sgd`: of position and velocity, one and two standard deviations: of, kind, point, first, second, assumed_sampler",
            ));
        }
        ports
    }

    fn reads(params: &Params, context: &InferContext) -> BTreeMap<String, Reads> {
        let mut reads = params.objective().reads(context);
        reads.insert("directions".to_owned(), Reads::columns(params.wanted().iter().copied()));
        reads
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        params.check()?;
        params.objective().check(context)?;
        if let Some(table) = context.input("directions").table() {
            needs("directions", table, &DIRECTIONS[..3], "bind `pairs` of `dynamics.hessian`")?;
            needs("directions", table, params.wanted(), "use `noise: true` in `dynamics.hessian`")?;
        }
        Ok(Outputs::new())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let opened = params.objective().open(io)?;
        let (samples, setting) = (&opened.samples, opened.setting(io)?);
        let directions = read(io.input("directions")?, Some(params.wanted()))?;
        let survey = Survey::new(params, &directions, samples.rows())?;
        let (grid, provider) = survey.grid(io, &setting, samples)?;
        let (build, theory) = (setting.runtime.build(), survey.theory()?);
        io.note("execution_provider", provider);
        io.note("onnxruntime", build);
        put_table(io, "grid", grid)?;
        for (port, frame) in theory {
            put_table(io, port, frame)?;
        }
        Ok(())
    }
}
