//! What `in:` binds to a port.

use super::fields::{check_keys, entries, text};
use super::reference::Reference;
use super::{Diagnostic, Node, Span, Yaml};
use crate::stage::Digest;

/// One thing bound to an input port.
#[derive(Clone, Debug)]
pub struct Input {
    /// Where it is written.
    pub span: Span,
    /// What it is.
    pub source: InputSource,
    /// Its name in a map of references: arrives as the axis `name`.
    pub name: Option<String>,
}

/// Where an input comes from.
#[derive(Clone, Debug)]
pub enum InputSource {
    /// Another stage's output.
    Stage(Reference),
    /// A file of the project.
    File(String),
    /// A download whose bytes are pinned.
    Url {
        /// Where from.
        url: String,
        /// What its bytes hash to.
        digest: Digest,
    },
}

/// Reads the value of one port: a reference, a file, a download, or a list or map of such.
pub(super) fn read(node: &Node) -> Result<Vec<Input>, Diagnostic> {
    match &node.value {
        Yaml::Seq(items) => {
            let mut out = Vec::new();
            for item in items {
                out.extend(read(item)?);
            }
            Ok(out)
        }
        Yaml::Map(fields) if node.get("file").is_none() && node.get("url").is_none() => {
            let mut out = Vec::new();
            for (key, value) in fields {
                out.extend(read(value)?.into_iter().map(|i| Input { name: Some(key.name.clone()), ..i }));
            }
            Ok(out)
        }
        _ => Ok(vec![Input { span: node.span, source: source(node)?, name: None }]),
    }
}

fn source(node: &Node) -> Result<InputSource, Diagnostic> {
    if let Yaml::Str(reference) = &node.value {
        return Reference::parse(reference).map(InputSource::Stage).map_err(|message| {
            Diagnostic::at(node.span, message).hint("for a file of the project write { file: path }")
        });
    }
    let mut wrong = Vec::new();
    let fields = entries(node, "an input")?;
    check_keys(fields, &["file", "url", "blake3"], "an input", &mut wrong);
    if let Some(first) = wrong.into_iter().next() {
        return Err(first);
    }
    if let Some(path) = node.get("file") {
        return Ok(InputSource::File(text(path, "`file`")?.to_owned()));
    }
    let (Some(url), Some(digest)) = (node.get("url"), node.get("blake3")) else {
        return Err(Diagnostic::at(node.span, "a download is pinned: { url: …, blake3: … }")
            .hint("`b3sum FILE` prints the digest"));
    };
    let digest_text = text(digest, "`blake3`")?;
    let digest = digest_text.parse().map_err(|message: String| Diagnostic::at(digest.span, message))?;
    Ok(InputSource::Url { url: text(url, "`url`")?.to_owned(), digest })
}
