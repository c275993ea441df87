//! `<workflow>.lock`: key and output digests of every step, in a text that git merges.
//!
//! Each step has a block of its own, in the order of the names, so that branches that change
//! different steps merge without a conflict. Where git leaves conflict marks both sides are read
//! and the next run writes the file anew: the lock is never repaired by hand.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::fs::{self, Result};
use crate::stage::Digest;

/// What the lock says of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockEntry {
    /// The step's key.
    pub key: Digest,
    /// Content digest of each output, by port: of a table's values, of anything else's bytes.
    pub outputs: BTreeMap<String, Digest>,
}

/// The lock: entries by step name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockFile(pub BTreeMap<String, LockEntry>);

const HEADER: &str = "# Written by `sulcus run`. Commit it: it says which result every step had.\nlock: 1\n";

impl LockFile {
    /// Reads the file; a missing one is empty, and lines that make no sense are left out.
    pub fn read(path: &Path) -> Self {
        std::fs::read_to_string(path).map(|text| Self::parse(&text)).unwrap_or_default()
    }

    /// Reads a text that [`LockFile::text`] wrote.
    pub fn parse(text: &str) -> Self {
        let mut entries = BTreeMap::new();
        let mut current: Option<(String, Option<Digest>, BTreeMap<String, Digest>)> = None;
        let mut finish = |entry: Option<(String, Option<Digest>, BTreeMap<String, Digest>)>| {
            if let Some((name, Some(key), outputs)) = entry {
                entries.insert(name, LockEntry { key, outputs });
            }
        };
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                finish(current.replace((name.to_owned(), None, BTreeMap::new())));
            } else if let (Some(entry), Some((digest, field))) =
                (current.as_mut(), line.trim_start().split_once(' '))
            {
                match (digest.parse(), field) {
                    (Ok(digest), "key") => entry.1 = Some(digest),
                    (Ok(digest), port) => drop(entry.2.insert(port.to_owned(), digest)),
                    (Err(_), _) => {}
                }
            }
        }
        finish(current);
        LockFile(entries)
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut out = String::with_capacity(self.0.len() * 180);
        out.push_str(HEADER);
        for (name, entry) in &self.0 {
            let _ = write!(out, "\n[{name}]\n{} key\n", entry.key);
            for (port, digest) in &entry.outputs {
                let _ = writeln!(out, "{digest} {port}");
            }
        }
        out
    }

    /// Replaces the file if its text changed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = self.text();
        if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
            return Ok(());
        }
        fs::write_atomic(path, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> LockEntry {
        let outputs = BTreeMap::from([
            ("table".to_owned(), Digest::of(text.as_bytes())),
            ("o/a b".to_owned(), Digest::of(b"o")),
        ]);
        LockEntry { key: Digest::of(format!("key {text}").as_bytes()), outputs }
    }

    #[test]
    fn reads_back() {
        let lock =
            LockFile(BTreeMap::from([("b[seed=0]".to_owned(), entry("b")), ("a".to_owned(), entry("a"))]));
        assert_eq!(LockFile::parse(&lock.text()), lock);
    }

    #[test]
    fn conflict_marks_lose_no_other_entry() {
        let lock = LockFile(BTreeMap::from([("a".to_owned(), entry("a")), ("c".to_owned(), entry("c"))]));
        let text = lock.text().replace("\n[c]", "\n<<<<<<< ours\n[b]\n=======\n[d]\n>>>>>>> theirs\n[c]");
        assert_eq!(LockFile::parse(&text), lock);
    }
}
