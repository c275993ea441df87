//! What the steps printed that failed: kept until they succeed, so that it can be read later.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::fs::{self, Result};
use crate::plan::Plan;
use crate::stage::{Digest, Failure};

/// A failed step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailedStep {
    /// Its name.
    pub step: String,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// When, seconds since 1970.
    pub finished: u64,
    /// What it printed.
    pub log: String,
}

/// The failed steps of one workflow.
#[derive(Debug)]
pub struct FailedSteps {
    folder: PathBuf,
    workflow: String,
    /// Names of the files that are there, so that a step without a past costs no system call.
    there: Mutex<HashSet<String>>,
}

impl FailedSteps {
    /// Those of `plan`.
    pub fn open(plan: &Plan) -> Self {
        let folder = plan.root.join(".sulcus").join("failed");
        let names = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let there = names.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        let workflow = plan.workflow.sources.first().map(|s| s.name.clone()).unwrap_or_default();
        FailedSteps { folder, workflow, there: Mutex::new(there) }
    }

    /// Keeps what a failed step left.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(&self, step: &str, failure: &Failure, log: &str) -> Result<()> {
        let failed = FailedStep {
            step: step.to_owned(),
            message: failure.message.clone(),
            hint: failure.hint.clone(),
            finished: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
            log: log.to_owned(),
        };
        fs::create_dir_all(&self.folder)?;
        let name = self.name(step);
        fs::write_atomic(
            self.folder.join(&name),
            serde_json::to_string(&failed).unwrap_or_default().as_bytes(),
        )?;
        self.lock().insert(name);
        Ok(())
    }

    /// The step has a result now.
    pub fn clear(&self, step: &str) {
        let mut there = self.lock();
        if !there.is_empty() {
            let name = self.name(step);
            if there.remove(&name) {
                let _ = std::fs::remove_file(self.folder.join(name));
            }
        }
    }

    /// What `step` left when it failed, if it did and has no result since.
    pub fn get(&self, step: &str) -> Option<FailedStep> {
        read(&self.folder.join(self.name(step)))
    }

    fn name(&self, step: &str) -> String {
        Digest::of(format!("{}\n{step}", self.workflow).as_bytes()).short()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> Option<FailedStep> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
