//! The integration tests: one binary, one module a group.

mod it {
    mod commands;
    mod dag;
    mod data;
    mod kinds;
    mod support;
}
