//! Passes: rewritings of whole graphs that keep what they compute.

mod canonize;
mod fold;
mod learn;
mod normal;
mod opset;

pub use canonize::{before_softmax, canonize};
pub use normal::normal;
