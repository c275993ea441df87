//! Errors say which quantity is wrong and what would be right.

use std::fmt;

/// Why a quantity cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub String);

/// The result of an analysis.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Error(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
