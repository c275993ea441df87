//! `dynamics.plane` as a user runs it.

use super::support::Project;
use sulcus::table::{Frame, read_path};

/// A linear network, whose squared error is a parabola in any direction, and one that is not linear.
const WORKFLOW: &str = r#"
name: study
stages:
  digits:
    uses: ingest.arrays
    with: { arrays: { image: data/digits/images.npy, label: data/digits/labels.npy } }
  data:
    uses: table.sql
    in: { digits: digits }
    with: { query: "SELECT *, CAST(label AS FLOAT) AS size FROM digits WHERE id < 200" }
  line:
    uses: model.build
    with: { architecture: linear, input: [8, 8], classes: 1, scale: 0.0625, seed: 1 }
  net:
    uses: model.build
    with: { architecture: mlp, input: [8, 8], classes: 10, hidden: [6], activation: tanh, scale: 0.0625, seed: 0 }
  fall:
    uses: dynamics.hessian
    in: { model: line, data: data }
    with: { target: size, loss: mean_squared_error, method: dense, largest: 4 }
  bowl:
    uses: dynamics.plane
    in: { model: line, data: data, directions: fall.pairs }
    with: { target: size, loss: mean_squared_error, modes: [2, 0], reach: [0.5, 0.25], points: 5, weight_decay: 0.1 }
  curvature:
    uses: dynamics.hessian
    in: { model: net, data: data }
    with: { target: label, method: dense, largest: 5, noise: true }
  plane:
    uses: dynamics.plane
    in: { model: net, data: data, directions: curvature.pairs }
    with:
      target: label
      modes: [0, 3]
      points: 9
      batch_size: 64
      sgd: { learning_rate: 0.02, momentum: 0.9, batch_size: 16 }
"#;

fn project(workflow: &str) -> Project {
    let project = Project::new(workflow);
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits");
    std::fs::create_dir_all(project.path("data/digits")).unwrap();
    for name in ["images.npy", "labels.npy"] {
        std::fs::copy(here.join(name), project.path("data/digits").join(name)).unwrap();
    }
    project
}

fn table(project: &Project, name: &str) -> Frame {
    read_path(&project.path(&format!("results/study/{name}.parquet")), None).unwrap()
}

fn numbers(frame: &Frame, column: &str) -> Vec<f64> {
    frame.f64s(column).unwrap()
}

#[test]
fn the_loss_of_a_linear_network_is_its_second_order_approximation_everywhere() {
    let project = project(WORKFLOW);
    project.ok(&["run"]);
    let grid = table(&project, "bowl/grid");
    let (loss, bent) = (numbers(&grid, "loss"), numbers(&grid, "quadratic"));
    let (first, second) = (numbers(&grid, "first"), numbers(&grid, "second"));
    assert_eq!(grid.rows(), 25);
    assert_eq!(first[..6], [-0.5, -0.25, 0.0, 0.25, 0.5, -0.5]);
    assert_eq!((second[0], second[5], second[24]), (-0.25, -0.125, 0.25));
    let spread = bent.iter().fold(0.0, |m: f64, v| m.max((v - bent[12]).abs()));
    for (row, (a, b)) in loss.iter().zip(&bent).enumerate() {
        assert!((a - b).abs() < 1e-5 * spread, "row {row}: {a} against {b}");
    }
    // The middle is the model, and from there the second differences are the eigenvalues of the named modes.
    let summary = table(&project, "fall/summary");
    assert!((loss[12] / numbers(&summary, "loss")[0] - 1.0).abs() < 1e-6);
    let rho = numbers(&table(&project, "fall/pairs"), "eigenvalue");
    let bend = |a: usize, b: usize, step: f64| (loss[a] + loss[b] - 2.0 * loss[12]) / (step * step);
    assert!((bend(10, 14, 0.5) / rho[2] - 1.0).abs() < 1e-3, "{} against {}", bend(10, 14, 0.5), rho[2]);
    assert!((bend(2, 22, 0.25) / rho[0] - 1.0).abs() < 1e-3, "{} against {}", bend(2, 22, 0.25), rho[0]);
    // Both directions are orthogonal unit vectors: the decay bends by λ along each.
    let decay: Vec<f64> = numbers(&grid, "decayed_loss").iter().zip(&loss).map(|(d, l)| d - l).collect();
    assert!(((decay[10] + decay[14] - 2.0 * decay[12]) / 0.25 - 0.1).abs() < 1e-5);
    assert!(decay[12] > 0.0);
    assert!(!grid.has("modified_loss") && !project.has("results/study/bowl/ellipses.parquet"));
}

#[test]
fn theory_stands_beside_the_loss() {
    let project = project(WORKFLOW);
    project.ok(&["run"]);
    let (grid, ellipses) = (table(&project, "plane/grid"), table(&project, "plane/ellipses"));
    let pairs = table(&project, "curvature/pairs");
    let (rho, noise) = (numbers(&pairs, "eigenvalue"), numbers(&pairs, "noise"));
    // κ η f c / (2 (1 − β) h) with κ = 1 / (1 − η h / (2 (1 + β))), three standard deviations away at the corner.
    let deviation = |mode: usize| {
        let kappa = 1.0 / (1.0 - 0.02 * rho[mode] / 3.8);
        (kappa * 0.02 * noise[mode] / 16.0 / (0.2 * rho[mode])).sqrt()
    };
    let (first, second) = (numbers(&grid, "first"), numbers(&grid, "second"));
    assert!((first[80] / (3.0 * deviation(0)) - 1.0).abs() < 1e-9);
    assert!((second[80] / (3.0 * deviation(3)) - 1.0).abs() < 1e-9);
    let modified = numbers(&grid, "modified_loss");
    assert!((modified[80] - 9.0).abs() < 1e-9 && modified[40] == 0.0);
    assert!((numbers(&table(&project, "plane/velocities"), "modified_loss")[80] - 9.0).abs() < 1e-9);
    // So near to the model the loss is almost its approximation, yet not quite.
    let (loss, bent) = (numbers(&grid, "loss"), numbers(&grid, "quadratic"));
    let spread = bent.iter().fold(0.0, |m: f64, v| m.max((v - bent[40]).abs()));
    let off = loss.iter().zip(&bent).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
    assert!(off < 0.1 * spread && off > 1e-6 * spread, "{off} of {spread}");
    let of = ellipses.strings("of").unwrap();
    let points: Vec<(f64, f64)> =
        numbers(&ellipses, "first").into_iter().zip(numbers(&ellipses, "second")).collect();
    for (row, kind) in
        ellipses.strings("kind").unwrap().iter().enumerate().filter(|(r, _)| of[*r] == "position")
    {
        let (a, b) = (points[row].0 / deviation(0), points[row].1 / deviation(3));
        let radius = if kind == "1 sigma" { 1.0 } else { 2.0 };
        assert!((a.hypot(b) - radius).abs() < 1e-9, "row {row}");
    }
    assert_eq!(ellipses.rows(), 4 * 97);
    assert!(ellipses.strings("assumed_sampler").unwrap().iter().all(|s| s == "replacement"));
    let bytes = |p: &Project| std::fs::read(p.path("results/study/plane/grid.parquet")).unwrap();
    let again = self::project(&WORKFLOW.replace("  plane:\n", "  plane:\n    threads: 2\n"));
    again.ok(&["run"]);
    assert_eq!(bytes(&project), bytes(&again));
}

#[test]
fn a_long_survey_ends_at_its_timeout() {
    let slow =
        WORKFLOW.replace("points: 9", "points: 501").replace("  plane:\n", "  plane:\n    timeout: 1s\n");
    let ran = project(&slow).sulcus(&["run"]);
    assert!(ran.code == 1 && ran.stderr.contains("stopped after its timeout of 1 s"), "{}", ran.stderr);
}

#[test]
fn wrong_requests_are_named() {
    for (from, to, wanted) in [
        ("reach: [0.5, 0.25]", "reach: [0.5, .inf]", "infinity and NaN are not allowed"),
        ("reach: [0.5, 0.25]", "reach: 0", "half-widths are finite and above 0"),
        ("reach: [0.5, 0.25], ", "", "it is not said how far the plane reaches"),
        ("points: 5", "points: 1", "a side has 2 to 501 points, not 1"),
        ("points: 5", "points: 502", "a side has 2 to 501 points, not 502"),
        ("modes: [2, 0]", "modes: [2, 2]", "both are mode 2"),
        ("modes: [2, 0]", "modes: [2, -1]", "there is no mode -1"),
        ("weight_decay: 0.1", "weight_decay: -0.1", "must be 0 or more"),
        ("momentum: 0.9, batch_size: 16", "momentum: 1, batch_size: 16", "below 1"),
        ("largest: 5, noise: true", "largest: 5", "no column `noise`"),
    ] {
        assert!(WORKFLOW.contains(from), "{from}");
        let ran = project(&WORKFLOW.replace(from, to)).sulcus(&["run"]);
        assert!(ran.code != 0 && ran.stderr.contains(wanted), "{to}: {}", ran.stderr);
    }
    for (from, to, wanted) in [
        ("modes: [2, 0]", "modes: [2, 7]", "`directions` has no mode 7; it has 0, 1, 2, 3"),
        (
            "data: data, directions: fall.pairs",
            "data: data, directions: curvature.pairs",
            "the model has 65 parameters",
        ),
        ("learning_rate: 0.02", "learning_rate: 5000", "limit of stability"),
        ("momentum: 0.9, batch_size: 16", "batch_size: 201", "does not fit 200 rows"),
    ] {
        assert!(WORKFLOW.contains(from), "{from}");
        let ran = project(&WORKFLOW.replace(from, to)).sulcus(&["run"]);
        assert_eq!(ran.code, 1, "{to}: {}", ran.stderr);
        assert!(ran.stderr.contains(wanted), "{to}: {}", ran.stderr);
    }
}
