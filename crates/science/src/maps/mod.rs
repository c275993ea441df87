//! Maps over the pixels of images: which pixels come first, what a masked image looks like, how well two
//! maps agree, and what a matrix of models says about their kinds.

pub mod agreement;
pub mod contrast;
pub mod fill;
pub mod order;
pub mod regions;

pub use order::Layout;
