//! Kinds that compare brains and models.

pub mod ceiling;
pub mod cka;
pub(super) mod common;
mod compared;
pub mod curve;
#[cfg(test)]
mod degenerate;
mod draws;
pub mod effect;
pub mod encode;
mod held_out;
pub mod leaderboard;
mod maps;
mod pooled;
pub mod rdm;
mod rdms;
mod refits;
pub mod regress;
pub mod rsa;
mod trained;
pub mod triplets;
