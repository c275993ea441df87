//! The machine's graph runtime as the command line configures it.

use super::Global;
use crate::stage::RuntimeHost;

/// What runs graphs here; `None` in a build without models.
pub fn host(_global: &Global) -> Option<Box<dyn RuntimeHost>> {
    None
}
