//! Errors as the reader sees them, and exit codes.

use crate::fs;
use crate::spec::{Diagnostic, Invalid, render};
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

/// An error of a command: texts ready to print, and the exit code.
#[derive(Debug)]
pub struct CliError {
    /// One text a mistake: what happened, where, what to do next.
    pub texts: Vec<String>,
    /// How the process ends.
    pub exit: Exit,
}

impl CliError {
    /// The request is wrong.
    pub fn wrong(text: impl Into<String>) -> Self {
        CliError { texts: vec![text.into()], exit: Exit::Wrong }
    }

    /// Something failed.
    pub fn failed(text: impl Into<String>) -> Self {
        CliError { texts: vec![text.into()], exit: Exit::Failed }
    }

    /// The same with a hint on a line of its own.
    pub fn hint(mut self, hint: &str) -> Self {
        if let Some(last) = self.texts.last_mut() {
            last.push_str("\n  hint: ");
            last.push_str(hint);
        }
        self
    }
}

impl From<Invalid> for CliError {
    fn from(invalid: Invalid) -> Self {
        let texts = invalid.diagnostics.iter().map(|d| render(d, &invalid.sources)).collect();
        CliError { texts, exit: Exit::Wrong }
    }
}

impl From<Diagnostic> for CliError {
    fn from(diagnostic: Diagnostic) -> Self {
        CliError { texts: vec![render(&diagnostic, &[])], exit: Exit::Wrong }
    }
}

impl From<fs::Error> for CliError {
    fn from(error: fs::Error) -> Self {
        CliError::failed(error.to_string())
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        let error = CliError::failed(failure.message);
        match failure.hint {
            Some(hint) => error.hint(&hint),
            None => error,
        }
    }
}
