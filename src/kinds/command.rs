//! `command`: a shell command with declared reads and writes.

use std::collections::BTreeMap;
use std::io::PipeWriter;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::orphans::{self, Guarded};
use super::printed::Printed;
use crate::stage::{
    Complaint, Failure, FileForm, FileParam, InferContext, Io, Kind, Outputs, Port, PortType, Ports,
};

/// How long a command that was asked to stop may take before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// A shell command with declared reads and writes.
pub struct CommandKind;

/// Parameters of `command`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The command, run in the project's root folder; it ends at the first line that fails.
    pub run: String,
    /// Who reads the command: `sh` after `set -e`, `bash` after `set -euo pipefail`.
    #[serde(default)]
    pub shell: Shell,
    /// Files, folders or globs that it reads. A path that another stage writes makes that stage run first.
    #[serde(default, deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub reads: Vec<String>,
    /// Files or folders that it writes. They are removed before it runs and kept in the store after it.
    #[serde(default, deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub writes: Vec<String>,
}

/// The shell that reads a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shell {
    /// `/bin/sh` with `set -e`: of a pipeline only the last command counts.
    #[default]
    Sh,
    /// `bash` with `set -euo pipefail`: any command of a pipeline and any unset variable ends it.
    Bash,
}

impl Shell {
    fn program(self) -> &'static str {
        match self {
            Shell::Sh => "/bin/sh",
            Shell::Bash => "bash",
        }
    }

    fn strictness(self) -> &'static str {
        match self {
            Shell::Sh => "set -e",
            Shell::Bash => "set -euo pipefail",
        }
    }
}

/// What a person may write; read by [`one_or_many`].
#[derive(JsonSchema)]
#[schemars(inline)]
#[serde(untagged)]
enum OneOrMany {
    #[expect(dead_code, reason = "describes the schema only")]
    One(String),
    #[expect(dead_code, reason = "describes the schema only")]
    Many(Vec<String>),
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Texts;
    impl<'de> serde::de::Visitor<'de> for Texts {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a path or a list of paths")
        }
        fn visit_str<E>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
            let mut out = Vec::with_capacity(items.size_hint().unwrap_or(0).min(1 << 16));
            while let Some(item) = items.next_element()? {
                out.push(item);
            }
            Ok(out)
        }
    }
    deserializer.deserialize_any(Texts)
}

impl Kind for CommandKind {
    type Params = Params;
    const NAME: &'static str = "command";
    const REVISION: u32 = 2;
    const RUNS_COMMAND: bool = true;
    const ABOUT: &'static str = "A shell command with declared reads and writes.\n\n\
        The command runs in the project's root folder and ends at the first line that fails, as a \
        recipe of make does: `sh` reads it after `set -e`. With `shell: bash` it is read after \
        `set -euo pipefail`, as Snakemake does, so that a failure inside a pipeline ends it too. A line \
        that may fail is written `… || true`. What it prints is kept and shown \
        if it fails (`sulcus log STAGE` shows it later). It runs again when its text, the bytes of a \
        file that it reads, or a variable declared under the workflow's `env:` changed; its other \
        surroundings are not part of the key. When its result is known the written paths are put \
        back from the store.";
    const EXAMPLE: &'static str = "\
count:
  uses: command
  with:
    run: wc -l < data/penguins/penguins.csv > out/rows.txt
    reads: data/penguins/penguins.csv
    writes: out/rows.txt
";

    fn ports(params: Option<&Params>) -> Ports {
        let output = |path: &String| {
            let folder = path.ends_with('/');
            let name = path.trim_start_matches("./").trim_end_matches('/');
            let ty = if folder { PortType::Dir } else { PortType::File };
            Port { path: Some(name.to_owned()), ..Port::new(name, ty, "a path that the command writes") }
        };
        Ports {
            outputs: params.map(|p| p.writes.iter().map(output).collect()).unwrap_or_default(),
            ..Ports::default()
        }
    }

    fn files(params: &Params) -> Vec<FileParam> {
        let read = |(index, path): (usize, &String)| FileParam {
            param: format!("reads.{index}"),
            path: path.clone(),
            form: FileForm::Any,
            names_matter: true,
        };
        params.reads.iter().enumerate().map(read).collect()
    }

    fn infer(params: &Params, _context: &InferContext) -> Result<Outputs, Complaint> {
        if params.run.trim().is_empty() {
            return Err(Complaint::param("run", "the command is empty"));
        }
        Ok(Outputs::new())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        execute(&params.run, params.shell, io)
    }
}

/// Runs `text` in the project's root until it ends, or stops it when the run is cancelled.
///
/// # Errors
/// If it cannot be started or fails.
pub(super) fn execute(text: &str, shell: Shell, io: &Io) -> Result<(), Failure> {
    let (printed, output) =
        Printed::open(io.progress).map_err(|e| Failure::new(format!("cannot make a pipe: {e}")))?;
    let mut child = spawn(text, shell, &io.root, &io.env, output)?;
    let status = wait(&mut child, printed, io)?;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(127), _) => Err(Failure::new("the command ended with exit code 127")
            .hint("the shell did not find a program: is it installed and on PATH?")),
        (Some(code), _) => Err(Failure::new(format!("the command ended with exit code {code}"))),
        (None, signal) => {
            Err(Failure::new(format!("the command was ended by signal {}", signal.unwrap_or(0))))
        }
    }
}

fn spawn(
    text: &str,
    shell: Shell,
    root: &std::path::Path,
    env: &BTreeMap<String, String>,
    output: PipeWriter,
) -> Result<Child, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::new(format!("cannot start the command with `{}`: {error}", shell.program()))
    };
    let (prologue, stdin) = orphans::registration();
    Command::new(shell.program())
        .args(["-c", &format!("{prologue}{}\n{}", shell.strictness(), text)])
        .current_dir(root)
        .envs(env)
        .stdin(stdin)
        .stdout(output.try_clone().map_err(cannot)?)
        .stderr(output)
        .process_group(0)
        .spawn()
        .map_err(cannot)
}

/// Waits for the end of the command; asks it to stop when the run was cancelled. Whatever it left
/// behind in its process group is killed, so that nothing writes after its outputs were hashed.
fn wait(child: &mut Child, mut printed: Printed, io: &Io) -> Result<ExitStatus, Failure> {
    let cannot = |error: std::io::Error| Failure::new(format!("cannot wait for the command: {error}"));
    let group = Pid::from_child(child);
    let guarded = Guarded(group);
    let ended = pidfd_open(group, PidfdFlags::empty()).map_err(|e| cannot(e.into()))?;
    let mut asked: Option<Instant> = None;
    loop {
        let mut watched = vec![PollFd::new(&ended, PollFlags::IN)];
        watched.extend(printed.pipe.iter().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        let patience = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let _ = poll(&mut watched, Some(&patience));
        let [has_ended, has_printed] =
            [0, 1].map(|i| watched.get(i).is_some_and(|w| !w.revents().is_empty()));
        if has_ended {
            break;
        }
        if has_printed {
            printed.read();
        }
        match asked {
            None if io.cancel.is_cancelled() => {
                let _ = kill_process_group(group, Signal::TERM);
                asked = Some(Instant::now());
            }
            Some(at) if at.elapsed() > GRACE => {
                let _ = kill_process_group(group, Signal::KILL);
            }
            _ => {}
        }
    }
    // The group still exists as long as its leader was not waited for, so its number cannot have been reused.
    let _ = kill_process_group(group, Signal::KILL);
    drop(guarded);
    printed.finish();
    let status = child.wait().map_err(cannot)?;
    if asked.is_some() { Err(Failure::cancelled()) } else { Ok(status) }
}
