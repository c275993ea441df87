//! `ingest.model`: an ONNX file, checked.

use std::collections::BTreeMap;

use onnx_graph::model::Model;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::files;
use crate::kinds::artefacts::{put_model, runtime};
use crate::kinds::model::facts;
use crate::model::Session;
use crate::stage::{
    Complaint, Facts, Failure, FileIn, FileParam, InferContext, Io, Kind, Outputs, Port, PortType, Ports,
};

/// The files with a model's weights, as file parameters: `path.weights.0` and so on.
const WEIGHTS: &str = "path.weights.";

/// An ONNX file, checked.
pub struct IngestModel;

/// Parameters of `ingest.model`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The ONNX file.
    pub path: String,
}

impl Kind for IngestModel {
    type Params = Params;
    const NAME: &'static str = "ingest.model";
    const REVISION: u32 = 1;
    const USES_RUNTIME: bool = true;
    const ABOUT: &'static str = "An ONNX model file, checked.\n\n\
        The file is read with care (it may come from a stranger), then loaded once in ONNX Runtime. \
        Weights in other files are taken in if they lie in the model's own folder; links and paths \
        that leave it are refused. They are read for the step's key as the file itself is.";
    const EXAMPLE: &'static str = "\
net:
  uses: ingest.model
  with: { path: models/net.onnx }
";
    const REFERS: bool = true;

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            outputs: vec![Port::new("model", PortType::Model, "the model in one file")],
            ..Ports::default()
        }
    }

    fn files(params: &Params) -> Vec<FileParam> {
        vec![files("path", &params.path, false)]
    }

    fn referred(_params: &Params, found: &BTreeMap<String, Vec<FileIn>>) -> Vec<FileParam> {
        let Some([model]) = found.get("path").map(Vec::as_slice) else { return Vec::new() };
        // What cannot be read is a mistake that `infer` names.
        let beside = Model::external_files(&model.path).unwrap_or_default();
        let folder = model.name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let param = |(index, name): (usize, &String)| {
            files(&format!("{WEIGHTS}{index}"), &literal(&format!("{folder}{name}")), false)
        };
        beside.iter().enumerate().map(param).collect()
    }

    fn infer(_params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        let Some(paths) = context.files.get("path") else { return Ok(Outputs::new()) };
        let [path] = &paths[..] else {
            return Err(Complaint::param("path", format!("it names {} files; one is needed", paths.len())));
        };
        let model = Model::read_file(path).map_err(|e| Complaint::param("path", e.to_string()))?;
        Ok(Outputs::from([("model".to_owned(), Facts::Model(facts::of(&model)))]))
    }

    fn run(_params: &Params, io: &mut Io) -> Result<(), Failure> {
        let [file] = io.files("path") else { return Err(Failure::new("`path` names no single file")) };
        let model =
            Model::read_file(&file.path).map_err(|e| Failure::new(e.to_string()).context(&file.name))?;
        let read = Model::external_files(&file.path).map_err(|e| Failure::new(e.to_string()))?;
        if read.len() != io.files.keys().filter(|param| param.starts_with(WEIGHTS)).count() {
            let message =
                format!("weights of `{}` lie in files that were not known before this run", file.name);
            return Err(Failure::new(message).hint("let the stage that writes the model write one file"));
        }
        let name = file.name.clone();
        // Written first: the session may then have the weights, which can be large, for itself.
        put_model(io, "model", &model)?;
        Session::ready(runtime(io)?, model, &io.providers, io.threads).map_err(|f| f.context(&name))?;
        Ok(())
    }
}

/// A pattern that only this path matches.
fn literal(path: &str) -> String {
    path.chars().map(|c| if "*?[{".contains(c) { format!("[{c}]") } else { c.to_string() }).collect()
}
