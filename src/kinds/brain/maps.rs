//! The linear maps of `brain.encode`.

use science::brain::encode::banded;
use science::brain::encode::folds::{contiguous, without};
use science::brain::encode::nested::nested_while;
use science::brain::encode::pls::Pls;
use science::brain::encode::project::{Pca, sparse};
use science::brain::encode::ridge::{Ridge, best};
use science::error::{Error, Result};
use science::linalg::{Mat, product};

use super::encode::{Choose, Method, Params, Precision, Reduce};
use super::held_out::Data;
use crate::stage::{Cancel, Complaint};

/// Ratios are made for so many bands at most; of more there are too many combinations.
const MOST_BANDS: usize = 6;

/// Predictions for every row, and the penalty of every fold and target: of each band, of all features, or none.
type Answer = (Mat<f64>, Vec<Mat<f64>>);

/// These rows of a matrix.
pub(super) fn take(m: &Mat<f64>, rows: &[usize]) -> Mat<f64> {
    Mat::from_fn(rows.len(), m.ncols(), |i, j| m[(rows[i], j)])
}

fn narrow(m: &Mat<f64>) -> Mat<f32> {
    Mat::from_fn(m.nrows(), m.ncols(), |i, j| m[(i, j)] as f32)
}

impl Params {
    /// Refuses parameters that the method does not have.
    pub(super) fn check_method(&self) -> std::result::Result<(), Complaint> {
        let only = |param: &str| Complaint::param(param, "only `method: ridge` has this choice");
        if self.choose == Choose::LeaveOneOut && self.method != Method::Ridge {
            return Err(only("choose"));
        }
        if self.precision == Precision::Float32 {
            if self.method != Method::Ridge {
                return Err(only("precision"));
            }
            if self.choose == Choose::LeaveOneOut || matches!(self.reduce, Some(Reduce::Pca(_))) {
                let text = "single precision is for penalties chosen by folds, and for features as they are";
                return Err(Complaint::param("precision", text));
            }
        }
        if self.method != Method::Banded {
            return match self.ratios.is_empty() {
                true => Ok(()),
                false => Err(Complaint::param("ratios", "only `method: banded` has ratios")),
            };
        }
        if self.reduce.is_some() {
            return Err(Complaint::param("reduce", "bands are not reduced")
                .hint("reduce the features in a stage before, or choose another method"));
        }
        for (at, ratio) in self.ratios.iter().enumerate() {
            if let Some(bad) = ratio.iter().find(|r| !(**r > 0.0 && r.is_finite())) {
                return Err(Complaint::param(
                    format!("ratios.{at}"),
                    format!("{bad} is not a positive number"),
                ));
            }
        }
        Ok(())
    }

    /// Refuses ratios that do not fit the number of bands.
    pub(super) fn check_bands(&self, bands: usize) -> std::result::Result<(), Complaint> {
        if self.method != Method::Banded {
            return Ok(());
        }
        if let Some(at) = self.ratios.iter().position(|r| r.len() != bands) {
            let text = format!("{} penalties for {bands} bands", self.ratios[at].len());
            return Err(Complaint::param(format!("ratios.{at}"), text));
        }
        if self.ratios.is_empty() && bands > MOST_BANDS {
            let text = format!("{bands} bands have too many combinations of penalties");
            return Err(Complaint::param("ratios", text).hint("list those to choose from"));
        }
        Ok(())
    }

    /// The ratios to choose from.
    fn ratios(&self, bands: usize) -> Vec<Vec<f64>> {
        if !self.ratios.is_empty() {
            return self.ratios.clone();
        }
        // All at 100 is all at 1 with a larger penalty.
        let all = 1_usize << bands.min(MOST_BANDS);
        let ratio = |bits: usize| (0..bands).map(|b| if bits >> b & 1 == 1 { 100.0 } else { 1.0 }).collect();
        (0..all.saturating_sub(1)).map(ratio).collect()
    }

    /// The random projection that is asked for: features × components.
    pub(super) fn projection(&self, data: &Data) -> Result<Option<Mat<f64>>> {
        match self.reduce {
            Some(Reduce::Sparse(count)) => sparse(data.x.ncols(), count, self.seed).map(Some),
            _ => Ok(None),
        }
    }

    /// Predictions for all rows, each from fits that never saw its fold; of the features projected by
    /// `projection` if there is one. Ends with an error between folds when the step is cancelled.
    pub(super) fn predict(
        &self,
        data: &Data,
        projection: Option<&Mat<f64>>,
        cancel: &Cancel,
    ) -> Result<Answer> {
        let go_on = || if cancel.is_cancelled() { Err(Error::new("cancelled")) } else { Ok(()) };
        let projected = projection.map(|p| product(data.x.as_ref(), p.as_ref()));
        let x = projected.as_ref().unwrap_or(&data.x);
        let pca = match self.reduce {
            Some(Reduce::Pca(count)) => Some(count),
            _ => None,
        };
        if self.method == Method::Ridge && self.choose == Choose::Folds && pca.is_none() {
            return self.nested(x, data, &go_on);
        }
        let mut predictions = Mat::zeros(data.y.nrows(), data.y.ncols());
        let mut penalties: Vec<Mat<f64>> = Vec::new();
        let all: Vec<usize> = (0..data.y.nrows()).collect();
        for (fold, held) in data.folds.iter().enumerate() {
            go_on()?;
            let train = without(&all, held);
            let (mut own, mut other) = (take(x, &train), take(x, held));
            if let Some(count) = pca {
                let components = Pca::fit(own.as_ref(), count)?;
                (own, other) = (components.apply(own.as_ref())?, components.apply(other.as_ref())?);
            }
            let (found, chosen) = self.fit_predict(&own, &take(&data.y, &train), &other, data)?;
            penalties.resize_with(chosen.len(), || Mat::zeros(data.folds.len(), data.y.ncols()));
            for (all, of_fold) in penalties.iter_mut().zip(chosen) {
                of_fold.into_iter().enumerate().for_each(|(j, alpha)| all[(fold, j)] = alpha);
            }
            for (i, row) in held.iter().enumerate() {
                (0..found.ncols()).for_each(|j| predictions[(*row, j)] = found[(i, j)]);
            }
        }
        Ok((predictions, penalties))
    }

    fn nested(&self, x: &Mat<f64>, data: &Data, go_on: &dyn Fn() -> Result<()>) -> Result<Answer> {
        if self.precision == Precision::Float64 {
            let ridge = Ridge::new(x.as_ref(), data.y.as_ref())?;
            let found = nested_while(&ridge, &data.folds, self.inner, &self.alphas, go_on)?;
            return Ok((found.predictions, vec![found.alphas]));
        }
        let (x, y) = (narrow(x), narrow(&data.y));
        let ridge = Ridge::new(x.as_ref(), y.as_ref())?;
        let found = nested_while(&ridge, &data.folds, self.inner, &self.alphas, go_on)?;
        let wide = |i, j| f64::from(found.predictions[(i, j)]);
        Ok((Mat::from_fn(y.nrows(), y.ncols(), wide), vec![found.alphas]))
    }

    /// Predictions for held-out rows from a fit on training rows, and the penalty of every band and target.
    fn fit_predict(
        &self,
        x: &Mat<f64>,
        y: &Mat<f64>,
        held: &Mat<f64>,
        data: &Data,
    ) -> Result<(Mat<f64>, Vec<Vec<f64>>)> {
        let rows: Vec<usize> = (0..x.nrows()).collect();
        match self.method {
            Method::Pls => {
                let fit = Pls::fit(x.as_ref(), y.as_ref(), self.components, true)?;
                Ok((fit.predict(held.as_ref())?, Vec::new()))
            }
            Method::Ridge => {
                let ridge = Ridge::new(x.as_ref(), y.as_ref())?;
                let scores = match self.choose {
                    Choose::Folds => {
                        ridge.cross_validate(&rows, &contiguous(&rows, self.inner)?, &self.alphas)?
                    }
                    Choose::LeaveOneOut => -ridge.leave_one_out(&rows, &self.alphas)?,
                };
                let chosen: Vec<f64> = best(scores.as_ref()).into_iter().map(|i| self.alphas[i]).collect();
                Ok((ridge.fit(&rows, &chosen)?.predict(held.as_ref()), vec![chosen]))
            }
            Method::Banded => {
                let ratios = self.ratios(data.bands.len());
                let inner = contiguous(&rows, self.inner)?;
                let chosen = banded::cross_validate(
                    x.as_ref(),
                    y.as_ref(),
                    &data.band,
                    &ratios,
                    &inner,
                    &self.alphas,
                )?;
                let mut predictions = Mat::zeros(held.nrows(), y.ncols());
                for (number, ratio) in ratios.iter().enumerate() {
                    let targets: Vec<usize> = (0..y.ncols()).filter(|j| chosen[*j].ratio == number).collect();
                    if targets.is_empty() {
                        continue;
                    }
                    let scaled = banded::scale(x.as_ref(), &data.band, ratio)?;
                    let own = Mat::from_fn(y.nrows(), targets.len(), |i, j| y[(i, targets[j])]);
                    let alphas: Vec<f64> = targets.iter().map(|j| self.alphas[chosen[*j].alpha]).collect();
                    let fit = Ridge::new(scaled.as_ref(), own.as_ref())?.fit(&rows, &alphas)?;
                    let found = fit.predict(banded::scale(held.as_ref(), &data.band, ratio)?.as_ref());
                    for (j, target) in targets.iter().enumerate() {
                        (0..held.nrows()).for_each(|i| predictions[(i, *target)] = found[(i, j)]);
                    }
                }
                let of = |band: usize| {
                    chosen.iter().map(|c| self.alphas[c.alpha] * ratios[c.ratio][band]).collect()
                };
                Ok((predictions, (0..data.bands.len()).map(of).collect()))
            }
        }
    }
}
