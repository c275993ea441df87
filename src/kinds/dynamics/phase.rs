//! `dynamics.phase`: chains in the phase plane of eigendirections, against theory.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use science::dynamics::Sgd;
use serde::{Deserialize, Serialize};

use super::orbits::{Modes, Orbits};
use super::phase_tables::Phase as Found;
use super::regression::Sampler;
use crate::kinds::artefacts::put_table;
use crate::stage::{
    Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads, TableFacts,
};
use crate::table::read;

/// Chains in the phase plane of eigendirections.
pub struct Phase;

/// Parameters of `dynamics.phase`: the settings that the chains ran with.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// η.
    pub learning_rate: f64,
    /// β.
    #[serde(default)]
    pub momentum: f64,
    /// λ.
    #[serde(default)]
    pub weight_decay: f64,
    /// Rows of a batch.
    pub batch_size: usize,
    /// How batches were drawn; theory for `epoch` assumes fresh subsets.
    #[serde(default)]
    pub sampler: Sampler,
    /// Records up to this step are left out.
    #[serde(default)]
    pub burn_in: i64,
    /// Records of the first chain that `paths` holds for each direction, the last ones.
    #[serde(default = "two_thousand")]
    pub paths: usize,
}

fn two_thousand() -> usize {
    2000
}

impl Params {
    /// The settings as theory takes them.
    pub fn sgd(&self) -> Sgd {
        Sgd {
            learning_rate: self.learning_rate,
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            batch_size: self.batch_size,
        }
    }
}

const TRAJECTORY: [&str; 5] = ["step", "loss", "step_squared", "position", "momentum"];

fn needs(port: &str, table: &TableFacts, columns: &[&str], hint: &str) -> Result<(), Complaint> {
    match columns.iter().find(|name| table.column(name).is_none()) {
        Some(name) => {
            Err(Complaint::port(port, format!("the table at `{port}` has no column `{name}`")).hint(hint))
        }
        None => Ok(()),
    }
}

impl Kind for Phase {
    type Params = Params;
    const NAME: &'static str = "dynamics.phase";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Chains of `model.train` in the phase plane of eigendirections, against theory.\n\n\
        Along an eigenvector of the Hessian with eigenvalue ρ, h = ρ + λ and noise c (the measured variance of one-sample \
        gradients), positions and velocities of SGD are predicted in discrete time with nothing calibrated: κ η f c / (2 (1 \
        − β) h) and κ f c / (1 − β²) with κ = 1 / (1 − η h / (2 (1 + β))), the angle of oscillation a step, and the area \
        swept between records. f is 1 / S for batches with replacement; `assumed_sampler` says what theory takes. Each chain \
        counts from its own mean behind `burn_in`; errors are those over chains.\n\n\
        `local` compares the mean squared step with η² f Σ κ c / (1 − β²) over all directions: those beyond `spectrum` have \
        the rest of tr C and κ = 1. Directions with h ≤ 0 have no stationary state, and no number as theory.";
    const EXAMPLE: &'static str = "\
phase:
  uses: dynamics.phase
  in:
    trajectory: \"chains[*].trajectory\"
    directions: curvature.pairs
    spectrum: curvature.spectrum
    summary: curvature.summary
  with: { learning_rate: 0.05, momentum: 0.9, batch_size: 32, sampler: replacement, burn_in: 2000 }
";

    fn ports(_params: Option<&Params>) -> Ports {
        let input = |name: &str, about: &str| Port::new(name, PortType::Table, about);
        Ports {
            inputs: vec![
                input("trajectory", "evenly recorded chains, one table each").many(),
                input("directions", "the rows at the port `directions` of `model.train`"),
                input("spectrum", "of `dynamics.hessian` with `noise`: every known eigenvalue"),
                input("summary", "of `dynamics.hessian` with `noise`"),
            ],
            outputs: vec![
                input("modes", "of each direction: variances, angle, area rate, measured and by theory"),
                input("local", "one row: mean squared step, measured and by theory"),
                input("paths", "records of the first chain, and ellipses of one and two standard deviations"),
            ],
            ..Ports::default()
        }
    }

    fn reads(_params: &Params, _context: &InferContext) -> BTreeMap<String, Reads> {
        BTreeMap::from([
            ("trajectory".to_owned(), Reads::columns(TRAJECTORY)),
            ("directions".to_owned(), Reads::columns(["mode", "eigenvalue", "noise"])),
            ("spectrum".to_owned(), Reads::columns(["eigenvalue", "noise"])),
            ("summary".to_owned(), Reads::columns(["rows", "noise_trace"])),
        ])
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        // The number of rows is not known yet.
        params.sgd().check(usize::MAX).map_err(|e| {
            let at = ["momentum", "learning rate", "weight decay"].into_iter().find(|w| e.0.contains(w));
            Complaint::param(at.unwrap_or("batch_size").replace(' ', "_"), e.0)
        })?;
        for input in context.inputs.get("trajectory").into_iter().flatten() {
            if let Some(table) = input.facts.table() {
                let hint = "record with `record: { every: … }` and a table at the port `directions`";
                needs("trajectory", table, &TRAJECTORY, hint)?;
            }
        }
        for (port, columns) in [
            ("directions", &["mode", "eigenvalue", "noise"][..]),
            ("spectrum", &["eigenvalue", "noise"][..]),
            ("summary", &["rows", "noise_trace"][..]),
        ] {
            if let Some(table) = context.input(port).table() {
                needs(port, table, columns, "use `noise: true` in `dynamics.hessian`")?;
            }
        }
        Ok(Outputs::new())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let columns = |port: &str, names: &[&str]| read(io.input(port)?, Some(names));
        let summary = columns("summary", &["rows", "noise_trace"])?;
        let first = |name: &str| summary.f64s(name).map(|all| all.first().copied().unwrap_or(f64::NAN));
        let (rows, total) = (first("rows")?, first("noise_trace")?);
        params.sgd().check(rows as usize).map_err(crate::kinds::wrong)?;
        let factor = params.sampler.drawn().factor(rows as usize, params.batch_size);
        let directions = columns("directions", &["mode", "eigenvalue", "noise"])?;
        let modes = Modes::of(&directions, &params.sgd(), factor)?;
        let spectrum = Modes::of(&columns("spectrum", &["eigenvalue", "noise"])?, &params.sgd(), factor)?;
        let orbits = Orbits::read(io, &TRAJECTORY, params.burn_in, modes.len())?;
        io.check_cancelled()?;
        let found = Found { params, modes, orbits, step_theory: spectrum.squared_step(factor * total) };
        for (port, frame) in [("modes", found.modes()?), ("local", found.local()?), ("paths", found.paths()?)]
        {
            put_table(io, port, frame)?;
        }
        Ok(())
    }
}
