//! The index: digests of files that were read before, found again by size, mtime and inode.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Beneath;
use super::beneath::stat_any;
use crate::fs::{self, Context, Result};
use crate::parallel;
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
    known: Option<Known>,
    changed: HashMap<String, (Stat, Digest)>,
    /// Every path as this process first saw it or left it itself; `None` once it was seen to change.
    seen: HashMap<String, Option<(Stat, Digest)>>,
}

/// What the index file says.
#[derive(Debug, Default)]
struct Known {
    entries: HashMap<String, (Stat, Digest)>,
    lines: usize,
}

/// Which state of a file counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The one in which this process first saw it: what is planned goes by one state of the world.
    First,
    /// The one in which it is now: what is executed goes by that.
    Now,
}

impl Index {
    /// The index of the project at `root`; a missing or broken file is an empty one.
    ///
    /// # Errors
    /// If the project's folder cannot be opened.
    pub fn open(root: &Path) -> Result<Self> {
        let file = root.join(".sulcus").join("index");
        Ok(Index { file, root: Beneath::new(root)?, entries: Mutex::default() })
    }

    /// The project's folder.
    pub fn root(&self) -> &Beneath {
        &self.root
    }

    /// The digest of a project file's bytes as they are now; reads them only if its state is not known.
    ///
    /// # Errors
    /// If it cannot be read, is not a regular file, or lies outside the project behind a link.
    pub fn digest(&self, relative: &str) -> Result<(Digest, Stat)> {
        let full = || self.root.path().join(relative);
        let stat = Stat::of(&self.root.stat(relative).at("read", full())?);
        let known = match self.lookup(relative, stat) {
            Some(digest) => (digest, stat),
            None => {
                let file = self.root.open(relative)?;
                let (digest, stat) = hash(&file, &full())?;
                self.learn(relative, stat, digest);
                (digest, stat)
            }
        };
        self.see(relative, known.1, known.0);
        Ok(known)
    }

    /// The digest of a file outside the project (the runtime library, an object of the store) as it is now.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn digest_outside(&self, path: &Path) -> Result<(Digest, Stat)> {
        let name = path.to_string_lossy();
        let stat = Stat::of(&stat_any(path).at("read", path)?);
        let known = match self.lookup(&name, stat) {
            Some(digest) => (digest, stat),
            None => {
                let file = File::open(path).at("open", path)?;
                let (digest, stat) = hash(&file, path)?;
                self.learn(&name, stat, digest);
                (digest, stat)
            }
        };
        self.see(&name, known.1, known.0);
        Ok(known)
    }

    /// The digest of a project file's bytes, as they are now or as this process first saw them.
    ///
    /// # Errors
    /// As [`Index::digest`].
    pub fn look(&self, relative: &str, moment: Moment) -> Result<Digest> {
        match self.seen(relative).filter(|_| moment == Moment::First) {
            Some((_, digest)) => Ok(digest),
            None => self.digest(relative).map(|(digest, _)| digest),
        }
    }

    /// As [`Index::look`], of a file outside the project.
    ///
    /// # Errors
    /// As [`Index::digest_outside`].
    pub fn look_outside(&self, path: &Path, moment: Moment) -> Result<Digest> {
        match self.seen(&path.to_string_lossy()).filter(|_| moment == Moment::First) {
            Some((_, digest)) => Ok(digest),
            None => self.digest_outside(path).map(|(digest, _)| digest),
        }
    }

    /// State and digest in which this process first saw a path or left it; `None` if it did neither,
    /// or saw it change.
    pub fn seen(&self, name: &str) -> Option<(Stat, Digest)> {
        self.lock().seen.get(name).copied().flatten()
    }

    /// Makes room for `count` more paths.
    pub fn expect(&self, count: usize) {
        self.lock().seen.reserve(count);
    }

    /// Takes over that a path in this state, which it has now, has this digest.
    pub fn vouch(&self, name: &str, stat: Stat, digest: Digest) {
        self.see(name, stat, digest);
    }

    fn see(&self, name: &str, stat: Stat, digest: Digest) {
        let mut entries = self.lock();
        match entries.seen.get_mut(name) {
            None => drop(entries.seen.insert(name.to_owned(), Some((stat, digest)))),
            Some(first) => *first = first.filter(|(_, before)| *before == digest),
        }
    }

    /// The digest noted for a path in exactly this state.
    pub fn lookup(&self, name: &str, stat: Stat) -> Option<Digest> {
        let mut entries = self.lock();
        let Entries { known, changed, .. } = &mut *entries;
        let found = changed
            .get(name)
            .or_else(|| known.get_or_insert_with(|| Known::read(&self.file)).entries.get(name));
        found.filter(|(known, _)| *known == stat).map(|(_, digest)| *digest)
    }

    /// Notes that this process left a path in this state, with these bytes.
    pub(super) fn note(&self, name: &str, stat: Stat, digest: Digest) {
        self.learn(name, stat, digest);
        self.lock().seen.insert(name.to_owned(), Some((stat, digest)));
    }

    /// As [`Index::note`] of an object that was hashed and then renamed into place read-only: nobody
    /// changes it later within the clock's grain, so the racy rule does not apply.
    pub(super) fn note_object(&self, name: &str, stat: Stat, digest: Digest) {
        let mut entries = self.lock();
        entries.changed.insert(name.to_owned(), (stat, digest));
        entries.seen.insert(name.to_owned(), Some((stat, digest)));
    }

    fn learn(&self, name: &str, stat: Stat, digest: Digest) {
        // A line of the index file holds one path.
        if !is_racy(stat) && !name.contains('\n') {
            self.lock().changed.insert(name.to_owned(), (stat, digest));
        }
    }

    /// Hashes many project files at once, so that later look-ups find them; errors surface at those.
    pub fn warm(&self, paths: &[&str], threads: usize) {
        let cold: Vec<&str> = paths.iter().copied().filter(|p| self.is_cold(p)).collect();
        parallel::map(cold.len(), threads, |at| drop(self.digest(cold[at])));
    }

    fn is_cold(&self, relative: &str) -> bool {
        self.seen(relative).is_none()
            && self.root.stat(relative).is_ok_and(|s| self.lookup(relative, Stat::of(&s)).is_none())
    }

    /// Adds what was learnt to the file, in one write: nothing that other processes add is lost. A file
    /// that is known to be mostly old lines is written anew.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self) -> Result<()> {
        let mut entries = self.lock();
        if entries.changed.is_empty() {
            return Ok(());
        }
        let new = std::mem::take(&mut entries.changed);
        if entries.known.as_ref().is_some_and(Known::is_old) {
            let mut all = Known::read(&self.file);
            all.entries.extend(new);
            fs::write_atomic(&self.file, format!("{HEADER}\n{}", text(&all.entries)).as_bytes())?;
            all.lines = all.entries.len();
            entries.known = Some(all);
            return Ok(());
        }
        let mut file =
            OpenOptions::new().append(true).create(true).open(&self.file).at("open", &self.file)?;
        let begin = if file.metadata().at("read", &self.file)?.len() == 0 { HEADER } else { "" };
        // The line break ends a line that a killed process left unfinished.
        file.write_all(format!("{begin}\n{}", text(&new)).as_bytes()).at("write", &self.file)?;
        if let Some(known) = &mut entries.known {
            known.lines += new.len();
            known.entries.extend(new);
        }
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

impl Known {
    /// Reads the index file; of several lines of a path the last one holds.
    fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let Some(body) = text.strip_prefix(HEADER) else {
            return Known { lines: if text.is_empty() { 0 } else { usize::MAX }, ..Known::default() };
        };
        let entry = |line: &str| {
            let mut parts = line.splitn(5, ' ');
            let size = parts.next()?.parse().ok()?;
            let mtime = parts.next()?.parse().ok()?;
            let inode = parts.next()?.parse().ok()?;
            let digest = parts.next()?.parse().ok()?;
            Some((parts.next()?.to_owned(), (Stat { size, mtime, inode }, digest)))
        };
        let lines = body.lines().count();
        let mut entries = HashMap::with_capacity(lines);
        entries.extend(body.lines().filter_map(entry));
        Known { entries, lines }
    }

    /// Are most lines replaced by later ones, or is the file none of ours?
    fn is_old(&self) -> bool {
        self.lines / 2 > self.entries.len() + 500
    }
}

fn text(entries: &HashMap<String, (Stat, Digest)>) -> String {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_unstable_by_key(|(path, _)| *path);
    let mut text = String::with_capacity(sorted.len() * 120);
    for (path, (stat, digest)) in sorted {
        let _ = writeln!(text, "{} {} {} {digest} {path}", stat.size, stat.mtime, stat.inode);
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(index: &Index, name: &str, mtime: i128) {
        index.learn(name, Stat { size: 1, mtime, inode: 2 }, Digest::of(name.as_bytes()));
    }

    #[test]
    fn a_line_cut_short_loses_itself_only() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".sulcus")).unwrap();
        let index = Index::open(folder.path()).unwrap();
        learn(&index, "a b", 1);
        index.save().unwrap();
        let mut file = OpenOptions::new().append(true).open(&index.file).unwrap();
        file.write_all(b"1 1 2 0123").unwrap();
        learn(&index, "c", 1);
        index.save().unwrap();
        let again = Index::open(folder.path()).unwrap();
        let stat = Stat { size: 1, mtime: 1, inode: 2 };
        assert_eq!(again.lookup("a b", stat), Some(Digest::of(b"a b")));
        assert_eq!(again.lookup("c", stat), Some(Digest::of(b"c")));
        assert_eq!(again.lookup("c", Stat { mtime: 2, ..stat }), None);
    }

    #[test]
    fn a_file_of_old_lines_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".sulcus")).unwrap();
        for mtime in 0..1200 {
            let index = Index::open(folder.path()).unwrap();
            assert!(index.lookup("a", Stat { size: 1, mtime, inode: 2 }).is_none());
            learn(&index, "a", mtime);
            index.save().unwrap();
        }
        let known = Known::read(&folder.path().join(".sulcus/index"));
        assert_eq!(known.entries["a"].0.mtime, 1199);
        assert!(known.lines < 700, "{} lines of one path", known.lines);
    }
}
