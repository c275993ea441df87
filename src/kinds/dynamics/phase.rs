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

/// Refuses a table at `port` that lacks one of `columns`.
pub(super) fn needs(port: &str, table: &TableFacts, columns: &[&str], hint: &str) -> Result<(), Complaint> {
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
    const REVISION: u32 = 3;
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
                input(
                    "paths",
                    "records of the first chain around its mean (`centre`), and ellipses of one and two standard deviations",
                ),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{Run, run_tables};
    use crate::table::{Frame, Tensor};

    /// `(eigenvalue, noise)` of two directions, squared steps, and the scale of positions.
    struct Given {
        pairs: [(f64, f64); 2],
        step_squared: f64,
        position: f64,
    }

    const USUAL: Given = Given { pairs: [(1.0, 2.0), (0.5, 1.0)], step_squared: 1.0, position: 1.0 };

    fn phase(given: &Given, learning_rate: f64, batch_size: usize) -> Result<Run, String> {
        let number = |k: usize| (k as f64 * 2.4).sin();
        let plane = |scale: f64| {
            let values = (0..80).map(|k| (scale * number(k)) as f32).collect();
            Tensor { values, row_shape: vec![2] }
        };
        let mut chain = Frame::new();
        chain.push_i64s("step", (1..=40).collect()).unwrap();
        chain.push_f64s("loss", vec![1.0; 40]).unwrap();
        chain.push_f64s("step_squared", vec![given.step_squared; 40]).unwrap();
        chain.push_tensor_f32("position", plane(given.position)).unwrap();
        chain.push_tensor_f32("momentum", plane(1.0)).unwrap();
        let mut pairs = Frame::new();
        pairs.push_i64s("mode", vec![0, 1]).unwrap();
        pairs.push_f64s("eigenvalue", given.pairs.iter().map(|p| p.0).collect()).unwrap();
        pairs.push_f64s("noise", given.pairs.iter().map(|p| p.1).collect()).unwrap();
        let mut summary = Frame::new();
        summary.push_i64s("rows", vec![100]).unwrap();
        summary.push_f64s("noise_trace", vec![given.pairs.iter().map(|p| p.1).sum::<f64>()]).unwrap();
        run_tables(
            &Phase,
            json!({"learning_rate": learning_rate, "batch_size": batch_size, "momentum": 0.5}),
            &[
                ("trajectory", chain, &[]),
                ("directions", pairs.clone(), &[]),
                ("spectrum", pairs, &[]),
                ("summary", summary, &[]),
            ],
        )
    }

    #[test]
    fn without_noise_theory_stands_still_and_there_is_no_ratio() {
        let run = phase(&Given { pairs: [(1.0, 0.0), (0.5, 0.0)], ..USUAL }, 0.1, 8).unwrap();
        let modes = run.table("modes");
        for name in ["position_variance", "velocity_variance", "area_rate"] {
            assert_eq!(modes.f64s(&format!("{name}_theory")).unwrap(), [0.0, 0.0]);
            assert!(modes.f64s(&format!("{name}_ratio")).unwrap().iter().all(|r| r.is_nan()));
        }
    }

    #[test]
    fn a_flat_direction_has_no_stationary_state_and_its_noise_still_makes_steps() {
        let run = phase(&Given { pairs: [(1.0, 2.0), (0.0, 1.0)], ..USUAL }, 0.1, 8).unwrap();
        let theory = run.table("modes").f64s("position_variance_theory").unwrap();
        assert!(theory[0].is_finite() && theory[1].is_nan());
        // η² f Σ κ c / (1 − β²), with κ = 1 / (1 − η h / (2 (1 + β))).
        let wanted = 0.01 / 8.0 * (2.0 / (1.0 - 0.1 / 3.0) + 1.0) / 0.75;
        let found = run.table("local").f64s("step_squared_theory").unwrap()[0];
        assert!((found / wanted - 1.0).abs() < 1e-12, "{found} against {wanted}");
    }

    #[test]
    fn paths_lie_around_a_centre_that_leads_back_to_the_records() {
        let paths = phase(&USUAL, 0.1, 8).unwrap().table("paths");
        let [positions, centres] = ["position", "centre"].map(|name| paths.f64s(name).unwrap());
        let (modes, kinds) = (paths.i64s("mode").unwrap(), paths.strings("kind").unwrap());
        for mode in [0, 1] {
            let of = |k: &usize| modes[*k] == mode as i64;
            let rows: Vec<usize> = (0..paths.rows()).filter(of).collect();
            let (chain, ellipses) = rows.split_at(40);
            assert!(chain.iter().all(|k| kinds[*k] == "chain") && ellipses.len() == 2 * 96);
            let sum: f64 = chain.iter().map(|k| positions[*k]).sum();
            assert!(sum.abs() < 1e-9 && centres[chain[0]] != 0.0, "{sum}");
            for (step, k) in chain.iter().enumerate() {
                let recorded = ((2 * step + mode) as f64 * 2.4).sin();
                assert!((positions[*k] + centres[*k] - recorded).abs() < 1e-6, "{step}");
            }
            assert!(rows.iter().all(|k| centres[*k] == centres[chain[0]]));
        }
    }

    #[test]
    fn what_is_impossible_is_named() {
        let said = |given: &Given, rate, size| phase(given, rate, size).map(|_| ()).unwrap_err();
        assert!(said(&USUAL, 3.0, 8).contains("limit of stability 3.0"));
        assert!(said(&USUAL, 0.1, 101).contains("a batch of 101 does not fit 100 rows"));
        let nan = Given { pairs: [(1.0, f64::NAN), (0.5, 1.0)], ..USUAL };
        assert!(said(&nan, 0.1, 8).contains("the mode 0 has the eigenvalue 1 and the noise NaN"));
        let nan = Given { step_squared: f64::NAN, ..USUAL };
        assert!(said(&nan, 0.1, 8).contains("`step_squared` of chain 0 is no number at step 1"));
        let nan = Given { position: f64::NAN, ..USUAL };
        assert!(said(&nan, 0.1, 8).contains("no number"));
    }
}
