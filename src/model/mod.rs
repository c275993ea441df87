//! ONNX Runtime: the only module that names `ort`.

mod agreement;
mod coming;
mod fetch;
mod host;
mod library;
mod providers;
mod runtime;
mod session;
mod train;
mod weights;

pub use coming::Coming;
pub use fetch::VERSION;
pub use host::{Host, Provided};
pub use library::{Found, Places, find};
pub use providers::{PROVIDERS, Provider};
pub use runtime::Runtime;
pub use session::{Array, Held, Session, Values};
pub use train::{
    Augment, Progress, Rates, Recording, Request, Resume, Sampler, Schedule, Trained, parameters, threads,
    train,
};
