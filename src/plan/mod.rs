//! From a workflow to steps: kinds found, parameters checked, ports bound, files found, order known.
//! Nothing is executed and nothing is hashed here.

mod bind;
mod build;
mod draft;
mod files;
mod graph;
mod infer;
mod lineage;
mod path;
mod place;
mod select;
mod skip;

use std::path::PathBuf;

use petgraph::graph::DiGraph;
use serde_json::Value;

use crate::spec::{Diagnostic, Node, Span, StageOptions, Workflow};
use crate::stage::{Axes, Digest, FileForm, Port, Stage};

pub use build::plan;
pub use files::{list_digest, list_sources};
pub use infer::{Lookup, context, infer_step};
pub use path::ProjectPath;
pub use select::{ancestors, select};

/// Index of a step in [`Plan::steps`] and of its node in [`Plan::graph`].
pub type StepId = usize;

/// A checked workflow: its steps and their order.
#[derive(Debug)]
pub struct Plan {
    /// The workflow that it was made from.
    pub workflow: Workflow,
    /// The project's root folder.
    pub root: PathBuf,
    /// The steps in written order.
    pub steps: Vec<Step>,
    /// Steps that `when: false` leaves out.
    pub skipped: Vec<String>,
    /// An edge runs from each step to each step that reads it.
    pub graph: DiGraph<StepId, ()>,
    /// Every step after those that it reads; otherwise in written order.
    pub order: Vec<StepId>,
}

/// One cell of one stage.
pub struct Step {
    /// `stage` or `stage[seed=0]`.
    pub name: String,
    /// Index into the workflow's stages.
    pub stage: usize,
    /// Index into the workflow's cells.
    pub cell: usize,
    /// Its place in the matrix.
    pub axes: Axes,
    /// What it does.
    pub kind: &'static dyn Stage,
    /// Checked parameters, defaults filled in.
    pub params: Value,
    /// Bound inputs by port, in the order of the ports.
    pub inputs: Vec<(String, Vec<Binding>)>,
    /// Parameters that name files.
    pub files: Vec<FileBinding>,
    /// Output ports.
    pub outputs: Vec<Port>,
    /// Steps that must be finished first, each once.
    pub upstream: Vec<StepId>,
    /// Execution providers in order of preference.
    pub providers: Vec<String>,
    /// How it runs.
    pub options: StageOptions,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Step({} uses {})", self.name, self.kind.name())
    }
}

/// One artefact bound to an input port.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Where it comes from.
    pub from: Source,
    /// The axes that were gathered.
    pub axes: Axes,
}

/// Where an input comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The output at a port of a step.
    Step(StepId, String),
    /// A file of the project.
    File(ProjectPath),
    /// A pinned download.
    Url(String, Digest),
}

/// A file parameter with what it names.
#[derive(Clone, Debug)]
pub struct FileBinding {
    /// The parameter's path inside `with`.
    pub param: String,
    /// The pattern as written.
    pub pattern: String,
    /// What it may name.
    pub form: FileForm,
    /// True if names enter the key.
    pub names_matter: bool,
    /// The files, sorted by path.
    pub found: Vec<FoundFile>,
}

impl FileBinding {
    /// The name under which the step sees a file: below the folder that the parameter names, else in
    /// the project. Keys and running steps must agree on it.
    pub fn name_of<'f>(&self, file: &'f FoundFile) -> &'f str {
        let path = file.path.as_str();
        if self.form != FileForm::Folder {
            return path;
        }
        let folder = self.pattern.trim_start_matches("./").trim_end_matches('/');
        path.strip_prefix(folder).map_or(path, |below| below.trim_start_matches('/'))
    }
}

/// One file named by a file parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundFile {
    /// Its path in the project.
    pub path: ProjectPath,
    /// The step and output port that write it, if one does.
    pub producer: Option<(StepId, String)>,
}

impl Plan {
    /// The step called `name`.
    pub fn find(&self, name: &str) -> Option<StepId> {
        self.steps.iter().position(|s| s.name == name)
    }

    /// The declared stage of a step.
    pub fn stage_name(&self, id: StepId) -> &str {
        &self.workflow.stages[self.steps[id].stage].name.name
    }

    /// The node of `with` of a step, for places.
    pub fn with_node(&self, id: StepId) -> &Node {
        &self.workflow.cells[self.steps[id].cell].with
    }

    /// Where the step's input port is written.
    pub fn input_span(&self, id: StepId, port: &str) -> Span {
        let cell = &self.workflow.cells[self.steps[id].cell];
        cell.inputs.iter().find(|(key, _)| key.name == port).map_or(self.stage_span(id), |(key, _)| key.span)
    }

    /// Where the step's stage is named.
    pub fn stage_span(&self, id: StepId) -> Span {
        self.workflow.stages[self.steps[id].stage].name.span
    }

    /// Where the output at `port` appears in the project: `results/<workflow>/<stage>/<cell>/<port>.<ext>`,
    /// or the path that a command writes.
    pub fn output_path(&self, id: StepId, port: &Port) -> ProjectPath {
        if let Some(path) = &port.path {
            return ProjectPath::trusted(path.clone());
        }
        let mut path = format!("results/{}/{}", self.workflow.name, self.stage_name(id));
        for (axis, value) in &self.steps[id].axes {
            path.push_str(&format!("/{axis}={}", path::hive(&crate::spec::label(value))));
        }
        path.push('/');
        path.push_str(&port.name);
        if let Some(extension) = &port.extension {
            path.push('.');
            path.push_str(extension);
        }
        ProjectPath::trusted(path)
    }

    /// A complaint of a kind, placed in the file.
    pub fn place(&self, id: StepId, complaint: &crate::stage::Complaint) -> Diagnostic {
        place::place(
            complaint,
            self.with_node(id),
            |port| self.input_span(id, port),
            self.stage_span(id),
            &self.steps[id].name,
        )
    }
}
