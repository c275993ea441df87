//! The integration tests: one binary, one module a group.

mod it {
    mod commands;
    mod dag;
    mod data;
    mod edits;
    mod faults;
    mod kinds;
    mod store;
    mod support;
    #[cfg(feature = "tables")]
    mod tables;
}
