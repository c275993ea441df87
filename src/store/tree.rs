//! A folder as one object: a text with one line a file.

use std::fmt::Write;

use crate::stage::Digest;

/// The files of a folder, sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// Path relative to the folder, digest, size, and whether it may be executed.
    pub files: Vec<(String, Digest, u64, bool)>,
}

const HEADER: &str = "sulcus-tree 1";

impl Tree {
    /// The object's text.
    pub fn text(&self) -> String {
        let mut out = format!("{HEADER}\n");
        for (path, digest, bytes, executable) in &self.files {
            let mode = if *executable { 'x' } else { '-' };
            let _ = writeln!(out, "{digest} {bytes} {mode} {path}");
        }
        out
    }

    /// Reads a text that [`Tree::text`] wrote; `None` if it is none, or names a path that leaves the folder.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return None;
        }
        let file = |line: &str| {
            let mut parts = line.splitn(4, ' ');
            let digest = parts.next()?.parse().ok()?;
            let bytes = parts.next()?.parse().ok()?;
            let executable = parts.next()? == "x";
            let path = parts.next()?;
            let safe =
                !path.starts_with('/') && path.split('/').all(|p| !p.is_empty() && p != "." && p != "..");
            safe.then(|| (path.to_owned(), digest, bytes, executable))
        };
        lines.map(file).collect::<Option<Vec<_>>>().map(|files| Tree { files })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_refuses_paths_that_leave() {
        let tree = Tree { files: vec![("a/b c.txt".to_owned(), Digest::of(b"x"), 1, true)] };
        assert_eq!(Tree::parse(&tree.text()), Some(tree));
        let line = format!("{} 1 - ../x\n", Digest::of(b"x"));
        assert_eq!(Tree::parse(&format!("{HEADER}\n{line}")), None);
    }
}
