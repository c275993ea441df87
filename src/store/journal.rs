//! The journal: one line of JSON for every run that executed something.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::fs::{Context, Result};

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunLine {
    /// When it ended, seconds since 1970.
    pub finished: u64,
    /// The workflow's path in the project.
    pub workflow: String,
    /// How many steps were executed.
    pub executed: usize,
    /// How many were known.
    pub cached: usize,
    /// How many failed.
    pub failed: usize,
    /// Seconds it took.
    pub seconds: f64,
}

impl RunLine {
    /// Appends the line to the journal `file` in one write, so that runs at the same time do not mix.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append(&self, file: &Path) -> Result<()> {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        let mut opened = OpenOptions::new().append(true).create(true).open(file).at("open", file)?;
        opened.write_all(line.as_bytes()).at("write", file)
    }

    /// The runs in the journal `file`, the oldest first; lines that make no sense are left out.
    pub fn read(file: &Path) -> Vec<Self> {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_was_appended_around_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("runs.jsonl");
        let run = |executed| RunLine {
            finished: 7,
            workflow: "a.yaml".to_owned(),
            executed,
            cached: 2,
            failed: 0,
            seconds: 0.25,
        };
        run(1).append(&file).unwrap();
        OpenOptions::new().append(true).open(&file).unwrap().write_all(b"{\"torn\n").unwrap();
        run(3).append(&file).unwrap();
        assert_eq!(RunLine::read(&file), [run(1), run(3)]);
    }
}
