//! Brings steps up to date: what has to run, running it in parallel, recording what came out.

mod download;
mod event;
mod failed;
mod memory;
mod perform;
mod preview;
mod resolve;
mod restore;
mod schedule;
mod session;
mod steady;
mod verify;
mod work;

pub use event::{Event, Observer, Quiet};
pub use failed::{FailedStep, FailedSteps};
pub use memory::Memory;
pub use preview::{Preview, Status, preview};
pub use resolve::{Outputs, Resolved, Resolver};
pub use restore::in_place;
pub use schedule::{Options, Summary, run};
pub use session::Session;
pub use verify::reexecute;
