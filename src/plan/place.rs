//! A kind's complaint with its place in the file.

use crate::spec::{Diagnostic, Node, Span, Yaml};
use crate::stage::Complaint;

/// A kind's complaint with its place in the file.
pub(super) fn place(
    complaint: &Complaint,
    with: &Node,
    port_span: impl Fn(&str) -> Span,
    stage_span: Span,
    step: &str,
) -> Diagnostic {
    let span = match complaint.at.as_deref() {
        Some(at) if at.starts_with("in.") => port_span(&at[3..]),
        Some(at) => {
            let node = with.find(at);
            let mut span = if matches!(node.value, Yaml::Null) { stage_span } else { node.span };
            if let (Some(range), Yaml::Str(text)) = (&complaint.within, &node.value) {
                span = within(span, text, range);
            }
            span
        }
        None if matches!(with.value, Yaml::Null) => stage_span,
        None => with.span,
    };
    let at = complaint.at.as_deref().map_or(String::new(), |at| format!(" `{at}`"));
    let message = format!("stage `{step}`{at}: {}", complaint.message);
    Diagnostic { span: Some(span), message, hint: complaint.hint.clone() }
}

/// The place of a byte range inside a text that stands on one line; a block text keeps its beginning.
fn within(span: Span, text: &str, range: &std::ops::Range<usize>) -> Span {
    let Some(before) = text.get(..range.start).filter(|b| !b.contains('\n')) else {
        return span;
    };
    let shift = before.chars().count() as u32;
    let plain = span.len as usize == text.chars().count();
    Span { column: span.column + shift + u32::from(!plain), len: (range.len() as u32).max(1), ..span }
}
