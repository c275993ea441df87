//! Where the ONNX Runtime library is.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};

use super::providers::{PROVIDERS, Provider};

/// Where to look, in this order. The command line fills it; nothing here reads the environment.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// A path that the user gave.
    pub explicit: Option<PathBuf>,
    /// `ORT_DYLIB_PATH`.
    pub variable: Option<PathBuf>,
    /// The user's cache folder of this program; fetched libraries go here.
    pub cache: Option<PathBuf>,
    /// Folders that hold Python packages.
    pub python: Vec<PathBuf>,
    /// `node_modules` folders.
    pub node: Vec<PathBuf>,
}

/// A library and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The library, absolute.
    pub path: PathBuf,
    /// In words: `--onnxruntime`, `the user cache`, ….
    pub from: &'static str,
}

/// Finds the library.
pub fn find(places: &Places) -> Option<Found> {
    let file = |path: &PathBuf, from| path.is_file().then(|| found(path, from)).flatten();
    let given = places.explicit.as_ref().and_then(|p| file(p, "--onnxruntime"));
    let variable = || places.variable.as_ref().and_then(|p| file(p, "ORT_DYLIB_PATH"));
    let cached = || {
        let cache = places.cache.as_ref()?;
        super::fetch::VERSIONS.iter().find_map(|v| in_folder(&cache.join(v), "the user cache"))
    };
    let python = || {
        places
            .python
            .iter()
            .find_map(|p| in_folder(&p.join("onnxruntime/capi"), "an installed Python package"))
    };
    let platform = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let below = format!("onnxruntime-node/bin/napi-v6/{platform}/{arch}");
    let node = || places.node.iter().find_map(|n| in_folder(&n.join(&below), "an installed npm package"));
    given.or_else(variable).or_else(cached).or_else(python).or_else(node)
}

/// The libraries of providers in the Python packages of these places, by provider.
pub(super) fn plugins(places: &Places) -> Vec<(&'static str, PathBuf)> {
    let of = |provider: &'static Provider| {
        let plugin = provider.plugin.as_ref()?;
        let file = format!("{}/{DLL_PREFIX}{}{DLL_SUFFIX}", plugin.package, plugin.library);
        let path = places.python.iter().map(|folder| folder.join(&file)).find(|path| path.is_file())?;
        Some((provider.name, path.canonicalize().ok()?))
    };
    PROVIDERS.iter().filter_map(of).collect()
}

fn found(path: &Path, from: &'static str) -> Option<Found> {
    Some(Found { path: path.canonicalize().ok()?, from })
}

/// The library in a folder: `libonnxruntime.so…` or `libonnxruntime….dylib`, the shortest name that is a file.
fn in_folder(folder: &Path, from: &'static str) -> Option<Found> {
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder).ok()?.flatten().map(|e| e.path()).collect();
    names.retain(|path| {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let library = name.starts_with("libonnxruntime.so")
            || (name.starts_with("libonnxruntime.") && name.ends_with(".dylib"));
        library && path.is_file()
    });
    names.sort();
    found(names.first()?, from)
}
