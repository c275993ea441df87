//! What makes a set of stimuli good, by the method's name.

use schemars::JsonSchema;
use science::design::cover::{Coverage, Distance};
use science::design::decorrelate::Decorrelation;
use science::design::disagree::{Additive, Separation, controversiality, jensen_shannon};
use science::design::drive::Drive;
use science::design::optimal::{Aim, Learning};
use science::design::search::Criterion;
use science::linalg::{Mat, MatRef};
use serde::{Deserialize, Serialize};

use super::predictions::Predictions;
use super::select::Params;
use crate::kinds::wrong;
use crate::stage::Failure;

/// How stimuli are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// At random.
    Random,
    /// At random, from each group of `group` in proportion to its size.
    Stratified,
    /// Each the farthest from those before.
    KCenter,
    /// So that the pool's mean distance from its nearest chosen stimulus is small.
    Coverage,
    /// So that the weights of a linear model are known best, as a volume.
    DOptimal,
    /// So that the weights of a linear model are known best, as a mean variance.
    AOptimal,
    /// So that responses are expected to tell most about the weights of a ridge regression.
    Information,
    /// So that models disagree, as `measure` says.
    Controversial,
    /// So that models have different representational geometries.
    RdmDecorrelated,
    /// So that the predicted response is high.
    Drive,
    /// So that the predicted response is low.
    Suppress,
}

/// What a method looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The stimuli's names.
    Names,
    /// Their features.
    Features,
    /// Predictions of so many models.
    Models(usize),
}

impl Method {
    pub fn needs(self) -> Needs {
        match self {
            Method::Random | Method::Stratified => Needs::Names,
            Method::Controversial | Method::RdmDecorrelated => Needs::Models(2),
            Method::Drive | Method::Suppress => Needs::Models(1),
            _ => Needs::Features,
        }
    }

    /// The name as files have it.
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// How disagreement is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The bound on the probability of naming a wrong model after the whole set: every pair is served.
    #[default]
    ErrorBound,
    /// Jensen–Shannon divergence, summed over pairs of models.
    JensenShannon,
    /// One model sure of one class, the other of another, summed over pairs; takes `link: sigmoid`.
    Controversiality,
}

/// A criterion with how its numbers are to be read.
pub struct Judge {
    pub criterion: Box<dyn Criterion>,
    /// What `value` is.
    pub name: &'static str,
    /// −1 where the criterion makes its number small.
    pub sign: f64,
    pub scores: Scores,
}

/// The score of a stimulus.
pub enum Scores {
    /// The value of the set up to it.
    UpTo,
    /// Its own number.
    Own(Vec<f64>),
    /// The value of the whole set.
    Whole,
}

/// What there is to judge by.
pub struct Material<'a> {
    pub features: Option<&'a Mat<f64>>,
    pub predictions: Option<&'a Predictions>,
    /// Rows of the pool that were measured before.
    pub measured: &'a [usize],
}

impl Material<'_> {
    fn features(&self) -> Result<MatRef<'_, f64>, Failure> {
        let found = self.features.map(Mat::as_ref);
        found.ok_or_else(|| Failure::new("the method needs features: bind `pool`"))
    }

    fn predictions(&self) -> Result<&Predictions, Failure> {
        self.predictions.ok_or_else(|| Failure::new("the method needs predictions"))
    }
}

/// The criterion of a method; `None` where stimuli are not judged as a set.
pub fn judge(params: &Params, material: &Material) -> Result<Option<Judge>, Failure> {
    let learning = |aim| {
        let features = material.features()?;
        let rows = Mat::from_fn(material.measured.len(), features.ncols(), |i, j| {
            features[(material.measured[i], j)]
        });
        let made = Learning::new(aim, features, Some(rows.as_ref()), params.ridge).map_err(wrong)?;
        Ok::<_, Failure>(Box::new(made))
    };
    let up_to =
        |criterion: Box<dyn Criterion>, name, sign| Judge { criterion, name, sign, scores: Scores::UpTo };
    Ok(Some(match params.method {
        Method::Random | Method::Stratified => return Ok(None),
        Method::KCenter => {
            let radius = Coverage::new(Distance::Largest, material.features()?).map_err(wrong)?;
            up_to(Box::new(radius), "radius", -1.0)
        }
        Method::Coverage => {
            let coverage = Coverage::new(Distance::Mean, material.features()?).map_err(wrong)?;
            up_to(Box::new(coverage), "mean-distance-of-pool", -1.0)
        }
        Method::DOptimal => up_to(learning(Aim::Determinant)?, "log-det", 1.0),
        Method::AOptimal => up_to(learning(Aim::Trace)?, "trace-of-inverse", -1.0),
        Method::Information => up_to(learning(Aim::Information)?, "information:bits", 1.0),
        Method::Controversial => controversial(params, material.predictions()?)?,
        Method::RdmDecorrelated => {
            let predictions = material.predictions()?;
            let matrix = |values: &Vec<f64>| {
                MatRef::from_row_major_slice(values, predictions.ids.len(), predictions.width).to_owned()
            };
            let models: Vec<Mat<f64>> = predictions.values.iter().map(matrix).collect();
            let models: Vec<MatRef<'_, f64>> = models.iter().map(Mat::as_ref).collect();
            let criterion = Decorrelation::new(&models).map_err(|e| predictions.named(e))?;
            let (criterion, name) = (Box::new(criterion), "mean-correlation-of-rdms");
            Judge { criterion, name, sign: -1.0, scores: Scores::Whole }
        }
        Method::Drive | Method::Suppress => {
            let responses = responses(params, material.predictions()?)?;
            let sign = if params.method == Method::Drive { 1.0 } else { -1.0 };
            let signed: Vec<f64> = responses.iter().map(|r| sign * r).collect();
            let features = material.features.map(Mat::as_ref);
            let criterion = Drive::new(&signed, features, params.diversity).map_err(wrong)?;
            let name = "mean-z-of-response+diversity";
            Judge { criterion: Box::new(criterion), name, sign: 1.0, scores: Scores::Own(responses) }
        }
    }))
}

fn controversial(params: &Params, predictions: &Predictions) -> Result<Judge, Failure> {
    let named = |e| predictions.named(e);
    if let Some(noise) = params.noise {
        let models: Vec<&[f64]> = predictions.values.iter().map(Vec::as_slice).collect();
        let prior = vec![1.0 / models.len() as f64; models.len()];
        let criterion = Separation::of_numbers(&models, predictions.width, noise, &prior).map_err(named)?;
        let (criterion, name) = (Box::new(criterion), "error-bound:gaussian");
        return Ok(Judge { criterion, name, sign: -1.0, scores: Scores::UpTo });
    }
    let answers = predictions.answers(params.link)?;
    let (disagreement, name) = match params.measure {
        Measure::ErrorBound => {
            let prior = vec![1.0 / answers.models() as f64; answers.models()];
            let criterion = Box::new(Separation::new(&answers, &prior).map_err(named)?);
            return Ok(Judge { criterion, name: "error-bound", sign: -1.0, scores: Scores::UpTo });
        }
        Measure::JensenShannon => {
            (jensen_shannon(&answers).map_err(named)?, "jensen-shannon:bits:sum-of-pairs")
        }
        Measure::Controversiality => (controversiality(&answers), "controversiality:sum-of-pairs"),
    };
    let criterion = Additive::over_pairs(&disagreement);
    if criterion.0.iter().all(|score| *score <= 0.0) {
        return Err(Failure::new("the models agree on every stimulus: none is controversial"));
    }
    let scores = Scores::Own(criterion.0.clone());
    Ok(Judge { criterion: Box::new(criterion), name, sign: 1.0, scores })
}

/// The mean over models of the response that is to be driven.
fn responses(params: &Params, predictions: &Predictions) -> Result<Vec<f64>, Failure> {
    let width = predictions.width;
    if params.unit >= width {
        let text = format!("there is no unit {}: the predictions have {width} outputs", params.unit);
        return Err(Failure::new(text).hint("units are counted from 0"));
    }
    let count = predictions.values.len().max(1) as f64;
    let of =
        |row: usize| predictions.values.iter().map(|v| v[row * width + params.unit]).sum::<f64>() / count;
    Ok((0..predictions.ids.len()).map(of).collect())
}
