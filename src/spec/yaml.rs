//! Text → tree, within bounds: a stranger's file costs no more time or memory than its size allows.

use serde_saphyr::options::Options;

use super::{Diagnostic, Node, Span};

/// Larger workflow files are refused. A workflow of 100,000 stages has some 13 MB.
pub const MAX_BYTES: usize = 64 << 20;
/// Longer lines are refused: no person wrote them, and every message would quote them.
pub const MAX_LINE: usize = 1 << 20;
const MAX_DEPTH: usize = 64;

/// Parses one YAML document.
///
/// # Errors
/// A diagnostic with the place: not UTF-8, too large, too deep, duplicate keys, unknown tags, alias bombs.
pub fn parse(bytes: &[u8], source: u32) -> Result<Node, Diagnostic> {
    let at = |line: usize, column: usize| Span { source, line: line as u32, column: column as u32, len: 1 };
    if bytes.len() > MAX_BYTES {
        let message =
            format!("the file has {} MB; a workflow may have {} MB", bytes.len() >> 20, MAX_BYTES >> 20);
        return Err(Diagnostic::at(at(1, 1), message).hint("put data into files and name them in `with`"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
        Diagnostic::at(at(line, column), "the file is not UTF-8 text").hint("save it as UTF-8")
    })?;
    if let Some(line) = text.split('\n').position(|l| l.len() > MAX_LINE) {
        return Err(
            Diagnostic::at(at(line + 1, 1), "this line is longer than 1 MB").hint("is this a workflow file?")
        );
    }
    if let Some(nul) = text.find('\0') {
        let line = text[..nul].matches('\n').count() + 1;
        return Err(
            Diagnostic::at(at(line, 1), "the file has a NUL character").hint("is this a workflow file?")
        );
    }
    let mut node: Node = serde_saphyr::from_str_with_options(text, options(text.len())).map_err(|error| {
        let error = error.without_snippet();
        let place = error.location().map_or(at(1, 1), |l| at(l.line() as usize, l.column() as usize));
        let rendered = error.to_string();
        let message = rendered.lines().next().unwrap_or("not valid YAML");
        let message = message.split(" at line ").next().unwrap_or(message).trim_end_matches('.');
        reword(message, place)
    })?;
    node.set_source(source);
    Ok(node)
}

/// The parser's words for programmers in words for authors.
fn reword(message: &str, place: Span) -> Diagnostic {
    if let Some(key) = message.strip_prefix("duplicate mapping key: ") {
        let key = key.split(", set ").next().unwrap_or(key);
        return Diagnostic::at(place, format!("the key `{key}` stands twice")).hint("rename one of the two");
    }
    if message.contains("budget") || message.contains("alias") {
        return Diagnostic::at(place, "the file's aliases expand to far more than its size allows")
            .hint("write out what they stand for, or use `params`");
    }
    Diagnostic::at(place, message.to_owned())
}

fn options(len: usize) -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_documents: 1,
            max_events: 4 * len + 10_000,
            max_nodes: 4 * len + 10_000,
            max_total_scalar_bytes: 4 * len + 10_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_merge_keys: 1_000,
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: MAX_DEPTH,
            max_alias_expansions_per_anchor: 1_000,
        },
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}
