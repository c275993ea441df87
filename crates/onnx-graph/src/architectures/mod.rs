//! Networks built from a specification and a seed. A new one is its file and a line in `ARCHITECTURES`.

use crate::build::{Attr, Builder};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::proto::GraphProto;
use crate::random::Random;
use crate::shape::{Dim, Info};
use crate::tensor::{DataType, floats};

mod lenet;
mod linear;
mod mlp;

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
    if spec.input.is_empty() || spec.input.contains(&0) || spec.classes == 0 || spec.hidden.contains(&0) {
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
///
/// Weights and biases are uniform in ±1/√fan_in, torch's default for linear and convolutional layers
/// (Kaiming uniform with a = √5 comes to the same bound).
pub struct Layers {
    b: Builder,
    random: Random,
    /// The name of the value that the first layer reads.
    input: String,
}

impl Layers {
    fn parameter(&mut self, name: &str, dims: &[usize], fan_in: usize) -> Result<()> {
        let count = dims
            .iter()
            .try_fold(1usize, |n, d| n.checked_mul(*d))
            .filter(|n| *n <= crate::model::MAX_ELEMENTS);
        let count = count.ok_or_else(|| Error::new(format!("a layer of {dims:?} weights is too large")))?;
        let bound = 1.0 / (fan_in as f64).sqrt();
        let values: Vec<f32> =
            (0..count).map(|_| ((self.random.uniform() * 2.0 - 1.0) * bound) as f32).collect();
        let dims: Vec<i64> = dims.iter().map(|d| *d as i64).collect();
        self.b.constants.push(floats(name, &dims, &values));
        Ok(())
    }

    /// A fully connected layer `name` from `inputs` to `outputs`.
    fn dense(&mut self, name: &str, x: &str, inputs: usize, outputs: usize) -> Result<String> {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        self.parameter(&weight, &[outputs, inputs], inputs)?;
        self.parameter(&bias, &[outputs], inputs)?;
        self.b.named_node("Gemm", &[x, &weight, &bias], &[name], [("transB", Attr::Int(1))]);
        Ok(name.to_owned())
    }

    /// A convolution `name` with square kernels, padded so that the size stays.
    fn conv(&mut self, name: &str, x: &str, inputs: usize, outputs: usize, kernel: usize) -> Result<String> {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        let fan_in = inputs * kernel * kernel;
        self.parameter(&weight, &[outputs, inputs, kernel, kernel], fan_in)?;
        self.parameter(&bias, &[outputs], fan_in)?;
        let (k, pad) = (kernel as i64, kernel as i64 / 2);
        self.b.named_node(
            "Conv",
            &[x, &weight, &bias],
            &[name],
            [("kernel_shape", Attr::Ints(&[k, k])), ("pads", Attr::Ints(&[pad; 4]))],
        );
        Ok(name.to_owned())
    }

    fn op(&mut self, op: &str, name: &str, x: &str) -> String {
        self.b.named_node(op, &[x], &[name], []);
        name.to_owned()
    }

    fn max_pool(&mut self, name: &str, x: &str) -> String {
        let two = [2, 2];
        self.b.named_node(
            "MaxPool",
            &[x],
            &[name],
            [("kernel_shape", Attr::Ints(&two)), ("strides", Attr::Ints(&two))],
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
