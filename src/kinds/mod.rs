//! The stage kinds, one file each, grouped by family. A new kind is its file and a line in `KINDS`.

use crate::stage::Stage;

mod command;
mod ingest;
#[cfg(feature = "models")]
mod model;

/// Every built-in kind.
pub static KINDS: &[&dyn Stage] = &[
    &command::CommandKind,
    #[cfg(feature = "models")]
    &ingest::model_file::IngestModel,
    #[cfg(feature = "models")]
    &model::build::Build,
    #[cfg(feature = "models")]
    &model::train::Train,
    #[cfg(feature = "models")]
    &model::infer::Infer,
];

/// The kind called `name`.
pub fn find(name: &str) -> Option<&'static dyn Stage> {
    KINDS.iter().copied().find(|k| k.name() == name)
}
