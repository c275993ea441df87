//! Checkpoints: where a killed run goes on, in a folder that belongs to the step's key.
//!
//! A checkpoint is the model with the weights of that moment, so that it can be used as one. What else a
//! run needs stands beside the weights as constants that no node reads. Its name holds the digest of its
//! bytes: one that is not whole is not used.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use onnx_graph::model::Model;
use onnx_graph::proto::TensorProto;
use onnx_graph::tensor::{DataType, constant_of, floats, ints, numbers, read_floats, read_ints};
use onnx_graph::train::{State, with_parameters};

use super::history::Score;
use crate::model::{Held, Resume, Values, parameters};
use crate::stage::{Digest, Failure};

/// Time between two checkpoints, if no number of steps is said.
const PAUSE: Duration = Duration::from_secs(10);
/// Writing takes at most one part in so many of the time.
const SHARE: u32 = 20;

/// What a run has made so far, besides its states.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Loss of every step.
    pub losses: Vec<f32>,
    /// Right answers of every step, where they are counted.
    pub right: Vec<f32>,
    /// What was measured behind each epoch.
    pub held_out: Vec<Score>,
    /// Recorded steps.
    pub recorded: Vec<usize>,
    /// For each recorded value those of all these steps.
    pub values: Vec<Vec<f32>>,
}

/// Writes and reads the checkpoints of one step.
pub struct Checkpoints<'a> {
    folder: PathBuf,
    /// The model in the form whose constants are the parameters.
    model: &'a Model,
    states: &'a [State],
    /// Steps between two, if they are counted.
    every: Option<usize>,
    /// The step of the latest one.
    last: usize,
    next: Instant,
}

impl<'a> Checkpoints<'a> {
    /// Those in `folder`, which need not be there yet.
    pub fn new(folder: &Path, model: &'a Model, states: &'a [State], every: Option<usize>) -> Self {
        let next = Instant::now() + PAUSE;
        Checkpoints { folder: folder.to_owned(), model, states, every, last: 0, next }
    }

    /// The latest one that is whole, if there is one.
    pub fn latest(&mut self) -> Option<(Resume, Past)> {
        let found = self.files().into_iter().filter_map(|path| self.read(&path));
        let (resume, past) = found.max_by_key(|(resume, _)| resume.step)?;
        self.last = resume.step;
        Some((resume, past))
    }

    /// Drops what is there, for the run begins at its beginning: was there anything?
    pub fn begin_anew(&mut self) -> bool {
        let files = self.files();
        for path in &files {
            // One that stays would be older than the next.
            let _ = std::fs::remove_file(path);
        }
        self.last = 0;
        !files.is_empty()
    }

    /// Writes one if it is time.
    pub fn offer(
        &mut self,
        step: usize,
        states: &[(String, Held)],
        past: impl FnOnce() -> Past,
    ) -> Result<(), Failure> {
        let due = match self.every {
            Some(every) => step / every.max(1) > self.last / every.max(1),
            None => Instant::now() >= self.next,
        };
        if due {
            let begun = Instant::now();
            self.write(step, states, &past())?;
            self.next = Instant::now() + PAUSE.max(begun.elapsed() * SHARE);
        }
        Ok(())
    }

    /// The latest checkpoint's step and path, once these states were kept if all their numbers are finite.
    pub fn keep(
        &mut self,
        step: usize,
        states: &[(String, Held)],
        past: &Past,
    ) -> Result<Option<(usize, PathBuf)>, Failure> {
        let mut sound = step > self.last;
        for (name, held) in states {
            sound = sound && matches!(held.array(name)?.1, Values::F32(v) if v.iter().all(|x| x.is_finite()));
        }
        if sound {
            self.write(step, states, past)?;
        }
        Ok(self.files().pop().filter(|_| self.last > 0).map(|path| (self.last, path)))
    }

    fn files(&self) -> Vec<PathBuf> {
        models_in(&self.folder)
    }

    fn write(&mut self, step: usize, states: &[(String, Held)], past: &Past) -> Result<(), Failure> {
        let wrong = |e: onnx_graph::error::Error| Failure::new(e.to_string());
        let array = |name: &str| {
            let held = states.iter().find(|(known, _)| known == name).map(|(_, held)| held.array(name));
            match held.transpose()? {
                Some((_, Values::F32(values))) => Ok(values),
                _ => Err(Failure::new(format!("the state `{name}` was lost"))),
            }
        };
        let mut model =
            with_parameters(self.model, self.states, &parameters(self.states, states)?).map_err(wrong)?;
        let mut more = vec![ints(&name("step"), &[], &[step as i64])];
        for (slot, _) in self.states.iter().flat_map(|s| &s.slots) {
            more.push(list(slot, &array(slot)?));
        }
        more.push(list("losses", &past.losses));
        more.push(list("right", &past.right));
        let held_out: Vec<f64> = past.held_out.iter().flat_map(|(loss, right)| [*loss, *right]).collect();
        let count = [held_out.len() as i64];
        more.push(constant_of(&name("held_out"), DataType::Double, &count, &held_out).map_err(wrong)?);
        let recorded: Vec<i64> = past.recorded.iter().map(|s| *s as i64).collect();
        more.push(ints(&name("recorded"), &[recorded.len() as i64], &recorded));
        more.extend(past.values.iter().enumerate().map(|(i, v)| list(&format!("values.{i}"), v)));
        if let Some(graph) = model.0.graph.as_mut() {
            graph.initializer.extend(more);
        }
        let bytes = model.to_bytes();
        let old = self.files();
        crate::fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(format!("{}.onnx", Digest::of(&bytes).hex()));
        crate::fs::write_atomic(&path, &bytes)?;
        for other in old.into_iter().filter(|o| *o != path) {
            // One too many does no harm: the latest counts.
            let _ = std::fs::remove_file(other);
        }
        self.last = step;
        Ok(())
    }

    fn read(&self, path: &Path) -> Option<(Resume, Past)> {
        let bytes = std::fs::read(path).ok()?;
        let named = path.file_stem()?.to_str()?;
        if Digest::of(&bytes).hex() != named {
            return None;
        }
        let model = Model::read(&bytes).ok()?;
        let constants = &model.graph().ok()?.initializer;
        let find = |name: &str| constants.iter().find(|t| t.name.as_deref() == Some(name));
        let floats = |part: &str| read_floats(find(&name(part))?).ok();
        let mut states = Vec::new();
        for state in self.states {
            states.push((state.value.0.clone(), read_floats(find(&state.parameter)?).ok()?));
            for (slot, _) in &state.slots {
                states.push((slot.clone(), floats(slot)?));
            }
        }
        let step = *read_ints(find(&name("step"))?).ok()?.first()?;
        let recorded = read_ints(find(&name("recorded"))?).ok()?;
        let held_out = numbers(find(&name("held_out"))?).ok()?;
        let past = Past {
            losses: floats("losses")?,
            right: floats("right")?,
            held_out: held_out.as_chunks::<2>().0.iter().map(|[loss, right]| (*loss, *right)).collect(),
            recorded: recorded.into_iter().map(|s| s as usize).collect(),
            values: (0..).map_while(|i| floats(&format!("values.{i}"))).collect(),
        };
        Some((Resume { step: usize::try_from(step).ok()?, states }, past))
    }
}

/// The models in a folder, which need not be there.
pub(super) fn models_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "onnx")).collect()
}

/// The loss became no number: where the latest checkpoint is, and what can be done.
pub fn lost((step, loss): (usize, f32), kept: Option<(usize, PathBuf)>) -> Failure {
    let failure = Failure::new(format!("the loss is {loss} at step {step}"));
    match kept {
        Some((at, path)) => failure.hint(format!(
            "lower `learning_rate`; the model behind step {at} is kept as {}: a copy of it in the project \
             can be read by `ingest.model`",
            path.display()
        )),
        None => failure.hint("lower `learning_rate`"),
    }
}

/// A name that no parameter has.
fn name(part: &str) -> String {
    format!("checkpoint::{part}")
}

fn list(part: &str, values: &[f32]) -> TensorProto {
    floats(&name(part), &[values.len() as i64], values)
}
