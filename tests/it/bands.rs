//! What theory says of single chains of regression: the band where they lie, and how fast they turn.

use super::support::Project;
use sulcus::table::{Frame, read_path};

const WORKFLOW: &str = "
name: study
stages:
  runs:
    uses: dynamics.regression
    with:
      generate: { rows: 200, features: 4, spectrum: 1.0, noise: 0.5, seed: 1 }
      learning_rate: 0.05
      momentum: 0.9
      batch_size: 16
      chains: 2000
      steps: 300
      samples: 10
      start: zero
      modes: [0, 3]
      noise: NOISE
      burn_in: BURN
";

fn table(project: &Project, name: &str) -> Frame {
    read_path(&project.path(&format!("results/study/runs/{name}.parquet")), None).unwrap()
}

/// Of each time, mode and quantity: the step, and the share of 2000 chains within the band.
fn shares(noise: &str, burn_in: &str) -> (Vec<(i64, f64)>, Vec<String>) {
    let project = Project::new(&WORKFLOW.replace("NOISE", noise).replace("BURN", burn_in));
    project.ok(&["run"]);
    let (chains, theory) = (table(&project, "trajectory"), table(&project, "displacement"));
    let steps = chains.i64s("step").unwrap();
    let mut found = Vec::new();
    for name in ["position_0", "velocity_0", "position_3", "velocity_3"] {
        let values = chains.f64s(name).unwrap();
        let edge = |which: &str| theory.f64s(&format!("{which}_{name}")).unwrap();
        let (low, high, mean) = (edge("low"), edge("high"), edge("mean"));
        for (row, step) in theory.i64s("step").unwrap().into_iter().enumerate() {
            assert!((low[row] + high[row] - 2.0 * mean[row]).abs() < 1e-12 && low[row] < high[row]);
            let at: Vec<f64> =
                values.iter().zip(&steps).filter(|(_, s)| **s == step).map(|(v, _)| *v).collect();
            assert_eq!(at.len(), 2000);
            let inside = at.iter().filter(|v| (low[row]..=high[row]).contains(*v)).count();
            found.push((step, inside as f64 / 2000.0));
        }
    }
    (found, theory.strings("band_noise").unwrap())
}

#[test]
fn chains_lie_in_the_band_95_times_of_100() {
    // A share of 2000 chains has the standard error 0.49 %: these bounds are four of them.
    let sound = |share: f64| (0.93..=0.97).contains(&share);
    for burn_in in ["0", "500"] {
        let (found, noise) = shares("additive", burn_in);
        assert!(found.len() > 80 && noise.iter().all(|n| n == "additive"));
        assert!(found.iter().all(|(_, share)| sound(*share)), "{found:?}");
    }
    // A step of batches is no Gaussian; the sum of many nearly is.
    let (found, noise) = shares("batches", "0");
    assert!(noise.iter().all(|n| n == "state-dependent"));
    let late: Vec<f64> = found.iter().filter(|(step, _)| *step > 30).map(|(_, share)| *share).collect();
    assert!(late.len() > 40 && late.iter().all(|share| sound(*share)), "{found:?}");
    // Far from the minimum batches are noisier than at it: while the mean comes down, the band is wider than additive.
    let width = |noise: &str| {
        let project = Project::new(&WORKFLOW.replace("NOISE", noise).replace("BURN", "0"));
        project.ok(&["run"]);
        let theory = table(&project, "displacement");
        let of = |name: &str| {
            theory.f64s(name).unwrap()[theory.i64s("step").unwrap().iter().position(|s| *s > 5).unwrap()]
        };
        of("high_position_0") - of("low_position_0")
    };
    assert!(width("batches") > 1.05 * width("additive"));
}

#[test]
fn the_angle_of_a_step_is_measured_where_records_are_even() {
    let with = |samples: &str| {
        let text =
            WORKFLOW.replace("NOISE", "batches").replace("BURN", "0").replace("steps: 300", "steps: 8000");
        let text = text.replace("chains: 2000", "chains: 4").replace("samples: 10", samples);
        let project = Project::new(&text);
        project.ok(&["run"]);
        table(&project, "modes")
    };
    // Records at every second of 4000 steps.
    let modes = with("samples: 2000");
    let (theory, measured) = (modes.f64s("angle").unwrap(), modes.f64s("angle_measured").unwrap());
    for rank in [0, 3] {
        assert!((measured[rank] / theory[rank] - 1.0).abs() < 0.05, "{measured:?} against {theory:?}");
    }
    assert!(measured[1].is_nan() && measured[2].is_nan(), "modes that were not recorded");
    // 4000 steps in 3000 records are uneven, and between 40 records lies more than half a turn of the steepest.
    let uneven = with("samples: 3000").f64s("angle_measured").unwrap();
    assert!(uneven.iter().all(|a| a.is_nan()), "{uneven:?}");
    assert!(theory[0] * 100.0 > std::f64::consts::PI);
    assert!(with("samples: 40").f64s("angle_measured").unwrap()[0].is_nan());
}
