//! Text → tree, within bounds: a stranger's file costs no more time or memory than its size allows.

use granit_parser::Parser;

use super::tree::Tree;
use super::{Diagnostic, Node, Span};

/// Larger workflow files are refused. A workflow of 100,000 stages has some 13 MB.
pub const MAX_BYTES: usize = 64 << 20;
/// Longer lines are refused: no person wrote them, and every message would quote them.
pub const MAX_LINE: usize = 1 << 20;

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
    let mut tree = Tree::new(text.len());
    for event in Parser::new_from_str_with_options(text, granit_parser::options! { emit_comments: false }) {
        let (event, place) = event.map_err(|error| {
            let mark = error.marker();
            Diagnostic::at(at(mark.line(), mark.col() + 1), error.info().trim_end_matches('.').to_owned())
        })?;
        let len = place.end.index().saturating_sub(place.start.index());
        let start = at(place.start.line(), place.start.col() + 1);
        tree.event(event, Span { len: (len as u32).max(1), ..start })?;
    }
    Ok(tree.finish(source))
}
