//! The tables of `dynamics.hessian`.

use science::dynamics::spectrum::{Dense, Density, Found, Pair};
use science::linalg::Mat;

use super::hessian::{Matrix, Params};
use super::normalisation::BatchNorm;
use crate::stage::Failure;
use crate::table::{Frame, Tensor};

/// Eigenpairs with their ranks from the top.
pub enum Rows {
    /// All, and the ranks of those whose vectors are kept.
    All(Dense, Vec<usize>),
    /// Those at the ends.
    Ends(Found, Vec<usize>),
}

impl Rows {
    pub fn of_dense(dense: Dense, largest: usize, smallest: usize) -> Self {
        let count = dense.values.len();
        let kept = (0..largest).chain(count - smallest..count).collect();
        Rows::All(dense, kept)
    }

    pub fn of_ends(found: Found, largest: usize, parameters: usize) -> Self {
        let smallest = found.pairs.len() - largest;
        let ranks = (0..largest).chain(parameters - smallest..parameters).collect();
        Rows::Ends(found, ranks)
    }

    /// All vectors that are known, in columns.
    pub fn directions(&self, parameters: usize) -> Mat<f64> {
        match self {
            Rows::All(dense, _) => dense.vectors.clone(),
            Rows::Ends(found, _) => {
                Mat::from_fn(parameters, found.pairs.len(), |i, k| found.pairs[k].vector[i])
            }
        }
    }

    /// Rank, eigenvalue and residual of all that are known.
    fn known(&self) -> Vec<(usize, f64, f64)> {
        match self {
            Rows::All(dense, _) => {
                let both = dense.values.iter().zip(&dense.residuals);
                both.enumerate().map(|(k, (v, r))| (k, *v, *r)).collect()
            }
            Rows::Ends(found, ranks) => {
                ranks.iter().zip(&found.pairs).map(|(k, p)| (*k, p.value, p.residual)).collect()
            }
        }
    }

    /// The pairs whose vectors are kept: place among the known, rank, pair.
    fn kept(&self) -> Vec<(usize, usize, Pair)> {
        match self {
            Rows::All(dense, kept) => kept.iter().filter_map(|k| Some((*k, *k, dense.pair(*k)?))).collect(),
            Rows::Ends(found, ranks) => {
                ranks.iter().zip(&found.pairs).enumerate().map(|(i, (k, p))| (i, *k, p.clone())).collect()
            }
        }
    }
}

/// What a run found.
pub struct Report {
    pub rows: Rows,
    pub density: Option<Density>,
    /// tr C, and the noise along every direction that is known.
    pub noise: Option<(f64, Vec<f64>)>,
    pub loss: f64,
    pub gradient: f64,
    pub parameters: usize,
    pub samples: usize,
    pub products: usize,
}

impl Report {
    /// The pairs with their vectors, in float32 as `model.train` takes them.
    pub fn pairs(&self) -> Result<Frame, Failure> {
        let kept = self.rows.kept();
        let mut frame = Frame::new();
        frame.push_i64s("mode", kept.iter().map(|(_, rank, _)| *rank as i64).collect())?;
        frame.push_f64s("eigenvalue", kept.iter().map(|(.., p)| p.value).collect())?;
        frame.push_f64s("residual", kept.iter().map(|(.., p)| p.residual).collect())?;
        if let Some((_, along)) = &self.noise {
            frame.push_f64s(
                "noise",
                kept.iter().map(|(at, ..)| along.get(*at).copied().unwrap_or(f64::NAN)).collect(),
            )?;
        }
        let values = kept.iter().flat_map(|(.., p)| p.vector.iter().map(|v| *v as f32)).collect();
        frame.push_tensor_f32("vector", Tensor { row_shape: vec![self.parameters], values })?;
        Ok(frame)
    }

    /// All eigenvalues that are known.
    pub fn spectrum(&self) -> Result<Frame, Failure> {
        let known = self.rows.known();
        let mut frame = Frame::new();
        frame.push_i64s("mode", known.iter().map(|k| k.0 as i64).collect())?;
        frame.push_f64s("eigenvalue", known.iter().map(|k| k.1).collect())?;
        frame.push_f64s("residual", known.iter().map(|k| k.2).collect())?;
        if let Some((_, along)) = &self.noise {
            frame.push_f64s("noise", along.clone())?;
        }
        Ok(frame)
    }

    /// One row.
    pub fn summary(&self, params: &Params) -> Result<Frame, Failure> {
        let largest = self.rows.known().iter().fold(0.0, |m: f64, k| m.max(k.1.abs()));
        let worst = self.rows.kept().iter().fold(0.0, |m: f64, (.., p)| m.max(p.residual));
        let (trace, error, asymmetry) = match (&self.rows, &self.density) {
            (Rows::All(dense, _), _) => (dense.trace, 0.0, dense.asymmetry),
            (_, Some(density)) => (density.trace, density.trace_error, f64::NAN),
            _ => (f64::NAN, f64::NAN, f64::NAN),
        };
        let converged = match &self.rows {
            Rows::All(..) => true,
            Rows::Ends(found, _) => found.converged,
        };
        let mut frame = Frame::new();
        let curvature = match params.curvature {
            Matrix::Hessian => "hessian",
            Matrix::GaussNewton => "gauss_newton",
        };
        let norm = match params.batch_norm {
            BatchNorm::Running => "running",
            BatchNorm::Batch => "batch",
        };
        frame.push_strings("curvature", &[curvature])?;
        frame.push_strings("batch_norm", &[norm])?;
        frame.push_strings("precision", &["float32 products"])?;
        frame.push_i64s("parameters", vec![self.parameters as i64])?;
        frame.push_i64s("rows", vec![self.samples as i64])?;
        frame.push_f64s("loss", vec![self.loss])?;
        frame.push_f64s("gradient_norm", vec![self.gradient])?;
        frame.push_f64s("trace", vec![trace])?;
        frame.push_f64s("trace_error", vec![error])?;
        if let Some((total, _)) = &self.noise {
            frame.push_f64s("noise_trace", vec![*total])?;
        }
        frame.push_i64s("products", vec![self.products as i64])?;
        frame.push_strings("converged", &[if converged { "yes" } else { "no" }])?;
        frame.push_f64s("relative_residual", vec![worst / largest])?;
        frame.push_f64s("asymmetry", vec![asymmetry])?;
        Ok(frame)
    }

    /// The density as a curve.
    pub fn curve(density: &Density) -> Result<Frame, Failure> {
        let mut frame = Frame::new();
        frame.push_f64s("eigenvalue", density.curve.iter().map(|c| c.0).collect())?;
        frame.push_f64s("density", density.curve.iter().map(|c| c.1).collect())?;
        Ok(frame)
    }
}
