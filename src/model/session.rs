//! Running a graph.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use onnx_graph::model::Model;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{SessionInputValue, SessionInputs};
use ort::value::{DynValue, Tensor, TensorElementType, ValueType};

use super::agreement::Check;
use super::providers::Provider;
use super::runtime::Runtime;
use super::weights::{LARGEST_GRAPH, Parts, fits};
use crate::stage::Failure;

/// A graph made ready by the runtime.
pub struct Session {
    session: ort::session::Session,
    provider: &'static str,
    /// Of the first run.
    check: Option<Check>,
}

/// Values of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit integers.
    I64(Vec<i64>),
}

/// Shape and values.
pub type Array = (Vec<i64>, Values);

/// A tensor in the runtime's hands: it can be fed again and again without being copied.
pub struct Held(DynValue);

impl Held {
    /// Gives values to the runtime.
    ///
    /// # Errors
    /// If the shape does not fit them.
    pub fn new((shape, values): Array) -> Result<Self, Failure> {
        let wrong = failed("a tensor cannot be made");
        Ok(Held(match values {
            Values::F32(v) => Tensor::from_array((shape, v)).map_err(wrong)?.into_dyn(),
            Values::I64(v) => Tensor::from_array((shape, v)).map_err(wrong)?.into_dyn(),
        }))
    }

    /// Its shape and a copy of its values.
    ///
    /// # Errors
    /// If it is neither float32 nor int64.
    pub fn array(&self, name: &str) -> Result<Array, Failure> {
        array(name, &self.0.view())
    }
}

pub(super) fn failed(context: &str) -> impl Fn(ort::Error) -> Failure + '_ {
    move |error| {
        let text = error.to_string();
        let shown: String = text.lines().next().unwrap_or_default().chars().take(400).collect();
        Failure::new(format!("{context}: {shown}"))
    }
}

/// Steps that run beside each other use a device one after the other: the processor serves all at once, but
/// WebGPU's provider crashes when two threads use it.
fn alone(provider: &str) -> Option<MutexGuard<'static, ()>> {
    static DEVICE: Mutex<()> = Mutex::new(());
    (provider != "cpu").then(|| DEVICE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// From this size on weights are not packed again for the processor: the packed copies would take as much
/// memory as the weights. At 500 MB it costs no time that could be measured.
const PACKED_BYTES: usize = 256 << 20;

impl Session {
    /// Prepares a model with the first of `providers` that works, to run on batch after batch. On another provider
    /// than the processor its first outputs are compared with the processor's.
    ///
    /// # Errors
    /// If the runtime does not take the model, or none of the providers works.
    pub fn new(
        runtime: &'static Runtime,
        model: &[u8],
        providers: &[String],
        threads: usize,
    ) -> Result<Self, Failure> {
        let session = Self::first(runtime, &Parts::whole(model), providers, threads, false)?;
        let check = (session.provider != "cpu").then(|| Check::new(runtime, model, threads));
        Ok(Session { check, ..session })
    }

    /// As [`Session::new`]; the weights of a model that is larger than the runtime parses stay beside the graph.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn ready(
        runtime: &'static Runtime,
        model: Model,
        providers: &[String],
        threads: usize,
    ) -> Result<Self, Failure> {
        if model.size() > LARGEST_GRAPH {
            return Self::of(runtime, model, providers, threads);
        }
        Self::new(runtime, &model.to_bytes(), providers, threads)
    }

    /// As [`Session::new`]; where only the processor is asked for, the weights stay beside the graph, which takes
    /// half the time where there are many.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn of(
        runtime: &'static Runtime,
        model: Model,
        providers: &[String],
        threads: usize,
    ) -> Result<Self, Failure> {
        if providers.iter().any(|name| name != "cpu") {
            fits(model.size())?;
            return Self::new(runtime, &model.to_bytes(), providers, threads);
        }
        Self::first(runtime, &Parts::of(model)?, providers, threads, false)
    }

    /// As [`Session::new`], for a loop of training steps: it parts from the processor's by chaos, so nothing is
    /// compared. With `planned`, memory is planned from the first run as one block, which makes small steps a sixth
    /// faster and stands beside what that run left in the arena.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn for_steps(
        runtime: &'static Runtime,
        model: &[u8],
        providers: &[String],
        threads: usize,
        planned: bool,
    ) -> Result<Self, Failure> {
        Self::first(runtime, &Parts::whole(model), providers, threads, planned)
    }

    fn first(
        runtime: &'static Runtime,
        model: &Parts,
        providers: &[String],
        threads: usize,
        planned: bool,
    ) -> Result<Self, Failure> {
        let mut last = None;
        for name in providers {
            let provider = Provider::named(name)?;
            let chosen = runtime.choose(std::slice::from_ref(name));
            match chosen.and_then(|_| Self::with(runtime, model, provider, threads, planned)) {
                Ok(session) => return Ok(session),
                Err(failure) => last = last.or(Some(failure)),
            }
        }
        Err(last.unwrap_or_else(|| Failure::new("no execution provider is named")))
    }

    fn with(
        runtime: &'static Runtime,
        model: &Parts,
        provider: &Provider,
        threads: usize,
        planned: bool,
    ) -> Result<Self, Failure> {
        fits(model.graph.len())?;
        let wrong = failed("ONNX Runtime does not take the model");
        let text = |error: &dyn std::fmt::Display| Failure::new(format!("ONNX Runtime: {error}"));
        // Spinning threads of several sessions take the cores from each other: off.
        let mut builder = ort::session::Session::builder(&runtime.environment)
            .map_err(&wrong)?
            .with_intra_threads(threads)
            .map_err(|e| text(&e))?
            .with_inter_threads(1)
            .map_err(|e| text(&e))?
            .with_intra_op_spinning(false)
            .map_err(|e| text(&e))?
            .with_deterministic_compute(true)
            .map_err(|e| text(&e))?
            // What it has to say comes back as an error.
            .with_log_level(ort::logging::LogLevel::Fatal)
            .map_err(|e| text(&e))?
            .with_optimization_level(GraphOptimizationLevel::All)
            .map_err(|e| text(&e))?
            .with_memory_pattern(planned)
            .map_err(|e| text(&e))?
            .with_prepacking(model.size < PACKED_BYTES)
            .map_err(|e| text(&e))?;
        let broken = |error: &dyn std::fmt::Display| {
            Failure::new(format!("the execution provider `{}` does not work here: {error}", provider.name))
                .hint(format!("it needs {}", provider.install))
        };
        match &provider.plugin {
            Some(plugin) if !provider.is_compiled_in() => {
                let options: Vec<(String, String)> =
                    plugin.options.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
                let device = runtime.devices(plugin.name).take(1);
                builder = builder.with_devices(device, Some(&options)).map_err(|e| broken(&e))?;
            }
            _ => {
                if let Some(dispatch) = provider.dispatch() {
                    builder = builder.with_execution_providers([dispatch]).map_err(|e| broken(&e))?;
                }
            }
        }
        for (name, value) in &model.weights {
            builder = builder.with_external_initializer(name, value.clone()).map_err(|e| text(&e))?;
        }
        let _alone = alone(provider.name);
        let session = builder.commit_from_memory(&model.graph).map_err(wrong)?;
        Ok(Session { session, provider: provider.name, check: None })
    }

    /// The execution provider that was registered.
    pub fn provider(&self) -> &'static str {
        self.provider
    }

    /// Names of the outputs in order.
    pub fn outputs(&self) -> Vec<String> {
        self.session.outputs().iter().map(|o| o.name().to_owned()).collect()
    }

    /// Name, type and shape (−1: any) of each input.
    pub fn inputs(&self) -> Vec<(String, String, Vec<i64>)> {
        let describe = |o: &ort::value::Outlet| match o.dtype() {
            ValueType::Tensor { ty, shape, .. } => (o.name().to_owned(), ty.to_string(), shape.to_vec()),
            other => (o.name().to_owned(), other.to_string(), Vec::new()),
        };
        self.session.inputs().iter().map(describe).collect()
    }

    /// Runs the graph once; every output comes back by name.
    ///
    /// # Errors
    /// If the inputs do not fit, or an output is neither float32 nor int64.
    pub fn run(&mut self, inputs: Vec<(String, Array)>) -> Result<BTreeMap<String, Array>, Failure> {
        let held = inputs.into_iter().map(|(name, array)| Ok((name, Held::new(array)?)));
        let held = held.collect::<Result<Vec<(String, Held)>, Failure>>()?;
        let inputs: Vec<(&str, &Held)> = held.iter().map(|(name, held)| (name.as_str(), held)).collect();
        let names = self.outputs();
        let outputs = self.run_held(&inputs, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
        names.into_iter().zip(outputs).map(|(name, held)| Ok((name.clone(), held.array(&name)?))).collect()
    }

    /// Runs the graph once on tensors that stay where they are, and leaves the outputs `wanted` there too.
    ///
    /// # Errors
    /// If the inputs do not fit, there is no such output, or the provider computes something else.
    pub fn run_held(&mut self, inputs: &[(&str, &Held)], wanted: &[&str]) -> Result<Vec<Held>, Failure> {
        let wrong = failed("the graph failed");
        let values: Vec<(&str, SessionInputValue)> =
            inputs.iter().map(|(name, held)| (*name, SessionInputValue::from(&held.0))).collect();
        let _alone = alone(self.provider);
        let mut outputs = self.session.run(SessionInputs::from(values)).map_err(wrong)?;
        let take = |name: &&str| {
            let value = outputs.remove(name).map(Held);
            value.ok_or_else(|| Failure::new(format!("the graph has no output `{name}`")))
        };
        let outputs = wanted.iter().map(take).collect::<Result<Vec<Held>, Failure>>()?;
        if let Some(check) = self.check.take() {
            let named = wanted.iter().zip(&outputs);
            let arrays = named.map(|(name, held)| Ok(((*name).to_owned(), held.array(name)?)));
            let arrays = arrays.collect::<Result<Vec<_>, Failure>>()?;
            check.compare(self.provider, inputs, &arrays)?;
        }
        Ok(outputs)
    }
}

fn array(name: &str, value: &ort::value::ValueRef<'_>) -> Result<Array, Failure> {
    let wrong = failed("an output cannot be read");
    match value.dtype() {
        ValueType::Tensor { ty: TensorElementType::Float32, .. } => {
            let (shape, data) = value.try_extract_tensor::<f32>().map_err(wrong)?;
            Ok((shape.to_vec(), Values::F32(data.to_vec())))
        }
        ValueType::Tensor { ty: TensorElementType::Int64, .. } => {
            let (shape, data) = value.try_extract_tensor::<i64>().map_err(wrong)?;
            Ok((shape.to_vec(), Values::I64(data.to_vec())))
        }
        other => Err(Failure::new(format!(
            "the output `{name}` is {other}; float32 and int64 tensors are supported"
        ))),
    }
}
