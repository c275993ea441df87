//! The package client of Node.js: one package holds the libraries of all machines.

use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::{here, keep, reason};
use crate::fs::Context;
use crate::stage::Failure;

pub(super) const VERSION: &str = "1.30.0";
const SHA256: &str = "6e3390d6b783e7be946fad629292799da28d0b42f84856e50d2c1b0383291e75";

/// Where the package holds the library of a machine: operating system, architecture, path.
const LIBRARIES: &[(&str, &str, &str)] = &[
    ("linux", "x86_64", "linux/x64/libonnxruntime.so.1"),
    ("linux", "aarch64", "linux/arm64/libonnxruntime.so.1"),
    ("macos", "aarch64", "darwin/arm64/libonnxruntime.1.30.0.dylib"),
];

/// Downloads the package into `folder`, checks its hash and takes the library out of it.
pub(super) fn library(folder: &Path) -> Result<PathBuf, Failure> {
    taken(folder).map_err(|failure| failure.context("npm"))
}

fn taken(folder: &Path) -> Result<PathBuf, Failure> {
    let (_, _, path) = here(LIBRARIES, |(os, arch, _)| (os, arch))?;
    let output = Command::new("npm")
        .args(["pack", "--silent", "--ignore-scripts", "--pack-destination"])
        .arg(folder)
        .arg(format!("onnxruntime-node@{VERSION}"))
        .current_dir(folder)
        .output()
        .map_err(|error| Failure::new(error.to_string()))?;
    if !output.status.success() {
        let reason = reason(&output.stderr, &["ERR", "error"]);
        return Err(Failure::new(format!("it cannot download version {VERSION} ({reason})")));
    }
    let package = folder.join(format!("onnxruntime-node-{VERSION}.tgz"));
    let bytes = crate::fs::read(&package)?;
    let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if hash != SHA256 {
        return Err(Failure::new(format!("the package has the hash {hash}, not {SHA256}")));
    }
    let name = Path::new("package/bin/napi-v6").join(path);
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
    for entry in archive.entries().at("read", &package)? {
        let entry = entry.at("read", &package)?;
        if entry.path().is_ok_and(|path| *path == *name) {
            let file = name.file_name().unwrap_or_default();
            return keep(entry, folder.join(file));
        }
    }
    Err(Failure::new(format!("the package holds no `{}`", name.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the real registry, where npm reaches it.
    #[test]
    fn the_package_of_npm_holds_the_library() {
        let view =
            Command::new("npm").args(["view", &format!("onnxruntime-node@{VERSION}"), "version"]).output();
        if !view.is_ok_and(|view| view.status.success()) {
            eprintln!("skipped: there is no npm here, or it reaches no registry");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let library = library(folder.path()).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(std::fs::metadata(library).unwrap().len() > 20 << 20);
    }
}
