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
fn a_million_steps_of_additive_noise_leap_and_agree_with_theory() {
    for start in ["burn_in: 0", "burn_in: 100000"] {
        let with = WORKFLOW.replace("THREADS", "noise: additive");
        let with = with.replace("steps: 4000", "steps: 1000000").replace("chains: 32", "chains: 1000");
        let project = Project::new(&with.replace("burn_in: 1000", start));
        project.ok(&["run"]);
        let table = read_path(&project.path("results/study/runs/displacement.parquet"), None).unwrap();
        let column = |name: &str| table.f64s(name).unwrap();
        let (measured, error, exact) = (column("measured"), column("standard_error"), column("exact"));
        assert!(table.strings("noise").unwrap().iter().all(|n| n == "additive"));
        assert!(measured.len() > 100);
        for i in 0..measured.len() {
            let off = (measured[i] - exact[i]).abs() / error[i];
            assert!(off <= 5.0, "row {i}: {} ± {} against {}", measured[i], error[i], exact[i]);
        }
        let modes = read_path(&project.path("results/study/runs/modes.parquet"), None).unwrap();
        for of in ["position_variance", "velocity_variance"] {
            let of = |what: &str| modes.f64s(&format!("{of}_{what}")).unwrap();
            // Of 100,000 values behind the half, which are independent.
            for (measured, exact) in of("measured").iter().zip(of("exact")) {
                assert!(
                    (measured / exact - 1.0).abs() < 5.0 * (2.0 / 1e5_f64).sqrt(),
                    "{measured} against {exact}"
                );
            }
        }
    }
    let epochs = WORKFLOW.replace("THREADS", "noise: additive\n      sampler: epoch");
    let refused = Project::new(&epochs).sulcus(&["run"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("batches of an epoch are not independent"), "{}", refused.stderr);
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

const NETWORK: &str = r#"
name: net
stages:
  digits:
    uses: ingest.arrays
    with: { arrays: { image: data/digits/images.npy, label: data/digits/labels.npy } }
  data:
    uses: table.sql
    in: { digits: digits }
    with: { query: "SELECT * FROM digits WHERE id < 256" }
  net:
    uses: model.build
    with: { architecture: mlp, input: [8, 8], classes: 10, hidden: [6], activation: tanh, scale: 0.0625, seed: 0 }
  bottom:
    uses: model.train
    in: { model: net, data: data }
    with:
      target: label
      batch_size: all
      steps: 20000
      learning_rate: 0.2
      momentum: 0.9
      weight_decay: 0.005
      stop: { gradient_norm: 1.0e-3 }
  whole:
    uses: dynamics.hessian
    in: { model: bottom.model, data: data }
    with: { method: dense, largest: 2, smallest: 1, noise: true }
  ends:
    uses: dynamics.hessian
    in: { model: bottom.model, data: data }
    with: { largest: 2, smallest: 1, batch_size: 100, noise: true, density: { vectors: 4, steps: 20 } }
  chains:
    uses: model.train
    matrix: { chain: [0, 1, 2, 3] }
    in: { model: bottom.model, data: data, directions: ends.pairs }
    with:
      target: label
      sampler: replacement
      steps: 6000
      learning_rate: 0.02
      batch_size: 64
      momentum: 0.9
      weight_decay: 0.005
      seed: "${matrix.chain}"
      record: { every: 2, sketch: { buckets: 64 } }
  phase:
    uses: dynamics.phase
    in:
      trajectory: "chains[*].trajectory"
      directions: ends.pairs
      spectrum: whole.spectrum
      summary: whole.summary
    with: { learning_rate: 0.02, batch_size: 64, momentum: 0.9, weight_decay: 0.005, burn_in: 1000 }
  paths:
    uses: table.sql
    in: { chains: "chains[*].trajectory" }
    with: { query: "SELECT chain, step, sketch FROM chains WHERE step % 200 = 0" }
  fit:
    uses: dynamics.fit
    in: { table: paths }
    with: { positions: [sketch], from_zero: true }
"#;

fn network(workflow: &str) -> Project {
    let project = Project::new(workflow);
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits");
    std::fs::create_dir_all(project.path("data/digits")).unwrap();
    for name in ["images.npy", "labels.npy"] {
        std::fs::copy(here.join(name), project.path("data/digits").join(name)).unwrap();
    }
    project
}

#[test]
fn a_network_moves_as_its_hessian_and_its_noise_say() {
    let project = network(NETWORK);
    project.ok(&["run"]);
    let table = |name: &str| read_path(&project.path(&format!("results/net/{name}.parquet")), None).unwrap();
    let number = |name: &str, column: &str| table(name).f64s(column).unwrap()[0];
    // Both ways find the same pairs, whatever the batches.
    let (whole, ends) = (table("whole/pairs"), table("ends/pairs"));
    assert_eq!(whole.i64s("mode").unwrap(), ends.i64s("mode").unwrap());
    let values = whole.f64s("eigenvalue").unwrap();
    for (a, b) in values.iter().zip(ends.f64s("eigenvalue").unwrap()) {
        assert!((a - b).abs() < 1e-5 * values[0], "{a} against {b}");
    }
    for (a, b) in whole.f64s("noise").unwrap().iter().zip(ends.f64s("noise").unwrap()) {
        assert!((a - b).abs() < 1e-4 * a.abs().max(1e-4), "{a} against {b}");
    }
    assert!(number("ends/summary", "relative_residual") < 1e-5);
    // Σ c over all directions is tr C, Σ ρ is the trace that random vectors estimate.
    let total: f64 = table("whole/spectrum").f64s("noise").unwrap().iter().sum();
    assert!((total / number("whole/summary", "noise_trace") - 1.0).abs() < 1e-6);
    let apart = number("ends/summary", "trace") - number("whole/summary", "trace");
    assert!(apart.abs() < 5.0 * number("ends/summary", "trace_error"), "{apart}");
    let modes = table("phase/modes");
    for column in ["position_variance_ratio", "velocity_variance_ratio", "area_rate_ratio"] {
        let steepest = modes.f64s(column).unwrap()[0];
        assert!((0.8..1.25).contains(&steepest), "{column} {steepest}");
    }
    assert!(modes.f64s("area_rate_measured").unwrap()[0] < 0.0);
    let step = number("phase/local", "step_squared_ratio");
    assert!((0.9..1.15).contains(&step), "{step}");
    let estimators = table("fit/exponents").strings("estimator").unwrap();
    assert_eq!(estimators, ["ensemble", "spread", "time_averaged"]);
    // Both are computed in the graph, on the same path.
    let chain = table("chains/chain=0/trajectory");
    assert_eq!(chain.tensor_f64("position").unwrap().row_shape, [3]);
    assert_eq!(chain.rows(), 3000);
}

#[test]
fn what_the_phase_plane_needs_is_asked_for_before_a_run() {
    for (from, to, wanted) in [
        ("batch_size: 64, momentum: 0.9", "batch_size: 64, momentum: 1.0", "below 1"),
        (
            "{ largest: 2, smallest: 1, batch_size: 100",
            "{ largest: 0, smallest: 0, batch_size: 100",
            "at least one",
        ),
        ("batch_size: 100, noise: true", "batch_size: 100, batch_norm: batch, noise: true", "one row has no"),
    ] {
        assert!(NETWORK.contains(from), "{from}");
        let ran = network(&NETWORK.replace(from, to)).sulcus(&["check"]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    }
    for (from, to, wanted) in [
        (
            "with: { learning_rate: 0.02, batch_size: 64",
            "with: { learning_rate: 50, batch_size: 64",
            "limit of stability",
        ),
        (
            "learning_rate: 0.02, batch_size: 64, m",
            "learning_rate: 0.02, batch_size: 300, m",
            "does not fit 256 rows",
        ),
        ("method: dense, largest: 2", "method: dense, largest: 9999", "eigenpairs are asked for"),
    ] {
        assert!(NETWORK.contains(from), "{from}");
        let ran = network(&NETWORK.replace(from, to)).sulcus(&["run"]);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    }
}

/// A residual network: every convolution has a batch normalisation behind it.
const NORMALISED: &str = r#"
name: norm
stages:
  digits:
    uses: ingest.arrays
    with: { arrays: { image: data/digits/images.npy, label: data/digits/labels.npy } }
  data:
    uses: table.sql
    in: { digits: digits }
    with: { query: "SELECT * FROM digits WHERE id < 128" }
  net:
    uses: model.build
    with: { architecture: resnet, width: 2, input: [1, 8, 8], classes: 10, activation: tanh, scale: 0.0625 }
  begun:
    uses: model.train
    in: { model: net, data: data }
    with: { target: label, epochs: 2, learning_rate: 0.05, momentum: 0.9 }
  curvature:
    uses: dynamics.hessian
    matrix: { mode: [batch, running] }
    in: { model: begun.model, data: data }
    with: { largest: 2, tolerance: 1.0e-3, batch_norm: "${matrix.mode}" }
  plane:
    uses: dynamics.plane
    matrix: { mode: [batch, running] }
    in: { model: begun.model, data: data, directions: "curvature[mode=batch].pairs" }
    with: { target: label, modes: [0, 1], reach: 0.003, points: 3, batch_norm: "${matrix.mode}" }
  descent:
    uses: model.train
    in: { model: begun.model, data: data, directions: "curvature[mode=batch].pairs" }
    with: { target: label, batch_size: all, steps: 2, learning_rate: 0.0005, record: { every: 1 } }
"#;

#[test]
fn descent_of_a_normalised_network_slows_as_its_hessian_by_batches_says() {
    let project = network(NORMALISED);
    project.ok(&["run"]);
    let table = |name: &str| read_path(&project.path(&format!("results/norm/{name}.parquet")), None).unwrap();
    let path = table("descent/trajectory");
    let (by_batch, running) =
        (table("curvature/mode=batch/summary"), table("curvature/mode=running/summary"));
    let number = |frame: &sulcus::table::Frame, column: &str| frame.f64s(column).unwrap()[0];
    // Training normalises by batches too, and begins at the same loss with the same gradient.
    assert!((number(&by_batch, "loss") / number(&path, "loss") - 1.0).abs() < 1e-5);
    let squared = number(&by_batch, "gradient_norm").powi(2);
    assert!((squared / number(&path, "gradient_squared") - 1.0).abs() < 1e-4);
    assert!((number(&running, "loss") / number(&path, "loss") - 1.0).abs() > 1e-3);
    // The plane through the weights is bent as the Hessian of the same mode says, and of no other.
    let rho = table("curvature/mode=batch/pairs").f64s("eigenvalue").unwrap()[0];
    let bend = |mode: &str, summary: &sulcus::table::Frame| {
        let loss = table(&format!("plane/mode={mode}/grid")).f64s("loss").unwrap();
        assert!((loss[4] / number(summary, "loss") - 1.0).abs() < 1e-5, "{mode}");
        (loss[3] + loss[5] - 2.0 * loss[4]) / 9e-6 / rho
    };
    let bends = [bend("batch", &by_batch), bend("running", &running)];
    assert!((bends[0] - 1.0).abs() < 0.02 && (bends[1] - 1.0).abs() > 0.2, "{bends:?}");
    // Along an eigenvector each step of descent is 1 − η ρ times the last.
    let position = path.tensor_f64("position").unwrap().values;
    let values = |mode: &str| table(&format!("curvature/mode={mode}/pairs")).f64s("eigenvalue").unwrap();
    let other = values("running");
    for (mode, rho) in values("batch").into_iter().enumerate() {
        let (first, both) = (position[mode], position[2 + mode]);
        let seen = (1.0 - (both - first) / first) / 0.0005;
        assert!((seen / rho - 1.0).abs() < 0.02, "mode {mode}: {seen} against {rho}");
        assert!((other[mode] / rho - 1.0).abs() > 0.2, "mode {mode}: {} is not {rho}", other[mode]);
    }
}
