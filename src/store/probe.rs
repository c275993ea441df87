//! What the store's file system can do, tried out.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use super::Store;
use crate::fs::{self, Context, Result};

/// What works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its name, or its number if it has none here.
    pub file_system: String,
    /// Bytes that this user may still write.
    pub free: u64,
    /// Files can share their blocks.
    pub reflink: bool,
    /// A file of the store can have a name in the project.
    pub hard_link: bool,
}

impl Store {
    /// Tries with small files in the store and in the project at `root`.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn probe(&self, root: &Path) -> Result<Probe> {
        let tmp = self.path().join("tmp");
        fs::create_dir_all(&tmp)?;
        let folder =
            tempfile::Builder::new().prefix("probe-").tempdir_in(&tmp).at("create folder in", &tmp)?;
        let source = folder.path().join("source");
        std::fs::write(&source, b"sulcus").at("write", &source)?;
        let beside = tempfile::Builder::new().prefix(".sulcus-probe-").tempdir_in(root);
        let target = beside.as_ref().map_or(folder.path(), |b| b.path()).join("target");
        let clone = || -> std::io::Result<()> {
            let (from, to) = (File::open(&source)?, File::create(&target)?);
            Ok(rustix::fs::ioctl_ficlone(&to, from.as_fd())?)
        };
        let reflink = clone().is_ok();
        let _ = std::fs::remove_file(&target);
        let hard_link = std::fs::hard_link(&source, &target).is_ok();
        let stat = rustix::fs::statfs(self.path()).at("read", self.path())?;
        Ok(Probe {
            file_system: name(stat.f_type as u64),
            free: stat.f_bavail.saturating_mul(stat.f_bsize as u64),
            reflink,
            hard_link,
        })
    }
}

/// The magic numbers of `statfs(2)`.
fn name(magic: u64) -> String {
    let known = match magic & 0xffff_ffff {
        0xef53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x0102_1994 => "tmpfs",
        0x794c_7630 => "overlayfs",
        0x6969 => "nfs",
        0x2fc1_2fc1 => "zfs",
        0xff53_4d42 | 0xfe53_4d42 => "smb",
        0x0bd0_0bd0 => "lustre",
        0x6573_5546 => "fuse",
        0xca45_1a4e => "bcachefs",
        0x4750_4653 => "gpfs",
        0x0102_1997 => "9p",
        other => return format!("file system {other:#x}"),
    };
    known.to_owned()
}
