//! The stage kinds, one file each, grouped by family. A new kind is its file and a line in `KINDS`.

use crate::stage::Stage;

mod command;

/// Every built-in kind.
pub static KINDS: &[&dyn Stage] = &[&command::CommandKind];

/// The kind called `name`.
pub fn find(name: &str) -> Option<&'static dyn Stage> {
    KINDS.iter().copied().find(|k| k.name() == name)
}
