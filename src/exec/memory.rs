//! What the last run of a workflow left behind: enough to see at a glance that nothing changed, and
//! what every step gave.
//!
//! The file lists every path that the run depended on or wrote, with size, mtime, inode and digest.
//! If the request is the same and every path is unchanged (one whose state differs is hashed), then
//! every step is cached, and neither workflow nor records need to be read. Any doubt leads to the
//! full way, so a lost or broken memory costs time only.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::resolve::Outputs;
use crate::fs::{self, Result};
use crate::parallel;
use crate::stage::{Digest, Facts, PortType};
use crate::store::{Index, Output, Stat};

/// What the last run left behind.
#[derive(Debug, Default)]
pub struct Memory {
    /// Fingerprint of the request: the texts of the workflow, parameters, environment, wanted steps.
    pub request: Option<Digest>,
    /// Paths that were read or written, each in a known state.
    pub paths: Vec<(String, Stat, Digest)>,
    /// Objects of the wanted steps' outputs, each in a known state.
    pub objects: Vec<(Digest, Stat)>,
    /// Questions about the world (`glob data/*.csv`, `env HOME`, `runtime cpu`) and what was answered.
    pub probes: Vec<(String, Digest)>,
    /// Kind and name of the steps that were wanted, in order.
    pub wanted: Vec<(String, String)>,
    steps: HashMap<String, (Digest, Outputs)>,
}

const HEADER: &str = "sulcus-memory 3";
/// One thread looks at this many files within some ten milliseconds: fewer are not worth a second one.
const WORTH_A_THREAD: usize = 4000;

impl Memory {
    /// Reads the file; a missing or broken one is empty.
    pub fn read(path: &Path) -> Self {
        std::fs::read_to_string(path).ok().and_then(|text| Self::parse(&text)).unwrap_or_default()
    }

    /// Is everything as it was when `request` was last brought up to date? What is unchanged is told to
    /// `index`, so that a run that goes on from here looks at it no more.
    pub fn is_current(
        &self,
        request: &Digest,
        index: &Index,
        object: &dyn Fn(&Digest) -> PathBuf,
        ask: &dyn Fn(&str) -> Option<Digest>,
    ) -> bool {
        let objects: Vec<PathBuf> = self.objects.iter().map(|(digest, _)| object(digest)).collect();
        let same_object = |at: usize| Stat::read(&objects[at]) == Some(self.objects[at].1);
        let same_path = |at: usize| {
            let (path, stat, _) = &self.paths[at];
            index.root().stat(path).is_ok_and(|now| Stat::of(&now) == *stat)
        };
        let threads = |count: usize| parallel::cores().min(count / WORTH_A_THREAD + 1);
        let same_objects = parallel::map(objects.len(), threads(objects.len()), same_object);
        let same_paths = parallel::map(self.paths.len(), threads(self.paths.len()), same_path);
        let paths = || self.paths.iter().zip(&same_paths);
        let current = self.request.as_ref() == Some(request)
            && same_objects.iter().all(|same| *same)
            && paths().all(|((path, _, digest), same)| {
                *same || index.digest(path).is_ok_and(|(now, _)| now == *digest)
            })
            && self.probes.iter().all(|(probe, digest)| ask(probe) == Some(*digest));
        if !current {
            index.expect(objects.len() + self.paths.len());
            let objects = self.objects.iter().zip(&objects).zip(&same_objects);
            for (((digest, stat), path), _) in objects.filter(|(_, same)| **same) {
                index.vouch(&path.to_string_lossy(), *stat, *digest);
            }
            for ((path, stat, digest), _) in paths().filter(|(_, same)| **same) {
                index.vouch(path, *stat, *digest);
            }
        }
        current
    }

    /// What the step called `name` gave the last time.
    pub fn last(&self, name: &str) -> Option<Outputs> {
        self.steps.get(name).map(|(_, outputs)| Arc::clone(outputs))
    }

    /// What the step called `name` gave, if it had this key.
    pub fn outputs(&self, name: &str, key: &Digest) -> Option<Outputs> {
        self.steps.get(name).filter(|(known, _)| known == key).map(|(_, outputs)| Arc::clone(outputs))
    }

    /// The key that the step called `name` had.
    pub fn key(&self, name: &str) -> Option<Digest> {
        self.steps.get(name).map(|(key, _)| *key)
    }

    /// Key and outputs of every step.
    pub fn results(&self) -> impl Iterator<Item = &(Digest, Outputs)> {
        self.steps.values()
    }

    /// Remembers a step.
    pub fn remember(&mut self, name: String, key: Digest, outputs: Outputs) {
        self.steps.insert(name, (key, outputs));
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write_atomic(path, self.text().as_bytes())
    }

    fn text(&self) -> String {
        let mut out = String::with_capacity(self.paths.len() * 160);
        let _ = writeln!(out, "{HEADER}");
        if let Some(request) = self.request {
            let _ = writeln!(out, "request {request}");
        }
        for (path, stat, digest) in &self.paths {
            let _ = writeln!(out, "path {} {} {} {digest} {path}", stat.size, stat.mtime, stat.inode);
        }
        for (digest, stat) in &self.objects {
            let _ = writeln!(out, "object {} {} {} {digest}", stat.size, stat.mtime, stat.inode);
        }
        for (probe, digest) in &self.probes {
            let _ = writeln!(out, "probe {digest} {probe}");
        }
        for (kind, name) in &self.wanted {
            let _ = writeln!(out, "wanted {kind} {name}");
        }
        let mut sorted: Vec<_> = self.steps.iter().collect();
        sorted.sort_unstable_by_key(|(name, _)| *name);
        for (name, (key, outputs)) in sorted {
            let _ = writeln!(out, "step {key} {name}");
            for output in outputs.iter() {
                let facts = match &output.facts {
                    Facts::Opaque => "-".to_owned(),
                    known => serde_json::to_string(known).unwrap_or_else(|_| "-".to_owned()),
                };
                let _ = writeln!(
                    out,
                    "out {} {} {} {} {facts}",
                    output.ty.name(),
                    output.object,
                    output.bytes,
                    escape(&output.port)
                );
            }
        }
        out.push_str("end\n");
        out
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) || !text.ends_with("end\n") {
            return None;
        }
        let mut memory = Memory::default();
        let mut step: Option<(String, Digest, Vec<Output>)> = None;
        for line in lines {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            if word != "out"
                && let Some((name, key, outputs)) = step.take()
            {
                memory.steps.insert(name, (key, Arc::new(outputs)));
            }
            match word {
                "request" => memory.request = Some(rest.parse().ok()?),
                "path" => {
                    let mut parts = rest.splitn(5, ' ');
                    let stat = stat(&mut parts)?;
                    let digest = parts.next()?.parse().ok()?;
                    memory.paths.push((parts.next()?.to_owned(), stat, digest));
                }
                "object" => {
                    let mut parts = rest.splitn(4, ' ');
                    let stat = stat(&mut parts)?;
                    memory.objects.push((parts.next()?.parse().ok()?, stat));
                }
                "probe" => {
                    let (digest, probe) = rest.split_once(' ')?;
                    memory.probes.push((probe.to_owned(), digest.parse().ok()?));
                }
                "wanted" => {
                    let (kind, name) = rest.split_once(' ')?;
                    memory.wanted.push((kind.to_owned(), name.to_owned()));
                }
                "step" => {
                    let (key, name) = rest.split_once(' ')?;
                    step = Some((name.to_owned(), key.parse().ok()?, Vec::new()));
                }
                "out" => step.as_mut()?.2.push(output(rest)?),
                _ => {}
            }
        }
        Some(memory)
    }
}

fn stat<'t>(parts: &mut impl Iterator<Item = &'t str>) -> Option<Stat> {
    let size = parts.next()?.parse().ok()?;
    let mtime = parts.next()?.parse().ok()?;
    Some(Stat { size, mtime, inode: parts.next()?.parse().ok()? })
}

fn output(rest: &str) -> Option<Output> {
    let mut parts = rest.splitn(5, ' ');
    let ty = match parts.next()? {
        "table" => PortType::Table,
        "model" => PortType::Model,
        "file" => PortType::File,
        "dir" => PortType::Dir,
        "figure" => PortType::Figure,
        _ => return None,
    };
    let object = parts.next()?.parse().ok()?;
    let bytes = parts.next()?.parse().ok()?;
    let port = parts.next()?.replace("%20", " ").replace("%25", "%");
    let facts = match parts.next()? {
        "-" => Facts::Opaque,
        json => serde_json::from_str(json).ok()?,
    };
    Some(Output { port, ty, object, bytes, facts })
}

fn escape(port: &str) -> String {
    port.replace('%', "%25").replace(' ', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_a_cut_file_is_empty() {
        let mut memory = Memory { request: Some(Digest::of(b"r")), ..Memory::default() };
        memory.paths.push(("a b".to_owned(), Stat { size: 1, mtime: 2, inode: 3 }, Digest::of(b"p")));
        memory.objects.push((Digest::of(b"o"), Stat { size: 4, mtime: 5, inode: 6 }));
        memory.probes.push(("glob x/*.csv".to_owned(), Digest::of(b"q")));
        memory.wanted.push(("command".to_owned(), "s[a=1]".to_owned()));
        let output = Output {
            port: "o/a 100%".to_owned(),
            ty: PortType::File,
            object: Digest::of(b"o"),
            bytes: 7,
            facts: Facts::Opaque,
        };
        memory.remember("s[a=1]".to_owned(), Digest::of(b"k"), Arc::new(vec![output]));
        let text = memory.text();
        let back = Memory::parse(&text).unwrap();
        assert_eq!(back.text(), text);
        assert_eq!(back.last("s[a=1]"), memory.last("s[a=1]"));
        assert!(Memory::parse(&text[..text.len() - 4]).is_none());
    }
}
