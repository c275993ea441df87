//! The command line: one file per command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod check;
mod completions;
mod context;
mod dag;
mod diff;
mod doctor;
mod draw;
mod error;
mod gc;
mod git;
mod init;
pub mod kinds;
mod log;
mod look;
mod metrics;
mod past;
mod plan;
mod reason;
mod run;
mod runtime;
mod show;
mod status;
mod tables;
mod time;
mod ui;
mod verify;
mod weights;
mod why;
mod world;

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
    /// Say which steps are up to date, and why the others are not; with --quiet by exit code alone
    Status(WorkflowArgs),
    /// Say what changed since a stage was executed last
    Why(WorkflowArgs),
    /// Draw the graph
    Dag(dag::DagArgs),
    /// Show a result: a table's columns and first rows, a model's inputs and outputs, a file's size
    Show(show::ShowArgs),
    /// Compare the results with those of a git revision
    Diff(WorkflowArgs),
    /// Print the metrics of all stages as one table
    Metrics(WorkflowArgs),
    /// List the runs; with a stage, show what it printed
    Log(WorkflowArgs),
    /// Find the mistakes of a workflow without running it
    Check(WorkflowArgs),
    /// List the kinds of stages; with a kind, show its contract
    Kinds(kinds::KindsArgs),
    /// Write a first workflow
    Init(init::InitArgs),
    /// Execute steps again and compare with what is recorded, or re-hash the store
    Verify(verify::VerifyArgs),
    /// Remove from the store what nobody needs
    Gc(gc::GcArgs),
    /// Fetch ONNX Runtime ahead of the first step that needs it
    Setup,
    /// Say what works here
    Doctor,
    /// Print the completions of a shell
    Completions(completions::CompletionsArgs),
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
        Command::Status(args) => status::status(&cli.global, args, &ui),
        Command::Why(args) => why::why(&cli.global, args, &ui),
        Command::Dag(args) => dag::dag(&cli.global, args, &ui),
        Command::Show(args) => show::show(&cli.global, args, &ui),
        Command::Diff(args) => diff::diff(&cli.global, args, &ui),
        Command::Metrics(args) => metrics::metrics(&cli.global, args, &ui),
        Command::Log(args) => log::log(&cli.global, args, &ui),
        Command::Check(args) => check::check(&cli.global, args, &ui),
        Command::Kinds(args) => kinds::kinds(&cli.global, args, &ui),
        Command::Init(args) => init::init(&cli.global, args, &ui),
        Command::Verify(args) => verify::verify(&cli.global, args, &ui),
        Command::Gc(args) => gc::gc(&cli.global, args, &ui),
        Command::Setup => runtime::setup(&cli.global, &ui),
        Command::Doctor => doctor::doctor(&cli.global, &ui),
        Command::Completions(args) => completions::completions(args, &ui),
    };
    result.unwrap_or_else(|error| ui.error(&error))
}
