//! Objects and records on disk.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, linkat, openat, renameat,
    unlinkat, utimensat,
};

use super::index::hash;
use super::lock::Locks;
use super::{Held, Holder, Index, Moment, Record, Stat, Tree};
use crate::fs::{self, Context, Error, Result};
use crate::stage::{Digest, PortType};

/// Files up to this size are copied rather than linked: a copy cannot harm the object when somebody
/// edits it in place, and costs no more than a link.
const COPY_UP_TO: u64 = 64 << 10;

/// A store of objects and records, shared by any number of processes.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    locks: Locks,
}

/// Whether an object can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Its bytes are those of its name.
    Sound,
    /// It is not there.
    Missing,
    /// Its bytes are others.
    Corrupt,
}

impl Store {
    /// Opens the store at `path`, made if it is not there.
    ///
    /// # Errors
    /// If it neither exists nor can be made.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.join("objects").is_dir() {
            for folder in ["objects", "records", "tmp"] {
                fs::create_dir_all(path.join(folder))?;
            }
        }
        Ok(Store { path: path.to_owned(), locks: Locks::open(&path.join("lock")) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the object `digest` is, if it is there.
    pub fn object(&self, digest: &Digest) -> PathBuf {
        Self::object_in(&self.path, digest)
    }

    /// Where the store at `path` has the object `digest`, if it has it.
    pub fn object_in(path: &Path, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        path.join("objects").join(&hex[..2]).join(&hex[2..])
    }

    fn record_path(&self, key: &Digest) -> PathBuf {
        let hex = key.hex();
        self.path.join("records").join(&hex[..2]).join(&hex[2..])
    }

    /// The record of `key`; one that is not whole counts as missing.
    pub fn record(&self, key: &Digest) -> Option<Record> {
        Record::from_bytes(&std::fs::read(self.record_path(key)).ok()?)
    }

    /// The record of `key`, which is in use from now on: it counts as young when the store is cleaned.
    pub fn use_record(&self, key: &Digest) -> Option<Record> {
        let record = self.record(key);
        if record.is_some() {
            refresh(&self.record_path(key));
        }
        record
    }

    /// Keeps the record of `key`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep_record(&self, key: &Digest, record: &Record) -> Result<()> {
        let path = self.record_path(key);
        self.publish(&path, |file| file.write_all(&record.to_bytes()).at("write", &path))
    }

    /// Removes the record of `key`, so that its step is executed again.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    pub fn forget(&self, key: &Digest) -> Result<()> {
        let path = self.record_path(key);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at("remove", path),
            _ => Ok(()),
        }
    }

    /// Locks `key`, or says who holds it.
    ///
    /// # Errors
    /// If the operating system refuses locks.
    pub fn try_lock(&self, key: &Digest) -> Result<std::result::Result<Held<'_>, Holder>> {
        self.locks.try_lock(key)
    }

    /// A private, empty folder on the store's file system, named after the `key` it is used for.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn scratch(&self, key: &Digest) -> Result<tempfile::TempDir> {
        let tmp = self.path.join("tmp");
        fs::create_dir_all(&tmp)?;
        let prefix = format!("step-{}-", &key.hex()[..16]);
        tempfile::Builder::new().prefix(&prefix).tempdir_in(&tmp).at("create folder in", tmp)
    }

    /// The folder in which the step with this `key` may keep what lets it go on after it was killed.
    pub fn checkpoints(&self, key: &Digest) -> PathBuf {
        self.path.join("checkpoints").join(format!("step-{}", key.hex()))
    }

    /// Removes them. What cannot be removed is left to the cleaning of the store.
    pub fn drop_checkpoints(&self, key: &Digest) {
        let _ = std::fs::remove_dir_all(self.checkpoints(key));
    }

    /// Moves a finished file of the scratch folder into the store. `durable` waits for the disk.
    ///
    /// # Errors
    /// If it cannot be read, moved or, on a full disk, synced.
    pub fn take(&self, file: &Path, index: &Index, durable: bool) -> Result<(Digest, u64)> {
        let opened = File::open(file).at("open", file)?;
        let (digest, stat) = hash(&opened, file)?;
        if self.health(&digest, index) != Health::Sound {
            let object = self.object(&digest);
            opened.set_permissions(Permissions::from_mode(0o444)).at("set permissions of", file)?;
            if durable {
                opened.sync_all().at("sync", file)?;
            }
            self.rename_into(file, &object)?;
            index.note_object(&object.to_string_lossy(), stat, digest);
        } else {
            refresh(&self.object(&digest));
        }
        Ok((digest, stat.size))
    }

    /// Keeps the bytes of a file that stands in the project, which stays where it is.
    ///
    /// # Errors
    /// If it cannot be read, or the store cannot be written.
    pub fn adopt(&self, relative: &str, index: &Index, durable: bool) -> Result<(Digest, u64)> {
        let project = index.root();
        let full = project.path().join(relative);
        if project
            .stat_nofollow(relative)
            .is_some_and(|s| rustix::fs::FileType::from_raw_mode(s.st_mode).is_symlink())
        {
            let error = std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                "it is a symbolic link; outputs are files or folders",
            );
            return Err(error).at("keep", full);
        }
        let file = project.open(relative)?;
        let (digest, stat) = hash(&file, &full)?;
        index.note(relative, stat, digest);
        if self.health(&digest, index) == Health::Sound {
            refresh(&self.object(&digest));
            return Ok((digest, stat.size));
        }
        let object = self.object(&digest);
        if stat.size > COPY_UP_TO && self.link_into(&file, &object).is_ok() {
            // The same file under a second name, in the state in which it was hashed.
            index.note_object(&object.to_string_lossy(), stat, digest);
            return Ok((digest, stat.size));
        }
        self.publish_from(&object, &file, stat.size, durable)?;
        if Stat::of(&rustix::fs::fstat(&file).at("read", &full)?) != stat {
            let error = std::io::Error::other("it changed while it was read; something still writes to it");
            let _ = std::fs::remove_file(&object);
            return Err(error).at("keep", full);
        }
        if let Some(stat) = Stat::read(&object) {
            index.note_object(&object.to_string_lossy(), stat, digest);
        }
        Ok((digest, stat.size))
    }

    /// Keeps a folder of the project as a tree.
    ///
    /// # Errors
    /// If one of its files cannot be kept.
    pub fn adopt_folder(&self, relative: &str, index: &Index, durable: bool) -> Result<(Digest, u64)> {
        let root = index.root().path().join(relative);
        let mut tree = Tree::default();
        for entry in walkdir::WalkDir::new(&root).sort_by_file_name() {
            let entry = entry.map_err(|e| Error { action: "list", path: root.clone(), source: e.into() })?;
            if entry.file_type().is_dir() {
                continue;
            }
            let below = entry.path().strip_prefix(&root).unwrap_or(entry.path());
            // A tree has one line for each file.
            let Some(below) = below.to_str().filter(|name| !name.contains('\n')).map(str::to_owned) else {
                let why = "its name is not UTF-8 text of one line";
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, why))
                    .at("keep", entry.path());
            };
            let (digest, bytes) = self.adopt(&format!("{relative}/{below}"), index, durable)?;
            let executable = entry.metadata().is_ok_and(|m| m.permissions().mode() & 0o100 != 0);
            tree.files.push((below, digest, bytes, executable));
        }
        let text = tree.text();
        let digest = Digest::of(text.as_bytes());
        if self.health(&digest, index) != Health::Sound {
            let object = self.object(&digest);
            self.publish(&object, |file| file.write_all(text.as_bytes()).at("write", &object))?;
        }
        Ok((digest, tree.files.iter().map(|f| f.2).sum()))
    }

    /// Is the object there, with the bytes of its name? Reads it only if its state is not known.
    pub fn health(&self, digest: &Digest, index: &Index) -> Health {
        self.health_at(digest, index, Moment::Now)
    }

    fn health_at(&self, digest: &Digest, index: &Index, moment: Moment) -> Health {
        let path = self.object(digest);
        match index.look_outside(&path, moment) {
            Ok(found) if found == *digest => Health::Sound,
            Ok(_) => Health::Corrupt,
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => Health::Missing,
            Err(_) => Health::Corrupt,
        }
    }

    /// As [`Store::health`], and for a tree of everything it names.
    pub fn health_of(&self, ty: PortType, digest: &Digest, index: &Index, moment: Moment) -> Health {
        let health = self.health_at(digest, index, moment);
        if health != Health::Sound || ty != PortType::Dir {
            return health;
        }
        let Some(tree) = self.tree(digest) else {
            return Health::Corrupt;
        };
        let files = tree.files.iter().map(|(_, d, _, _)| self.health_at(d, index, moment));
        let bad = files.into_iter().find(|h| *h != Health::Sound);
        bad.unwrap_or(Health::Sound)
    }

    /// The tree object `digest`.
    pub fn tree(&self, digest: &Digest) -> Option<Tree> {
        Tree::parse(&std::fs::read_to_string(self.object(digest)).ok()?)
    }

    /// Puts aside an object whose bytes are not those of its name. One that another process repaired
    /// meanwhile stays, and so does one that cannot be opened: nothing says that it is damaged.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub fn quarantine(&self, digest: &Digest) -> Result<()> {
        let from = self.object(digest);
        let Ok(file) = File::open(&from) else { return Ok(()) };
        if hash(&file, &from).is_ok_and(|(found, _)| found == *digest) {
            return Ok(());
        }
        let folder = self.path.join("quarantine");
        fs::create_dir_all(&folder)?;
        match std::fs::rename(&from, folder.join(digest.hex())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at("put aside", from),
            _ => Ok(()),
        }
    }

    /// Makes the object appear at a path of the project: by reflink, else (if large) by hard link, else by copy.
    ///
    /// # Errors
    /// If the path cannot be written.
    pub fn place(
        &self,
        digest: &Digest,
        bytes: u64,
        relative: &str,
        executable: bool,
        index: &Index,
    ) -> Result<()> {
        let project = index.root();
        let full = project.path().join(relative);
        let (folder, name) = project.parent(relative)?;
        let temporary = format!(".{}.{}.tmp", name, std::process::id());
        let _ = unlinkat(&folder, &temporary, AtFlags::empty());
        let placed = self.copy_out(digest, bytes, &folder, &temporary, executable, &full).and_then(|()| {
            let is_dir = |s: rustix::fs::Stat| rustix::fs::FileType::from_raw_mode(s.st_mode).is_dir();
            if project.stat_nofollow(relative).is_some_and(is_dir) {
                project.remove(relative)?;
            }
            renameat(&folder, temporary.as_str(), &folder, name).at("replace", &full)
        });
        if placed.is_err() {
            let _ = unlinkat(&folder, &temporary, AtFlags::empty());
            return placed;
        }
        if let Ok(stat) = project.stat(relative) {
            index.note(relative, Stat::of(&stat), *digest);
        }
        Ok(())
    }

    /// Makes the new file `name` of `folder` from an object.
    fn copy_out(
        &self,
        digest: &Digest,
        bytes: u64,
        folder: &OwnedFd,
        name: &str,
        executable: bool,
        full: &Path,
    ) -> Result<()> {
        let object = self.object(digest);
        let source = File::open(&object).at("open", &object)?;
        let mode = Mode::from_raw_mode(if executable { 0o755 } else { 0o644 });
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let create = || openat(folder, name, flags, mode).map(File::from).at("create", full);
        let mut target = create()?;
        if rustix::fs::ioctl_ficlone(&target, source.as_fd()).is_ok() {
            return Ok(());
        }
        if bytes > COPY_UP_TO && !executable {
            let _ = unlinkat(folder, name, AtFlags::empty());
            if linkat(CWD, &object, folder, name, AtFlags::empty()).is_ok() {
                return Ok(());
            }
            target = create()?;
        }
        std::io::copy(&mut &source, &mut target).at("write", full).map(drop)
    }

    /// Places a tree: its files appear, others in the folder are removed.
    ///
    /// # Errors
    /// If a path cannot be written, or the tree is not in the store.
    pub fn place_tree(&self, digest: &Digest, relative: &str, index: &Index) -> Result<()> {
        let missing = || std::io::Error::new(std::io::ErrorKind::NotFound, "the tree is not in the store");
        let tree = self.tree(digest).ok_or_else(missing).at("read", self.object(digest))?;
        index.root().remove(relative)?;
        for (path, digest, bytes, executable) in &tree.files {
            self.place(digest, *bytes, &format!("{relative}/{path}"), *executable, index)?;
        }
        Ok(())
    }

    /// Writes a new file beside its destination and renames it there, read-only.
    fn publish(&self, path: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
        let tmp = self.path.join("tmp");
        let make = || tempfile::Builder::new().prefix("new-").tempfile_in(&tmp);
        let mut file = match make() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                fs::create_dir_all(&tmp)?;
                make().at("write in", &tmp)?
            }
            other => other.at("write in", &tmp)?,
        };
        write(file.as_file_mut())?;
        file.as_file().set_permissions(Permissions::from_mode(0o444)).at("set permissions of", path)?;
        let (_, temporary) = file.keep().map_err(|e| e.error).at("write", path)?;
        self.rename_into(&temporary, path)
    }

    /// Makes an open file of the same file system an object by a hard link, read-only from now on.
    fn link_into(&self, file: &File, object: &Path) -> Result<()> {
        use std::os::fd::AsRawFd;
        let temporary =
            self.path.join("tmp").join(format!("link-{}-{}", std::process::id(), file.as_raw_fd()));
        let source = format!("/proc/self/fd/{}", file.as_raw_fd());
        linkat(CWD, source.as_str(), CWD, &temporary, AtFlags::SYMLINK_FOLLOW).at("link", object)?;
        file.set_permissions(Permissions::from_mode(0o444)).at("set permissions of", object)?;
        self.rename_into(&temporary, object)
    }

    fn publish_from(&self, object: &Path, source: &File, bytes: u64, durable: bool) -> Result<()> {
        self.publish(object, |file| {
            if bytes == 0 || rustix::fs::ioctl_ficlone(&*file, source).is_err() {
                std::io::Seek::rewind(&mut &*source).at("read", object)?;
                std::io::copy(&mut &*source, file).at("write", object)?;
            }
            if durable { file.sync_all().at("sync", object) } else { Ok(()) }
        })
    }

    fn rename_into(&self, from: &Path, to: &Path) -> Result<()> {
        match std::fs::rename(from, to) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if let Some(folder) = to.parent() {
                    fs::create_dir_all(folder)?;
                }
                std::fs::rename(from, to).at("write", to)
            }
            other => other.at("write", to),
        }
    }
}

/// Sets the access time, and with it the change time, to now; the index, which goes by the
/// modification time, does not notice. In a store that cannot be written nothing is cleaned either.
pub(super) fn refresh(path: &Path) {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let same = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let times = Timestamps { last_access: now, last_modification: same };
    let _ = utimensat(CWD, path, &times, AtFlags::empty());
}
