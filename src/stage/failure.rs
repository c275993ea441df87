//! The two ways in which a stage says no: a complaint before it runs, a failure while it runs.

use std::fmt;

/// A mistake in a stage's declaration, found before anything runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Complaint {
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// The place: a path inside `with`, such as `columns.0` or `query`, or a port as `in.table`.
    pub at: Option<String>,
    /// Byte range inside the text of the parameter at `at`, for a place inside a query.
    pub within: Option<std::ops::Range<usize>>,
    /// What to do next.
    pub hint: Option<String>,
}

impl Complaint {
    /// A complaint about the parameter at path `at` inside `with`.
    pub fn param(at: impl Into<String>, message: impl Into<String>) -> Self {
        Complaint { message: message.into(), at: Some(at.into()), within: None, hint: None }
    }

    /// A complaint about the input port `port`.
    pub fn port(port: &str, message: impl Into<String>) -> Self {
        Complaint { message: message.into(), at: Some(format!("in.{port}")), within: None, hint: None }
    }

    /// The same complaint with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same complaint, pointing into the parameter's text.
    pub fn within(mut self, range: std::ops::Range<usize>) -> Self {
        self.within = Some(range);
        self
    }
}

/// Why a running stage stopped.
#[derive(Debug)]
pub struct Failure {
    /// What happened and where: the outermost context first.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// True when the stage stopped because it was asked to.
    pub cancelled: bool,
}

impl Failure {
    /// A failure with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Failure { message: message.into(), hint: None, cancelled: false }
    }

    /// The answer to a cancelled run.
    pub fn cancelled() -> Self {
        Failure { message: "cancelled".to_owned(), hint: None, cancelled: true }
    }

    /// The same failure with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure with `context: ` before its message.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<crate::fs::Error> for Failure {
    fn from(error: crate::fs::Error) -> Self {
        Failure::new(error.to_string())
    }
}
