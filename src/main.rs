//! The `sulcus` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(sulcus::cli::main().code())
}
