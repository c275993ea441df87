//! ONNX graphs as data: read and check them, infer shapes, differentiate, build training graphs.
//!
//! Everything made here is a plain `ai.onnx` graph that a stock ONNX Runtime runs.
//!
//! ```
//! use onnx_graph::{architectures, loss::Loss, train};
//!
//! let spec = architectures::Spec { input: vec![4], classes: 3, hidden: vec![8], activation: "Relu".into(), ..Default::default() };
//! let model = architectures::build("mlp", &spec, 0)?;
//! let sgd = train::Optimizer::Sgd(train::Sgd { momentum: 0.9, ..Default::default() });
//! let training = train::training(&model, &train::Settings::new(Loss::CrossEntropy, sgd, 32))?;
//! assert_eq!(training.states.len(), 4); // two weights, two biases
//! # Ok::<(), onnx_graph::error::Error>(())
//! ```

pub mod architectures;
pub mod build;
pub mod error;
pub mod grad;
pub mod hessian;
mod inner;
pub mod known;
pub mod loss;
pub mod model;
pub mod ops;
pub mod passes;
pub mod proto;
pub mod random;
pub mod reference;
pub mod relevance;
pub mod sensitivity;
pub mod shape;
pub mod tensor;
pub mod train;
