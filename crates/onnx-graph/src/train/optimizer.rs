//! Optimizers: nodes that make new parameters from gradients.

use super::State;
use crate::build::Builder;

/// How parameters follow their gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum.
    Sgd(Sgd),
    /// Adam, or AdamW.
    Adam(Adam),
}

/// Stochastic gradient descent as torch's `SGD`:
/// g ← g + weight_decay·θ; v ← momentum·v + (1 − dampening)·g, at the first step v ← g;
/// θ ← θ − learning_rate·(v, or g + momentum·v with nesterov).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sgd {
    /// Factor of the velocity, 0 to below 1.
    pub momentum: f32,
    /// What the gradient loses on its way into the velocity, 0 to 1.
    pub dampening: f32,
    /// Pull towards zero.
    pub weight_decay: f32,
    /// Look ahead along the velocity.
    pub nesterov: bool,
}

/// Adam (Kingma and Ba 2015) as torch's `Adam`, and with decoupled decay as `AdamW` (Loshchilov and
/// Hutter 2019): m ← β₁·m + (1 − β₁)·g; s ← β₂·s + (1 − β₂)·g²;
/// θ ← θ − learning_rate·(m / (1 − β₁ᵗ)) / (√(s / (1 − β₂ᵗ)) + ε).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// How long the mean gradient remembers.
    pub beta1: f32,
    /// How long the mean square remembers.
    pub beta2: f32,
    /// Keeps the denominator from zero.
    pub epsilon: f32,
    /// Pull towards zero.
    pub weight_decay: f32,
    /// The pull is no part of the gradient: θ ← (1 − learning_rate·weight_decay)·θ first.
    pub decoupled: bool,
}

/// What the update of one parameter made.
pub(super) struct Updated {
    pub value: String,
    pub slots: Vec<String>,
    /// What was subtracted.
    pub step: String,
    /// Gradient of what is minimised, the pull towards zero included where it is part of it.
    pub gradient: String,
    /// Velocity, first moment, or the gradient where there is neither.
    pub velocity: String,
}

impl Optimizer {
    /// Buffers beside each parameter, zero at first.
    pub(super) fn slots(&self) -> &'static [&'static str] {
        match self {
            Optimizer::Sgd(sgd) if sgd.momentum == 0.0 => &[],
            Optimizer::Sgd(_) => &["velocity"],
            Optimizer::Adam(_) => &["mean", "square"],
        }
    }

    /// Numbers that the graph reads at each step besides the learning rate, by the names of their inputs
    /// [K]; `step` counts from 1.
    pub fn scalars(&self, step: u64) -> Vec<(&'static str, f32)> {
        match self {
            Optimizer::Sgd(sgd) if sgd.dampening == 0.0 || sgd.momentum == 0.0 => Vec::new(),
            Optimizer::Sgd(sgd) => vec![("gain", if step == 1 { 1.0 } else { 1.0 - sgd.dampening })],
            Optimizer::Adam(adam) => {
                let left = |beta: f32| 1.0 - f64::from(beta).powf(step as f64);
                vec![
                    ("mean_left", left(adam.beta1) as f32),
                    ("deviation_left", left(adam.beta2).sqrt() as f32),
                ]
            }
        }
    }

    /// Emits the update of a parameter. `rate` is its learning rate; `scalars` are the values of
    /// [`Optimizer::scalars`] in this step.
    pub(super) fn update(
        &self,
        b: &mut Builder,
        state: &State,
        gradient: &str,
        rate: &str,
        scalars: &[String],
    ) -> Updated {
        match self {
            Optimizer::Sgd(sgd) => sgd.update(b, state, gradient, rate, scalars),
            Optimizer::Adam(adam) => adam.update(b, state, gradient, rate, scalars),
        }
    }
}

fn decayed(b: &mut Builder, state: &State, gradient: &str, decay: f32) -> String {
    if decay == 0.0 {
        return gradient.to_owned();
    }
    let decay = b.float(decay);
    let pull = b.node("Mul", &[&state.parameter, &decay], []);
    b.node("Add", &[gradient, &pull], [])
}

/// The name of a buffer inside the loop.
pub(super) fn slot_name(slot: &str, parameter: &str) -> String {
    format!("{slot}.{parameter}")
}

impl Sgd {
    fn update(&self, b: &mut Builder, state: &State, gradient: &str, rate: &str, gain: &[String]) -> Updated {
        let gradient = decayed(b, state, gradient, self.weight_decay);
        let (mut direction, mut velocity, mut slots) = (gradient.clone(), gradient.clone(), Vec::new());
        if self.momentum != 0.0 {
            let momentum = b.float(self.momentum);
            let kept = b.node("Mul", &[&slot_name("velocity", &state.parameter), &momentum], []);
            let gained = match gain {
                [gain] => b.node("Mul", &[&gradient, gain], []),
                _ => gradient.clone(),
            };
            velocity = b.node("Add", &[&kept, &gained], []);
            direction.clone_from(&velocity);
            if self.nesterov {
                let ahead = b.node("Mul", &[&velocity, &momentum], []);
                direction = b.node("Add", &[&gradient, &ahead], []);
            }
            slots.push(velocity.clone());
        }
        let step = b.node("Mul", &[&direction, rate], []);
        let value = b.node("Sub", &[&state.parameter, &step], []);
        Updated { value, slots, step, gradient, velocity }
    }
}

impl Adam {
    fn update(&self, b: &mut Builder, state: &State, gradient: &str, rate: &str, left: &[String]) -> Updated {
        let decay = if self.decoupled { 0.0 } else { self.weight_decay };
        let gradient = decayed(b, state, gradient, decay);
        let square = b.node("Mul", &[&gradient, &gradient], []);
        let mut blend = |slot: &str, beta: f32, new: &str| {
            let (keep, take) = (b.float(beta), b.float(1.0 - beta));
            let kept = b.node("Mul", &[&slot_name(slot, &state.parameter), &keep], []);
            let taken = b.node("Mul", &[new, &take], []);
            b.node("Add", &[&kept, &taken], [])
        };
        let mean = blend("mean", self.beta1, &gradient);
        let square = blend("square", self.beta2, &square);
        let mut deviation = b.node("Sqrt", &[&square], []);
        let mut scaled = b.node("Mul", &[&mean, rate], []);
        if let [mean_left, deviation_left] = left {
            deviation = b.node("Div", &[&deviation, deviation_left], []);
            scaled = b.node("Div", &[&scaled, mean_left], []);
        }
        let epsilon = b.float(self.epsilon);
        let bounded = b.node("Add", &[&deviation, &epsilon], []);
        let mut step = b.node("Div", &[&scaled, &bounded], []);
        if self.decoupled && self.weight_decay != 0.0 {
            let decay = b.float(self.weight_decay);
            let share = b.node("Mul", &[rate, &decay], []);
            let pull = b.node("Mul", &[&state.parameter, &share], []);
            step = b.node("Add", &[&step, &pull], []);
        }
        let value = b.node("Sub", &[&state.parameter, &step], []);
        let velocity = mean.clone();
        Updated { value, slots: vec![mean, square], step, gradient, velocity }
    }
}
