//! Fetches ONNX Runtime through a package client, once, into the user's cache: pip, else npm. The version
//! and the hash of every package are pinned here.

mod npm;
mod pip;

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::fs::{self, Context};
use crate::stage::Failure;

/// The version that pip fetches.
pub const VERSION: &str = pip::VERSION;
/// Every version that may lie in the cache, the preferred one first.
pub(super) const VERSIONS: [&str; 2] = [pip::VERSION, npm::VERSION];

/// Larger libraries are refused.
const MAX_LIBRARY: u64 = 512 << 20;
const BY_HAND: &str =
    "install it yourself (`pip install onnxruntime`) or name the library with --onnxruntime";

/// A way to get the library: from a scratch folder to the file of the library in it.
type Client = fn(&Path) -> Result<PathBuf, Failure>;

/// Downloads a pinned package into a scratch folder, checks its hash, and puts its library into
/// `cache/<version>/`. Two processes may do this at once.
///
/// # Errors
/// If no client has a package for this machine: what each of them said.
pub(super) fn fetch(cache: &Path) -> Result<PathBuf, Failure> {
    fs::create_dir_all(cache)?;
    let clients: [(&str, Client); 2] = [(pip::VERSION, pip::library), (npm::VERSION, npm::library)];
    let mut tried = Vec::new();
    for (version, client) in clients {
        let scratch =
            tempfile::Builder::new().prefix("fetch-").tempdir_in(cache).at("create folder in", cache)?;
        match client(scratch.path()) {
            Ok(library) => {
                let folder = cache.join(version);
                fs::create_dir_all(&folder)?;
                let target = folder.join(library.file_name().unwrap_or_default());
                std::fs::rename(&library, &target).at("write", &target)?;
                return Ok(target);
            }
            Err(failure) => tried.push(failure.message),
        }
    }
    Err(Failure::new(format!("cannot fetch ONNX Runtime: {}", tried.join("; "))).hint(BY_HAND))
}

/// The first of `packages` that is for this machine.
///
/// # Errors
/// If there is none.
fn here<P>(packages: &[P], of: impl Fn(&P) -> (&str, &str)) -> Result<&P, Failure> {
    let machine = (std::env::consts::OS, std::env::consts::ARCH);
    packages
        .iter()
        .find(|package| of(package) == machine)
        .ok_or_else(|| Failure::new(format!("no package is pinned for {} on {}", machine.0, machine.1)))
}

/// Writes a library out of a package to `target`.
///
/// # Errors
/// If it cannot be read or written.
fn keep(entry: impl Read, target: PathBuf) -> Result<PathBuf, Failure> {
    let mut out = std::fs::File::create(&target).at("create", &target)?;
    std::io::copy(&mut entry.take(MAX_LIBRARY), &mut out).at("write", &target)?;
    out.sync_all().at("sync", &target)?;
    Ok(target)
}

/// The last line of a client's messages that says what went wrong.
fn reason(stderr: &[u8], marks: &[&str]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().rev().find(|line| marks.iter().any(|mark| line.contains(mark)));
    line.unwrap_or("it failed").trim().to_owned()
}
