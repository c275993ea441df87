//! Models of a displacement curve, and the best parameters of each by generalised least squares.

use crate::error::{Error, Result};
use crate::linalg::{Mat, solve_general};

/// What makes the distance grow.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A tᶜ.
    Power,
    /// 2 v (1 − e^(−t/τ)): an Ornstein–Uhlenbeck process in its stationary state.
    Saturation,
    /// 2 D (t − τ (1 − e^(−t/τ))): ballistic, then diffusive.
    Inertial,
    /// s × a given curve at the lags, such as a sum over modes of a known spectrum.
    Given(Vec<f64>),
}

/// A shape, alone or with the v² t² of a steady drift.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// What spreads.
    pub shape: Shape,
    /// Is there a drift beside it?
    pub drift: bool,
}

impl Model {
    /// `power`, `saturation`, `inertial`, `given`, each perhaps with `+drift`.
    pub fn name(&self) -> String {
        let shape = match self.shape {
            Shape::Power => "power",
            Shape::Saturation => "saturation",
            Shape::Inertial => "inertial",
            Shape::Given(_) => "given",
        };
        format!("{shape}{}", if self.drift { "+drift" } else { "" })
    }

    /// Names of the parameters, in the order of [`Fit::parameters`].
    pub fn parameters(&self) -> Vec<&'static str> {
        let mut names = match self.shape {
            Shape::Power => vec!["amplitude", "exponent"],
            Shape::Saturation => vec!["variance", "time"],
            Shape::Inertial => vec!["diffusion", "time"],
            Shape::Given(_) => vec!["scale"],
        };
        names.extend(self.drift.then_some("squared_drift"));
        names
    }

    /// D at the lags for scale 1 and the shape's second parameter (exponent or log time).
    fn unit(&self, lags: &[f64], second: f64) -> Vec<f64> {
        match &self.shape {
            Shape::Power => lags.iter().map(|t| t.powf(second)).collect(),
            Shape::Saturation => lags.iter().map(|t| -2.0 * (-t / second.exp()).exp_m1()).collect(),
            Shape::Inertial => {
                lags.iter().map(|t| 2.0 * second.exp() * ballistic(t / second.exp())).collect()
            }
            Shape::Given(curve) => curve.clone(),
        }
    }

    fn has_second(&self) -> bool {
        !matches!(self.shape, Shape::Given(_))
    }

    /// D at the lags; `p` is log scale, the second parameter if there is one, log squared drift if there is one.
    fn curve(&self, lags: &[f64], p: &[f64]) -> Vec<f64> {
        let second = if self.has_second() { p[1] } else { 0.0 };
        let drift = if self.drift { p[p.len() - 1].exp() } else { 0.0 };
        let unit = self.unit(lags, second);
        unit.iter().zip(lags).map(|(d, t)| p[0].exp() * d + drift * t * t).collect()
    }

    /// Values of the second parameter to begin from.
    fn starts(&self, lags: &[f64]) -> Vec<f64> {
        let (first, last) = (lags[0], lags[lags.len() - 1]);
        match self.shape {
            Shape::Power => vec![0.1, 0.5, 1.0, 1.5],
            Shape::Given(_) => vec![0.0],
            _ => {
                let (low, high) = ((first / 3.0).ln(), (last * 3.0).ln());
                (0..6).map(|k| low + (high - low) * f64::from(k) / 5.0).collect()
            }
        }
    }
}

/// x − 1 + e^(−x) without cancellation.
fn ballistic(x: f64) -> f64 {
    if x < 1e-2 {
        x * x / 2.0 * (1.0 - x / 3.0 * (1.0 - x / 4.0 * (1.0 - x / 5.0 * (1.0 - x / 6.0))))
    } else {
        x + (-x).exp_m1()
    }
}

/// A fitted model.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// Which.
    pub model: Model,
    /// Its parameters in natural units, see [`Model::parameters`].
    pub parameters: Vec<f64>,
    /// rᵀ W r of the residuals of log displacement.
    pub chi_squared: f64,
    /// Fitted displacement at the lags.
    pub curve: Vec<f64>,
}

/// The model's best fit to `values` at `lags`: rᵀ W r least, with r = log values − log model and W the K × K `weights`
/// (inverse covariance of r). Levenberg–Marquardt from several starts.
///
/// # Errors
/// If a value is not above 0 or lengths differ.
pub fn fit(model: &Model, lags: &[f64], values: &[f64], weights: &Mat<f64>) -> Result<Fit> {
    let count = lags.len();
    let given = if let Shape::Given(curve) = &model.shape { curve.len() } else { count };
    if count < 3 || values.len() != count || weights.nrows() != count || given != count {
        return Err(Error::new("a fit needs at least three lags, and a value and a weight for each"));
    }
    if values.iter().any(|v| !v.is_finite() || *v <= 0.0) {
        return Err(Error::new("a fit needs displacements above 0"));
    }
    let problem = Problem { model, lags, logs: values.iter().map(|v| v.ln()).collect(), weights };
    let (time, end) = (lags[count - 1], values[count - 1]);
    let shares: &[f64] = if model.drift { &[0.01, 0.3, 0.9] } else { &[0.0] };
    let mut best: Option<(f64, Vec<f64>)> = None;
    for second in model.starts(lags) {
        let unit = model.unit(lags, second)[count - 1].max(f64::MIN_POSITIVE);
        for share in shares {
            let mut p = vec![(end * (1.0 - share) / unit).ln()];
            p.extend(model.has_second().then_some(second));
            p.extend(model.drift.then(|| (end * share / (time * time)).ln()));
            let found = problem.descend(p);
            if found.0.is_finite() && best.as_ref().is_none_or(|b| found.0 < b.0) {
                best = Some(found);
            }
        }
    }
    let (chi_squared, p) =
        best.ok_or_else(|| Error::new(format!("`{}` does not fit at all", model.name())))?;
    let curve = model.curve(lags, &p);
    let natural = |(k, v): (usize, &f64)| if k == 1 && model.shape == Shape::Power { *v } else { v.exp() };
    Ok(Fit {
        model: model.clone(),
        parameters: p.iter().enumerate().map(natural).collect(),
        chi_squared,
        curve,
    })
}

struct Problem<'a> {
    model: &'a Model,
    lags: &'a [f64],
    logs: Vec<f64>,
    weights: &'a Mat<f64>,
}

impl Problem<'_> {
    fn residuals(&self, p: &[f64]) -> Vec<f64> {
        self.model.curve(self.lags, p).iter().zip(&self.logs).map(|(m, y)| y - m.ln()).collect()
    }

    fn weighted(&self, r: &[f64]) -> Vec<f64> {
        (0..r.len()).map(|i| r.iter().enumerate().map(|(j, v)| self.weights[(i, j)] * v).sum()).collect()
    }

    /// Levenberg–Marquardt: the least rᵀ W r and where it is.
    fn descend(&self, mut p: Vec<f64>) -> (f64, Vec<f64>) {
        let mut r = self.residuals(&p);
        let mut best = dot(&r, &self.weighted(&r));
        let mut damping = 1e-3;
        for _ in 0..200 {
            let slopes: Vec<Vec<f64>> = (0..p.len()).map(|k| self.slope(&p, k)).collect();
            let turned: Vec<Vec<f64>> = slopes.iter().map(|s| self.weighted(s)).collect();
            let normal = Mat::from_fn(p.len(), p.len(), |i, j| {
                let ridge = if i == j { 1.0 + damping } else { 1.0 };
                dot(&slopes[i], &turned[j]) * ridge + if i == j { 1e-300 } else { 0.0 }
            });
            let side = Mat::from_fn(p.len(), 1, |i, _| dot(&turned[i], &r));
            let step = solve_general(normal.as_ref(), side.as_ref());
            // A step of e^4 in a parameter leaves the range of any curve.
            let moved: Vec<f64> =
                p.iter().enumerate().map(|(k, v)| v + step[(k, 0)].clamp(-4.0, 4.0)).collect();
            let next = self.residuals(&moved);
            let value = dot(&next, &self.weighted(&next));
            if value < best {
                let small = (best - value) <= 1e-14 * best && damping < 1e-6;
                (p, r, best) = (moved, next, value);
                damping = (damping / 10.0).max(1e-12);
                if small {
                    break;
                }
            } else {
                damping *= 10.0;
                if damping > 1e8 {
                    break;
                }
            }
        }
        (best, p)
    }

    /// d log D / d p_k, by central differences.
    fn slope(&self, p: &[f64], k: usize) -> Vec<f64> {
        const STEP: f64 = 1e-5;
        let (mut up, mut down) = (p.to_vec(), p.to_vec());
        up[k] += STEP;
        down[k] -= STEP;
        let (a, b) = (self.model.curve(self.lags, &up), self.model.curve(self.lags, &down));
        a.iter().zip(&b).map(|(a, b)| (a.ln() - b.ln()) / (2.0 * STEP)).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
