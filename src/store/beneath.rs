//! Files below a folder, opened so that no link can lead out of it.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, mkdirat, open, openat2, statat, unlinkat};

use crate::fs::{Context, Result};

/// A folder that paths are opened beneath.
#[derive(Debug)]
pub struct Beneath {
    folder: OwnedFd,
    path: PathBuf,
}

impl Beneath {
    /// Opens `path`.
    ///
    /// # Errors
    /// If it is not a folder that can be read.
    pub fn new(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(path, flags, Mode::empty()).at("open folder", path)?;
        Ok(Beneath { folder, path: path.to_owned() })
    }

    /// The folder's own path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file to read. Links are followed only as long as they stay below the folder.
    ///
    /// # Errors
    /// If it does not exist, or a link leads out of the folder.
    pub fn open(&self, relative: &str) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let fd =
            openat2(&self.folder, relative, flags, Mode::empty(), resolve).map_err(|error| match error {
                rustix::io::Errno::XDEV => {
                    std::io::Error::other("a link on this path leads out of the project")
                }
                other => other.into(),
            });
        let fd = fd.at("open", self.path.join(relative))?;
        Ok(File::from(fd))
    }

    /// The state of a path, links not followed at its end.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn stat(&self, relative: &str) -> rustix::io::Result<rustix::fs::Stat> {
        statat(&self.folder, relative, AtFlags::empty())
    }

    /// Opens the folder that holds `relative`, made if needed, no link followed on the way; and the last name.
    ///
    /// # Errors
    /// If a part of the way is a link or a file, or cannot be made.
    pub fn parent<'a>(&self, relative: &'a str) -> Result<(OwnedFd, &'a str)> {
        let (folder, name) = relative.rsplit_once('/').unwrap_or((".", relative));
        let full = || self.path.join(folder);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match openat2(&self.folder, folder, flags, Mode::empty(), resolve) {
            Ok(fd) => return Ok((fd, name)),
            Err(rustix::io::Errno::NOENT) => {}
            Err(error) => {
                return Err(error).at("open folder (links are not followed when writing)", full());
            }
        }
        let mut current =
            openat2(&self.folder, ".", flags, Mode::empty(), resolve).at("open folder", full())?;
        for part in folder.split('/') {
            match mkdirat(&current, part, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error).at("create folder", full()),
            }
            current = openat2(&current, part, flags, Mode::empty(), resolve)
                .at("open folder (links are not followed when writing)", full())?;
        }
        Ok((current, name))
    }

    /// Removes a file or a folder with all it holds; fine if there is none.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    pub fn remove(&self, relative: &str) -> Result<()> {
        let full = self.path.join(relative);
        if self.stat_nofollow(relative).is_none() {
            return Ok(());
        }
        let (parent, name) = self.parent(relative)?;
        match unlinkat(parent.as_fd(), name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(rustix::io::Errno::ISDIR) => std::fs::remove_dir_all(&full).at("remove folder", &full),
            Err(error) => Err(error).at("remove", &full),
        }
    }

    /// The state of a path itself; `None` if nothing is there.
    pub fn stat_nofollow(&self, relative: &str) -> Option<rustix::fs::Stat> {
        statat(&self.folder, relative, AtFlags::SYMLINK_NOFOLLOW).ok()
    }
}

/// The state of any path, links followed.
pub(super) fn stat_any(path: &Path) -> rustix::io::Result<rustix::fs::Stat> {
    statat(CWD, path, AtFlags::empty())
}
