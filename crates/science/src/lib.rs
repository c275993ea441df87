//! The analyses of the three research lines as pure numbers: arrays in, arrays out. No files, no
//! workflows, no clocks; what is random takes a seed.

pub mod brain;
pub mod design;
pub mod dynamics;
pub mod error;
pub mod linalg;
pub mod maps;
mod random;
