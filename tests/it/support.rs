//! A temporary project, the program run in it, and what it printed with the accidental taken out.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A project in a folder of its own, which goes when it is dropped.
pub struct Project {
    folder: TempDir,
}

/// How one run of the program ended.
pub struct Ran {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// Its data.
    pub stdout: String,
    /// Its messages.
    pub stderr: String,
    root: PathBuf,
}

impl Project {
    /// A project with one `sulcus.yaml`.
    pub fn new(workflow: &str) -> Self {
        Self::with(&[("sulcus.yaml", workflow)])
    }

    /// A project with these files.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let project = Project { folder: TempDir::new().expect("a temporary folder") };
        // The project's root is this folder, whatever lies around it.
        std::fs::create_dir(project.path(".sulcus")).expect("a folder can be made");
        for (path, text) in files {
            project.write(path, text);
        }
        project
    }

    /// The root folder, without links.
    pub fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("the folder exists")
    }

    /// A path of the project.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// Writes a file, its folders made.
    pub fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("folders can be made");
        std::fs::write(path, text).expect("the file can be written");
    }

    /// Replaces `from` by `to` in a file that has it.
    pub fn edit(&self, relative: &str, from: &str, to: &str) {
        let text = self.read(relative);
        assert!(text.contains(from), "{relative} has no `{from}`");
        self.write(relative, &text.replace(from, to));
    }

    /// Reads a file.
    pub fn read(&self, relative: &str) -> String {
        std::fs::read_to_string(self.path(relative)).unwrap_or_else(|e| panic!("{relative}: {e}"))
    }

    /// Is there such a file or folder?
    pub fn has(&self, relative: &str) -> bool {
        self.path(relative).exists()
    }

    /// The program with these arguments, ready to be started in the project.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sulcus"));
        command.args(args).current_dir(self.root()).stdin(Stdio::null());
        command.env("NO_COLOR", "1").env("HOME", self.root());
        // The runtime is fetched once for all tests, not once for each home folder.
        command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        command.env_remove("SULCUS_STORE").env_remove("SULCUS_OFFLINE");
        command
    }

    /// Runs the program.
    pub fn sulcus(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().expect("the program starts");
        Ran::new(output, self.root())
    }

    /// Runs the program and expects that it does what it was asked.
    pub fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.sulcus(args);
        assert_eq!(ran.code, 0, "sulcus {args:?}\n{}", ran.text());
        ran
    }

    /// Names of the steps that a run executes, in the order in which they end.
    #[cfg(feature = "models")]
    pub fn executed(&self) -> Vec<String> {
        let end = self.ok(&["run", "--json"]).json();
        let names = end["executed"].as_array().expect("the end names them");
        names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    }

    /// Runs git in the project, with a name and without anybody's settings.
    pub fn git(&self, args: &[&str]) {
        let status = Command::new("git")
            .args([
                "-c",
                "user.name=test",
                "-c",
                "user.email=test@example.org",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(args)
            .current_dir(self.root())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("git starts");
        assert!(status.success(), "git {args:?}");
    }
}

impl Ran {
    /// What a finished process left.
    pub fn new(output: Output, root: PathBuf) -> Self {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            root,
        }
    }

    /// Exit code, data and messages, with the project's path replaced.
    pub fn text(&self) -> String {
        let mut text = format!("exit {}\n", self.code);
        for (title, part) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !part.is_empty() {
                text.push_str(&format!("--- {title}\n{part}"));
            }
        }
        here(&text, &self.root)
    }

    /// The last line of the data, as JSON.
    pub fn json(&self) -> serde_json::Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    /// Every line of the data, as JSON.
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let parse = |l: &str| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"));
        self.stdout.lines().map(parse).collect()
    }
}

fn here(text: &str, root: &Path) -> String {
    text.replace(&root.display().to_string(), "[project]")
}

/// Two commands, one behind the other.
pub const CHAIN: &str = "\
name: chain
stages:
  copy:
    uses: command
    with: { run: cp in.txt out/a.txt, reads: in.txt, writes: out/a.txt }
  count:
    uses: command
    with: { run: wc -l < out/a.txt > out/b.txt, reads: out/a.txt, writes: out/b.txt }
";

/// A project with [`CHAIN`] and its input.
pub fn chain() -> Project {
    Project::with(&[("sulcus.yaml", CHAIN), ("in.txt", "one\ntwo\n")])
}

/// What differs from run to run: times, sizes, digests, process numbers, this program's version.
pub const ACCIDENTAL: &[(&str, &str)] = &[
    (r"\b[0-9a-f]{64}\b", "[digest]"),
    (r"\b[0-9a-f]{12}\b", "[short]"),
    (r"\b\d+m \d\ds\b|\b\d+h \d\dm\b", "[time]"),
    (r"\b\d+\.\d+s\b", "[time]"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?( UTC)?\b", "[when]"),
    (r"\b\d+ (second|minute|hour|day)s? ago\b", "[ago]"),
    (r"\b\d+(\.\d+)? (B|kB|MB|GB|TB)\b", "[size]"),
    (r"\bprocess \d+\b", "process [pid]"),
    (r"\bsulcus \d+\.\d+\.\d+\b", "sulcus [version]"),
];

/// Compares a text with an inline snapshot after [`ACCIDENTAL`] was taken out.
macro_rules! snapshot {
    ($text:expr, @$expected:literal) => {
        insta::with_settings!({ filters => $crate::it::support::ACCIDENTAL.iter().copied() }, {
            insta::assert_snapshot!($text, @$expected);
        });
    };
}
pub(crate) use snapshot;
