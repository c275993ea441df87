//! The Python package client: the library lies inside the wheel.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{here, keep, reason};
use crate::fs::Context;
use crate::stage::Failure;

pub(super) const VERSION: &str = "1.31.1";

/// A wheel of the pinned version: operating system, architecture, platform tag, SHA-256.
struct Wheel {
    os: &'static str,
    arch: &'static str,
    tag: &'static str,
    sha256: &'static str,
}

const WHEELS: &[Wheel] = &[
    Wheel {
        os: "linux",
        arch: "x86_64",
        tag: "manylinux_2_28_x86_64",
        sha256: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
    },
    Wheel {
        os: "linux",
        arch: "aarch64",
        tag: "manylinux_2_28_aarch64",
        sha256: "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
    },
    Wheel {
        os: "macos",
        arch: "aarch64",
        tag: "macosx_14_0_arm64",
        sha256: "60b6b69bfe580eab576cacc5d132a0e9cf2a37fcfd18d46dd191042b1d1ed0d7",
    },
];

/// Downloads the wheel into `folder` and takes the library out of it.
pub(super) fn library(folder: &Path) -> Result<PathBuf, Failure> {
    let wheel = here(WHEELS, |wheel| (wheel.os, wheel.arch)).map_err(|f| f.context("pip"))?;
    let requirements = folder.join("requirements.txt");
    let line = format!("onnxruntime=={VERSION} --hash=sha256:{}\n", wheel.sha256);
    std::fs::write(&requirements, line).at("write", &requirements)?;
    download(wheel, folder, &requirements)?;
    unpack(folder).map_err(|f| f.context("pip"))
}

fn download(wheel: &Wheel, folder: &Path, requirements: &Path) -> Result<(), Failure> {
    let mut tried = Vec::new();
    for python in ["python3", "python"] {
        let output = Command::new(python)
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-input",
                "--disable-pip-version-check",
                "--no-deps",
            ])
            .args(["--require-hashes", "--only-binary=:all:", "--platform", wheel.tag])
            .args(["--python-version", "311", "--implementation", "cp", "--abi", "cp311", "--dest"])
            .arg(folder)
            .arg("--requirement")
            .arg(requirements)
            .output();
        match output {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => {
                tried.push(format!("{python}: {}", reason(&output.stderr, &["ERROR", "No module"])));
            }
            Err(error) => tried.push(format!("{python}: {error}")),
        }
    }
    Err(Failure::new(format!("pip cannot download version {VERSION} ({})", tried.join("; "))))
}

/// Takes the library out of the one wheel in `folder`.
fn unpack(folder: &Path) -> Result<PathBuf, Failure> {
    let mut entries = std::fs::read_dir(folder).at("list", folder)?.flatten().map(|e| e.path());
    let wheel = entries.find(|p| p.extension().is_some_and(|e| e == "whl"));
    let wheel = wheel.ok_or_else(|| Failure::new("pip downloaded no wheel"))?;
    let broken = |error: zip::result::ZipError| Failure::new(format!("the wheel cannot be read: {error}"));
    let file = std::fs::File::open(&wheel).at("open", &wheel)?;
    let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
    let is_library = |name: &String| {
        let base = name.strip_prefix("onnxruntime/capi/").unwrap_or_default();
        base.starts_with("libonnxruntime.") && !base.contains('/')
    };
    let name = archive.file_names().flatten().map(|name| name.into_owned()).find(is_library);
    let name = name.ok_or_else(|| Failure::new("the wheel holds no ONNX Runtime library"))?;
    let entry = archive.by_name(&name).map_err(broken)?;
    let target = folder.join(name.rsplit('/').next().unwrap_or("libonnxruntime"));
    keep(entry, target)
}
