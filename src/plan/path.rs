//! Paths inside the project.

use std::fmt;
use std::path::{Component, Path, PathBuf};

/// A path relative to the project's root that does not leave it: `data/a.csv`, with `/` between parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectPath(String);

impl ProjectPath {
    /// Checks and tidies a path written by a person.
    ///
    /// # Errors
    /// Says why the path is refused: absolute, leaving the project, or not portable.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("the path `{}` {why}", text.escape_debug()));
        if text.trim().is_empty() {
            return refuse("is empty");
        }
        if text.contains('\0') || text.chars().any(char::is_control) {
            return refuse("has a control character");
        }
        if text.contains('\\') {
            return refuse("has a backslash; write `/` between folders");
        }
        if text.starts_with('~') {
            return refuse("begins with `~`, which is a shell's shorthand; write a path inside the project");
        }
        if text.as_bytes().get(1) == Some(&b':') && text.as_bytes()[0].is_ascii_alphabetic() {
            return refuse("names a drive; write a path inside the project");
        }
        let mut parts: Vec<&str> = Vec::new();
        for component in Path::new(text).components() {
            match component {
                Component::Normal(part) => parts.push(part.to_str().unwrap_or_default()),
                Component::CurDir => {}
                Component::ParentDir => {
                    if parts.pop().is_none() {
                        return refuse("leaves the project");
                    }
                }
                Component::RootDir | Component::Prefix(_) => {
                    return refuse("is absolute; paths are relative to the project's root");
                }
            }
        }
        if parts.is_empty() {
            return Ok(ProjectPath(".".to_owned()));
        }
        Ok(ProjectPath(parts.join("/")))
    }

    /// Additionally refuses the folders that belong to tools: nothing is written there.
    ///
    /// # Errors
    /// Says why the path is refused.
    pub fn parse_writable(text: &str) -> Result<Self, String> {
        let path = Self::parse(text)?;
        let first = path.0.split('/').next().unwrap_or_default().to_lowercase();
        if path.0 == "." || first == ".git" || first == ".sulcus" {
            return Err(format!(
                "the path `{}` may not be written: it belongs to the project itself",
                path.0
            ));
        }
        if path.0.split('/').any(|part| part.eq_ignore_ascii_case(".git")) {
            return Err(format!("the path `{}` may not be written: `.git` belongs to git", path.0));
        }
        Ok(path)
    }

    /// A path that this program made itself.
    pub(crate) fn trusted(path: String) -> Self {
        ProjectPath(path)
    }

    /// The text, with `/` between parts.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path below `root`.
    pub fn below(&self, root: &Path) -> PathBuf {
        if self.0 == "." { root.to_owned() } else { root.join(&self.0) }
    }

    /// The extension in lower case, without the dot.
    pub fn extension(&self) -> Option<String> {
        Path::new(&self.0).extension().map(|e| e.to_string_lossy().to_lowercase())
    }

    /// Is `self` the folder `folder` or below it?
    pub fn is_in(&self, folder: &ProjectPath) -> bool {
        folder.0 == "."
            || self.0 == folder.0
            || self.0.strip_prefix(&folder.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl fmt::Display for ProjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value of a Hive partition folder: what is not a letter, digit, `_`, `-` or `.` is percent-encoded.
pub(super) fn hive(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_leaves_the_project() {
        for bad in ["/etc/passwd", "..", "a/../../b", "~/x", "C:/x", "a\\b", "", "a\0b", "a\nb"] {
            assert!(ProjectPath::parse(bad).is_err(), "{bad:?}");
        }
        for bad in [".git/hooks/x", ".sulcus/x", "a/../.GIT/config", ".", "sub/.git/config"] {
            assert!(ProjectPath::parse_writable(bad).is_err(), "{bad:?}");
        }
        assert_eq!(ProjectPath::parse("./a//b/../c").unwrap().as_str(), "a/c");
    }

    proptest! {
        #[test]
        fn what_parses_stays_below_the_root(text in "\\PC{0,20}|([a-z.]{0,3}/){0,5}[a-z.]{0,3}") {
            if let Ok(path) = ProjectPath::parse(&text) {
                let full = path.below(Path::new("/project"));
                prop_assert!(full.starts_with("/project"));
                prop_assert!(!full.components().any(|c| c == Component::ParentDir));
                prop_assert_eq!(ProjectPath::parse(path.as_str()).unwrap(), path);
            }
        }
    }
}
