//! The machine's graph runtime as the command line configures it.

use super::Global;
use crate::stage::RuntimeHost;

/// What runs graphs here; `None` in a build without models.
#[cfg(not(feature = "models"))]
pub fn host(_global: &Global) -> Option<Box<dyn RuntimeHost>> {
    None
}

/// What runs graphs here.
#[cfg(feature = "models")]
pub fn host(global: &Global) -> Option<Box<dyn RuntimeHost>> {
    Some(Box::new(model_host(global)))
}

/// The host with the places that this environment names.
#[cfg(feature = "models")]
pub fn model_host(global: &Global) -> crate::model::Host {
    let quiet = global.quiet || global.json;
    crate::model::Host::new(places(global), global.offline, move |line| {
        if !quiet {
            anstream::eprintln!("{:>12} {line}", "Fetching");
        }
    })
}

#[cfg(feature = "models")]
fn places(global: &Global) -> crate::model::Places {
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
    crate::model::Places {
        explicit: global.onnxruntime.as_ref().map(|p| p.canonicalize().unwrap_or_else(|_| p.clone())),
        variable: variable("ORT_DYLIB_PATH"),
        cache: cache.map(|c| c.join("sulcus").join("onnxruntime")),
        python,
        node: node.collect(),
    }
}
