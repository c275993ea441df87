//! The integration tests: one binary, one module a group.

mod it {
    mod commands;
    mod dag;
    mod kinds;
    mod support;
}
