//! The machine's graph runtime as the command line configures it.

use super::ui::Ui;
use super::{CliError, Exit, Global};
#[cfg(feature = "models")]
use crate::model::{Host, PROVIDERS, Places, VERSION, find};
use crate::stage::RuntimeHost;

/// What `sulcus doctor` says of the runtime.
pub struct RuntimeReport {
    /// What was found, a name and a text each: the library, its version, the execution providers.
    pub lines: Vec<(String, String)>,
    /// What is broken and what to do; `None` if models can run here.
    pub broken: Option<String>,
}

/// What runs graphs here; `None` in a build without models.
#[cfg(not(feature = "models"))]
pub fn host(_global: &Global) -> Option<Box<dyn RuntimeHost>> {
    None
}

/// The state of the runtime; `None` in a build without models.
#[cfg(not(feature = "models"))]
pub fn runtime_report(_global: &Global) -> Option<RuntimeReport> {
    None
}

/// `sulcus setup`: fetches the runtime ahead of the first step that needs it.
///
/// # Errors
/// If this build runs no models.
#[cfg(not(feature = "models"))]
pub fn setup(_global: &Global, _ui: &Ui) -> Result<Exit, CliError> {
    Err(CliError::wrong("this build runs no models, so there is no runtime to fetch")
        .hint("build with the default features: `cargo install --path .`"))
}

/// What runs graphs here.
#[cfg(feature = "models")]
pub fn host(global: &Global) -> Option<Box<dyn RuntimeHost>> {
    Some(Box::new(model_host(global)))
}

/// The host with the places that this environment names.
#[cfg(feature = "models")]
pub fn model_host(global: &Global) -> Host {
    let quiet = global.quiet || global.json;
    Host::new(places(global), global.offline, move |line| {
        if !quiet {
            anstream::eprintln!("{:>12} {line}", "Fetching");
        }
    })
}

#[cfg(feature = "models")]
fn places(global: &Global) -> Places {
    use std::path::PathBuf;

    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    let mut python: Vec<PathBuf> = Vec::new();
    for prefix in [variable("VIRTUAL_ENV"), variable("CONDA_PREFIX")].into_iter().flatten() {
        let versions = std::fs::read_dir(prefix.join("lib")).into_iter().flatten().flatten();
        python.extend(versions.map(|e| e.path().join("site-packages")).filter(|p| p.is_dir()));
    }
    python.sort();
    let node = std::env::current_dir().ok().into_iter().flat_map(|d| {
        d.ancestors().map(|a| a.join("node_modules")).filter(|n| n.is_dir()).collect::<Vec<_>>()
    });
    Places {
        explicit: global.onnxruntime.as_ref().map(|p| p.canonicalize().unwrap_or_else(|_| p.clone())),
        variable: variable("ORT_DYLIB_PATH"),
        cache: cache.map(|c| c.join("sulcus").join("onnxruntime")),
        python,
        node: node.collect(),
    }
}

/// The state of the runtime. Nothing is fetched to find out.
#[cfg(feature = "models")]
pub fn runtime_report(global: &Global) -> Option<RuntimeReport> {
    let line = |what: &str, text: String| (what.to_owned(), text);
    let Some(found) = find(&places(global)) else {
        let text = format!("ONNX Runtime {VERSION} is not here yet; the first step that needs it fetches it");
        let broken = global
            .offline
            .then(|| "run `sulcus setup` once online, or name a library with --onnxruntime".to_owned());
        return Some(RuntimeReport { lines: vec![line("runtime", text)], broken });
    };
    let mut lines = vec![line("runtime", format!("{} (from {})", found.path.display(), found.from))];
    match model_host(global).runtime() {
        Ok(runtime) => {
            lines.push(line("build", runtime.build()));
            let names: Vec<&str> =
                PROVIDERS.iter().filter(|p| runtime.has(p).unwrap_or(false)).map(|p| p.name).collect();
            lines.push(line("providers", names.join(", ")));
            Some(RuntimeReport { lines, broken: None })
        }
        Err(failure) => Some(RuntimeReport { lines, broken: Some(failure.hint.unwrap_or(failure.message)) }),
    }
}

/// `sulcus setup`: fetches the runtime ahead of the first step that needs it.
///
/// # Errors
/// If it is nowhere and cannot be fetched, or cannot be loaded.
#[cfg(feature = "models")]
pub fn setup(global: &Global, ui: &Ui) -> Result<Exit, CliError> {
    let host = model_host(global);
    let provided = host.provide()?;
    let build = host.runtime()?.build();
    if ui.json() {
        ui.data_json(
            &serde_json::json!({"library": provided.found.path, "digest": provided.digest, "build": build}),
        );
    } else {
        ui.data(&provided.found.path.display().to_string());
        ui.say("Ready", &format!("ONNX Runtime from {}", provided.found.from));
    }
    Ok(Exit::Done)
}
