//! `model.build`: a network from a specification and a seed.

use onnx_graph::architectures::{Spec, Stem as GraphStem, build};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::artefacts::put_model;
use crate::stage::{
    Complaint, Dim, Facts, Failure, InferContext, Io, Kind, ModelFacts, Outputs, Port, PortType, Ports,
    TensorFacts,
};

/// A network from a specification and a seed.
pub struct Build;

/// Which network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// One fully connected layer.
    Linear,
    /// Fully connected layers with an activation between them.
    Mlp,
    /// Two convolutions with pooling, then three fully connected layers.
    Lenet,
    /// Blocks of 3×3 convolutions with pooling between them; depth 11, 13, 16 or 19.
    Vgg,
    /// A residual network; depth 18, 34 or 50.
    Resnet,
}

/// How a residual network begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// One 3×3 convolution that keeps the size.
    Small,
    /// A 7×7 convolution and a pooling that leave a quarter of each side.
    ImageNet,
}

/// The function between layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// max(x, 0)
    #[default]
    Relu,
    /// tanh x
    Tanh,
    /// 1 / (1 + exp(−x))
    Sigmoid,
}

/// Parameters of `model.build`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Which network.
    pub architecture: Architecture,
    /// Shape of one input without the batch: `[64]`, or `[channels, height, width]`.
    pub input: Vec<usize>,
    /// Number of outputs.
    pub classes: usize,
    /// Widths of the fully connected hidden layers: needed by `mlp`; `lenet` has `[120, 84]`, `vgg` none.
    #[serde(default)]
    pub hidden: Vec<usize>,
    /// Layers with weights, as in the names VGG-16 and ResNet-18; if not given 11 and 18.
    #[serde(default)]
    pub depth: Option<usize>,
    /// Channels of the first stage of `vgg` and `resnet`.
    #[serde(default = "sixty_four")]
    pub width: usize,
    /// Normalise batches in `vgg`; `resnet` always does.
    #[serde(default)]
    pub batch_norm: bool,
    /// How `resnet` begins; if not given `small` for images below 64 pixels along a side, else `imagenet`.
    #[serde(default)]
    pub stem: Option<Stem>,
    /// The function between layers.
    #[serde(default)]
    pub activation: Activation,
    /// Factor on the input, a constant of the graph: 0.0625 brings pixels of 0 to 16 to 0 to 1.
    #[serde(default = "one")]
    pub scale: f32,
    /// Seed of the first weights.
    #[serde(default)]
    pub seed: u64,
}

fn sixty_four() -> usize {
    64
}

fn one() -> f32 {
    1.0
}

impl Params {
    fn build(&self) -> Result<onnx_graph::model::Model, String> {
        let name = match self.architecture {
            Architecture::Linear => "linear",
            Architecture::Mlp => "mlp",
            Architecture::Lenet => "lenet",
            Architecture::Vgg => "vgg",
            Architecture::Resnet => "resnet",
        };
        let activation = match self.activation {
            Activation::Relu => "Relu",
            Activation::Tanh => "Tanh",
            Activation::Sigmoid => "Sigmoid",
        };
        let spec = Spec {
            input: self.input.clone(),
            classes: self.classes,
            hidden: self.hidden.clone(),
            activation: activation.to_owned(),
            scale: self.scale,
            depth: self.depth,
            width: self.width,
            batch_norm: self.batch_norm,
            stem: match self.stem {
                None => GraphStem::Fitting,
                Some(Stem::Small) => GraphStem::Small,
                Some(Stem::ImageNet) => GraphStem::ImageNet,
            },
        };
        build(name, &spec, self.seed).map_err(|e| e.to_string())
    }
}

impl Kind for Build {
    type Params = Params;
    const NAME: &'static str = "model.build";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "A network from a specification and a seed.\n\n\
        The model has one input `input` [N, …] and one output `logits` [N, classes]. First weights and \
        biases are those of torch: uniform in ±1/√fan_in, and in `vgg` and `resnet` normal as \
        torchvision draws them, layers named as there. The same seed gives the same weights. A VGG \
        has no dropout, and leaves out poolings that would leave nothing. `lenet` uses 5×5 kernels, and 3×3 ones where an image has fewer than 20 pixels \
        along a side.";
    const EXAMPLE: &'static str = "\
net:
  uses: model.build
  with: { architecture: lenet, input: [1, 8, 8], classes: 10, scale: 0.0625, seed: 0 }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            outputs: vec![Port::new("model", PortType::Model, "the untrained network")],
            ..Ports::default()
        }
    }

    fn infer(params: &Params, _context: &InferContext) -> Result<Outputs, Complaint> {
        params.build().map_err(|message| Complaint::param("architecture", message))?;
        let sizes = |dims: &[usize]| {
            std::iter::once(Dim::Name("N".to_owned()))
                .chain(dims.iter().map(|d| Dim::Size(*d as u64)))
                .collect()
        };
        let tensor = |name: &str, dims: &[usize]| TensorFacts {
            name: name.to_owned(),
            dtype: "float32".to_owned(),
            shape: sizes(dims),
        };
        let signature = ModelFacts {
            inputs: vec![tensor("input", &params.input)],
            outputs: vec![tensor("logits", &[params.classes])],
        };
        Ok(Outputs::from([("model".to_owned(), Facts::Model(signature))]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let model = params.build().map_err(Failure::new)?;
        put_model(io, "model", &model)?;
        Ok(())
    }
}
