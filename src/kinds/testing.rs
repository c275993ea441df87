//! Runs one stage in a scratch folder, as the engine would, for the tests of kinds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::stage::{
    Bound, Cancel, Column, Digest, Facts, FileIn, InferContext, InputFacts, Io, Made, NoChunks, Outputs,
    Silent, Stage, TableFacts,
};
use crate::table::{self, Frame};

/// A finished run with its folder.
pub struct Run {
    made: BTreeMap<String, Made>,
    inferred: Outputs,
    _folder: tempfile::TempDir,
}

impl Run {
    /// The table at an output port.
    pub fn table(&self, port: &str) -> Frame {
        table::read_path(&self.made[port].path, None).expect("a table")
    }

    /// The bytes at an output port.
    pub fn bytes(&self, port: &str) -> Vec<u8> {
        std::fs::read(&self.made[port].path).expect("an output")
    }

    /// What the stage said of a table before it ran.
    pub fn inferred(&self, port: &str) -> TableFacts {
        self.inferred[port].table().expect("inferred table facts").clone()
    }

    /// What the stage said of a table after it ran.
    pub fn made(&self, port: &str) -> TableFacts {
        self.made[port].facts.table().expect("table facts").clone()
    }
}

/// The column called `name`.
pub fn column(facts: &TableFacts, name: &str) -> Column {
    facts.column(name).expect("the column").clone()
}

/// A table to bind to an input port, with the matrix cell it stands for.
pub type Input<'a> = (&'a str, Frame, &'a [(&'a str, Value)]);

/// Checks and runs `stage` on files; a mistake is its message with the hint in brackets.
pub fn run_files(stage: &dyn Stage, with: Value, files: &[(&str, &[u8])]) -> Result<Run, String> {
    run(stage, with, files, &[])
}

/// Checks and runs `stage` on tables.
pub fn run_tables(stage: &dyn Stage, with: Value, inputs: &[Input]) -> Result<Run, String> {
    run(stage, with, &[], inputs)
}

/// The same for a step that was asked to stop before its work began.
pub fn run_cancelled(stage: &dyn Stage, with: Value, inputs: &[Input]) -> Result<Run, String> {
    let cancel = Cancel::default();
    cancel.cancel();
    run_until(stage, with, &[], inputs, cancel)
}

fn run(stage: &dyn Stage, with: Value, files: &[(&str, &[u8])], inputs: &[Input]) -> Result<Run, String> {
    run_until(stage, with, files, inputs, Cancel::default())
}

fn run_until(
    stage: &dyn Stage,
    with: Value,
    files: &[(&str, &[u8])],
    inputs: &[Input],
    cancel: Cancel,
) -> Result<Run, String> {
    let hinted = |message: String, hint: Option<String>| match hint {
        Some(hint) => format!("{message} ({hint})"),
        None => message,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("project");
    let scratch = folder.path().join("scratch");
    std::fs::create_dir_all(&scratch).expect("a folder");
    let mut names = Vec::new();
    for (name, bytes) in files {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, bytes).expect("writes");
        names.push((*name).to_owned());
    }
    let mut bound: BTreeMap<String, Vec<Bound>> = BTreeMap::new();
    for (index, (port, frame, axes)) in inputs.iter().enumerate() {
        let path = folder.path().join(format!("in-{index}.parquet"));
        let facts = table::write(&mut frame.clone(), &path).expect("writes");
        let axes = axes.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
        bound.entry((*port).to_owned()).or_default().push(Bound { path, facts, axes });
    }
    let checked = stage.check(&with).map_err(|c| hinted(c.message, c.hint))?;
    let params = checked.params;
    let mut found: BTreeMap<String, Vec<FileIn>> = BTreeMap::new();
    for param in checked.files {
        let glob = globset::Glob::new(&param.path).expect("a glob").compile_matcher();
        let inside = |name: &String| glob.is_match(name) || name.starts_with(&format!("{}/", param.path));
        let mut matching: Vec<&String> = names.iter().filter(|n| inside(n)).collect();
        matching.sort();
        let files = matching.into_iter().map(|name| FileIn {
            name: name.strip_prefix(&format!("{}/", param.path)).unwrap_or(name).to_owned(),
            path: root.join(name),
        });
        found.insert(param.param.clone(), files.collect());
    }
    let context = InferContext {
        inputs: bound
            .iter()
            .map(|(port, all)| {
                let facts = |b: &Bound| InputFacts { facts: bare(&b.facts), axes: b.axes.clone() };
                (port.clone(), all.iter().map(facts).collect())
            })
            .collect(),
        files: found
            .iter()
            .map(|(param, files)| {
                let paths: Vec<PathBuf> = files.iter().map(|f| f.path.clone()).collect();
                (param.clone(), paths)
            })
            .collect(),
    };
    let inferred = stage.infer(&params, &context).map_err(|c| hinted(c.message, c.hint))?;
    let mut io = Io { inputs: bound, files: found, root, cancel, ..idle(&scratch) };
    stage.run(&params, &mut io).map_err(|f| hinted(f.message, f.hint))?;
    let made = io.made;
    Ok(Run { made, inferred, _folder: folder })
}

/// The columns of a table that hold a NaN or an infinite number.
pub fn undefined(frame: &Frame) -> Vec<String> {
    let bad = |name: &&str| {
        let cells = frame.strings(name).unwrap();
        cells.iter().any(|cell| cell.split(' ').any(|c| ["NaN", "inf", "-inf"].contains(&c)))
    };
    frame.names().into_iter().filter(bad).map(str::to_owned).collect()
}

/// What a step sees that has no inputs and files, one thread and nobody to tell.
pub fn idle(scratch: &Path) -> Io<'static> {
    Io {
        inputs: BTreeMap::new(),
        files: BTreeMap::new(),
        root: scratch.to_owned(),
        scratch: scratch.to_owned(),
        checkpoints: scratch.join("checkpoints"),
        chunks: &NoChunks,
        beside_rows: Digest::of(b""),
        threads: 1,
        providers: Vec::new(),
        library: None,
        env: BTreeMap::new(),
        progress: &Silent,
        cancel: Cancel::default(),
        made: BTreeMap::new(),
        notes: BTreeMap::new(),
    }
}

/// What the plan knows: schema and rows, no digests.
fn bare(facts: &Facts) -> Facts {
    match facts {
        Facts::Table(t) => {
            let mut t = t.clone();
            t.columns.iter_mut().for_each(|c| c.digest = None);
            Facts::Table(t)
        }
        other => other.clone(),
    }
}
