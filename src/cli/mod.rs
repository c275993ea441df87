//! The command line: one file per command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod context;
mod error;
mod plan;
mod run;
mod runtime;
mod ui;

pub use error::{CliError, Exit};

/// Declared research pipelines: declare an experiment once, share the file, re-run only what changed.
#[derive(Parser, Debug)]
#[command(name = "sulcus", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command takes.
#[derive(Args, Debug, Clone)]
pub struct Global {
    /// Work in this folder
    #[arg(short = 'C', long = "directory", global = true, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Say less: only failures
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more: every step, also the cached ones
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Print JSON on standard output
    #[arg(long, global = true)]
    json: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    color: clap::ColorChoice,
    /// Keep results in this store instead of the project's `.sulcus`
    #[arg(long, global = true, value_name = "DIR", env = "SULCUS_STORE")]
    store: Option<PathBuf>,
    /// Never fetch anything
    #[arg(long, global = true, env = "SULCUS_OFFLINE")]
    offline: bool,
    /// The ONNX Runtime library to use
    #[arg(long, global = true, value_name = "PATH")]
    onnxruntime: Option<PathBuf>,
}

/// Which workflow, with which parameters.
#[derive(Args, Debug, Clone, Default)]
pub struct WorkflowArgs {
    /// The workflow file (default: sulcus.yaml), then stages: `train`, `train[seed=0]`, `@tag`
    #[arg(value_name = "FILE] [STAGE")]
    targets: Vec<String>,
    /// Set a parameter of the workflow: `-p epochs=3`
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// Set parameters from a YAML file
    #[arg(long, value_name = "FILE")]
    params: Vec<PathBuf>,
    /// Execution providers for stages that name none, in order of preference
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "cpu")]
    provider: Vec<String>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Bring steps up to date: execute what changed, take the rest from the store
    Run(run::RunArgs),
    /// Say what a run would do, step by step
    Plan(WorkflowArgs),
}

/// Runs the command line and says how the process should exit.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Wrong } else { Exit::Done };
        }
    };
    let ui = ui::Ui::new(&cli.global);
    let result = match &cli.command {
        Command::Run(args) => run::run(&cli.global, args, &ui),
        Command::Plan(args) => plan::plan(&cli.global, args, &ui),
    };
    result.unwrap_or_else(|error| ui.error(&error))
}
