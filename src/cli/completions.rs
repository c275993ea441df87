//! `sulcus completions`: what a shell needs to complete command lines.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::ui::Ui;
use super::{Cli, CliError, Exit};

/// Arguments of `sulcus completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Runs the command.
pub fn completions(args: &CompletionsArgs, ui: &Ui) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sulcus", &mut script);
    ui.data(String::from_utf8_lossy(&script).trim_end());
    Ok(Exit::Done)
}
