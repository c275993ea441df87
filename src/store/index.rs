//! The index: digests of files that were read before, found again by size, mtime and inode.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Beneath;
use super::beneath::stat_any;
use crate::fs::{self, Context, Result};
use crate::stage::Digest;

/// A file changed within this time before it was read may change again without a new mtime, for the
/// clock's grain is that coarse; such entries are not kept (git's racy rule).
const GRAIN_NS: i128 = 20_000_000;
/// Larger files are hashed by all cores through a memory map.
const LARGE: u64 = 4 << 20;
const HEADER: &str = "sulcus-index 1";

/// What identifies a file's state without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub mtime: i128,
    /// Inode number.
    pub inode: u64,
}

impl Stat {
    /// From the system's words.
    pub fn of(stat: &rustix::fs::Stat) -> Self {
        Stat {
            size: stat.st_size as u64,
            mtime: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
            inode: stat.st_ino,
        }
    }

    /// The state of `path`, links followed; `None` if nothing is there.
    pub fn read(path: &Path) -> Option<Self> {
        stat_any(path).ok().map(|s| Stat::of(&s))
    }
}

/// Digests by path. Paths inside the project are relative to it, others absolute.
#[derive(Debug)]
pub struct Index {
    file: PathBuf,
    root: Beneath,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// Read from the file when first asked for: a run in which nothing changed never asks.
    known: Option<HashMap<String, (Stat, Digest)>>,
    changed: HashMap<String, (Stat, Digest)>,
    /// What was first answered for each project file: what a run went by.
    answered: HashMap<String, Digest>,
    hashed: u64,
}

impl Index {
    /// Reads the index `file` of the project at `root`; a missing or broken one is an empty one.
    ///
    /// # Errors
    /// If the project's folder cannot be opened.
    pub fn open(root: &Path, file: PathBuf) -> Result<Self> {
        Ok(Index { file, root: Beneath::new(root)?, entries: Mutex::default() })
    }

    /// The project's folder.
    pub fn root(&self) -> &Beneath {
        &self.root
    }

    /// The digest of a project file's bytes; reads them only if its state is not known.
    ///
    /// # Errors
    /// If it cannot be read, is not a regular file, or lies outside the project behind a link.
    pub fn digest(&self, relative: &str) -> Result<(Digest, Stat)> {
        let full = || self.root.path().join(relative);
        let stat = Stat::of(&self.root.stat(relative).at("read", full())?);
        if let Some(digest) = self.lookup(relative, stat) {
            self.answer(relative, digest);
            return Ok((digest, stat));
        }
        let file = self.root.open(relative)?;
        let (digest, stat) = hash(&file, &full())?;
        self.lock().hashed += 1;
        self.note(relative, stat, digest);
        self.answer(relative, digest);
        Ok((digest, stat))
    }

    fn answer(&self, relative: &str, digest: Digest) {
        let mut entries = self.lock();
        if !entries.answered.contains_key(relative) {
            entries.answered.insert(relative.to_owned(), digest);
        }
    }

    /// The first digest that [`Index::digest`] gave for a path, though its bytes may have changed since.
    pub fn answered(&self, relative: &str) -> Option<Digest> {
        self.lock().answered.get(relative).copied()
    }

    /// The digest of a file outside the project (the runtime library, an object of a shared store).
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn digest_outside(&self, path: &Path) -> Result<(Digest, Stat)> {
        let name = path.to_string_lossy();
        let stat = Stat::of(&stat_any(path).at("read", path)?);
        if let Some(digest) = self.lookup(&name, stat) {
            return Ok((digest, stat));
        }
        let file = File::open(path).at("open", path)?;
        let (digest, stat) = hash(&file, path)?;
        self.note(&name, stat, digest);
        Ok((digest, stat))
    }

    /// The digest noted for a path in exactly this state.
    pub fn lookup(&self, name: &str, stat: Stat) -> Option<Digest> {
        let mut entries = self.lock();
        let Entries { known, changed, .. } = &mut *entries;
        let found = changed.get(name).or_else(|| {
            known
                .get_or_insert_with(|| parse(&std::fs::read_to_string(&self.file).unwrap_or_default()))
                .get(name)
        });
        found.filter(|(known, _)| *known == stat).map(|(_, digest)| *digest)
    }

    /// Notes that the bytes of a path in this state have this digest.
    pub fn note(&self, name: &str, stat: Stat, digest: Digest) {
        // A line of the index file holds one path.
        if !is_racy(stat) && !name.contains('\n') {
            self.lock().changed.insert(name.to_owned(), (stat, digest));
        }
    }

    /// Notes an object that was hashed and then renamed into place read-only: nobody changes it later
    /// within the clock's grain, so the racy rule does not apply.
    pub(super) fn note_object(&self, name: &str, stat: Stat, digest: Digest) {
        self.lock().changed.insert(name.to_owned(), (stat, digest));
    }

    /// How many files were read so far.
    pub fn files_read(&self) -> u64 {
        self.lock().hashed
    }

    /// Hashes many project files at once, so that later look-ups find them; errors surface at those.
    pub fn warm(&self, paths: &[&str], threads: usize) {
        let cold: Vec<&str> = paths.iter().copied().filter(|p| self.is_cold(p)).collect();
        let next = std::sync::atomic::AtomicUsize::new(0);
        let work = || {
            while let Some(path) = cold.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                let _ = self.digest(path);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.min(cold.len()) {
                // This thread does what no other could be started for.
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
    }

    fn is_cold(&self, relative: &str) -> bool {
        self.root.stat(relative).is_ok_and(|s| self.lookup(relative, Stat::of(&s)).is_none())
    }

    /// Writes what was learnt, joined with what other processes wrote meanwhile.
    ///
    /// # Errors
    /// If the file cannot be replaced.
    pub fn save(&self) -> Result<()> {
        let mut entries = self.lock();
        if entries.changed.is_empty() {
            return Ok(());
        }
        let mut all = parse(&std::fs::read_to_string(&self.file).unwrap_or_default());
        all.extend(std::mem::take(&mut entries.changed));
        let mut sorted: Vec<(&String, &(Stat, Digest))> = all.iter().collect();
        sorted.sort_unstable_by_key(|(path, _)| *path);
        let mut text = String::with_capacity(sorted.len() * 120);
        let _ = writeln!(text, "{HEADER}");
        for (path, (stat, digest)) in sorted {
            let _ = writeln!(text, "{} {} {} {digest} {path}", stat.size, stat.mtime, stat.inode);
        }
        fs::write_atomic(&self.file, text.as_bytes())?;
        entries.known = Some(all);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn is_racy(stat: Stat) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i128);
    stat.mtime + GRAIN_NS > now
}

fn parse(text: &str) -> HashMap<String, (Stat, Digest)> {
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) {
        return HashMap::new();
    }
    let entry = |line: &str| {
        let mut parts = line.splitn(5, ' ');
        let size = parts.next()?.parse().ok()?;
        let mtime = parts.next()?.parse().ok()?;
        let inode = parts.next()?.parse().ok()?;
        let digest = parts.next()?.parse().ok()?;
        Some((parts.next()?.to_owned(), (Stat { size, mtime, inode }, digest)))
    };
    lines.filter_map(entry).collect()
}

/// Hashes an open file and says in which state it was; a change while reading makes it racy, not wrong.
pub(super) fn hash(file: &File, path: &Path) -> Result<(Digest, Stat)> {
    let stat = rustix::fs::fstat(file).at("read", path)?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
        let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is not a regular file");
        return Err(error).at("read", path);
    }
    let before = Stat::of(&stat);
    let mut hasher = blake3::Hasher::new();
    if before.size >= LARGE {
        // By its descriptor: another file may have taken its path meanwhile.
        let open = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file));
        hasher.update_mmap_rayon(open).at("read", path)?;
    } else {
        let mut buffer = Vec::with_capacity(before.size as usize + 1);
        let mut reader = file;
        reader.read_to_end(&mut buffer).at("read", path)?;
        hasher.update(&buffer);
    }
    let after = Stat::of(&rustix::fs::fstat(file).at("read", path)?);
    let seen = if after == before { before } else { Stat { mtime: i128::MAX - GRAIN_NS, ..after } };
    Ok((hasher.finalize().into(), seen))
}
