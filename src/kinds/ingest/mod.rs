//! Kinds that bring files of the project in as tables.

pub mod arrays;
mod bids;
mod formats;
pub mod hdf5;
pub mod images;
#[cfg(feature = "models")]
pub mod model_file;
pub mod table;

use crate::stage::{Column, Complaint, Failure};

/// The column that identifies rows.
const ID: &str = "id";

/// The facts of a generated `id` column: row numbers.
fn id_facts() -> Column {
    Column::new(ID, "int64")
}

/// A failure to look at a file before a run, as a complaint about the parameter that names it.
fn complaint(param: &str, failure: Failure) -> Complaint {
    Complaint { message: failure.message, at: Some(param.to_owned()), within: None, hint: failure.hint }
}
