//! Fetches the pinned ONNX Runtime through the Python package client, once, into the user's cache.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fs::{self, Context};
use crate::stage::Failure;

/// The version that is fetched.
pub const VERSION: &str = "1.31.1";

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

/// Larger libraries are refused.
const MAX_LIBRARY: u64 = 512 << 20;
const BY_HAND: &str =
    "install it yourself (`pip install onnxruntime`) or name the library with --onnxruntime";

/// Downloads the pinned wheel into a scratch folder, checks its hash, and puts its library into
/// `cache/<version>/`. Two processes may do this at once.
///
/// # Errors
/// If there is no wheel for this machine, no pip, or the download fails or has another hash.
pub(super) fn fetch(cache: &Path) -> Result<PathBuf, Failure> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let wheel = WHEELS.iter().find(|w| w.os == os && w.arch == arch);
    let wheel = wheel
        .ok_or_else(|| Failure::new(format!("no ONNX Runtime is pinned for {os} on {arch}")).hint(BY_HAND))?;
    fs::create_dir_all(cache)?;
    let scratch =
        tempfile::Builder::new().prefix("fetch-").tempdir_in(cache).at("create folder in", cache)?;
    let requirements = scratch.path().join("requirements.txt");
    let line = format!("onnxruntime=={VERSION} --hash=sha256:{}\n", wheel.sha256);
    std::fs::write(&requirements, line).at("write", &requirements)?;
    download(wheel, scratch.path(), &requirements)?;
    let library = unpack(scratch.path())?;
    let folder = cache.join(VERSION);
    fs::create_dir_all(&folder)?;
    let name = library.file_name().unwrap_or_default();
    let target = folder.join(name);
    std::fs::rename(&library, &target).at("write", &target)?;
    Ok(target)
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
                let text = String::from_utf8_lossy(&output.stderr).into_owned();
                let line = text
                    .lines()
                    .rev()
                    .find(|l| l.contains("ERROR") || l.contains("No module"))
                    .unwrap_or("it failed");
                tried.push(format!("{python}: {}", line.trim()));
            }
            Err(error) => tried.push(format!("{python}: {error}")),
        }
    }
    let message = format!("cannot fetch ONNX Runtime {VERSION} with pip ({})", tried.join("; "));
    Err(Failure::new(message).hint(BY_HAND))
}

/// Takes the library out of the one wheel in `folder`.
fn unpack(folder: &Path) -> Result<PathBuf, Failure> {
    let mut entries = std::fs::read_dir(folder).at("list", folder)?.flatten().map(|e| e.path());
    let wheel = entries.find(|p| p.extension().is_some_and(|e| e == "whl"));
    let wheel = wheel.ok_or_else(|| Failure::new("pip downloaded no wheel").hint(BY_HAND))?;
    let broken = |error: zip::result::ZipError| {
        Failure::new(format!("the wheel cannot be read: {error}")).hint(BY_HAND)
    };
    let file = std::fs::File::open(&wheel).at("open", &wheel)?;
    let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
    let is_library = |name: &String| {
        let base = name.strip_prefix("onnxruntime/capi/").unwrap_or_default();
        base.starts_with("libonnxruntime.") && !base.contains('/')
    };
    let name = archive.file_names().flatten().map(|name| name.into_owned()).find(is_library);
    let name = name.ok_or_else(|| Failure::new("the wheel holds no ONNX Runtime library").hint(BY_HAND))?;
    let entry = archive.by_name(&name).map_err(broken)?;
    let target = folder.join(name.rsplit('/').next().unwrap_or("libonnxruntime"));
    let mut out = std::fs::File::create(&target).at("create", &target)?;
    std::io::copy(&mut entry.take(MAX_LIBRARY), &mut out).at("write", &target)?;
    out.sync_all().at("sync", &target)?;
    Ok(target)
}
