//! The crate's laws: gradients against finite differences, values against torch, and files from strangers.

#[path = "it/architectures.rs"]
mod architectures;
#[path = "it/attention.rs"]
mod attention;
#[path = "it/canonize.rs"]
mod canonize;
#[path = "it/case.rs"]
mod case;
#[path = "it/conformance.rs"]
mod conformance;
#[path = "it/exports.rs"]
mod exports;
#[path = "it/golden.rs"]
mod golden;
#[path = "it/gradients.rs"]
mod gradients;
#[path = "it/head.rs"]
mod head;
#[path = "it/hessian.rs"]
mod hessian;
#[path = "it/hostile.rs"]
mod hostile;
#[path = "../../science/tests/it/npz.rs"]
mod npz;
#[path = "it/numeric.rs"]
mod numeric;
#[path = "it/op_case.rs"]
mod op_case;
#[path = "it/op_cases.rs"]
mod op_cases;
#[path = "it/opsets.rs"]
mod opsets;
#[path = "it/passes.rs"]
mod passes;
#[path = "it/relevance.rs"]
mod relevance;
#[path = "it/sensitivity.rs"]
mod sensitivity;
#[path = "it/windows.rs"]
mod windows;
