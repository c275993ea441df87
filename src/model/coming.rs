//! A session that another thread makes while this one reads rows.

use std::thread::{Scope, ScopedJoinHandle};

use super::session::Session;
use crate::stage::Failure;

/// A session, or the thread that makes it.
pub enum Coming<'s> {
    /// It is made already.
    Here(Box<Session>),
    /// It is being made.
    Made(ScopedJoinHandle<'s, Result<Session, Failure>>),
    /// It could not be made, and whoever asked first was told why.
    Failed,
}

impl<'s> Coming<'s> {
    /// Begins to make it.
    pub fn of(scope: &'s Scope<'s, '_>, make: impl FnOnce() -> Result<Session, Failure> + Send + 's) -> Self {
        Coming::Made(scope.spawn(make))
    }

    /// The session, once it is made.
    ///
    /// # Errors
    /// If it could not be made.
    pub fn get(&mut self) -> Result<&mut Session, Failure> {
        *self = match std::mem::replace(self, Coming::Failed) {
            Coming::Made(thread) => {
                let made = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                Coming::Here(Box::new(made?))
            }
            other => other,
        };
        match self {
            Coming::Here(session) => Ok(session),
            _ => Err(Failure::new("there is no session")),
        }
    }
}
