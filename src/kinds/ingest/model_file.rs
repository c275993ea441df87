//! `ingest.model`: an ONNX file, checked.

use onnx_graph::model::Model;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::files;
use crate::kinds::artefacts::{put_model, runtime};
use crate::kinds::model::facts;
use crate::model::Session;
use crate::stage::{
    Complaint, Facts, Failure, FileParam, InferContext, Io, Kind, Outputs, Port, PortType, Ports,
};

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
        that leave it are refused.";
    const EXAMPLE: &'static str = "\
net:
  uses: ingest.model
  with: { path: models/net.onnx }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            outputs: vec![Port::new("model", PortType::Model, "the model in one file")],
            ..Ports::default()
        }
    }

    fn files(params: &Params) -> Vec<FileParam> {
        vec![files("path", &params.path, false)]
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
        let bytes = model.to_bytes();
        Session::new(runtime(io)?, &bytes, &io.providers, io.threads).map_err(|f| f.context(&file.name))?;
        put_model(io, "model", &model)?;
        Ok(())
    }
}
