//! Kinds that compare brains and models.

pub mod ceiling;
pub mod cka;
pub(super) mod common;
#[cfg(test)]
mod degenerate;
pub mod effect;
pub mod encode;
mod held_out;
pub mod leaderboard;
mod maps;
pub mod rdm;
mod rdms;
pub mod regress;
pub mod rsa;
