//! The machine's graph runtime as the command line configures it.

use super::ui::Ui;
use super::{CliError, Exit, Global};
use crate::stage::RuntimeHost;

/// What `sulcus doctor` says of the runtime.
pub struct RuntimeReport {
    /// What was found, a name and a text each: the library, its version, the execution providers.
    pub lines: Vec<(String, String)>,
    /// What is broken and what to do; `None` if models can run here.
    pub broken: Option<String>,
}

/// What runs graphs here; `None` in a build without models.
pub fn host(_global: &Global) -> Option<Box<dyn RuntimeHost>> {
    None
}

/// The state of the runtime; `None` in a build without models.
pub fn runtime_report(_global: &Global) -> Option<RuntimeReport> {
    None
}

/// `sulcus setup`: fetches the runtime ahead of the first step that needs it.
///
/// # Errors
/// If this build runs no models.
pub fn setup(_global: &Global, _ui: &Ui) -> Result<Exit, CliError> {
    Err(CliError::wrong("this build runs no models, so there is no runtime to fetch")
        .hint("build with the default features: `cargo install --path .`"))
}
