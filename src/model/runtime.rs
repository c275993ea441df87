//! The loaded library: once per process.

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
                LOADED.get_or_init(|| Runtime { environment, path: path.to_owned() })
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

    /// What the library says of its build.
    pub fn build(&self) -> String {
        ort::info().to_owned()
    }

    /// The first of `names` that this library has.
    ///
    /// # Errors
    /// If it has none of them: what to install.
    pub fn choose(&self, names: &[String]) -> Result<&'static Provider, Failure> {
        let mut missing = Vec::new();
        for name in names {
            let provider = Provider::named(name)?;
            if provider.is_available() {
                return Ok(provider);
            }
            missing.push(provider);
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
