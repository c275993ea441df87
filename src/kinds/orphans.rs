//! Commands do not outlive this process: what it leaves behind when it is killed would go on writing
//! into files that the next run makes anew.
//!
//! A small shell beside this process reads which process groups run. When its input ends because this
//! process is gone, however it went, it kills those that are left. Each command says itself that it
//! runs, before it does anything else: were it this process that says so, a kill between the two would
//! leave a command that nobody knows of.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::Pid;

const SCRIPT: &str = "\
groups=' '
while read -r sign group; do
  case $sign in
    +) groups=\"$groups$group \" ;;
    -) groups=\"${groups%% $group *} ${groups#* $group }\" ;;
  esac
done
for group in $groups; do kill -s KILL -- \"-$group\"; done
";

enum Guard {
    NotStarted,
    /// The shell could not be started: commands run without it.
    Absent,
    Listens(ChildStdin),
}

static GUARD: Mutex<Guard> = Mutex::new(Guard::NotStarted);

/// A process group that is killed with this process, until this is dropped.
pub(super) struct Guarded(pub(super) Pid);

impl Drop for Guarded {
    fn drop(&mut self) {
        let mut guard = GUARD.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("- {}\n", self.0.as_raw_nonzero());
        if let Guard::Listens(pipe) = &mut *guard
            && pipe.write_all(line.as_bytes()).is_err()
        {
            *guard = Guard::Absent;
        }
    }
}

/// What a command's shell does first, and the standard input that it needs for it: it tells the guard
/// its process group, then reads from nowhere.
pub(super) fn registration() -> (&'static str, Stdio) {
    let mut guard = GUARD.lock().unwrap_or_else(PoisonError::into_inner);
    if matches!(*guard, Guard::NotStarted) {
        *guard = start().map_or(Guard::Absent, Guard::Listens);
    }
    let pipe = match &*guard {
        Guard::Listens(pipe) => pipe.as_fd().try_clone_to_owned().ok(),
        _ => None,
    };
    match pipe {
        Some(pipe) => ("echo \"+ $$\" >&0; exec </dev/null\n", pipe.into()),
        None => ("", Stdio::null()),
    }
}

fn start() -> Option<ChildStdin> {
    // A group of its own: Ctrl-C in a terminal does not reach it.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.current_dir("/").process_group(0).spawn().ok()?.stdin.take()
}
