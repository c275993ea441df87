//! Kinds that compare brains and models.

pub mod ceiling;
pub mod cka;
mod common;
pub mod effect;
pub mod encode;
pub mod leaderboard;
pub mod rdm;
pub mod regress;
pub mod rsa;
