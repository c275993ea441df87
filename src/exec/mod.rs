//! Brings steps up to date: what has to run, running it in parallel, recording what came out.

mod download;
mod event;
mod memory;
mod perform;
mod preview;
mod resolve;
mod schedule;
mod session;

pub use event::{Event, Observer, Quiet};
pub use memory::Memory;
pub use preview::{Preview, Status, preview};
pub use resolve::{Resolved, Resolver};
pub use schedule::{Options, Summary, run};
pub use session::Session;
