//! Which files a file parameter names: sources of the project and paths that other steps write.

use std::collections::BTreeMap;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use walkdir::WalkDir;

use super::{FoundFile, ProjectPath, StepId};
use crate::stage::{Digest, FileForm, FileParam};

/// Every path that a step writes, with the step and its output port.
#[derive(Default)]
pub(super) struct Written(BTreeMap<ProjectPath, (StepId, String)>);

impl Written {
    /// Notes that `step` writes `path`.
    ///
    /// # Errors
    /// The other step that writes the path, a folder around it or a file below it.
    pub(super) fn add(&mut self, path: ProjectPath, step: StepId, port: &str) -> Result<(), StepId> {
        if let Some((_, (other, _))) = self.around(&path).or_else(|| self.below(&path).next()) {
            return Err(*other);
        }
        self.0.insert(path, (step, port.to_owned()));
        Ok(())
    }

    /// The written path that is `path` or a folder around it.
    fn around(&self, path: &ProjectPath) -> Option<(&ProjectPath, &(StepId, String))> {
        let mut text = path.as_str();
        loop {
            if let Some(found) = self.0.get_key_value(&ProjectPath::trusted(text.to_owned())) {
                return Some(found);
            }
            text = &text[..text.rfind('/')?];
        }
    }

    fn below<'a>(
        &'a self,
        folder: &'a ProjectPath,
    ) -> impl Iterator<Item = (&'a ProjectPath, &'a (StepId, String))> {
        let from = if folder.as_str() == "." { String::new() } else { format!("{folder}/") };
        self.0.range(ProjectPath::trusted(from)..).take_while(|(path, _)| path.is_in(folder))
    }
}

/// What the parameter names, sorted by path.
///
/// A path for which `is_file` answers yes is a file without looking again.
///
/// # Errors
/// Why it names nothing, in words.
pub(super) fn find(
    root: &Path,
    param: &FileParam,
    written: &Written,
    is_file: &dyn Fn(&str) -> bool,
) -> Result<Vec<FoundFile>, String> {
    if param.form != FileForm::Folder && is_glob(&param.path) {
        return find_glob(root, &param.path, written);
    }
    let path = ProjectPath::parse(&param.path)?;
    if let Some((_, producer)) = written.around(&path) {
        return Ok(vec![FoundFile { path, producer: Some(producer.clone()) }]);
    }
    if param.form != FileForm::Folder && is_file(path.as_str()) {
        return Ok(vec![FoundFile { path, producer: None }]);
    }
    let full = path.below(root);
    let Ok(meta) = std::fs::metadata(&full) else {
        return Err(format!("the file `{path}` does not exist in the project"));
    };
    match (meta.is_dir(), param.form) {
        (false, FileForm::Folder) => Err(format!("`{path}` is a file; a folder is needed")),
        (true, FileForm::FileOrGlob) => {
            Err(format!("`{path}` is a folder; name a file or a glob such as `{path}/*`"))
        }
        (false, _) => Ok(vec![FoundFile { path, producer: None }]),
        (true, _) => {
            let mut found = walk(root, &path, |_| true)?;
            found.extend(
                written
                    .below(&path)
                    .map(|(p, producer)| FoundFile { path: p.clone(), producer: Some(producer.clone()) }),
            );
            found.sort_by(|a, b| a.path.cmp(&b.path));
            found.dedup_by(|a, b| a.path == b.path);
            Ok(found)
        }
    }
}

fn find_glob(root: &Path, pattern: &str, written: &Written) -> Result<Vec<FoundFile>, String> {
    let fixed = pattern.split('/').take_while(|part| !is_glob(part)).collect::<Vec<_>>().join("/");
    let folder = ProjectPath::parse(if fixed.is_empty() { "." } else { &fixed })?;
    if pattern.split('/').any(|part| part == "..") || pattern.starts_with('/') {
        return Err(format!("the pattern `{pattern}` leaves the project"));
    }
    let matcher = glob(pattern.trim_start_matches("./"))?;
    let is_written = |path: &ProjectPath| written.around(path).is_some();
    let mut found = walk(root, &folder, |path| matcher.is_match(path.as_str()) && !is_written(path))?;
    let produced = written.below(&folder).filter(|(path, _)| matcher.is_match(path.as_str()));
    found.extend(
        produced.map(|(path, producer)| FoundFile { path: path.clone(), producer: Some(producer.clone()) }),
    );
    if found.is_empty() {
        return Err(format!("the pattern `{pattern}` matches no file of the project"));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn glob(pattern: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.map(|g| g.compile_matcher()).map_err(|e| format!("the pattern `{pattern}` is broken: {}", e.kind()))
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// Files below `folder`; hidden ones and links are left out.
fn walk(
    root: &Path,
    folder: &ProjectPath,
    keep: impl Fn(&ProjectPath) -> bool,
) -> Result<Vec<FoundFile>, String> {
    let mut found = Vec::new();
    let visible = |e: &walkdir::DirEntry| e.depth() == 0 || !e.file_name().to_string_lossy().starts_with('.');
    for entry in WalkDir::new(folder.below(root)).into_iter().filter_entry(visible) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if error.depth() == 0 => return Ok(found),
            Err(error) => return Err(format!("cannot list `{folder}`: {error}")),
        };
        if entry.file_type().is_file() {
            let below = entry.path().strip_prefix(root).unwrap_or(entry.path());
            let Some(text) = below.to_str() else {
                return Err(format!("the file name {below:?} is not UTF-8"));
            };
            let path = ProjectPath::trusted(text.to_owned());
            if keep(&path) {
                found.push(FoundFile { path, producer: None });
            }
        }
    }
    Ok(found)
}

/// The files that a pattern names now, written ones not told apart; `None` if it names nothing.
pub fn list_sources(root: &Path, pattern: &str) -> Option<Vec<FoundFile>> {
    let param =
        FileParam { param: String::new(), path: pattern.to_owned(), form: FileForm::Any, names_matter: true };
    find(root, &param, &Written::default(), &|_| false).ok()
}

/// The fingerprint of the list of files that a pattern names, without what steps write.
pub fn list_digest(root: &Path, pattern: &str) -> Option<Digest> {
    let found = list_sources(root, pattern)?;
    let text: String = found.iter().map(|f| format!("{}\n", f.path)).collect();
    Some(Digest::of(text.as_bytes()))
}
