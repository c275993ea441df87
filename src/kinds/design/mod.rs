//! Kinds that plan the next experiment.

pub mod r#loop;
mod predictions;
pub mod recover;
pub mod select;
mod selection;
