//! A mistake in a workflow file, with its place, and how it is shown.

use std::fmt::Write;

use super::Span;

/// One mistake.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Where; `None` for a request that stands in no file.
    pub span: Option<Span>,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A mistake at `span`.
    pub fn at(span: Span, message: impl Into<String>) -> Self {
        Diagnostic { span: Some(span), message: message.into(), hint: None }
    }

    /// A mistake that stands in no file.
    pub fn new(message: impl Into<String>) -> Self {
        Diagnostic { span: None, message: message.into(), hint: None }
    }

    /// The same with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a hint if there is one.
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = self.hint.or(hint);
        self
    }
}

/// One file of a workflow.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path as shown to people.
    pub name: String,
    /// Its bytes, shown as text.
    pub text: String,
}

/// Where a mistake stands, and the file that it stands in; `None` if it stands in none.
pub fn place<'a>(diagnostic: &Diagnostic, sources: &'a [Source]) -> Option<(Span, &'a Source)> {
    let span = diagnostic.span.filter(|s| s.line > 0)?;
    Some((span, sources.get(span.source as usize)?))
}

/// Renders `message --> file:line:column` with the line, a caret and the hint.
pub fn render(diagnostic: &Diagnostic, sources: &[Source]) -> String {
    let mut out = diagnostic.message.clone();
    if let Some((span, source)) = place(diagnostic, sources) {
        let _ = write!(out, "\n  --> {}:{}:{}", source.name, span.line, span.column);
        if let Some(line) = source.text.lines().nth(span.line as usize - 1) {
            let number = span.line.to_string();
            let pad = " ".repeat(number.len());
            let (shown, column) = window(line, span.column as usize);
            let room = shown.chars().count().saturating_sub(column - 1).max(1);
            let caret =
                format!("{}{}", " ".repeat(column - 1), "^".repeat((span.len as usize).clamp(1, room)));
            let _ = write!(out, "\n {pad} |\n {number} | {shown}\n {pad} | {caret}");
        }
    }
    if let Some(hint) = &diagnostic.hint {
        let _ = write!(out, "\n  hint: {hint}");
    }
    out
}

/// At most 100 characters of `line` around 1-based `column`, and the column within them.
/// Control characters become spaces, so that a file cannot drive the terminal.
fn window(line: &str, column: usize) -> (String, usize) {
    const WIDTH: usize = 100;
    let column = column.max(1);
    let start = if column > WIDTH - 20 { column - 40 } else { 0 };
    let shown: String =
        line.chars().skip(start).take(WIDTH).map(|c| if c.is_control() { ' ' } else { c }).collect();
    (shown, column - start)
}
