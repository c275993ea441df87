//! Errors as the reader sees them, and exit codes.

use serde_json::{Value, json};

use crate::fs;
use crate::spec::{Diagnostic, Invalid, Source, place, render};
use crate::stage::Failure;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: a stage failed, or a check found something.
    Failed,
    /// 2: the request or the workflow is wrong.
    Wrong,
    /// 130: stopped by Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Wrong => 2,
            Exit::Interrupted => 130,
        }
    }
}

/// One mistake: what happened, where, what to do next.
#[derive(Debug)]
pub struct Mistake {
    /// As people read it.
    pub text: String,
    message: String,
    /// File, line and column.
    place: Option<(String, u32, u32)>,
    hint: Option<String>,
}

impl Mistake {
    /// A mistake that may stand in one of the `sources`.
    pub fn of(diagnostic: &Diagnostic, sources: &[Source]) -> Self {
        let place = place(diagnostic, sources);
        Mistake {
            text: render(diagnostic, sources),
            message: diagnostic.message.clone(),
            place: place.map(|(span, source)| (source.name.clone(), span.line, span.column)),
            hint: diagnostic.hint.clone(),
        }
    }

    /// Do both stand at the same place of a file?
    pub fn is_at_the_place_of(&self, other: &Mistake) -> bool {
        self.place.is_some() && self.place == other.place
    }

    /// As programs read it.
    pub fn json(&self) -> Value {
        let (file, line, column) = match &self.place {
            Some((file, line, column)) => (Some(file), Some(line), Some(column)),
            None => (None, None, None),
        };
        json!({"event": "error", "message": self.message, "file": file, "line": line, "column": column, "hint": self.hint})
    }
}

/// An error of a command: its mistakes, and the exit code.
#[derive(Debug)]
pub struct CliError {
    /// At least one.
    pub mistakes: Vec<Mistake>,
    /// How the process ends.
    pub exit: Exit,
}

impl CliError {
    /// The request is wrong.
    pub fn wrong(text: impl Into<String>) -> Self {
        Self::one(&Diagnostic::new(text), Exit::Wrong)
    }

    /// Something failed.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::one(&Diagnostic::new(text), Exit::Failed)
    }

    fn one(diagnostic: &Diagnostic, exit: Exit) -> Self {
        CliError { mistakes: vec![Mistake::of(diagnostic, &[])], exit }
    }

    /// The same with a hint on a line of its own.
    pub fn hint(mut self, hint: &str) -> Self {
        if let Some(last) = self.mistakes.last_mut() {
            last.text.push_str("\n  hint: ");
            last.text.push_str(hint);
            last.hint = Some(hint.to_owned());
        }
        self
    }
}

impl From<Invalid> for CliError {
    fn from(invalid: Invalid) -> Self {
        let mistakes = invalid.diagnostics.iter().map(|d| Mistake::of(d, &invalid.sources)).collect();
        CliError { mistakes, exit: Exit::Wrong }
    }
}

impl From<Diagnostic> for CliError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::one(&diagnostic, Exit::Wrong)
    }
}

impl From<fs::Error> for CliError {
    fn from(error: fs::Error) -> Self {
        CliError::failed(error.to_string())
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        Self::one(&Diagnostic::new(failure.message).maybe_hint(failure.hint), Exit::Failed)
    }
}
