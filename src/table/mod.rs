//! Tables: the only place that names polars. Outside it, a table is a [`Frame`].
//!
//! Between stages a table is a Parquet file. A *tensor column* holds in every row one tensor of the
//! same shape: a fixed-size list of the flattened values (row-major), with `shape` and `dtype` in the
//! column's field metadata.

mod access;
mod array;
mod arrow;
mod build;
mod compare;
mod digest;
mod dtype;
mod footer;
mod frame;
mod gather;
mod guard;
mod nearest;
mod nest;
mod pages;
mod preview;
mod read;
mod sql;
mod stream;
pub mod text;
mod write;

#[cfg(test)]
mod tests;

pub use access::Tensor;
pub use array::{ArrayFacts, Element};
pub use arrow::{arrow_schema_of, read_arrow};
pub use compare::{ColumnComparison, Comparison, compare, compare_paths};
pub use frame::Frame;
pub use gather::{gather, gather_facts, stack};
pub(crate) use nearest::column_hint;
pub use preview::{Preview, preview};
pub use read::{facts_of, read, read_path, read_rows, row_groups, schema_of};
pub use sql::{sql, sql_schema};
pub use stream::Stream;
pub use write::write;

use crate::stage::Failure;

/// A polars error as a failure, without the engine's own backtrace or context lines.
fn failure(error: polars::prelude::PolarsError) -> Failure {
    let text = error.to_string();
    Failure::new(text.lines().next().unwrap_or("unknown table error").to_owned())
}
