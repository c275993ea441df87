//! What the steps gave the last time: from the last run's memory, else from the lock and the store.

use std::sync::Arc;

use super::context::Context;
use crate::exec::{Memory, Outputs};
use crate::stage::Digest;
use crate::store::{LockFile, Record, Store};

/// The results of the last run.
pub struct Past<'a> {
    memory: &'a Memory,
    store: &'a Store,
    /// The lock as it stands.
    pub lock: LockFile,
}

impl<'a> Past<'a> {
    /// Reads the lock.
    pub fn new(context: &Context, memory: &'a Memory, store: &'a Store) -> Self {
        Past { memory, store, lock: LockFile::read(&context.lock_path()) }
    }

    /// The key that the step had.
    pub fn key(&self, step: &str) -> Option<Digest> {
        self.memory.key(step).or_else(|| Some(self.lock.0.get(step)?.key))
    }

    /// The record of the step's last result.
    pub fn record(&self, step: &str) -> Option<Record> {
        self.store.record(&self.key(step)?)
    }

    /// What the step gave.
    pub fn outputs(&self, step: &str) -> Option<Outputs> {
        self.memory.last(step).or_else(|| Some(Arc::new(self.record(step)?.outputs)))
    }
}
