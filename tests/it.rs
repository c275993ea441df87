//! The integration tests: one binary, one module a group.

mod it {
    mod commands;
    mod support;
}
