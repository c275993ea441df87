//! The stage kinds, one file each, grouped by family. A new kind is its file and a line in `KINDS`.

#[cfg(feature = "tables")]
pub mod ingest;
#[cfg(feature = "tables")]
pub mod table;

#[cfg(all(test, feature = "tables"))]
mod testing;

use crate::stage::Stage;

/// Every built-in kind.
pub static KINDS: &[&dyn Stage] = &[
    #[cfg(feature = "tables")]
    &ingest::arrays::Arrays,
    #[cfg(feature = "tables")]
    &ingest::images::Images,
    #[cfg(feature = "tables")]
    &ingest::table::Table,
    #[cfg(feature = "tables")]
    &table::sample::Sample,
    #[cfg(feature = "tables")]
    &table::split::Split,
    #[cfg(feature = "tables")]
    &table::sql::Sql,
];

/// The kind called `name`.
pub fn find(name: &str) -> Option<&'static dyn Stage> {
    KINDS.iter().copied().find(|k| k.name() == name)
}
