//! Exact theory of stochastic gradient descent on linear regression, in discrete time and with the true noise of
//! batches, which depends on the state but is closed at second order.
//!
//! Everything is computed in the eigenbasis of the Hessian. There the way of z without noise falls apart into
//! 2 × 2 blocks, so that a stationary covariance costs O(N d²) an iteration and not a Kronecker solve.

use super::modes::Mode;
use super::regression::Regression;
use super::sampler::Sampler;
use super::skip::Jump;
use super::{Sgd, Two, power, solve4, times, turned};
use crate::error::{Error, Result};
use crate::linalg::Mat;

/// Second moments E[z zᵀ] of z = (a, u) in the eigenbasis: blocks of positions, of positions with velocities
/// (row: position), and of velocities, each [d, d].
#[derive(Clone, Debug)]
pub struct Moments {
    /// E[a aᵀ].
    pub aa: Mat<f64>,
    /// E[a uᵀ].
    pub au: Mat<f64>,
    /// E[u uᵀ].
    pub uu: Mat<f64>,
}

impl Moments {
    fn zeros(d: usize) -> Self {
        Moments { aa: Mat::zeros(d, d), au: Mat::zeros(d, d), uu: Mat::zeros(d, d) }
    }

    fn block(&self, l: usize, k: usize) -> Two {
        [[self.aa[(l, k)], self.au[(l, k)]], [self.au[(k, l)], self.uu[(l, k)]]]
    }

    fn set(&mut self, l: usize, k: usize, block: Two) {
        self.aa[(l, k)] = block[0][0];
        self.au[(l, k)] = block[0][1];
        self.uu[(l, k)] = block[1][1];
    }

    /// tr E[a aᵀ] and tr E[u uᵀ].
    pub fn traces(&self) -> (f64, f64) {
        let trace = |m: &Mat<f64>| (0..m.nrows()).map(|i| m[(i, i)]).sum();
        (trace(&self.aa), trace(&self.uu))
    }
}

/// Mean and second moments at one time.
#[derive(Clone, Debug)]
pub struct State {
    /// E[a] and E[u] in the eigenbasis.
    pub mean: (Vec<f64>, Vec<f64>),
    /// E[z zᵀ].
    pub moments: Moments,
}

impl State {
    /// Covariance (of a; of a and u; of u) of each mode: E[z zᵀ] − E[z] E[z]ᵀ.
    pub fn spread(&self) -> Vec<[f64; 3]> {
        let (a, u) = &self.mean;
        let m = &self.moments;
        let of =
            |l: usize| [m.aa[(l, l)] - a[l] * a[l], m.au[(l, l)] - a[l] * u[l], m.uu[(l, l)] - u[l] * u[l]];
        (0..a.len()).map(of).collect()
    }
}

/// The exact theory of one setting.
pub struct Theory<'a> {
    problem: &'a Regression,
    sgd: Sgd,
    factor: f64,
    modes: Vec<Mode>,
    steps: Vec<Two>,
    noise: Mat<f64>,
}

impl<'a> Theory<'a> {
    /// The theory of `sgd` on `problem`, with noise as the sampler has it (of an epoch: as of fresh subsets).
    ///
    /// # Errors
    /// If a setting is impossible, or the learning rate is beyond the stability of a mode.
    pub fn new(problem: &'a Regression, sgd: &Sgd, sampler: Sampler) -> Result<Self> {
        sgd.check(problem.rows())?;
        let lambda = problem.weight_decay();
        let modes: Vec<Mode> = problem.eigenvalues().iter().map(|rho| Mode::new(sgd, rho + lambda)).collect();
        if let Some(mode) = modes.iter().find(|m| !m.is_stable()) {
            let limit = 2.0 * (1.0 + sgd.momentum) / mode.curvature;
            return Err(Error::new(format!(
                "the learning rate {} is beyond the limit of stability {limit:.6} of the largest eigenvalue",
                sgd.learning_rate
            )));
        }
        let steps = modes.iter().map(Mode::step).collect();
        let factor = sampler.factor(problem.rows(), sgd.batch_size);
        Ok(Theory { problem, sgd: *sgd, factor, modes, steps, noise: problem.noise_at_minimum() })
    }

    /// The modes, by falling eigenvalue.
    pub fn modes(&self) -> &[Mode] {
        &self.modes
    }

    /// f.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// The largest modulus of the eigenvalues of T.
    pub fn spectral_radius(&self) -> f64 {
        self.modes.iter().map(Mode::spectral_radius).fold(0.0, f64::max)
    }

    /// E[C] of one sample's gradient for these moments of the position, in the eigenbasis:
    /// avg[(x xᵀ − H) M (x xᵀ − H)] + cross + crossᵀ + C₀.
    fn noise(&self, mean: Option<&[f64]>, aa: &Mat<f64>) -> Mat<f64> {
        let p = self.problem;
        let (n, d) = (p.rows(), p.features());
        let mut rotated = vec![0.0; n * d];
        crate::linalg::product_into(&mut rotated, p.x.as_ref(), aa.as_ref());
        // avg[x xᵀ M x xᵀ] weighs each row by xᵀ M x; avg[x xᵀ] M H = H M H. Column after column: element by element
        // costs more than both products.
        let mut weights = vec![0.0; n];
        for (j, rotated) in rotated.chunks_exact(n).enumerate() {
            let pairs = rotated.iter().zip(p.x.col_as_slice(j));
            weights.iter_mut().zip(pairs).for_each(|(weight, (m, x))| *weight += m * x);
        }
        if let Some(mean) = mean {
            // cross = avg[x (x·m) e xᵀ] + H m (λ μ)ᵀ, and its transpose.
            let mut along = vec![0.0; n];
            for (j, mean) in mean.iter().enumerate() {
                along.iter_mut().zip(p.x.col_as_slice(j)).for_each(|(along, x)| *along += x * mean);
            }
            let each = along.iter().zip(&p.residuals);
            weights.iter_mut().zip(each).for_each(|(weight, (along, e))| *weight += 2.0 * along * e);
        }
        let mut c = p.weighted(&weights);
        let (rho, lambda) = (p.eigenvalues(), p.weight_decay());
        for (i, j) in (0..d).flat_map(|i| (0..d).map(move |j| (i, j))) {
            c[(i, j)] += self.noise[(i, j)] - rho[i] * aa[(i, j)] * rho[j];
            if let Some(mean) = mean {
                c[(i, j)] += lambda * (rho[i] * mean[i] * p.minimum[j] + rho[j] * mean[j] * p.minimum[i]);
            }
        }
        c
    }

    /// One step of mean and moments.
    pub fn advance(&self, state: &mut State) {
        let d = self.modes.len();
        let noise = self.noise(Some(&state.mean.0), &state.moments.aa);
        let mut next = Moments::zeros(d);
        for (l, k) in (0..d).flat_map(|l| (0..d).map(move |k| (l, k))) {
            let moved = times(&times(&self.steps[l], &state.moments.block(l, k)), &turned(&self.steps[k]));
            next.set(l, k, kicked(moved, self.sgd.learning_rate, self.factor * noise[(l, k)]));
        }
        state.moments = next;
        for l in 0..d {
            let (a, u) = (state.mean.0[l], state.mean.1[l]);
            let t = &self.steps[l];
            state.mean.0[l] = t[0][0] * a + t[0][1] * u;
            state.mean.1[l] = t[1][0] * a + t[1][1] * u;
        }
    }

    /// The state at rest at θ₀ (coordinates of the data).
    pub fn at_rest(&self, theta: &[f64]) -> State {
        let d = self.modes.len();
        let a: Vec<f64> =
            self.problem.to_modes(theta).iter().zip(&self.problem.minimum).map(|(t, m)| t - m).collect();
        let mut moments = Moments::zeros(d);
        moments.aa = Mat::from_fn(d, d, |i, j| a[i] * a[j]);
        State { mean: (a, vec![0.0; d]), moments }
    }

    /// The stationary moments for a noise C of one sample that does not depend on the state (eigenbasis).
    ///
    /// # Errors
    /// If a pair of modes has no stationary covariance.
    pub fn stationary_for(&self, noise: &Mat<f64>) -> Result<Moments> {
        let d = self.modes.len();
        let mut moments = Moments::zeros(d);
        for (l, k) in (0..d).flat_map(|l| (0..d).map(move |k| (l, k))) {
            let kick = kicked([[0.0; 2]; 2], self.sgd.learning_rate, self.factor * noise[(l, k)]);
            let block = lyapunov(&self.steps[l], &self.steps[k], &kick);
            moments.set(l, k, block.ok_or_else(|| Error::new("two modes have no stationary covariance"))?);
        }
        Ok(moments)
    }

    /// The stationary moments with the true noise of batches: M = L(C₀) + L(K M), where K is the noise that the
    /// state adds and L the answer to a noise. The linear equation is solved by GMRES (Saad and Schultz 1986).
    ///
    /// # Errors
    /// If they grow without end: batches are too small for this learning rate.
    pub fn stationary(&self) -> Result<Moments> {
        let d = self.modes.len();
        let answer = |noise: &Mat<f64>| self.stationary_for(noise);
        let first = answer(&self.noise)?;
        let added = |m: &[f64]| -> Result<Vec<f64>> {
            let aa = Mat::from_fn(d, d, |i, j| m[i * d + j]);
            let noise = &self.noise(None, &aa) - &self.noise;
            let moved = answer(&noise)?.aa;
            Ok((0..d * d).map(|k| m[k] - moved[(k / d, k % d)]).collect())
        };
        let wanted: Vec<f64> = (0..d * d).map(|k| first.aa[(k / d, k % d)]).collect();
        let found = gmres(&added, &wanted)?;
        // K maps covariances to covariances. So there is a stationary state exactly if the solution is one.
        let grows = (0..d).any(|l| !found[l * d + l].is_finite() || found[l * d + l] < 0.0)
            || (0..d).any(|l| found[l * d + l] < wanted[l * d + l] * (1.0 - 1e-9));
        if grows {
            return Err(Error::new(
                "the second moments grow without end: the noise of such small batches outweighs the pull at this \
                 learning rate and momentum; lower them or raise the batch size",
            ));
        }
        let aa = Mat::from_fn(d, d, |i, j| (found[i * d + j] + found[j * d + i]) / 2.0);
        answer(&self.noise(None, &aa))
    }

    /// E|θ_(k+t) − θ_k|² in the stationary state: 2 tr(M_aa − (Tᵗ M)_aa).
    pub fn displacement(&self, moments: &Moments, steps: u64) -> f64 {
        let along = |(l, step): (usize, &Two)| {
            let block = moments.block(l, l);
            let moved = times(&power(step, steps), &block);
            2.0 * (block[0][0] - moved[0][0])
        };
        self.steps.iter().enumerate().map(along).sum()
    }

    /// E|θ_t − θ₀|² of a state that began at rest at `start` (eigenbasis, from the minimum).
    pub fn displacement_of(state: &State, start: &[f64]) -> f64 {
        let (trace, _) = state.moments.traces();
        let drift: f64 = state.mean.0.iter().zip(start).map(|(m, a)| a * a - 2.0 * m * a).sum();
        trace + drift
    }

    /// E[a] and E[u] of each mode `steps` after rest at `start` (eigenbasis, from the minimum): Tᵗ z₀.
    pub fn mean_from_rest(&self, start: &[f64], steps: u64) -> Vec<(f64, f64)> {
        let along = |(step, a): (&Two, &f64)| {
            let way = power(step, steps);
            (way[0][0] * a, way[1][0] * a)
        };
        self.steps.iter().zip(start).map(along).collect()
    }

    /// Covariance (of a; of a and u; of u) of each mode `steps` after rest, wherever it began, with the noise of the
    /// minimum, C₀, everywhere. It costs d log t.
    pub fn spread_from_rest(&self, steps: u64) -> Vec<[f64; 3]> {
        let each = self.modes.iter().enumerate();
        each.map(|(l, mode)| Jump::new(mode, self.factor * self.noise[(l, l)], steps).moments((0.0, 0.0)).1)
            .collect()
    }

    /// E|θ_t − θ₀|² from rest at `start` (eigenbasis, from the minimum) with the noise of the minimum, C₀, everywhere:
    /// Σ (m_l(t) − m_l(0))² + Var a_l(t), the way of the mean and the spread. It costs d log t.
    pub fn displacement_additive(&self, start: &[f64], steps: u64) -> f64 {
        let each = self.modes.iter().zip(start).enumerate();
        each.map(|(l, (mode, a))| {
            let ((mean, _), [spread, ..]) =
                Jump::new(mode, self.factor * self.noise[(l, l)], steps).moments((*a, 0.0));
            (mean - a).powi(2) + spread
        })
        .sum()
    }

    /// The stationary moments with the noise of the minimum, C₀, everywhere.
    ///
    /// # Errors
    /// If a pair of modes has no stationary covariance.
    pub fn stationary_additive(&self) -> Result<Moments> {
        self.stationary_for(&self.noise)
    }

    /// E|θ_(k+1) − θ_k|²: η² tr M_uu.
    pub fn local_displacement(&self, moments: &Moments) -> f64 {
        self.sgd.learning_rate.powi(2) * moments.traces().1
    }

    /// The paper's formula for it: η² f σ² tr H / (1 − β²).
    pub fn local_displacement_paper(&self) -> f64 {
        let trace: f64 = self.problem.eigenvalues().iter().sum();
        self.sgd.learning_rate.powi(2) * self.factor * self.problem.residual_variance() * trace
            / (1.0 - self.sgd.momentum.powi(2))
    }

    /// ½ E[a_k u_(k+1) − u_k a_(k+1)] of each mode: how fast it turns in its phase plane, per step.
    pub fn area_rates(&self, moments: &Moments) -> Vec<f64> {
        let rate = |(l, step): (usize, &Two)| {
            let moved = times(step, &moments.block(l, l));
            0.5 * (moved[1][0] - moved[0][1])
        };
        self.steps.iter().enumerate().map(rate).collect()
    }
}

/// A block with the noise of one step: G c Gᵀ with G = (η, 1).
fn kicked(block: Two, eta: f64, c: f64) -> Two {
    [[block[0][0] + eta * eta * c, block[0][1] + eta * c], [block[1][0] + eta * c, block[1][1] + c]]
}

/// X of X = A X Bᵀ + Q.
fn lyapunov(a: &Two, b: &Two, q: &Two) -> Option<Two> {
    let mut m = [[0.0; 4]; 4];
    for (row, line) in m.iter_mut().enumerate() {
        let (i, j) = (row / 2, row % 2);
        for (column, cell) in line.iter_mut().enumerate() {
            let (k, l) = (column / 2, column % 2);
            *cell = f64::from(u8::from(row == column)) - a[i][k] * b[j][l];
        }
    }
    let x = solve4(m, [q[0][0], q[0][1], q[1][0], q[1][1]])?;
    Some([[x[0], x[1]], [x[2], x[3]]])
}

/// x of A x = b, restarted until the residual is down to rounding.
fn gmres(apply: &dyn Fn(&[f64]) -> Result<Vec<f64>>, b: &[f64]) -> Result<Vec<f64>> {
    const DEPTH: usize = 40;
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let size = dot(b, b).sqrt();
    let mut x = vec![0.0; b.len()];
    let mut residual = b.to_vec();
    for _ in 0..25 {
        let norm = dot(&residual, &residual).sqrt();
        if norm <= 1e-14 * size {
            break;
        }
        // An orthonormal basis of what repeated application makes of the residual, and A in it.
        let mut basis = vec![residual.iter().map(|v| v / norm).collect::<Vec<f64>>()];
        let mut columns: Vec<Vec<f64>> = Vec::new();
        while columns.len() < DEPTH.min(b.len()) {
            let Some(last) = basis.last() else { break };
            let mut next = apply(last)?;
            let mut column = Vec::with_capacity(basis.len() + 1);
            for v in &basis {
                let along = dot(&next, v);
                next.iter_mut().zip(v).for_each(|(n, v)| *n -= along * v);
                column.push(along);
            }
            let rest = dot(&next, &next).sqrt();
            column.push(rest);
            columns.push(column);
            if rest <= 1e-14 {
                break;
            }
            next.iter_mut().for_each(|v| *v /= rest);
            basis.push(next);
        }
        let weights = least_squares(&columns, norm);
        for (weight, v) in weights.iter().zip(&basis) {
            x.iter_mut().zip(v).for_each(|(x, v)| *x += weight * v);
        }
        let made = apply(&x)?;
        let before = norm;
        residual = b.iter().zip(&made).map(|(b, m)| b - m).collect();
        if dot(&residual, &residual).sqrt() >= 0.5 * before {
            break;
        }
    }
    Ok(x)
}

/// The weights that bring the Hessenberg matrix of `columns` closest to (norm, 0, …), by Givens rotations.
fn least_squares(columns: &[Vec<f64>], norm: f64) -> Vec<f64> {
    let n = columns.len();
    let mut r: Vec<Vec<f64>> = columns.to_vec();
    let mut g = vec![0.0; n + 1];
    g[0] = norm;
    let mut turns: Vec<(f64, f64)> = Vec::with_capacity(n);
    for k in 0..n {
        for (i, (c, s)) in turns.iter().enumerate() {
            let (a, b) = (r[k][i], r[k][i + 1]);
            (r[k][i], r[k][i + 1]) = (c * a + s * b, c * b - s * a);
        }
        let (a, b) = (r[k][k], r[k][k + 1]);
        let length = a.hypot(b).max(f64::MIN_POSITIVE);
        let (c, s) = (a / length, b / length);
        (r[k][k], r[k][k + 1]) = (length, 0.0);
        (g[k], g[k + 1]) = (c * g[k], -s * g[k]);
        turns.push((c, s));
    }
    let mut x = vec![0.0; n];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| r[k][i] * x[k]).sum();
        x[i] = (g[i] - known) / r[i][i];
    }
    x
}
