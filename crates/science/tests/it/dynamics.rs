//! Exact theory and simulation of SGD on linear regression against `tests/golden/dynamics`.

use std::collections::BTreeMap;

use science::dynamics::Sgd;
use science::dynamics::additive::simulate_additive;
use science::dynamics::continuous::Langevin;
use science::dynamics::discrete::{Moments, Theory};
use science::dynamics::regression::Regression;
use science::dynamics::sampler::Sampler;
use science::dynamics::simulate::{Ensemble, Record, replay, simulate};
use science::linalg::Mat;

use crate::npz::{Array, cases, read};

struct Case {
    name: String,
    golden: BTreeMap<String, Array>,
    problem: Regression,
    sgd: Sgd,
    sampler: Sampler,
}

fn all() -> Vec<Case> {
    cases("dynamics", "linreg")
        .into_iter()
        .map(|name| {
            let golden = read(&name);
            let (x, y) = (matrix(&golden["X"]), &golden["y"].data);
            let value = |key: &str| golden[key].scalar();
            let sgd = Sgd {
                learning_rate: value("eta"),
                momentum: value("beta"),
                weight_decay: value("lam"),
                batch_size: value("S") as usize,
            };
            let sampler = if value("replace") > 0.0 { Sampler::Replacement } else { Sampler::Subset };
            let problem = Regression::new(x.as_ref(), y, sgd.weight_decay).unwrap();
            Case { name, golden, problem, sgd, sampler }
        })
        .collect()
}

fn matrix(a: &Array) -> Mat<f64> {
    Mat::from_fn(a.shape[0], a.shape[1], |i, j| a.data[i * a.shape[1] + j])
}

/// Fails unless all values agree to `tolerance` of the largest, and prints the largest error as a share of it.
fn close(made: &[f64], wanted: &[f64], tolerance: f64, label: &str) {
    assert_eq!(made.len(), wanted.len(), "{label}");
    let top = wanted.iter().filter(|v| v.is_finite()).fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
    let mut worst = 0.0_f64;
    for (i, (a, b)) in made.iter().zip(wanted).enumerate() {
        if a.is_nan() && b.is_nan() {
            continue;
        }
        worst = worst.max((a - b).abs() / top);
        assert!((a - b).abs() <= tolerance * top, "{label}: {a} against {b} at {i}");
    }
    println!("{label}: largest error {worst:.1e}");
}

fn flat(m: &Mat<f64>) -> Vec<f64> {
    (0..m.nrows()).flat_map(|i| (0..m.ncols()).map(move |j| (i, j))).map(|at| m[at]).collect()
}

impl Case {
    fn check(&self, key: &str, made: &[f64], tolerance: f64) {
        close(made, &self.golden[key].data, tolerance, &format!("{} {key}", self.name));
    }

    fn theory(&self) -> Theory<'_> {
        Theory::new(&self.problem, &self.sgd, self.sampler).unwrap()
    }

    /// Moments in the coordinates of the data, [2d, 2d].
    fn rotated(&self, m: &Moments) -> Vec<f64> {
        let d = self.problem.features();
        let (aa, au, uu) = (
            self.problem.rotated(m.aa.as_ref()),
            self.problem.rotated(m.au.as_ref()),
            self.problem.rotated(m.uu.as_ref()),
        );
        flat(&Mat::from_fn(2 * d, 2 * d, |i, j| match (i < d, j < d) {
            (true, true) => aa[(i, j)],
            (true, false) => au[(i, j - d)],
            (false, true) => au[(j, i - d)],
            (false, false) => uu[(i - d, j - d)],
        }))
    }

    /// A [2d, 2d] matrix of the eigenbasis in the coordinates of the data.
    fn rotated_phase(&self, m: &Mat<f64>) -> Vec<f64> {
        let d = self.problem.features();
        let part = |i: usize, j: usize| self.problem.rotated(m.as_ref().submatrix(i * d, j * d, d, d));
        let blocks = [[part(0, 0), part(0, 1)], [part(1, 0), part(1, 1)]];
        flat(&Mat::from_fn(2 * d, 2 * d, |i, j| blocks[i / d][j / d][(i % d, j % d)]))
    }
}

#[test]
fn golden_data_and_modes() {
    for case in all() {
        let (p, d) = (&case.problem, case.problem.features());
        case.check("mu", &p.minimum(), 1e-10);
        case.check("sigma2", &[p.residual_variance()], 1e-10);
        case.check("rho", p.eigenvalues(), 1e-9);
        case.check("C0", &flat(&p.rotated(p.noise_at_minimum().as_ref())), 1e-10);
        let theory = case.theory();
        case.check("spectral_radius", &[theory.spectral_radius()], 1e-10);
        let modes = theory.modes();
        let of = |f: &dyn Fn(usize) -> f64| (0..d).map(f).collect::<Vec<f64>>();
        case.check("kappa", &of(&|l| modes[l].kappa()), 1e-9);
        case.check("gamma", &of(&|l| modes[l].damping()), 1e-9);
        case.check("omega", &of(&|l| modes[l].frequency()), 1e-9);
        case.check("nu", &of(&|l| modes[l].damped_frequency().unwrap_or(f64::NAN)), 1e-9);
        case.check("psi", &of(&|l| modes[l].angle().unwrap_or(f64::NAN)), 1e-9);
        let noise = |l: usize| theory.factor() * p.residual_variance() * p.eigenvalues()[l];
        case.check("var_a_discrete", &of(&|l| modes[l].position_variance(noise(l))), 1e-9);
        case.check("var_u_discrete", &of(&|l| modes[l].velocity_variance(noise(l))), 1e-9);
        case.check("cov_au_discrete", &of(&|l| modes[l].covariance(noise(l))), 1e-9);
        case.check("var_a_ct", &of(&|l| modes[l].position_variance_continuous(noise(l))), 1e-9);
        case.check("var_u_ct", &of(&|l| modes[l].velocity_variance_continuous(noise(l))), 1e-9);
    }
}

#[test]
fn golden_exact_moments() {
    for case in all() {
        let theory = case.theory();
        let exact = theory.stationary().unwrap();
        case.check("M_exact", &case.rotated(&exact), 1e-8);
        let (rho, variance) = (case.problem.eigenvalues(), case.problem.residual_variance());
        let d = rho.len();
        let constant = Mat::from_fn(d, d, |i, j| if i == j { variance * rho[i] } else { 0.0 });
        case.check("M_constH", &case.rotated(&theory.stationary_for(&constant).unwrap()), 1e-8);
        case.check("local_disp_exact", &[theory.local_displacement(&exact)], 1e-8);
        case.check("local_disp_paper", &[theory.local_displacement_paper()], 1e-8);
        case.check("area_rate_exact", &theory.area_rates(&exact), 1e-8);
        let times: Vec<u64> = case.golden["ts"].data.iter().map(|t| *t as u64).collect();
        let stationary: Vec<f64> = times.iter().map(|t| theory.displacement(&exact, *t)).collect();
        case.check("disp_stationary_exact", &stationary, 1e-8);

        let mut state = theory.at_rest(&case.golden["theta0"].data);
        let start = state.mean.0.clone();
        let (mut step, mut rest, mut means) = (0, Vec::new(), Vec::new());
        for t in times {
            while step < t {
                theory.advance(&mut state);
                step += 1;
            }
            rest.push(Theory::displacement_of(&state, &start));
            let direct: (Vec<f64>, Vec<f64>) = theory.mean_from_rest(&start, t).into_iter().unzip();
            close(&direct.0, &state.mean.0, 1e-10, &format!("{} mean position", case.name));
            close(&direct.1, &state.mean.1, 1e-10, &format!("{} mean velocity", case.name));
            means.extend(case.problem.from_modes(&state.mean.0));
            means.extend(case.problem.from_modes(&state.mean.1));
        }
        case.check("disp_rest_exact", &rest, 1e-8);
        case.check("mean_z", &means, 1e-9);
    }
}

#[test]
fn golden_continuous_model() {
    for case in all() {
        let (theory, p) = (case.theory(), &case.problem);
        let (rho, variance, d) = (p.eigenvalues(), p.residual_variance(), p.features());
        let model = Langevin::new(theory.modes(), &case.sgd, theory.factor());
        let noise = Mat::from_fn(d, d, |i, j| if i == j { variance * rho[i] } else { 0.0 });
        case.check("ct_A", &case.rotated_phase(&model.drift()), 1e-8);
        case.check("ct_D", &case.rotated_phase(&model.diffusion(noise.as_ref())), 1e-8);
        case.check("ct_Sigma", &case.rotated_phase(&model.stationary(noise.as_ref()).unwrap()), 1e-8);
        case.check("ct_Q", &case.rotated_phase(&model.circulation(noise.as_ref()).unwrap()), 1e-8);
        let own = model.stationary(p.noise_at_minimum().as_ref()).unwrap();
        case.check("ct_Sigma_C0", &case.rotated_phase(&own), 1e-8);
        let variances = model.stationary_proportional(rho, variance);
        let times = &case.golden["ts"].data;
        let stationary: Vec<f64> = times.iter().map(|t| model.displacement(&variances, *t)).collect();
        case.check("disp_stationary_ct", &stationary, 1e-8);
        let start = theory.at_rest(&case.golden["theta0"].data).mean.0;
        let rest: Vec<f64> =
            times.iter().map(|t| model.displacement_from_rest(&variances, &start, *t)).collect();
        case.check("disp_rest_ct", &rest, 1e-8);
    }
}

#[test]
fn the_stationary_state_is_gibbs_and_its_current_has_no_divergence() {
    for case in all() {
        let (theory, p) = (case.theory(), &case.problem);
        let (rho, variance, d) = (p.eigenvalues(), p.residual_variance(), p.features());
        let model = Langevin::new(theory.modes(), &case.sgd, theory.factor());
        let drift = model.drift();
        // The paper's noise, and that of the data, which does not commute with the Hessian.
        let proportional = Mat::from_fn(d, d, |i, j| if i == j { variance * rho[i] } else { 0.0 });
        for noise in [proportional.clone(), p.noise_at_minimum()] {
            let state = model.state(noise.as_ref()).unwrap();
            let diffusion = model.diffusion(noise.as_ref());
            let (sigma, q) = (state.covariance().to_owned(), state.circulation().to_owned());
            let label = |what: &str| format!("{} {what}", case.name);
            close(
                &flat(&(&drift * &sigma + &sigma * drift.transpose())),
                &flat(&(&diffusion * 2.0)),
                1e-10,
                &label("2 D"),
            );
            close(&flat(&(&q * -1.0)), &flat(&q.transpose().to_owned()), 1e-9, &label("Q"));
            // At a point a standard deviation out in every direction: J = −A z p − D ∇p with ∇p from differences.
            let size = |i: usize| sigma[(i, i)].sqrt();
            let z: Vec<f64> = (0..2 * d).map(|i| size(i) * if i % 3 == 0 { -0.4 } else { 0.3 }).collect();
            let nudged = |k: usize, by: f64| -> Vec<f64> {
                let mut z = z.clone();
                z[k] += by * size(k);
                z
            };
            let log = |z: &[f64]| -state.potential(z);
            let step = 1e-3;
            let slope: Vec<f64> = (0..2 * d)
                .map(|k| (log(&nudged(k, step)) - log(&nudged(k, -step))) / (2.0 * step * size(k)))
                .collect();
            let own: Vec<f64> = (0..2 * d)
                .map(|i| {
                    (0..2 * d).map(|j| -drift[(i, j)] * z[j] - diffusion[(i, j)] * slope[j]).sum::<f64>()
                        / size(i)
                })
                .collect();
            let flow: Vec<f64> = state.flow(&z).iter().enumerate().map(|(i, v)| v / size(i)).collect();
            close(&flow, &own, 1e-7, &label("J / p"));
            // ∇·J = p (∇·v + v·∇ ln p) for the flow v = J / p, which is linear.
            let spread: Vec<f64> = (0..2 * d)
                .map(|k| {
                    (state.flow(&nudged(k, step))[k] - state.flow(&nudged(k, -step))[k])
                        / (2.0 * step * size(k))
                })
                .chain((0..2 * d).map(|k| state.flow(&z)[k] * slope[k]))
                .collect();
            let scale = spread.iter().map(|v| v.abs()).sum::<f64>();
            assert!(scale > 0.0 && spread.iter().sum::<f64>().abs() < 1e-7 * scale, "{}", case.name);
        }

        // For C = σ² H the potential is the modified loss over the temperature, with weight decay too.
        let state = model.state(proportional.as_ref()).unwrap();
        let z: Vec<f64> =
            (0..2 * d).map(|i| state.covariance()[(i, i)].sqrt() * (0.2 + 0.1 * i as f64)).collect();
        let loss: f64 = (0..d).map(|l| model.modified_loss(l, rho[l], z[l], z[d + l])).sum();
        let made = [state.potential(&z)];
        close(&made, &[model.inverse_temperature(variance) * loss], 1e-10, &format!("{} κ Ψ", case.name));
        for l in 0..d {
            let mut z = vec![0.0; 2 * d];
            (z[l], z[d + l]) =
                (state.covariance()[(l, l)].sqrt(), -0.5 * state.covariance()[(d + l, d + l)].sqrt());
            let (a, u) = model.current(l, z[l], z[d + l]);
            let flow = state.flow(&z);
            assert!(
                (flow[l] / a - 1.0).abs() < 1e-8 && (flow[d + l] / u - 1.0).abs() < 1e-8,
                "{} {l}",
                case.name
            );
        }
    }
}

#[test]
fn golden_replay_of_given_batches() {
    for case in all() {
        let (golden, s) = (&case.golden, case.sgd.batch_size);
        let batches: Vec<Vec<u32>> =
            golden["replay_idx"].data.chunks(s).map(|b| b.iter().map(|i| *i as u32).collect()).collect();
        let mut path = vec![golden["theta0"].data.clone()];
        path.extend(replay(&case.problem, &case.sgd, &golden["theta0"].data, &batches).unwrap());
        let made: Vec<f64> = golden["replay_steps"].indices().iter().flat_map(|k| path[*k].clone()).collect();
        case.check("replay_theta", &made, 1e-10);
    }
}

#[test]
fn the_spread_from_rest_grows_from_one_kick_to_the_stationary_state() {
    for case in all() {
        let theory = Theory::new(&case.problem, &case.sgd, Sampler::Replacement).unwrap();
        let d = case.problem.features();
        let (eta, noise) = (case.sgd.learning_rate, case.problem.noise_at_minimum());
        let kick = |l: usize| theory.factor() * noise[(l, l)];
        let first: Vec<f64> = (0..d).flat_map(|l| [eta * eta, eta, 1.0].map(|g| g * kick(l))).collect();
        let flat = |spread: Vec<[f64; 3]>| spread.into_iter().flatten().collect::<Vec<f64>>();
        close(&flat(theory.spread_from_rest(1)), &first, 1e-12, &case.name);
        let settled = theory.stationary_additive().unwrap();
        let of = |l: usize| [settled.aa[(l, l)], settled.au[(l, l)], settled.uu[(l, l)]];
        let wanted: Vec<f64> = (0..d).flat_map(of).collect();
        close(&flat(theory.spread_from_rest(memory(&case) * 12)), &wanted, 1e-9, &case.name);
        // Step by step from the minimum, the noise that depends on the state begins as the same kick.
        let mut state = theory.at_rest(&case.problem.minimum());
        theory.advance(&mut state);
        close(&flat(state.spread()), &first, 1e-10, &case.name);
        // From elsewhere it is larger, and the mean is no part of it.
        let mut state = theory.at_rest(&vec![0.0; d]);
        close(&flat(state.spread()), &vec![0.0; 3 * d], 1e-12, &case.name);
        theory.advance(&mut state);
        let away: f64 = state.spread().iter().map(|s| s[2]).sum();
        assert!(away > (0..d).map(kick).sum(), "{}: {away}", case.name);
    }
}

#[test]
fn additive_displacement_has_the_drift_of_the_mean() {
    for case in all() {
        // All rows in each batch: no noise, so that both forms are the way of the mean alone.
        let sgd = Sgd { batch_size: case.problem.rows(), ..case.sgd };
        let theory = Theory::new(&case.problem, &sgd, Sampler::Subset).unwrap();
        let mut state = theory.at_rest(&vec![0.0; case.problem.features()]);
        let origin = state.mean.0.clone();
        let (mut exact, mut additive) = (Vec::new(), Vec::new());
        for step in 1..=60 {
            theory.advance(&mut state);
            exact.push(Theory::displacement_of(&state, &origin));
            additive.push(theory.displacement_additive(&origin, step));
        }
        close(&additive, &exact, 1e-10, &case.name);
    }
}

#[test]
fn golden_ensembles_that_leap_agree_with_additive_theory() {
    for case in all() {
        let (theory, d) = (case.theory(), case.problem.features());
        // From rest at the start of the case, over up to a million steps; then in the stationary state.
        let record = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000];
        let modes: Vec<usize> = (0..d).collect();
        let theta0 = &case.golden["theta0"].data;
        let ensemble = Ensemble {
            problem: &case.problem,
            sgd: case.sgd,
            sampler: case.sampler,
            start: theta0,
            chains: 2000,
            record: &record,
            from_first_record: false,
            modes: &modes,
            seed: 5,
        };
        let chains = simulate_additive(&ensemble, &|| Ok(())).unwrap();
        let start = theory.at_rest(theta0).mean.0;
        let settled = theory.stationary_additive().unwrap();
        for (k, t) in record.iter().enumerate() {
            let (mean, error) = average(chains.iter().map(|c| c[k].displacement));
            // The way of the mean, and the sum over kicks of the closed form.
            let drift: f64 =
                theory.mean_from_rest(&start, *t).iter().zip(&start).map(|((m, _), a)| (m - a).powi(2)).sum();
            let noise = case.problem.noise_at_minimum();
            let spread: f64 = (0..d)
                .map(|l| theory.modes()[l].displacement_from_rest(*t, theory.factor() * noise[(l, l)]))
                .sum();
            let expected = drift + spread;
            let by_doubling = theory.displacement_additive(&start, *t);
            assert!((by_doubling / expected - 1.0).abs() < 1e-9, "{} {t}", case.name);
            assert!((mean - expected).abs() < 4.0 * error, "{} {t}: {mean} ± {error}, {expected}", case.name);
        }
        let last = |of: &dyn Fn(&Record) -> f64| average(chains.iter().map(|c| of(&c[record.len() - 1])));
        let (positions, velocities) = settled.traces();
        for ((mean, error), expected) in [
            (last(&|r| r.positions.iter().map(|a| a * a).sum()), positions),
            (last(&|r| r.velocities.iter().map(|u| u * u).sum()), velocities),
            (last(&|r| r.squared_step), case.sgd.learning_rate.powi(2) * velocities),
            (last(&|r| r.positions[0] * r.velocities[0]), settled.au[(0, 0)]),
            (last(&|r| r.positions[0] * r.positions[1]), settled.aa[(0, 1)]),
        ] {
            println!("{}: {mean:.4e} ± {error:.1e}, {expected:.4e} by theory", case.name);
            assert!((mean - expected).abs() < 4.0 * error, "{}: {mean} ± {error}, {expected}", case.name);
        }
    }
}

/// Mean and its standard error over chains.
fn average(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values: Vec<f64> = values.collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt())
}

/// tr E[a aᵀ] of 50 chains at the times `record`: its mean, and the standard error over chains, which are independent.
fn simulated_trace(case: &Case, record: &[u64]) -> (f64, f64) {
    let modes: Vec<usize> = (0..case.problem.features()).collect();
    let ensemble = Ensemble {
        problem: &case.problem,
        sgd: case.sgd,
        sampler: case.sampler,
        start: &case.problem.minimum(),
        chains: 50,
        record,
        from_first_record: false,
        modes: &modes,
        seed: 11,
    };
    let chains = simulate(&ensemble, &|| Ok(())).unwrap();
    let square = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>();
    average(chains.iter().map(|c| c.iter().map(|r| square(&r.positions)).sum::<f64>() / c.len() as f64))
}

/// Steps after which the slowest mode has forgotten all but 1/e of where it was.
fn memory(case: &Case) -> u64 {
    (-1.0 / case.theory().spectral_radius().ln()).ceil() as u64
}

#[test]
fn golden_ensembles_agree_with_the_exact_moments() {
    for case in all() {
        // Long after the slowest mode forgot the start; then far enough apart to count as independent.
        let memory = memory(&case);
        let record: Vec<u64> = (0..40).map(|k| memory * (12 + 4 * k)).collect();
        let (mean, error) = simulated_trace(&case, &record);
        let (trace, _) = case.theory().stationary().unwrap().traces();
        println!("{}: trace {:.4} of the exact one ± {:.4}", case.name, mean / trace, error / trace);
        assert!((mean - trace).abs() <= 4.0 * error, "{}: {mean} ± {error} against {trace}", case.name);
    }
}

#[test]
fn golden_ensembles_of_a_million_steps_are_within_two_percent() {
    for case in all() {
        // 50 chains of 20,000 steps after the start is forgotten, looked at four times a memory.
        let memory = memory(&case);
        let every = (memory / 4).max(1);
        let record: Vec<u64> = (1..=20_000 / every).map(|k| memory * 12 + every * k).collect();
        let (mean, error) = simulated_trace(&case, &record);
        let (trace, _) = case.theory().stationary().unwrap().traces();
        println!("{}: trace {:.4} of the exact one ± {:.4}", case.name, mean / trace, error / trace);
        assert!((mean / trace - 1.0).abs() < 0.02, "{}: {mean} ± {error} against {trace}", case.name);
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let case = &all()[0];
    let fails = |sgd: Sgd, wanted: &str| {
        let error = Theory::new(&case.problem, &sgd, Sampler::Replacement).err().unwrap().0;
        assert!(error.contains(wanted), "{error}");
    };
    fails(Sgd { learning_rate: 1e3, ..case.sgd }, "limit of stability");
    fails(Sgd { momentum: 1.0, ..case.sgd }, "below 1");
    fails(Sgd { batch_size: 121, ..case.sgd }, "does not fit 120 rows");
    fails(Sgd { learning_rate: f64::NAN, ..case.sgd }, "must be above 0");
    let x = Mat::from_fn(4, 2, |i, _| i as f64);
    assert!(Regression::new(x.as_ref(), &[1.0, 2.0, 3.0, 4.0], 0.0).unwrap_err().0.contains("singular"));
    let x = Mat::from_fn(2, 1, |i, _| if i == 0 { f64::NAN } else { 1.0 });
    assert!(Regression::new(x.as_ref(), &[1.0, 2.0], 0.0).unwrap_err().0.contains("no numbers"));
    // Data without noise: everything comes to rest.
    let x = Mat::from_fn(6, 2, |i, j| ((i * 3 + j * 5) % 7) as f64 - 3.0);
    let y: Vec<f64> = (0..6).map(|i| 2.0 * x[(i, 0)] - x[(i, 1)]).collect();
    let quiet = Regression::new(x.as_ref(), &y, 0.0).unwrap();
    let sgd = Sgd { learning_rate: 0.01, momentum: 0.5, weight_decay: 0.0, batch_size: 2 };
    let rest = Theory::new(&quiet, &sgd, Sampler::Replacement).unwrap().stationary().unwrap();
    assert!(rest.traces().0.abs() < 1e-20);
}
