//! File I/O whose errors name the path.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An I/O error with what was tried and where.
#[derive(Debug)]
pub struct Error {
    /// What was tried: `read`, `create`, ….
    pub action: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.action, self.path.display(), self.source)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The result of file I/O.
pub type Result<T> = std::result::Result<T, Error>;

/// Adds action and path to an I/O result.
pub trait Context<T> {
    /// Says what was tried and where.
    ///
    /// # Errors
    /// The same error, with its path.
    fn at(self, action: &'static str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for std::result::Result<T, E> {
    fn at(self, action: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|source| Error { action, path: path.as_ref().to_owned(), source: source.into() })
    }
}

/// Reads a whole file.
///
/// # Errors
/// Names the path.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    std::fs::read(&path).at("read", path)
}

/// Creates a folder and its parents.
///
/// # Errors
/// Names the path.
pub fn create_dir_all(path: impl AsRef<Path>) -> Result<()> {
    std::fs::create_dir_all(&path).at("create folder", path)
}

/// Replaces `path` by `bytes` so that a reader sees the old file or the new one, never a part.
///
/// # Errors
/// Names the path.
pub fn write_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    let path = path.as_ref();
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".tmp-").tempfile_in(folder).at("write beside", path)?;
    file.write_all(bytes).at("write", path)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(mode).at("set permissions of", path)?;
    file.persist(path).map_err(|e| e.error).at("replace", path)?;
    Ok(())
}
