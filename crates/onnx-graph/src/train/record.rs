//! What a training graph measures of its own path, without leaving the runtime.

use super::State;
use super::optimizer::Updated;
use crate::build::{Attr, Builder};
use crate::error::Result;
use crate::shape::{Dim, Info};
use crate::tensor::{DataType, elements};

/// A squared length or product along the path; θ₀ are the weights that the run began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// |θ − θ₀|² after the step.
    Displacement,
    /// |θ − θ before the step|².
    Step,
    /// |u|² with the velocity u, which points where the weights go: minus torch's momentum buffer, minus
    /// the gradient without momentum, minus Adam's first moment.
    Velocity,
    /// |g|² with the gradient g of what is minimised at the weights before the step, weight decay included.
    Gradient,
    /// u · (θ − θ₀) after the step.
    VelocityDisplacement,
    /// |θ − reference|² after the step.
    Distance,
}

impl Quantity {
    /// Its name in the graph and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Displacement => "displacement_squared",
            Quantity::Step => "step_squared",
            Quantity::Velocity => "velocity_squared",
            Quantity::Gradient => "gradient_squared",
            Quantity::VelocityDisplacement => "velocity_displacement",
            Quantity::Distance => "distance_squared",
        }
    }
}

/// What to record. All vectors run over the trained parameters in the order of the states, each flattened
/// in row-major order: P elements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Lengths and products.
    pub quantities: Vec<Quantity>,
    /// Number m of directions, whose products with θ − θ₀ and u are recorded: 0 for none. The graph reads
    /// them from its input `directions` [m, P].
    pub directions: usize,
    /// Number of buckets of the CountSketch of θ − θ₀ (Charikar, Chen, Farach-Colton 2002): 0 for none. The
    /// graph reads the bucket of each element from `bucket` [P] int64 and its sign from `sign` [P].
    pub sketch: usize,
    /// Record θ itself.
    pub weights: bool,
    /// Steps lie between recorded ones: the graph then reads `segments` [R] int64, for each recorded step
    /// the number of steps before it that are not. Otherwise every step is recorded.
    pub spaced: bool,
}

/// One recorded value: output `record.<name>` [R] or [R, width].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its name.
    pub name: String,
    /// Elements a step; `None` for a number.
    pub width: Option<usize>,
    /// Elements that the graph holds of every recorded step until its loop has ended.
    pub held: usize,
}

/// A value of the step that is recorded.
#[derive(Clone)]
pub(super) struct Kept {
    pub recorded: Recorded,
    /// Its name in the step.
    pub value: String,
    /// The value is a vector over the parameters, and its parts along the directions, times this, are recorded.
    pub along: Option<f32>,
}

impl Recorded {
    /// The graph's output.
    pub fn output(&self) -> String {
        format!("record.{}", self.name)
    }

    /// Type and shape of one step's recorded value.
    pub(super) fn info(&self) -> Info {
        Info::new(DataType::Float, self.width.iter().map(|w| Dim::Size(*w as i64)).collect())
    }
}

impl Kept {
    /// Type and shape of the value in the step.
    pub fn info(&self) -> Info {
        match self.along {
            Some(_) => Info::new(DataType::Float, vec![Dim::Size(self.recorded.held as i64)]),
            None => self.recorded.info(),
        }
    }

    /// The name that the loop gives to its values of all steps.
    pub fn looped(&self) -> String {
        match self.along {
            Some(_) => format!("path.{}", self.recorded.name),
            None => self.recorded.output(),
        }
    }

    /// What comes behind the loop. The steps of a call are projected together: by itself each would read all
    /// directions from memory, which takes longer than the step of a small net.
    pub fn behind(&self, b: &mut Builder) {
        if let Some(factor) = self.along {
            let (path, output) = (self.looped(), self.recorded.output());
            let attributes = [("transB", Attr::Int(1)), ("alpha", Attr::Float(factor))];
            b.named_node("Gemm", &[&path, "directions"], &[&output], attributes);
        }
    }
}

/// Makes each flat vector once, when somebody asks for it.
pub(super) struct Flat<'a> {
    states: &'a [State],
    updates: &'a [Updated],
    made: Vec<(String, String)>,
}

impl<'a> Flat<'a> {
    pub fn new(states: &'a [State], updates: &'a [Updated]) -> Self {
        Flat { states, updates, made: Vec::new() }
    }

    /// One vector of the parts that `part` picks of every update.
    fn vector(&mut self, b: &mut Builder, what: &str, part: fn(&Updated) -> &str) -> String {
        if let Some((_, name)) = self.made.iter().find(|(known, _)| known == what) {
            return name.clone();
        }
        let mut flat = Vec::new();
        for (state, update) in self.states.iter().zip(self.updates) {
            let name = part(update).to_owned();
            flat.push(if state.dims.len() == 1 {
                name
            } else {
                let all = b.ints(&[-1]);
                b.node("Reshape", &[&name, &all], [])
            });
        }
        let name = match &flat[..] {
            [only] => only.clone(),
            parts => {
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                b.node("Concat", &parts, [("axis", Attr::Int(0))])
            }
        };
        self.made.push((what.to_owned(), name.clone()));
        name
    }

    fn difference(&mut self, b: &mut Builder, from: &str) -> String {
        let what = format!("difference from {from}");
        if let Some((_, name)) = self.made.iter().find(|(known, _)| *known == what) {
            return name.clone();
        }
        let weights = self.vector(b, "weights", |u| &u.value);
        let name = b.node("Sub", &[&weights, from], []);
        self.made.push((what, name.clone()));
        name
    }

    /// The squared length of the gradient.
    pub fn gradient_square(&mut self, b: &mut Builder) -> String {
        let gradient = self.vector(b, "gradient", |u| &u.gradient);
        square(b, &gradient)
    }

    /// Emits what `record` asks for; each with the name of its value.
    pub fn record(&mut self, b: &mut Builder, record: &Record) -> Vec<Kept> {
        let kept = |name: &str, width: Option<usize>, value| Kept {
            recorded: Recorded { name: name.to_owned(), width, held: width.unwrap_or(1) },
            value,
            along: None,
        };
        let mut out: Vec<Kept> = Vec::new();
        for quantity in &record.quantities {
            let value = match quantity {
                Quantity::Displacement => {
                    let moved = self.difference(b, "start");
                    square(b, &moved)
                }
                Quantity::Distance => {
                    let apart = self.difference(b, "reference");
                    square(b, &apart)
                }
                Quantity::Step => {
                    let step = self.vector(b, "step", |u| &u.step);
                    square(b, &step)
                }
                Quantity::Velocity => {
                    let velocity = self.vector(b, "velocity", |u| &u.velocity);
                    square(b, &velocity)
                }
                Quantity::Gradient => self.gradient_square(b),
                Quantity::VelocityDisplacement => {
                    let (moved, velocity) =
                        (self.difference(b, "start"), self.vector(b, "velocity", |u| &u.velocity));
                    let product = b.node("MatMul", &[&moved, &velocity], []);
                    b.node("Neg", &[&product], [])
                }
            };
            out.push(kept(quantity.name(), None, value));
        }
        if record.directions > 0 {
            let moved = self.difference(b, "start");
            let against = self.vector(b, "velocity", |u| &u.velocity);
            let held = size(self.states).unwrap_or(0);
            for (name, value, factor) in [("position", moved, 1.0), ("momentum", against, -1.0)] {
                let recorded = Recorded { name: name.to_owned(), width: Some(record.directions), held };
                out.push(Kept { recorded, value, along: Some(factor) });
            }
        }
        if record.sketch > 0 {
            let moved = self.difference(b, "start");
            let signed = b.node("Mul", &[&moved, "sign"], []);
            let zeros = b.fresh("zeros");
            let size = record.sketch as i64;
            b.constants.push(crate::tensor::floats(&zeros, &[size], &vec![0.0; record.sketch]));
            let add = [("axis", Attr::Int(0)), ("reduction", Attr::Text("add"))];
            let sums = b.node("ScatterElements", &[&zeros, "bucket", &signed], add);
            out.push(kept("sketch", Some(record.sketch), sums));
        }
        if record.weights {
            let weights = self.vector(b, "weights", |u| &u.value);
            out.push(kept("weights", size(self.states).ok(), weights));
        }
        out
    }
}

/// Elements of all states together.
pub(super) fn size(states: &[State]) -> Result<usize> {
    states.iter().map(|s| elements(&s.dims)).sum()
}

fn square(b: &mut Builder, vector: &str) -> String {
    b.node("ReduceSumSquare", &[vector], [("keepdims", Attr::Int(0))])
}

impl Record {
    /// The graph inputs that it needs.
    pub(super) fn inputs(&self, elements: usize) -> Vec<(String, Info)> {
        let vector = |ty| Info::new(ty, vec![Dim::Size(elements as i64)]);
        let mut inputs = Vec::new();
        let asked = |q: Quantity| self.quantities.contains(&q);
        let from_start = asked(Quantity::Displacement) || asked(Quantity::VelocityDisplacement);
        if from_start || self.directions > 0 || self.sketch > 0 {
            inputs.push(("start".to_owned(), vector(DataType::Float)));
        }
        if asked(Quantity::Distance) {
            inputs.push(("reference".to_owned(), vector(DataType::Float)));
        }
        if self.directions > 0 {
            let dims = vec![Dim::Size(self.directions as i64), Dim::Size(elements as i64)];
            inputs.push(("directions".to_owned(), Info::new(DataType::Float, dims)));
        }
        if self.sketch > 0 {
            inputs.push(("bucket".to_owned(), vector(DataType::Int64)));
            inputs.push(("sign".to_owned(), vector(DataType::Float)));
        }
        if self.spaced {
            inputs.push(("segments".to_owned(), Info::new(DataType::Int64, vec![Dim::Name("R".to_owned())])));
        }
        inputs
    }
}
