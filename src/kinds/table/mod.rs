//! Kinds that make tables from tables.

mod draw;
mod query;
pub mod sample;
pub mod split;
pub mod sql;
