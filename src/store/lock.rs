//! Locks on keys: byte-range locks of the operating system, which die with the process that holds them.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fs::{Context, Result};
use crate::stage::Digest;

/// Locks of one store. Each key locks one byte, chosen by its digest, of one empty file.
#[derive(Debug)]
pub(super) struct Locks {
    file: Option<File>,
    /// What this process holds: to the operating system its threads are one.
    own: Mutex<HashSet<i64>>,
}

/// A lock that is held until dropped.
#[derive(Debug)]
pub struct Held<'a> {
    locks: &'a Locks,
    offset: i64,
}

/// The process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id; 0 if it runs on another machine or ended meanwhile.
    pub pid: i32,
    /// Its command line, if it can be seen.
    pub command: Option<String>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.command {
            Some(command) => write!(f, "process {} ({command})", self.pid),
            None => write!(f, "process {}", self.pid),
        }
    }
}

impl Locks {
    /// Opens the lock file; a store that cannot be written has no locks and needs none.
    pub(super) fn open(path: &Path) -> Self {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).ok();
        Locks { file, own: Mutex::default() }
    }

    /// Locks `key`, or says who holds it.
    pub(super) fn try_lock(&self, key: &Digest) -> Result<std::result::Result<Held<'_>, Holder>> {
        let offset = offset(key);
        if !self.own().insert(offset) {
            return Ok(Err(Holder { pid: std::process::id().cast_signed(), command: None }));
        }
        let other = self.lock_against_others(offset);
        if !matches!(other, Ok(None)) {
            self.own().remove(&offset);
        }
        Ok(match other? {
            None => Ok(Held { locks: self, offset }),
            Some(holder) => Err(holder),
        })
    }

    fn own(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The system's lock; if another process has it, who.
    fn lock_against_others(&self, offset: i64) -> Result<Option<Holder>> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        let mut request = range(offset, libc::F_WRLCK);
        // SAFETY: the descriptor is open and `request` is a valid flock structure for both calls.
        let set = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw mut request) };
        if set == 0 {
            return Ok(None);
        }
        let error = std::io::Error::last_os_error();
        if !matches!(error.raw_os_error(), Some(libc::EACCES | libc::EAGAIN)) {
            return Err(error).at("lock", "the store's lock file");
        }
        let mut seen = range(offset, libc::F_WRLCK);
        // SAFETY: as above.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut seen) };
        let pid = if i32::from(seen.l_type) == libc::F_UNLCK { 0 } else { seen.l_pid };
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok().map(|bytes| {
            let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
            text.trim().chars().filter(|c| !c.is_control()).take(60).collect()
        });
        Ok(Some(Holder { pid, command }))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(file) = &self.locks.file {
            let mut request = range(self.offset, libc::F_UNLCK);
            // SAFETY: the descriptor is open and `request` is a valid flock structure.
            unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw mut request) };
        }
        // Only now: a thread of this process that came in between would lose its lock by ours.
        self.locks.own().remove(&self.offset);
    }
}

fn offset(key: &Digest) -> i64 {
    let bytes = key.bytes();
    let first = [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]];
    (u64::from_le_bytes(first) >> 2) as i64
}

fn range(offset: i64, kind: i32) -> libc::flock {
    // SAFETY: flock is a plain structure of integers, for which all zeros are valid.
    let mut request: libc::flock = unsafe { std::mem::zeroed() };
    request.l_type = kind as libc::c_short;
    request.l_whence = libc::SEEK_SET as libc::c_short;
    request.l_start = offset;
    request.l_len = 1;
    request
}
