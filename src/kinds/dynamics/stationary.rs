//! `dynamics.stationary`: density, modified loss and current of an Ornstein–Uhlenbeck process in the plane.

use schemars::JsonSchema;
use science::dynamics::stationary::Stationary as State;
use science::linalg::Mat;
use serde::{Deserialize, Serialize};

use crate::kinds::artefacts::put_table;
use crate::kinds::wrong;
use crate::stage::{Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports};
use crate::table::Frame;

/// Standard deviations that the plane reaches if nothing else is said.
const DEVIATIONS: f64 = 3.0;
/// Points of a side at most.
const MOST_POINTS: usize = 1001;

/// Density, modified loss and current of an Ornstein–Uhlenbeck process in the plane.
pub struct Stationary;

/// Parameters of `dynamics.stationary`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Eigenvalues of H, both above 0.
    pub eigenvalues: [f64; 2],
    /// D in the eigenbasis of H, symmetric and positive definite.
    pub diffusion: [[f64; 2]; 2],
    /// Half the width of the plane along both directions; if not given, three of the larger standard deviation.
    #[serde(default)]
    pub reach: Option<f64>,
    /// Points along each side.
    #[serde(default = "points")]
    pub points: usize,
}

fn points() -> usize {
    41
}

impl Params {
    fn check(&self) -> Result<(), Complaint> {
        let wrong = |param: &str, message: String| Err(Complaint::param(param, message));
        if let Some(h) = self.eigenvalues.iter().find(|h| !h.is_finite() || **h <= 0.0) {
            return wrong("eigenvalues", format!("a direction of curvature {h} has no stationary state"));
        }
        let [[a, b], [c, d]] = self.diffusion;
        if ![a, b, c, d].iter().all(|v| v.is_finite()) || b != c || a <= 0.0 || d <= 0.0 || b * b >= a * d {
            return Err(Complaint::param(
                "diffusion",
                format!("[[{a}, {b}], [{c}, {d}]] is not symmetric and positive definite"),
            )
            .hint(
                "write the same number off the diagonal, smaller than the root of the product of both on it",
            ));
        }
        if let Some(reach) = self.reach.filter(|r| !r.is_finite() || *r <= 0.0) {
            return wrong("reach", format!("the half-width is finite and above 0, not {reach}"));
        }
        if !(2..=MOST_POINTS).contains(&self.points) {
            return wrong("points", format!("a side has 2 to {MOST_POINTS} points, not {}", self.points));
        }
        Ok(())
    }
}

impl Kind for Stationary {
    type Params = Params;
    const NAME: &'static str = "dynamics.stationary";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Density, modified loss and current of an Ornstein–Uhlenbeck process in the plane.\n\n\
        Of dθ = −H θ dt + √(2 D) dW, what gradient descent with noise is near a minimum (arXiv 2107.09133, section 5), in the \
        eigenbasis of H: the training loss ½ θᵀ H θ; the modified loss ½ T θᵀ Σ⁻¹ θ with the stationary covariance Σ_lk = 2 \
        D_lk / (h_l + h_k) and T = tr D / 2, of which the stationary density is Gibbs' at temperature T, and which is the \
        training loss where D = T I; and the stationary current J = −Q Σ⁻¹ θ p, Q_lk = D_lk (h_l − h_k) / (h_l + h_k). It flows \
        along the levels of the modified loss, and is 0 where D and H commute.";
    const EXAMPLE: &'static str = "\
cartoon:
  uses: dynamics.stationary
  with: { eigenvalues: [2, 0.5], diffusion: [[0.3, 0.2], [0.2, 0.4]] }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            outputs: vec![Port::new(
                "grid",
                PortType::Table,
                "first, second, loss, modified_loss, density, current_first, current_second",
            )],
            ..Ports::default()
        }
    }

    fn infer(params: &Params, _context: &InferContext) -> Result<Outputs, Complaint> {
        params.check()?;
        Ok(Outputs::new())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let d = params.diffusion;
        let diffusion = Mat::from_fn(2, 2, |i, j| d[i][j]);
        let state = State::overdamped(&params.eigenvalues, diffusion.as_ref()).map_err(wrong)?;
        let temperature = (d[0][0] + d[1][1]) / 2.0;
        let wide = (0..2).map(|k| state.covariance()[(k, k)].sqrt()).fold(0.0, f64::max);
        let reach = params.reach.unwrap_or(DEVIATIONS * wide);
        let last = (params.points - 1) as f64;
        let side: Vec<f64> = (0..params.points).map(|k| reach * (2.0 * k as f64 - last) / last).collect();
        let places: Vec<[f64; 2]> = side.iter().flat_map(|b| side.iter().map(|a| [*a, *b])).collect();
        let [h, k] = params.eigenvalues;
        let of = |value: &dyn Fn(&[f64; 2]) -> f64| places.iter().map(value).collect::<Vec<f64>>();
        let mut frame = Frame::new();
        frame.push_f64s("first", of(&|p| p[0]))?;
        frame.push_f64s("second", of(&|p| p[1]))?;
        frame.push_f64s("loss", of(&|p| 0.5 * (h * p[0] * p[0] + k * p[1] * p[1])))?;
        frame.push_f64s("modified_loss", of(&|p| temperature * state.potential(p)))?;
        frame.push_f64s("density", of(&|p| state.density(p)))?;
        let currents: Vec<Vec<f64>> = places.iter().map(|p| state.current(p)).collect();
        frame.push_f64s("current_first", currents.iter().map(|j| j[0]).collect())?;
        frame.push_f64s("current_second", currents.iter().map(|j| j[1]).collect())?;
        put_table(io, "grid", frame)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kinds::testing::{Run, run_tables};

    fn ran(with: Value) -> Result<Run, String> {
        run_tables(&Stationary, with, &[])
    }

    fn column(run: &Run, name: &str) -> Vec<f64> {
        run.table("grid").f64s(name).unwrap()
    }

    #[test]
    fn the_current_follows_the_levels_of_the_modified_loss_and_not_of_the_loss() {
        let with = json!({ "eigenvalues": [2, 0.5], "diffusion": [[0.3, 0.2], [0.2, 0.4]], "points": 201 });
        let run = ran(with).unwrap();
        let [loss, modified, density] = ["loss", "modified_loss", "density"].map(|n| column(&run, n));
        let current = [column(&run, "current_first"), column(&run, "current_second")];
        let (first, points) = (column(&run, "first"), 201);
        let step = first[1] - first[0];
        // ∇ of a quadratic form by differences is exact but for rounding.
        let across = |of: &[f64], at: usize| {
            let slopes = [of[at + 1] - of[at - 1], of[at + points] - of[at - points]];
            (slopes[0] * current[0][at] + slopes[1] * current[1][at]) / (2.0 * step)
        };
        let mut largest = [0.0_f64; 2];
        for at in [50 * points + 60, 120 * points + 80, 99 * points + 150] {
            largest[0] = largest[0].max(across(&modified, at).abs());
            largest[1] = largest[1].max(across(&loss, at).abs());
        }
        assert!(largest[0] < 1e-12 && largest[1] > 1e-4, "{largest:?}");
        // The density has the integral 1, and is Gibbs' at T = 0.35.
        let total: f64 = density.iter().map(|p| p * step * step).sum();
        assert!((total - 1.0).abs() < 5e-3, "{total}");
        let (a, b) = (50 * points + 60, 99 * points + 150);
        let gibbs = (density[a] / density[b]).ln() + (modified[a] - modified[b]) / 0.35;
        assert!(gibbs.abs() < 1e-9, "{gibbs}");
    }

    #[test]
    fn equal_noise_everywhere_changes_no_loss_and_drives_no_current() {
        let with =
            json!({ "eigenvalues": [2, 0.5], "diffusion": [[0.3, 0], [0, 0.3]], "reach": 1, "points": 3 });
        let run = ran(with).unwrap();
        assert_eq!(column(&run, "first"), [-1.0, 0.0, 1.0, -1.0, 0.0, 1.0, -1.0, 0.0, 1.0]);
        for (a, b) in column(&run, "loss").iter().zip(column(&run, "modified_loss")) {
            assert!((a - b).abs() < 1e-12, "{a} against {b}");
        }
        for name in ["current_first", "current_second"] {
            assert!(column(&run, name).iter().all(|j| *j == 0.0));
        }
    }

    #[test]
    fn what_has_no_stationary_state_is_named() {
        let good = json!({ "eigenvalues": [2, 0.5], "diffusion": [[0.3, 0.2], [0.2, 0.4]] });
        for (name, value, wanted) in [
            ("eigenvalues", json!([2, 0]), "a direction of curvature 0 has no"),
            ("diffusion", json!([[0.3, 0.2], [0.1, 0.4]]), "not symmetric and positive definite"),
            ("diffusion", json!([[0.3, 0.4], [0.4, 0.4]]), "not symmetric and positive definite"),
            ("reach", json!(0), "finite and above 0, not 0"),
            ("points", json!(1), "2 to 1001 points, not 1"),
        ] {
            let mut with = good.clone();
            with[name] = value;
            let said = ran(with).map(|_| ()).unwrap_err();
            assert!(said.contains(wanted), "{name}: {said}");
        }
    }
}
