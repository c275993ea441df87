//! What a stage kind is: its contract, the facts it states before it runs, and what it sees while it runs.
//!
//! This module knows neither workflows, files' hashes, polars nor ONNX Runtime. A kind implements
//! [`Kind`]; the engine talks to it through the object-safe [`Stage`].

mod contract;
mod digest;
mod facts;
mod failure;
mod io;
mod kind;

pub use contract::{Contract, FileForm, FileParam, Port, PortType, Ports, Role};
pub use digest::Digest;
pub use facts::{Axes, Column, Dim, Facts, ModelFacts, TableFacts, TensorFacts};
pub use failure::{Complaint, Failure};
pub use io::{Bound, Cancel, Chunks, FileIn, Io, Made, NoChunks, Progress, Silent};
pub use kind::{Checked, InferContext, InputFacts, Kind, Outputs, Reads, RuntimeHost, Stage};

/// What this build lacks, as a hint for whoever looks for a kind that is not there.
pub const LACKS: Option<&str> = if cfg!(not(feature = "tables")) {
    Some(
        "this sulcus was built without tables and models and knows `command` alone: build it with `cargo build`",
    )
} else if cfg!(not(feature = "models")) {
    Some("this sulcus was built without models: build it with `cargo build`")
} else {
    None
};
