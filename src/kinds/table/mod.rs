//! Kinds that make tables from tables.

pub(in crate::kinds) mod draw;
mod query;
pub mod sample;
pub mod split;
pub mod sql;
