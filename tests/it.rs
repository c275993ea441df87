//! The integration tests: one binary, one module a group.

mod it {
    mod commands;
    mod dag;
    mod edits;
    mod faults;
    mod kinds;
    mod support;
}
