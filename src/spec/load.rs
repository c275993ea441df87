//! Reads a workflow file and what it includes.

use std::path::{Component, Path, PathBuf};

use super::fields::texts;
use super::parsed;
use super::workflow::build;
use super::{Diagnostic, Overrides, Source, Workflow, parse};

/// What is wrong with a workflow, and the files that it was read from.
#[derive(Debug)]
pub struct Invalid {
    /// The mistakes, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// The files; spans index into them.
    pub sources: Vec<Source>,
}

const MAX_FILES: usize = 100;

/// Reads `file`, below the project folder `root`, and everything that it includes.
///
/// # Errors
/// Every mistake found, with its place.
pub fn load(root: &Path, file: &Path, overrides: &Overrides) -> Result<Workflow, Invalid> {
    let mut sources = Vec::new();
    let mut documents = Vec::new();
    let mut queue = vec![(file.to_owned(), None)];
    let mut next = 0;
    while let Some((path, included_at)) = queue.get(next).cloned() {
        next += 1;
        let bytes = match crate::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let diagnostic = Diagnostic { span: included_at, message: error.to_string(), hint: None };
                return Err(Invalid { diagnostics: vec![diagnostic], sources });
            }
        };
        let index = sources.len() as u32;
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        sources.push(Source { name, text: String::from_utf8_lossy(&bytes).into_owned() });
        let kept = root.join(".sulcus").join("parsed");
        let parsed = match parsed::recall(&kept, &bytes, index) {
            Some(document) => Ok(document),
            None => parse(&bytes, index).inspect(|document| {
                if root.join(".sulcus").is_dir() {
                    parsed::keep(&kept, &bytes, document);
                }
            }),
        };
        let parsed = parsed.and_then(|document| {
            let includes = includes(&document, root, &path)?;
            Ok((document, includes))
        });
        match parsed {
            Ok((document, includes)) => {
                for (include, span) in includes {
                    if !queue.iter().any(|(known, _)| *known == include) {
                        queue.push((include, Some(span)));
                    }
                }
                documents.push(document);
            }
            Err(diagnostic) => {
                return Err(Invalid { diagnostics: vec![diagnostic], sources });
            }
        }
        if sources.len() > MAX_FILES {
            let diagnostic = Diagnostic::new(format!("the workflow includes more than {MAX_FILES} files"));
            return Err(Invalid { diagnostics: vec![diagnostic], sources });
        }
    }
    let stem = file.file_stem().map_or("workflow".to_owned(), |s| s.to_string_lossy().into_owned());
    build(&documents, sources, &stem, overrides)
        .map_err(|(diagnostics, sources)| Invalid { diagnostics, sources })
}

/// The files named by `include:`, relative to the including file, inside the project.
fn includes(
    document: &super::Node,
    root: &Path,
    file: &Path,
) -> Result<Vec<(PathBuf, super::Span)>, Diagnostic> {
    let Some(node) = document.get("include") else {
        return Ok(Vec::new());
    };
    let folder = file.parent().unwrap_or(root);
    let mut out = Vec::new();
    for name in texts(node, "`include`")? {
        let mut path = folder.to_owned();
        for component in Path::new(&name).components() {
            match component {
                Component::Normal(part) => path.push(part),
                Component::ParentDir => drop(path.pop()),
                Component::CurDir => {}
                Component::RootDir | Component::Prefix(_) => path = PathBuf::from("/"),
            }
        }
        if !path.starts_with(root) {
            return Err(Diagnostic::at(node.span, format!("`include: {name}` lies outside the project"))
                .hint("copy the file into the project"));
        }
        out.push((path, node.span));
    }
    Ok(out)
}
