//! Passes: rewritings of whole graphs that keep what they compute.

mod affine;
mod batch_last;
mod canonize;
mod fold;
mod fuse;
mod learn;
mod normal;
mod opset;

pub(crate) use batch_last::batch_last;
pub use canonize::{before_softmax, canonize};
pub(crate) use fuse::fuse;
pub use normal::normal;
