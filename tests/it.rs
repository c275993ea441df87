//! The integration tests: one binary, one module a group.

mod it {
    mod data;
}
