//! Passes: rewritings of whole graphs that keep what they compute.

mod fold;
mod normal;
mod opset;

pub use normal::normal;
