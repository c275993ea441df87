//! Kinds that compare brains and models.

pub mod ceiling;
pub mod cka;
pub(super) mod common;
pub mod effect;
pub mod encode;
mod held_out;
pub mod leaderboard;
pub mod rdm;
mod rdms;
pub mod regress;
pub mod rsa;
pub mod triplets;
