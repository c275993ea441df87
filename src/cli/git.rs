//! What git knows of the project, through the `git` program.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::CliError;

/// The text that `git` prints in `folder`; `None` if it ends with an error or is not there.
fn git<S: AsRef<OsStr>>(folder: &Path, args: &[S]) -> Option<Vec<u8>> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(args).stdin(Stdio::null()).stderr(Stdio::null());
    // Neither a pager nor a background repack, and no lock on the index.
    command.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_PAGER", "cat");
    let output = command.output().ok()?;
    output.status.success().then_some(output.stdout)
}

fn line(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

/// git's version, if it is installed.
pub fn version() -> Option<String> {
    git(Path::new("."), &["--version"]).map(line)
}

/// The root of the repository around `folder`.
pub fn root(folder: &Path) -> Option<String> {
    git(folder, &["rev-parse", "--show-toplevel"]).map(line)
}

/// The text of `file` (a path in `folder`) in a revision; `None` if that revision has no such file.
///
/// # Errors
/// If there is no repository, or no such revision in it.
pub fn file_at(folder: &Path, revision: &str, file: &str) -> Result<Option<String>, CliError> {
    if root(folder).is_none() {
        return Err(CliError::wrong(format!("{} is in no git repository", folder.display()))
            .hint("`sulcus diff` compares with a lock that was committed"));
    }
    // `--end-of-options` keeps a revision that begins with `-` from being an option.
    let commit = format!("{revision}^{{commit}}");
    let found = git(folder, &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit]).map(line);
    let commit =
        found.filter(|c| !c.is_empty() && c.bytes().all(|b| b.is_ascii_hexdigit())).ok_or_else(|| {
            CliError::wrong(format!("git knows no revision `{revision}`"))
                .hint("name a branch, a tag or a commit; `HEAD~1` is the one before")
        })?;
    let text = git(folder, &["cat-file", "blob", &format!("{commit}:./{file}")]);
    Ok(text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The texts of all files called `*.lock` at the tips of all branches and tags, each text once.
pub fn locks(folder: &Path) -> Vec<String> {
    let refs = git(
        folder,
        &["for-each-ref", "--format=%(objectname)", "refs/heads", "refs/remotes", "refs/tags", "refs/stash"],
    );
    let refs = line(refs.unwrap_or_default());
    let mut tips: Vec<&str> = refs.lines().collect();
    tips.push("HEAD");
    tips.sort_unstable();
    tips.dedup();
    let mut blobs: Vec<String> = Vec::new();
    for tip in tips {
        let tree = git(folder, &["ls-tree", "-r", "-z", "--full-tree", tip]).unwrap_or_default();
        for entry in String::from_utf8_lossy(&tree).split('\0').filter(|entry| entry.ends_with(".lock")) {
            // `mode type object\tpath`
            blobs.extend(entry.split(['\t', ' ']).nth(2).map(str::to_owned));
        }
    }
    blobs.sort_unstable();
    blobs.dedup();
    let texts = blobs.iter().filter_map(|blob| git(folder, &["cat-file", "blob", blob]));
    texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}
