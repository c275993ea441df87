//! Exact theory of stochastic gradient descent on linear regression, in discrete time and with the true noise of
//! batches, which depends on the state but is closed at second order.
//!
//! Everything is computed in the eigenbasis of the Hessian. There the way of z without noise falls apart into
//! 2 × 2 blocks, so that a stationary covariance costs O(N d²) an iteration and not a Kronecker solve.

use super::modes::Mode;
use super::regression::Regression;
use super::sampler::Sampler;
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
        let rotated = crate::linalg::product(p.x.as_ref(), aa.as_ref());
        // avg[x xᵀ M x xᵀ] weighs each row by xᵀ M x; avg[x xᵀ] M H = H M H.
        let mut weights: Vec<f64> =
            (0..n).map(|i| (0..d).map(|j| rotated[(i, j)] * p.x[(i, j)]).sum()).collect();
        if let Some(mean) = mean {
            // cross = avg[x (x·m) e xᵀ] + H m (λ μ)ᵀ, and its transpose.
            for (i, weight) in weights.iter_mut().enumerate() {
                let along: f64 = (0..d).map(|j| p.x[(i, j)] * mean[j]).sum();
                *weight += 2.0 * along * p.residuals[i];
            }
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

    /// The stationary moments with the true noise of batches: iterates noise and covariance until both fit.
    ///
    /// # Errors
    /// If they grow without end: batches are too small for this learning rate.
    pub fn stationary(&self) -> Result<Moments> {
        let mut moments = self.stationary_for(&self.noise)?;
        let mut before = f64::INFINITY;
        for round in 0..20_000 {
            let noise = self.noise(None, &moments.aa);
            let next = self.stationary_for(&noise)?;
            let change = (&next.aa - &moments.aa).norm_l2() / next.aa.norm_l2().max(f64::MIN_POSITIVE);
            moments = next;
            if change < 1e-15 || (change < 1e-12 && change >= before) {
                return Ok(moments);
            }
            if !change.is_finite() || (round > 200 && change > 0.5) {
                break;
            }
            before = change;
        }
        Err(Error::new(
            "the second moments grow without end: the noise of such small batches outweighs the pull at this learning \
             rate; lower it or raise the batch size",
        ))
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
