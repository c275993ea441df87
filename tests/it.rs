//! The integration tests: one binary, one module a group.

mod it {
    mod bad_workflows;
    #[cfg(feature = "tables")]
    mod bands;
    #[cfg(feature = "models")]
    mod brain;
    #[cfg(feature = "models")]
    #[path = "../../crates/onnx-graph/tests/it/case.rs"]
    mod case;
    #[cfg(feature = "models")]
    mod chunks;
    mod commands;
    #[cfg(feature = "models")]
    mod control_flow;
    mod dag;
    mod data;
    #[cfg(feature = "models")]
    mod deep_training;
    #[cfg(feature = "models")]
    mod design;
    #[cfg(feature = "tables")]
    mod downloads;
    #[cfg(feature = "tables")]
    mod dynamics;
    mod edits;
    #[cfg(feature = "models")]
    mod external_weights;
    #[cfg(feature = "models")]
    mod faces;
    mod faults;
    mod fuzz;
    #[cfg(feature = "models")]
    mod hostile_models;
    mod house;
    #[cfg(feature = "tables")]
    mod increments;
    mod kinds;
    mod left_out;
    #[cfg(feature = "models")]
    mod lineage;
    #[cfg(feature = "models")]
    mod looking;
    #[cfg(feature = "models")]
    mod lrp;
    #[cfg(feature = "models")]
    mod lrp_copies;
    #[cfg(feature = "models")]
    mod lrp_methods;
    #[cfg(feature = "models")]
    mod lrp_opsets;
    #[cfg(feature = "models")]
    mod masking;
    #[cfg(feature = "models")]
    mod models;
    #[cfg(feature = "models")]
    #[path = "../../crates/science/tests/it/npz.rs"]
    mod npz;
    #[cfg(feature = "models")]
    #[path = "../../crates/onnx-graph/tests/it/op_case.rs"]
    mod op_case;
    #[cfg(feature = "models")]
    #[path = "../../crates/onnx-graph/tests/it/op_cases.rs"]
    mod op_cases;
    #[cfg(feature = "models")]
    mod op_runs;
    mod options;
    mod own_kinds;
    #[cfg(feature = "models")]
    mod pipelines;
    #[cfg(feature = "models")]
    mod plane;
    #[cfg(feature = "models")]
    mod providers;
    mod several;
    mod store;
    mod support;
    #[cfg(feature = "tables")]
    mod tables;
    #[cfg(feature = "models")]
    mod training;
    #[cfg(feature = "models")]
    mod training_runs;
    #[cfg(feature = "models")]
    mod vgg16;
}
