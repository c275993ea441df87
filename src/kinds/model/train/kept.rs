//! The models of the steps that `checkpoints` names: each is an output of its own.
//!
//! They lie beside the checkpoint that a killed run goes on from, so that it need not train for them again.
//! A file's name holds its step and the digest of its bytes: one that is not whole is not used.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use onnx_graph::model::Model;
use onnx_graph::train::{State, with_parameters};

use super::checkpoint::models_in;
use crate::kinds::artefacts::put_model;
use crate::model::{Held, parameters};
use crate::stage::{Digest, Failure, Io};

/// The output port of a step's model.
pub fn port(step: usize) -> String {
    format!("step_{step}")
}

/// The step and the digest in a file's name.
fn named(path: &Path) -> Option<(usize, &str)> {
    let (step, digest) = path.file_stem()?.to_str()?.split_once('-')?;
    Some((step.parse().ok()?, digest))
}

/// Writes and reads the models of declared steps.
pub struct Kept<'a> {
    folder: PathBuf,
    steps: &'a [usize],
    /// The model that the run begins with.
    model: &'a Model,
    states: &'a [State],
    files: BTreeMap<usize, PathBuf>,
}

impl<'a> Kept<'a> {
    /// Those of `steps`, below the folder of the run's checkpoints, which need not be there yet.
    pub fn new(checkpoints: &Path, steps: &'a [usize], model: &'a Model, states: &'a [State]) -> Self {
        Kept { folder: checkpoints.join("kept"), steps, model, states, files: BTreeMap::new() }
    }

    /// Takes over what a run kept that was stopped behind `step` or later: is all of it there?
    pub fn resume(&mut self, step: usize) -> bool {
        for path in models_in(&self.folder) {
            let Some((at, digest)) = named(&path) else { continue };
            if at <= step && std::fs::read(&path).is_ok_and(|bytes| Digest::of(&bytes).hex() == digest) {
                self.files.insert(at, path);
            }
        }
        let mut wanted = self.steps.iter().filter(|at| (1..=step).contains(*at));
        let whole = wanted.all(|at| self.files.contains_key(at));
        if !whole {
            self.files.clear();
        }
        whole
    }

    /// Keeps the model behind `step`, if that is one of the steps.
    pub fn offer(&mut self, step: usize, states: &[(String, Held)]) -> Result<(), Failure> {
        if !self.steps.contains(&step) {
            return Ok(());
        }
        let model = with_parameters(self.model, self.states, &parameters(self.states, states)?);
        let bytes = model.map_err(|e| Failure::new(e.to_string()))?.to_bytes();
        let path = self.folder.join(format!("{step}-{}.onnx", Digest::of(&bytes).hex()));
        crate::fs::create_dir_all(&self.folder)?;
        crate::fs::write_atomic(&path, &bytes)?;
        // A run that was stopped may have left another: on several threads bits differ.
        let is_other = |other: &PathBuf| named(other).is_some_and(|(at, _)| at == step) && *other != path;
        for other in models_in(&self.folder).into_iter().filter(is_other) {
            std::fs::remove_file(&other)
                .map_err(|e| Failure::new(format!("cannot remove {other:?}: {e}")))?;
        }
        self.files.insert(step, path);
        Ok(())
    }

    /// Puts every one to its port. A run that ended before a step has moved no further than `last`.
    pub fn put(self, io: &mut Io, last: &Model) -> Result<(), Failure> {
        for step in self.steps {
            let read;
            let model = match self.files.get(step) {
                Some(path) => {
                    read = Model::read(&crate::fs::read(path)?).map_err(|e| Failure::new(e.to_string()))?;
                    &read
                }
                None if *step == 0 => self.model,
                None => last,
            };
            put_model(io, &port(*step), model)?;
        }
        Ok(())
    }
}
