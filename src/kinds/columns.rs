//! Columns that parameters name.

use crate::stage::{Complaint, TableFacts};
use crate::table::column_hint;

/// A column that must be there; `param` names it.
///
/// # Errors
/// If it is not there, with the nearest name or all names.
pub(super) fn exists(table: &TableFacts, name: &str, param: &str) -> Result<(), Complaint> {
    match table.column(name) {
        Some(_) => Ok(()),
        None => Err(Complaint::param(param, format!("the table has no column `{name}`"))
            .hint(column_hint(name, &table.names()))),
    }
}
