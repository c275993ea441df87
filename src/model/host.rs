//! What the rest of the program asks of the runtime: find it, fetch it, name it in keys.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::fetch::{VERSION, fetch};
use super::library::{Found, Places, find, plugins};
use super::{Provider, Runtime};
use crate::stage::{Digest, Failure, RuntimeHost};

/// The runtime of this machine.
pub struct Host {
    places: Places,
    offline: bool,
    tell: Box<dyn Fn(&str) + Send + Sync>,
    found: Mutex<Option<Provided>>,
}

/// The library in use and its digest.
#[derive(Clone, Debug)]
pub struct Provided {
    /// The library.
    pub found: Found,
    /// Digest of its bytes: part of the key of every step that runs graphs.
    pub digest: Digest,
}

impl Host {
    /// A host that looks in `places`; `tell` says a line when something is fetched.
    pub fn new(places: Places, offline: bool, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Host { places, offline, tell: Box::new(tell), found: Mutex::new(None) }
    }

    /// The library, fetched if it is nowhere.
    ///
    /// # Errors
    /// If it is nowhere and cannot be fetched.
    pub fn provide(&self) -> Result<Provided, Failure> {
        let mut known = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(provided) = &*known {
            return Ok(provided.clone());
        }
        if let Some(path) = self.places.explicit.as_ref().filter(|p| !p.is_file()) {
            return Err(Failure::new(format!("--onnxruntime names {}, which is no file", path.display())));
        }
        let found = match find(&self.places) {
            Some(found) => found,
            None => self.fetch()?,
        };
        let digest = digest(&found.path)?;
        let provided = Provided { found, digest };
        *known = Some(provided.clone());
        Ok(provided)
    }

    fn fetch(&self) -> Result<Found, Failure> {
        if self.offline {
            return Err(Failure::new(
                "ONNX Runtime is not on this machine, and --offline forbids to fetch it",
            )
            .hint("run `sulcus setup` once online, or name a library with --onnxruntime"));
        }
        let cache = self.places.cache.as_ref();
        let cache = cache.ok_or_else(|| {
            Failure::new("there is no cache folder to fetch ONNX Runtime into")
                .hint("set HOME or XDG_CACHE_HOME")
        })?;
        (self.tell)(&format!("ONNX Runtime {VERSION} with pip into {}", cache.display()));
        let path: PathBuf = fetch(cache)?;
        Ok(Found { path: path.canonicalize().unwrap_or(path), from: "the user cache" })
    }

    /// The loaded runtime.
    ///
    /// # Errors
    /// If it cannot be found, fetched or loaded.
    pub fn runtime(&self) -> Result<&'static Runtime, Failure> {
        let runtime = Runtime::load(&self.provide()?.found.path)?;
        runtime.offer(plugins(&self.places));
        Ok(runtime)
    }
}

/// The digest of a library.
fn digest(path: &Path) -> Result<Digest, Failure> {
    let mut hasher = blake3::Hasher::new();
    let hashed = hasher.update_mmap_rayon(path);
    hashed.map_err(|e| Failure::new(format!("cannot read {}: {e}", path.display())))?;
    Ok(hasher.finalize().into())
}

impl RuntimeHost for Host {
    fn identity(&self, providers: &[String]) -> Result<String, Failure> {
        let provided = self.provide()?;
        // CPU is in every library: no need to load it just to name it.
        let list = match providers {
            [only] if only == "cpu" => return Ok(format!("onnxruntime {} cpu float32", provided.digest)),
            list => list,
        };
        list.iter().try_for_each(|name| Provider::named(name).map(drop))?;
        let runtime = self.runtime()?;
        let provider = runtime.choose(list)?;
        let plugin = match runtime.plugin(provider) {
            Some(library) => format!(" {}", digest(&library)?),
            None => String::new(),
        };
        Ok(format!("onnxruntime {} {}{plugin} float32", provided.digest, provider.name))
    }

    fn library(&self) -> Result<PathBuf, Failure> {
        Ok(self.provide()?.found.path)
    }
}
