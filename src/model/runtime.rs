//! The loaded library: once per process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::environment::Environment;

use super::providers::Provider;
use crate::stage::Failure;

/// The loaded ONNX Runtime.
#[derive(Debug)]
pub struct Runtime {
    pub(super) environment: Environment,
    path: PathBuf,
    /// Libraries that bring a provider, by its name.
    plugins: Mutex<BTreeMap<&'static str, Offered>>,
}

/// A provider's own library.
#[derive(Debug)]
struct Offered {
    library: PathBuf,
    /// The number of its devices, once it was loaded; why it could not be otherwise.
    loaded: Option<Result<usize, String>>,
}

static LOADED: OnceLock<Runtime> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

impl Runtime {
    /// Loads the library at `path`; later calls must name the same one.
    ///
    /// # Errors
    /// If it cannot be loaded, or another one is.
    pub fn load(path: &Path) -> Result<&'static Runtime, Failure> {
        let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = match LOADED.get() {
            Some(runtime) => runtime,
            None => {
                let wrong = |error: String| {
                    Failure::new(format!("cannot load ONNX Runtime from {}: {error}", path.display())).hint(
                        "`sulcus doctor` shows which library is used; `sulcus setup` fetches the pinned one",
                    )
                };
                let builder = ort::init_from(path).map_err(|e| wrong(e.to_string()))?;
                let environment = builder.with_telemetry(false).build().map_err(|e| wrong(e.to_string()))?;
                LOADED.get_or_init(|| Runtime {
                    environment,
                    path: path.to_owned(),
                    plugins: Mutex::default(),
                })
            }
        };
        if runtime.path != path {
            let message = format!(
                "ONNX Runtime is loaded from {} already; one process uses one library",
                runtime.path.display()
            );
            return Err(Failure::new(message));
        }
        Ok(runtime)
    }

    /// Names the libraries that bring providers which this one is not compiled with. They are loaded when
    /// their provider is asked for.
    pub fn offer(&self, plugins: impl IntoIterator<Item = (&'static str, PathBuf)>) {
        let mut known = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, library) in plugins {
            known.entry(name).or_insert(Offered { library, loaded: None });
        }
    }

    /// Does the provider run here: compiled in, or by a library of its own that finds a device?
    ///
    /// # Errors
    /// Why its own library does not work; nothing if there is none.
    pub fn has(&self, provider: &Provider) -> Result<bool, Failure> {
        if provider.is_compiled_in() {
            return Ok(true);
        }
        let mut known = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(plugin), Some(offered)) = (&provider.plugin, known.get_mut(provider.name)) else {
            return Ok(false);
        };
        let library = &offered.library;
        let loaded = offered.loaded.get_or_insert_with(|| {
            let registered = self.environment.register_ep_library(plugin.name, library);
            registered.map(|()| self.devices(plugin.name).count()).map_err(|e| e.to_string())
        });
        match loaded {
            Ok(0) => Err(Failure::new(format!(
                "the execution provider `{}` finds no device on this machine ({})",
                provider.name,
                library.display()
            ))),
            Ok(_) => Ok(true),
            Err(error) => Err(Failure::new(format!(
                "the execution provider `{}` cannot be loaded from {}: {error}",
                provider.name,
                library.display()
            ))),
        }
    }

    /// The library that brings a provider, if it is not compiled in.
    pub(super) fn plugin(&self, provider: &Provider) -> Option<PathBuf> {
        if provider.is_compiled_in() {
            return None;
        }
        let known = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(provider.name).map(|offered| offered.library.clone())
    }

    /// The devices of a provider that has a library of its own.
    pub(super) fn devices(&self, name: &'static str) -> impl Iterator<Item = ort::device::Device<'_>> {
        self.environment.devices().filter(move |device| device.ep().is_ok_and(|ep| ep == name))
    }

    /// What the library says of its build.
    pub fn build(&self) -> String {
        ort::info().to_owned()
    }

    /// The first of `names` that this library has.
    ///
    /// # Errors
    /// If it has none of them: what is missing and what to install.
    pub fn choose(&self, names: &[String]) -> Result<&'static Provider, Failure> {
        let mut missing = Vec::new();
        let mut broken = None;
        for name in names {
            let provider = Provider::named(name)?;
            match self.has(provider) {
                Ok(true) => return Ok(provider),
                Ok(false) => {}
                Err(failure) => broken = broken.or(Some((provider, failure))),
            }
            missing.push(provider);
        }
        if let Some((provider, failure)) = broken {
            return Err(failure.hint(format!("it needs {}", provider.install)));
        }
        let shown: Vec<&str> = missing.iter().map(|p| p.name).collect();
        let needed = missing.first().map_or("", |p| p.install);
        Err(Failure::new(format!(
            "the execution provider {} is not in this ONNX Runtime ({})",
            shown.join(", "),
            self.path.display()
        ))
        .hint(format!(
            "it needs {needed}. `provider: [{}, cpu]` falls back to the processor",
            shown.join(", ")
        )))
    }
}
