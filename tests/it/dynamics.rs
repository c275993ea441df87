//! `dynamics.*` as a user runs them.

use super::support::Project;
use sulcus::table::read_path;

const WORKFLOW: &str = "
name: study
stages:
  runs:
    uses: dynamics.regression
    with:
      generate: { rows: 200, features: 4, spectrum: 1.0, noise: 0.5, seed: 1 }
      learning_rate: 0.05
      momentum: 0.9
      batch_size: 8
      chains: 32
      steps: 4000
      burn_in: 1000
      samples: 100
      modes: [0, 1, 2, 3]
      THREADS
";

#[test]
fn measured_displacement_agrees_with_the_exact_theory() {
    let project = Project::new(&WORKFLOW.replace("THREADS", "seed: 3"));
    project.ok(&["run"]);
    let table = read_path(&project.path("results/study/runs/displacement.parquet"), None).unwrap();
    let column = |name: &str| table.f64s(name).unwrap();
    let (measured, error, exact) = (column("measured"), column("standard_error"), column("exact"));
    assert!(measured.len() > 30);
    for i in 0..measured.len() {
        let off = (measured[i] - exact[i]).abs() / error[i];
        assert!(off <= 5.0, "row {i}: {} ± {} against {}", measured[i], error[i], exact[i]);
    }
    let modes = read_path(&project.path("results/study/runs/modes.parquet"), None).unwrap();
    for (measured, exact) in modes
        .f64s("position_variance_measured")
        .unwrap()
        .iter()
        .zip(modes.f64s("position_variance_exact").unwrap())
    {
        assert!((measured / exact - 1.0).abs() < 0.25, "{measured} against {exact}");
    }
}

#[test]
fn the_result_does_not_depend_on_threads() {
    let bytes = |threads: usize| {
        let text = WORKFLOW
            .replace("THREADS", "seed: 3")
            .replace("    with:", &format!("    threads: {threads}\n    with:"));
        let project = Project::new(&text);
        project.ok(&["run"]);
        std::fs::read(project.path("results/study/runs/trajectory.parquet")).unwrap()
    };
    assert_eq!(bytes(1), bytes(2));
}

#[test]
fn impossible_settings_are_named() {
    for (from, to, wanted) in [
        ("momentum: 0.9", "momentum: 1.0", "below 1"),
        ("batch_size: 8", "batch_size: 201", "does not fit 200 rows"),
        ("learning_rate: 0.05", "learning_rate: -1", "must be above 0"),
    ] {
        let project = Project::new(&WORKFLOW.replace("THREADS", "seed: 3").replace(from, to));
        let ran = project.sulcus(&["check"]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    }
    let project = Project::new(
        &WORKFLOW.replace("THREADS", "seed: 3").replace("learning_rate: 0.05", "learning_rate: 50"),
    );
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("limit of stability"), "{}", ran.stderr);
}
