//! Networks built from a specification and a seed. A new one is its file and a line in `ARCHITECTURES`.

use crate::build::{Attr, Builder};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::proto::GraphProto;
use crate::random::Random;
use crate::shape::{Dim, Info};
use crate::tensor::{DataType, floats};

mod head;
mod lenet;
mod linear;
mod mlp;
mod resnet;
mod vgg;

pub use head::with_head;

/// How a residual network begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stem {
    /// By the size of the image: `Small` below 64 pixels along a side.
    #[default]
    Fitting,
    /// One 3×3 convolution that keeps the size.
    Small,
    /// A 7×7 convolution and a pooling that leave a quarter of each side.
    ImageNet,
}

/// What to build.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Shape of one input without the batch: [features], or [channels, height, width].
    pub input: Vec<usize>,
    /// Number of outputs.
    pub classes: usize,
    /// Widths of hidden layers, where the architecture has them.
    pub hidden: Vec<usize>,
    /// Op between layers: `Relu`, `Tanh` or `Sigmoid`.
    pub activation: String,
    /// Factor on the input, a constant of the graph that is not trained; 1 adds no node.
    pub scale: f32,
    /// Layers with weights, as in the names VGG-16 and ResNet-18; `None` for the smallest.
    pub depth: Option<usize>,
    /// Channels of the first stage of `vgg` and `resnet`.
    pub width: usize,
    /// Normalise batches in `vgg`.
    pub batch_norm: bool,
    /// How `resnet` begins.
    pub stem: Stem,
}

impl Default for Spec {
    fn default() -> Self {
        Spec {
            input: Vec::new(),
            classes: 0,
            hidden: Vec::new(),
            activation: "Relu".to_owned(),
            scale: 1.0,
            depth: None,
            width: 64,
            batch_norm: false,
            stem: Stem::Fitting,
        }
    }
}

impl Spec {
    /// The three sizes of an image, for the architecture `name`.
    fn image(&self, name: &str) -> Result<[usize; 3]> {
        let [channels, height, width] = self.input[..] else {
            let given = &self.input;
            return Err(Error::new(format!(
                "`{name}` takes images [channels, height, width], not {given:?}"
            )));
        };
        Ok([channels, height, width])
    }

    /// The depth, which must be one of `known`.
    fn depth(&self, name: &str, known: &[usize]) -> Result<usize> {
        let depth = self.depth.or(known.first().copied()).unwrap_or(0);
        if known.contains(&depth) {
            return Ok(depth);
        }
        let list: Vec<String> = known.iter().map(usize::to_string).collect();
        Err(Error::new(format!("there is no `{name}` of depth {depth}; known: {}", list.join(", "))))
    }
}

/// An architecture by name.
pub struct Architecture {
    /// Its name.
    pub name: &'static str,
    build: fn(&Spec, &mut Layers) -> Result<String>,
}

/// Every architecture.
pub static ARCHITECTURES: &[Architecture] = &[
    Architecture { name: "linear", build: linear::build },
    Architecture { name: "mlp", build: mlp::build },
    Architecture { name: "lenet", build: lenet::build },
    Architecture { name: "vgg", build: vgg::build },
    Architecture { name: "resnet", build: resnet::build },
];

/// Builds the architecture called `name`: input `input` [N, …], output `logits` [N, classes].
///
/// # Errors
/// If there is no such architecture, or the specification does not fit it.
pub fn build(name: &str, spec: &Spec, seed: u64) -> Result<Model> {
    let names = || ARCHITECTURES.iter().map(|a| a.name).collect::<Vec<_>>().join(", ");
    let found = ARCHITECTURES.iter().find(|a| a.name == name);
    let architecture =
        found.ok_or_else(|| Error::new(format!("there is no architecture `{name}`; known: {}", names())))?;
    if spec.input.is_empty()
        || spec.input.contains(&0)
        || spec.classes == 0
        || spec.hidden.contains(&0)
        || spec.width == 0
    {
        return Err(Error::new("sizes must be at least 1"));
    }
    let mut layers = Layers { b: Builder::new(""), random: Random::new(seed), input: "input".to_owned() };
    if (spec.scale - 1.0).abs() > 0.0 {
        // A scalar is no parameter: training leaves it alone.
        layers.b.constants.push(floats("scale", &[], &[spec.scale]));
        layers.b.named_node("Mul", &["input", "scale"], &["scaled"], []);
        layers.input = "scaled".to_owned();
    }
    let logits = (architecture.build)(spec, &mut layers)?;
    if let Some(last) = layers.b.nodes.last_mut()
        && last.output.first() == Some(&logits)
    {
        last.output = vec!["logits".to_owned()];
    }
    let batch = |dims: &[usize]| {
        let sizes = dims.iter().map(|d| Dim::Size(*d as i64));
        Info::new(DataType::Float, std::iter::once(Dim::Name("N".to_owned())).chain(sizes).collect())
    };
    Ok(Model::new(GraphProto {
        name: Some(name.to_owned()),
        node: layers.b.nodes,
        initializer: layers.b.constants,
        input: vec![batch(&spec.input).value("input")],
        output: vec![batch(&[spec.classes]).value("logits")],
        ..GraphProto::default()
    }))
}

/// Adds layers with freshly drawn weights.
pub struct Layers {
    b: Builder,
    random: Random,
    /// The name of the value that the first layer reads.
    input: String,
}

/// How the values of a parameter are drawn.
#[derive(Clone, Copy)]
enum Draw {
    /// Uniform in ±1/√fan_in, torch's default for linear and convolutional layers (Kaiming uniform with
    /// a = √5 comes to the same bound).
    Uniform(usize),
    /// Normal with this standard deviation.
    Normal(f64),
    /// This value.
    Constant(f32),
}

fn draw(random: &mut Random, draw: Draw, count: usize) -> Vec<f32> {
    let mut one = || match draw {
        Draw::Uniform(fan_in) => ((random.uniform() * 2.0 - 1.0) * (1.0 / (fan_in as f64).sqrt())) as f32,
        Draw::Normal(deviation) => (random.normal() * deviation) as f32,
        Draw::Constant(value) => value,
    };
    (0..count).map(|_| one()).collect()
}

/// A convolution's sizes; kernels are square.
#[derive(Clone, Copy)]
struct Kernel {
    inputs: usize,
    outputs: usize,
    size: usize,
    stride: usize,
    pad: usize,
}

impl Kernel {
    /// One that keeps the image's size.
    fn same(inputs: usize, outputs: usize, size: usize) -> Self {
        Kernel { inputs, outputs, size, stride: 1, pad: size / 2 }
    }

    /// Kaiming's normal draw for what follows the layer (fan out), as torchvision's networks have it.
    fn fan_out(self) -> Draw {
        Draw::Normal((2.0 / (self.outputs * self.size * self.size) as f64).sqrt())
    }
}

impl Layers {
    fn parameter(&mut self, name: &str, dims: &[usize], by: Draw) -> Result<()> {
        let count = dims
            .iter()
            .try_fold(1usize, |n, d| n.checked_mul(*d))
            .filter(|n| *n <= crate::model::MAX_ELEMENTS);
        let count = count.ok_or_else(|| Error::new(format!("a layer of {dims:?} weights is too large")))?;
        let values = draw(&mut self.random, by, count);
        let dims: Vec<i64> = dims.iter().map(|d| *d as i64).collect();
        self.b.constants.push(floats(name, &dims, &values));
        Ok(())
    }

    /// A fully connected layer `name` from `inputs` to `outputs`.
    fn dense(&mut self, name: &str, x: &str, inputs: usize, outputs: usize) -> Result<String> {
        self.dense_drawn(name, x, (inputs, outputs), [Draw::Uniform(inputs); 2])
    }

    /// The same with weights and bias drawn as said.
    fn dense_drawn(
        &mut self,
        name: &str,
        x: &str,
        (inputs, outputs): (usize, usize),
        [weights, biases]: [Draw; 2],
    ) -> Result<String> {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        self.parameter(&weight, &[outputs, inputs], weights)?;
        self.parameter(&bias, &[outputs], biases)?;
        self.b.named_node("Gemm", &[x, &weight, &bias], &[name], [("transB", Attr::Int(1))]);
        Ok(name.to_owned())
    }

    /// A convolution `name`, with a bias if it is to be drawn.
    fn conv(&mut self, name: &str, x: &str, k: Kernel, weights: Draw, bias: Option<Draw>) -> Result<String> {
        let weight = format!("{name}.weight");
        self.parameter(&weight, &[k.outputs, k.inputs, k.size, k.size], weights)?;
        let mut inputs = vec![x.to_owned(), weight];
        if let Some(draw) = bias {
            let bias = format!("{name}.bias");
            self.parameter(&bias, &[k.outputs], draw)?;
            inputs.push(bias);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let (size, stride, pad) = (k.size as i64, k.stride as i64, k.pad as i64);
        self.b.named_node(
            "Conv",
            &inputs,
            &[name],
            [
                ("kernel_shape", Attr::Ints(&[size, size])),
                ("strides", Attr::Ints(&[stride, stride])),
                ("pads", Attr::Ints(&[pad; 4])),
            ],
        );
        Ok(name.to_owned())
    }

    /// A normalisation `name` of `channels`, at first with scale 1, shift 0 and running statistics 0 and 1.
    fn batch_norm(&mut self, name: &str, x: &str, channels: usize) -> Result<String> {
        let parts = [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)];
        let mut inputs = vec![x.to_owned()];
        for (part, value) in parts {
            let parameter = format!("{name}.{part}");
            self.parameter(&parameter, &[channels], Draw::Constant(value))?;
            inputs.push(parameter);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let attributes = [("epsilon", Attr::Float(1e-5)), ("momentum", Attr::Float(0.9))];
        self.b.named_node("BatchNormalization", &inputs, &[name], attributes);
        Ok(name.to_owned())
    }

    fn op(&mut self, op: &str, name: &str, x: &str) -> String {
        self.b.named_node(op, &[x], &[name], []);
        name.to_owned()
    }

    fn add(&mut self, name: &str, a: &str, b: &str) -> String {
        self.b.named_node("Add", &[a, b], &[name], []);
        name.to_owned()
    }

    /// A pooling of 2×2 pixels.
    fn max_pool(&mut self, name: &str, x: &str) -> String {
        self.max_pool_of(name, x, 2, 0)
    }

    /// A pooling with windows of `size` pixels, two apart.
    fn max_pool_of(&mut self, name: &str, x: &str, size: i64, pad: i64) -> String {
        self.b.named_node(
            "MaxPool",
            &[x],
            &[name],
            [
                ("kernel_shape", Attr::Ints(&[size; 2])),
                ("strides", Attr::Ints(&[2; 2])),
                ("pads", Attr::Ints(&[pad; 4])),
            ],
        );
        name.to_owned()
    }

    /// The input as a matrix.
    fn flat_input(&mut self, spec: &Spec) -> (String, usize) {
        let features = spec.input.iter().product();
        let input = self.input.clone();
        let x = if spec.input.len() > 1 { self.op("Flatten", "flat", &input) } else { input };
        (x, features)
    }
}
