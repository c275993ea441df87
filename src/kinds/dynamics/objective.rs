//! A model's mean loss over a table: what kinds that look at its curvature or its course are asked and read alike.

use std::collections::BTreeMap;

use onnx_graph::model::Model;
use onnx_graph::passes::normal;

use super::batches::Samples;
use super::curvature::{Setting, wrong};
use super::normalisation::{BatchNorm, by_batch};
use crate::kinds::artefacts::runtime;
use crate::kinds::model::facts;
use crate::kinds::model::train::Loss;
use crate::stage::{Complaint, Failure, InferContext, Io, Reads, TableFacts};

/// The parameters that say so, of a kind with the ports `model` and `data`.
pub(super) struct Objective<'p> {
    /// The column that feeds the model.
    pub input: Option<&'p str>,
    /// The column with the targets.
    pub target: Option<&'p str>,
    pub loss: Loss,
    pub batch_norm: BatchNorm,
    /// Rows of one call into the runtime at most.
    pub rows: usize,
}

/// The model in its normal form and the rows that the loss is the mean over.
pub(super) struct Opened {
    model: Model,
    pub samples: Samples,
    loss: Loss,
    rows: usize,
}

impl Objective<'_> {
    fn columns(&self, table: &TableFacts) -> Result<(String, String), Complaint> {
        Ok((facts::input_column(table, self.input, "input")?, facts::target_column(table, self.target)?))
    }

    /// What is read of `data`.
    pub fn reads(&self, context: &InferContext) -> BTreeMap<String, Reads> {
        let columns = context.input("data").table().and_then(|t| self.columns(t).ok());
        columns
            .map(|(a, b)| BTreeMap::from([("data".to_owned(), Reads::columns([a, b]))]))
            .unwrap_or_default()
    }

    /// Whether what is known of `data` fits what is known of `model`.
    pub fn check(&self, context: &InferContext) -> Result<(), Complaint> {
        let input = facts::only_input(context.input("model"))?;
        if let Some(table) = context.input("data").table() {
            let (data, _) = self.columns(table)?;
            if let Some(input) = input {
                facts::check_shape(table, &data, input)?;
            }
        }
        Ok(())
    }

    /// Reads both.
    pub fn open(&self, io: &Io) -> Result<Opened, Failure> {
        let mut model = normal(&facts::read(io.input("model")?)?).map_err(wrong)?;
        if self.batch_norm == BatchNorm::Batch {
            by_batch(&mut model);
        }
        let bound = io.input("data")?;
        let schema = bound.facts.table().cloned().unwrap_or_default();
        let (input, target) = self.columns(&schema).map_err(|c| Failure::new(c.message))?;
        let samples = Samples::read(bound, (&input, &target), self.loss, &model)?;
        Ok(Opened { model, samples, loss: self.loss, rows: self.rows })
    }
}

impl Opened {
    /// Where and in what batches the loss is computed.
    pub fn setting<'a>(&'a self, io: &'a Io) -> Result<Setting<'a>, Failure> {
        Ok(Setting {
            model: &self.model,
            loss: self.loss.graph(0.0),
            runtime: runtime(io)?,
            providers: &io.providers,
            threads: io.threads,
            rows: self.rows.min(self.samples.rows()),
        })
    }
}
