//! The `sulcus` command.

fn main() {}
