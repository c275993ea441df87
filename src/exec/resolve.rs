//! From a step whose inputs are known to its key, and from the key to its recorded result.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Memory, Session};
use crate::key::{InputPart, Manifest, Part};
use crate::plan::{Plan, Source, StepId, context};
use crate::stage::{Digest, Facts, Failure, PortType};
use crate::store::{Health, Moment, Output};

/// Outputs of a step; shared, for wide fans read them often.
pub type Outputs = Arc<Vec<Output>>;

/// A step's key and what it is the hash of.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The key.
    pub key: Digest,
    /// The manifest.
    pub manifest: Manifest,
}

/// Computes keys and finds recorded results.
pub struct Resolver<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The project.
    pub session: &'a Session<'a>,
    /// What the last run remembered.
    pub memory: &'a Memory,
    runtime: Mutex<HashMap<Vec<String>, String>>,
    /// Steps whose damage was named: it is looked at more than once.
    told: Mutex<HashSet<StepId>>,
}

impl<'a> Resolver<'a> {
    /// A resolver for `plan`.
    pub fn new(plan: &'a Plan, session: &'a Session<'a>, memory: &'a Memory) -> Self {
        Resolver { plan, session, memory, runtime: Mutex::default(), told: Mutex::default() }
    }

    /// The key of a step, all of whose upstream outputs are known through `outputs`; its files as of `moment`.
    ///
    /// # Errors
    /// If a file cannot be read, or the step's execution provider does not work here.
    pub fn resolve(
        &self,
        id: StepId,
        moment: Moment,
        outputs: &dyn Fn(StepId) -> Option<Outputs>,
    ) -> Result<Resolved, Failure> {
        let step = &self.plan.steps[id];
        let mut held: HashMap<StepId, Outputs> = HashMap::with_capacity(step.upstream.len());
        for &source in &step.upstream {
            let found = outputs(source)
                .ok_or_else(|| Failure::new(format!("`{}` has no result", self.plan.steps[source].name)))?;
            held.insert(source, found);
        }
        let files = step
            .files
            .iter()
            .map(|binding| {
                binding
                    .found
                    .iter()
                    .map(|file| match &file.producer {
                        Some((source, port)) => output(&held, *source, port).map(Output::content),
                        None => Ok(self.session.index.look(file.path.as_str(), moment)?),
                    })
                    .collect::<Result<Vec<Digest>, Failure>>()
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        let mut inputs = Vec::with_capacity(step.inputs.len());
        for (port, bindings) in &step.inputs {
            let mut parts = Vec::with_capacity(bindings.len());
            for binding in bindings {
                parts.push(match &binding.from {
                    Source::Step(source, name) => {
                        let out = output(&held, *source, name)?;
                        InputPart {
                            ty: out.ty,
                            axes: &binding.axes,
                            object: out.object,
                            table: out.facts.table(),
                        }
                    }
                    Source::File(path) => InputPart {
                        ty: PortType::File,
                        axes: &binding.axes,
                        object: self.session.index.look(path.as_str(), moment)?,
                        table: None,
                    },
                    Source::Url(_, digest) => {
                        InputPart { ty: PortType::File, axes: &binding.axes, object: *digest, table: None }
                    }
                });
            }
            inputs.push((port.as_str(), parts));
        }
        let reads = if step.inputs.is_empty() {
            BTreeMap::new()
        } else {
            step.kind.reads(&step.params, &self.known_context(id, &held))
        };
        let runtime = if step.kind.uses_runtime() { Some(self.runtime(&step.providers)?) } else { None };
        let env = self.env(id);
        let env = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let manifest = Manifest::new(step, &Part { inputs, files, reads, env, runtime: runtime.as_deref() });
        Ok(Resolved { key: manifest.key(), manifest })
    }

    /// Declared environment variables that a step sees: kinds in the process see none.
    pub fn env(&self, id: StepId) -> Vec<(String, String)> {
        if self.plan.steps[id].kind.name() != "command" {
            return Vec::new();
        }
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        self.session.env.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }

    /// The recorded result of a key, if it is there and whole. A damaged object is put aside and named.
    pub fn recall(
        &self,
        id: StepId,
        key: &Digest,
        moment: Moment,
        damaged: &mut dyn FnMut(String),
    ) -> Option<Outputs> {
        let step = &self.plan.steps[id];
        if step.options.cache == Some(false) {
            return None;
        }
        let outputs = match self.memory.outputs(&step.name, key) {
            Some(outputs) => outputs,
            None => Arc::new(self.session.store.use_record(key)?.outputs),
        };
        let fits = step.outputs.iter().all(|port| outputs.iter().any(|o| o.port == port.name));
        if !fits || outputs.len() != step.outputs.len() {
            return None;
        }
        for out in outputs.iter() {
            let what = match self.session.store.health_of(out.ty, &out.object, &self.session.index, moment) {
                Health::Sound => continue,
                Health::Missing => "is missing",
                Health::Corrupt => {
                    let _ = self.session.store.quarantine(&out.object);
                    "is damaged and was put aside"
                }
            };
            if self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
                damaged(format!("the object {} of its output `{}` {what}", out.object.short(), out.port));
            }
            return None;
        }
        Some(outputs)
    }

    /// Asks for every execution provider that `steps` name, before anything runs. Steps on the
    /// processor alone are not asked for: that works everywhere, and asking may fetch the runtime.
    ///
    /// # Errors
    /// The first step none of whose providers works here.
    pub fn check_providers(&self, steps: &[StepId]) -> Result<(), (StepId, Failure)> {
        for &id in steps {
            let step = &self.plan.steps[id];
            if step.kind.uses_runtime() && step.providers != ["cpu"] {
                self.runtime(&step.providers).map_err(|failure| (id, failure))?;
            }
        }
        Ok(())
    }

    /// What stands for runtime and provider in a key, asked once for each list of providers.
    fn runtime(&self, providers: &[String]) -> Result<String, Failure> {
        let mut known = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = known.get(providers) {
            return Ok(text.clone());
        }
        let host = self.session.host.ok_or_else(|| Failure::new("this build runs no models"))?;
        let text = host.identity(providers)?;
        known.insert(providers.to_vec(), text.clone());
        Ok(text)
    }

    fn known_context(&self, id: StepId, held: &HashMap<StepId, Outputs>) -> crate::stage::InferContext {
        let facts = |source: StepId, port: &str| {
            held.get(&source)
                .and_then(|o| o.iter().find(|o| o.port == port))
                .map_or(Facts::Opaque, |o| o.facts.clone())
        };
        context(self.plan, id, &facts)
    }
}

fn output<'h>(held: &'h HashMap<StepId, Outputs>, source: StepId, port: &str) -> Result<&'h Output, Failure> {
    let found = held.get(&source).and_then(|outputs| outputs.iter().find(|o| o.port == port));
    found.ok_or_else(|| Failure::new(format!("an upstream result lacks the output `{port}`")))
}
