//! The store: objects named by their content, records of finished steps, locks, and the index of
//! files whose bytes are known.
//!
//! Any number of processes use one store at once. An object appears under its name only when it is
//! whole; a record only when its objects are there. Nothing read back is trusted before its bytes
//! were compared with its name, or its size, mtime and inode with those noted when they were.

mod audit;
mod beneath;
mod chunks;
mod gc;
mod index;
mod journal;
mod lock;
mod lockfile;
mod objects;
mod probe;
mod record;
mod tree;

pub use audit::{Audit, Damage, Stored};
pub use beneath::Beneath;
pub use gc::{Garbage, Roots};
pub use index::{Index, Moment, Stat};
pub use journal::RunLine;
pub use lock::{Held, Holder};
pub use lockfile::{LockEntry, LockFile};
pub use objects::{Health, Store};
pub use probe::Probe;
pub use record::{Output, Record};
pub use tree::Tree;
